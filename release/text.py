"""Text that others wrote, put into our Markdown; and figures in words.

A commit's subject may hold a table's bar, a mention or a link. Inside a code span Markdown, GitHub
and Slack make nothing of them, so that is where such text goes.
"""

import re
import unicodedata
from datetime import timedelta

_INVISIBLE = {"Cc", "Cf", "Cs"}  # controls, zero widths and direction marks, lone surrogates
_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 -]*")
_READ = 10  # of a longer text only this many times the limit is looked at
_BACKTICK = "\N{MODIFIER LETTER GRAVE ACCENT}"  # looks like the one that ends a code span
NOTHING = "—"


def one_line(text: str, limit: int = 120) -> str:
    """The visible characters on one line, at most `limit` of them; what was cut shows as `…`."""
    kept = (
        " " if character.isspace() else character
        for character in text[: limit * _READ]
        if character.isspace() or unicodedata.category(character) not in _INVISIBLE
    )
    line = " ".join("".join(kept).split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def code(text: str, limit: int = 120) -> str:
    """The text as a code span: it formats, mentions and links nothing."""
    line = one_line(text, limit).replace("`", _BACKTICK)
    return f"`{line}`" if line else NOTHING


def cell(text: str, limit: int = 120) -> str:
    """The same for a table's cell, in which parsers differ about an escaped bar."""
    return code(text, limit).replace("|", "¦")


def name(text: str) -> str:
    """A person's or a role's name: as it is if it is plain words, else as a cell."""
    line = one_line(text, 64)
    return line if _PLAIN_NAME.fullmatch(line) else cell(line)


def camel_case(text: str) -> str:
    """ "crypto-watch" as "CryptoWatch"."""
    return "".join(part.capitalize() for part in text.split("-"))


def percent(fraction: float) -> str:
    """0.1 as "10 %"."""
    return f"{fraction * 100:.4g} %"


def duration(value: timedelta) -> str:
    """ "2 min 30 s", "24 h": whole seconds, or tenths below ten seconds."""
    seconds = value.total_seconds()
    if seconds < 10:
        return f"{seconds:.1f} s".replace(".0 s", " s")
    minutes, left = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, "h"), (minutes, "min"), (left, "s"))
    return " ".join(f"{count} {unit}" for count, unit in parts if count)
