"""HTML elements as plain functions: every text is escaped unless it is an element itself."""

import html
import unicodedata
from typing import Any

_UNSEEN = ("Cc", "Cf", "Cs")  # direction marks could make a subject read as something else


class Html(str):
    """Markup of ours; nothing that anybody else wrote."""

    __slots__ = ()


def tag(name: str, *children: Any, **attributes: Any) -> Html:
    """One element. `class_` is its class; an attribute that is None is left out.

    Children that are no `Html` are escaped; so are attributes.
    """
    named = {key.rstrip("_").replace("_", "-"): value for key, value in attributes.items()}
    given = "".join(
        f' {key}="{html.escape(str(value))}"' for key, value in named.items() if value is not None
    )
    return Html(f"<{name}{given}>{''.join(map(_escaped, children))}</{name}>")


def joined(*children: Any) -> Html:
    """Several elements or texts, one after another."""
    return Html("".join(map(_escaped, children)))


def quoted(text: str) -> Html:
    """What somebody wrote, isolated; a character that cannot be seen is shown by its number."""
    shown = (
        f"\\u{ord(one):04x}" if unicodedata.category(one) in _UNSEEN and one not in "\n\t" else one
        for one in text
    )
    return tag("bdi", "".join(shown))


def link(address: str, text: str) -> Html:
    """A link, if the address is one of the web; else only its text."""
    if not address.startswith(("https://", "http://")):
        return quoted(text)
    return tag("a", text, href=address, rel="noreferrer noopener")


def table(head: tuple[str, ...], rows: list[tuple[Any, ...]], class_: str | None = None) -> Html:
    """A table that becomes a list of cards where there is no room for columns."""
    named = tag("thead", tag("tr", *(tag("th", name, scope="col") for name in head)))
    body = [
        tag("tr", *(tag("td", cell, data_label=name) for name, cell in zip(head, row, strict=True)))
        for row in rows
    ]
    return tag("table", named, tag("tbody", *body), class_=class_)


def _escaped(child: Any) -> str:
    return child if isinstance(child, Html) else html.escape(str(child))
