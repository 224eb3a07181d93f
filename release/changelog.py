"""CHANGELOG.md as data (Keep a Changelog): what is being prepared, and how a release takes it."""

import re
from collections.abc import Iterable, Sequence
from datetime import date
from typing import NamedTuple

_RELEASE = re.compile(r"^## +(?:\[(?P<linked>[^\]]+)\]|(?P<plain>\S+))")
_GROUP = re.compile(r"^### +(?P<name>.+?) *$")
_BULLET = re.compile(r"^[-*] +(?P<text>\S.*)")
_LINK = re.compile(r"^\[[^\]]+\]: ")
UNRELEASED = "Unreleased"
FILE = "CHANGELOG.md"
_DEPLOYMENT = "Deployment"


class NoUnreleased(ValueError):
    """A changelog has no heading that the release's entries could be taken from."""


def entries(text: str, version: str) -> tuple[str, dict[str, list[str]]]:
    """The heading that the release's entries stand under, and group → first lines of its bullets.

    That is the version's own heading if there is one, else Unreleased. An empty heading means
    that the changelog has neither; bullets without a group stand under "Entries".
    """
    releases = _releases(text)
    wanted = (version, version.partition("+")[0], UNRELEASED)
    heading = next((name for name in wanted if name in releases), "")
    return heading, releases.get(heading, {})


def _releases(text: str) -> dict[str, dict[str, list[str]]]:
    releases: dict[str, dict[str, list[str]]] = {}
    current: dict[str, list[str]] = {}
    group = "Entries"
    for line in text.splitlines():
        if release := _RELEASE.match(line):
            name = release["linked"] or release["plain"]
            current, group = releases.setdefault(name, {}), "Entries"
        elif named := _GROUP.match(line):
            group = named["name"]
        elif bullet := _BULLET.match(line):
            current.setdefault(group, []).append(bullet["text"])
    return releases


def names(text: str, version: str) -> bool:
    """Whether the version has a heading."""
    return version in _releases(text)


def has_release(text: str, version: str) -> bool:
    """Whether the version has a heading with its deployment below."""
    return _DEPLOYMENT in _releases(text).get(version, {})


class _Entry(NamedTuple):
    """A bullet or a paragraph, with the lines that belong to it and its group's heading."""

    heading: tuple[str, ...]
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        """What two entries are the same by: neither group nor white space at the ends of lines."""
        return "\n".join(line.rstrip() for line in self.lines).rstrip()


def close_release(
    text: str,
    released: str,
    version: str,
    on: date,
    deployment: Sequence[str],
    unclosed: str = "",
) -> str:
    """The branch's changelog `text` with a section for the release; called again it adds nothing.

    What stands under Unreleased in `released`, the changelog of the released commit, has moved
    there; what came to the branch afterwards stays. An entry that the branch has under another
    release by now went out with that one; and so did what stands under Unreleased in `unclosed`,
    the changelog of the release before, which nobody has merged yet. If somebody wrote the
    version's heading already, only the deployment is added to it.

    Raises:
        NoUnreleased: one of the two has no such heading, or neither has the version's own.
    """
    if has_release(text, version):
        return text
    lines, end_of_line = text.split("\n"), "\r" if "\r\n" in text else ""
    notes = tuple(f"- {line}{end_of_line}" for line in deployment)
    told = _Entry((f"### {_DEPLOYMENT}{end_of_line}",), notes)
    if names(text, version):
        begin, end = _section(lines, version)
        own = [*_entries(lines[begin:end]), told]
        whole = [*lines[:begin], end_of_line, *_rendered(own, end_of_line), *lines[end:]]
        return "\n".join(whole).rstrip("\r")
    begin, end = _section(lines, UNRELEASED)
    taken, later = _divide(lines, begin, end, released, unclosed)
    whole = [
        *lines[:begin],
        end_of_line,
        *_rendered(later, end_of_line),
        f"## [{version}] - {on.isoformat()}{end_of_line}",
        end_of_line,
        *_rendered([*taken, told], end_of_line),
        *lines[end:],
    ]
    return "\n".join(whole).rstrip("\r")


def _divide(
    lines: list[str], begin: int, end: int, released: str, unclosed: str
) -> tuple[list[_Entry], list[_Entry]]:
    """The entries that the release takes, and those that stay under Unreleased."""
    then = released.split("\n")
    first, last = _section(then, UNRELEASED, "in the released commit")
    now = _entries(lines[begin:end])
    waiting = {entry.text for entry in now}
    gone = {entry.text for entry in _entries([*lines[:begin], *lines[end:]])}
    before = {entry.text for entry in _unreleased(unclosed)}
    taken = [
        entry
        for entry in _entries(then[first:last])
        if entry.text not in before and (entry.text in waiting or entry.text not in gone)
    ]
    texts = {entry.text for entry in taken}
    return taken, [entry for entry in now if entry.text not in texts]


def _unreleased(text: str) -> list[_Entry]:
    lines = text.split("\n")
    try:
        begin, end = _section(lines, UNRELEASED)
    except NoUnreleased:
        return []
    return _entries(lines[begin:end])


def _section(lines: Sequence[str], name: str, where: str = "on the branch") -> tuple[int, int]:
    """From the line after the heading up to the next release, or the links at the file's end."""
    for begin, line in enumerate(lines, 1):
        found = _RELEASE.match(line.rstrip())
        if found and (found["linked"] or found["plain"]) == name:
            ends = (
                number
                for number, after in enumerate(lines[begin:], begin)
                if after.startswith("## ") or _LINK.match(after)
            )
            return begin, next(ends, len(lines))
    raise NoUnreleased(f"{FILE} {where} has no heading `## {name}`")


def _entries(lines: Iterable[str]) -> list[_Entry]:
    found: list[tuple[list[str], list[str]]] = []
    heading: list[str] = []
    begins = True
    for line in lines:
        words = line.rstrip()
        if _GROUP.match(words):
            heading, begins = [line], True
        elif _BULLET.match(words) or (words and begins):
            found.append((heading, [line]))
            begins = False
        elif found and found[-1][0] is heading:
            # an indented line goes on after a blank one; anything else there is a new paragraph
            if words and not line[0].isspace() and not found[-1][1][-1].strip():
                found.append((heading, [line]))
            else:
                found[-1][1].append(line)
        elif heading:
            heading.append(line)
    return [_Entry(tuple(heading), tuple(lines)) for heading, lines in found]


def _rendered(entries: Iterable[_Entry], end_of_line: str) -> list[str]:
    """The entries below their groups' headings, each group once, with a blank line after it."""
    groups: dict[str, list[str]] = {}
    for entry in entries:
        name = entry.heading[0].strip() if entry.heading else ""
        groups.setdefault(name, list(entry.heading)).extend(entry.lines)
    lines: list[str] = []
    for group in groups.values():
        while group and not group[-1].strip():
            group.pop()
        lines += [*group, end_of_line]
    return lines
