"""The audit's hash chain: one line per link, each bound to all before it by SHA-256.

Whoever can write the file can also make a whole new chain, so the chain proves nothing by itself:
it is its head, kept elsewhere, that the file has to lead to.
"""

import hashlib
import json
from collections.abc import Iterable
from enum import StrEnum
from typing import Any

from pydantic import Field, ValidationError

from release.message import Message

GENESIS = "0" * 64
"""What the first link of a chain that follows no other is bound to."""


class Kind(StrEnum):
    """What a link holds; a whole chain is one header, its events, its decisions and the end."""

    HEADER = "header"
    EVENT = "event"
    DECISION = "decision"
    END = "end"


Content = dict[str, Any]


class Link(Message):
    """One line of an export."""

    n: int = Field(ge=0)
    kind: Kind
    prev: str = Field(pattern="^[0-9a-f]{64}$")
    hash: str = Field(pattern="^[0-9a-f]{64}$")
    content: Content

    def hash_of(self) -> str:
        """The hash that this link has to have."""
        return _hash(self.prev, self.n, self.kind, self.content)

    def line(self) -> str:
        """The only text that means this link."""
        own = {"content": self.content, "kind": self.kind.value, "n": self.n}
        return canonical({**own, "prev": self.prev, "hash": self.hash})


class Export(Message):
    """A chain that was read, and everything about it that does not hold."""

    links: tuple[Link, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def head(self) -> str:
        """The hash that stands for all of it; empty if nothing could be read."""
        return self.links[-1].hash if self.links else ""

    @property
    def header(self) -> Content:
        """What the export says that it is of."""
        return self.links[0].content if self.links else {}

    def contents(self, kind: Kind) -> list[Content]:
        """The contents of every link of one kind, in order."""
        return [link.content for link in self.links if link.kind is kind]


def canonical(value: Any) -> str:
    """One text per value: sorted keys, no spaces, ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def chain(
    header: Content, events: Iterable[Content], decisions: Iterable[Content], genesis: str = GENESIS
) -> Export:
    """The whole chain; `genesis` is the head of the export that this one continues."""
    events, decisions = list(events), list(decisions)
    end = {"events": len(events), "decisions": len(decisions)}
    contents = [
        (Kind.HEADER, header),
        *((Kind.EVENT, event) for event in events),
        *((Kind.DECISION, decision) for decision in decisions),
        (Kind.END, end),
    ]
    links: list[Link] = []
    for n, (kind, content) in enumerate(contents):
        prev = links[-1].hash if links else genesis
        own = _hash(prev, n, kind, content)
        links.append(Link(n=n, kind=kind, prev=prev, hash=own, content=content))
    return Export(links=tuple(links))


def to_text(export: Export) -> str:
    """The export as it is stored: one JSON object a line."""
    return "".join(f"{link.line()}\n" for link in export.links)


def read(text: str, genesis: str | None = None) -> Export:
    """The export of a stored text, with what does not hold in it; never raises.

    Without `genesis` the first link may be bound to anything: its header says to what.
    """
    links: list[Link] = []
    problems: list[str] = []
    for number, line in enumerate(text.split("\n")[:-1] or [text], start=1):
        try:
            link = Link.model_validate_json(line)
        except ValidationError as error:
            first = error.errors(include_input=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            problems.append(f"line {number} is no link: {where} {first['msg']}".replace("  ", " "))
            continue
        if link.line() != line:
            problems.append(f"line {number} is not written as a link is")
        links.append(link)
    if not text.endswith("\n"):
        problems.append("the last line has no end: the file was cut")
    problems += _broken(links, genesis)
    return Export(links=tuple(links), problems=tuple(problems))


def _broken(links: list[Link], genesis: str | None) -> list[str]:
    problems = []
    prev = genesis or (links[0].content.get("genesis", GENESIS) if links else GENESIS)
    for n, link in enumerate(links):
        name = f"link {n} ({_named(link)})"
        if link.n != n:
            problems.append(f"{name} says that it is number {link.n}")
        if link.prev != prev:
            problems.append(f"{name} is not bound to the one before it")
        if link.hash != link.hash_of():
            problems.append(f"{name} does not have its content's hash: it was changed")
        prev = link.hash
    return problems + _misshapen(links)


def _misshapen(links: list[Link]) -> list[str]:
    kinds = [link.kind for link in links]
    events, decisions = kinds.count(Kind.EVENT), kinds.count(Kind.DECISION)
    whole = [
        Kind.HEADER,
        *[Kind.EVENT] * events,
        *[Kind.DECISION] * decisions,
        Kind.END,
    ]
    if kinds != whole:
        return ["it is not one header, then events, then decisions, then the end"]
    said, found = links[-1].content, {"events": events, "decisions": decisions}
    return [] if said == found else [f"its end says {said}, and it has {found}"]


def _named(link: Link) -> str:
    what = link.content.get("eventType", link.content.get("decision", link.kind.value))
    return str(what).removeprefix("EVENT_TYPE_").lower().replace("_", " ")


def _hash(prev: str, n: int, kind: Kind, content: Content) -> str:
    own = canonical({"content": content, "kind": kind.value, "n": n})
    return hashlib.sha256(f"{prev}\n{own}".encode()).hexdigest()
