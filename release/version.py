"""The next semantic version, from the commits since the last tag (Conventional Commits)."""

import re
from collections.abc import Collection

_HEADER = re.compile(r"^(?P<kind>[a-z]+)(\([^)]*\))?(?P<breaking>!)?:")
_PLAIN = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")

Number = tuple[int, int, int]


def next_version(last_tag: str | None, messages: list[str]) -> str:
    """`major.minor.patch`.

    Major for a breaking change, minor for a `feat`, patch for all else; before 1.0.0 a breaking
    change raises the minor (SemVer 4).
    """
    major, minor, patch = _of_tag(last_tag)
    kinds = [_HEADER.match(message) for message in messages]
    breaking = any(
        (kind and kind["breaking"]) or "\nBREAKING CHANGE:" in message
        for kind, message in zip(kinds, messages, strict=True)
    )
    feature = any(kind and kind["kind"] == "feat" for kind in kinds)
    if breaking and major:
        major, minor, patch = major + 1, 0, 0
    elif breaking or feature or last_tag is None:
        minor, patch = minor + 1, 0
    else:
        patch += 1
    return f"{major}.{minor}.{patch}"


def free_version(wanted: str, taken: Collection[str]) -> str:
    """The version, or the next patch that nobody has.

    A name of before, `1.2.3+abc1234`, has its number.
    """
    numbers = {plain(name) for name in taken}
    major, minor, patch = parse(wanted)
    while f"{major}.{minor}.{patch}" in numbers:
        patch += 1
    return f"{major}.{minor}.{patch}"


def parse(version: str) -> Number:
    """The three numbers. Raises ValueError when it is not of the form 1.2.3."""
    match = _PLAIN.fullmatch(version)
    if match is None:
        raise ValueError(f"{version!r} is not of the form 1.2.3")
    major, minor, patch = (int(part) for part in match.groups())
    return major, minor, patch


def plain(version: str) -> str:
    """Without the commit that versions once ended with."""
    return version.partition("+")[0]


def _of_tag(tag: str | None) -> Number:
    if tag is None:
        return 0, 0, 0
    try:
        return parse(tag[1:] if tag.startswith("v") else "")
    except ValueError:
        raise ValueError(f"tag {tag!r} is not of the form v1.2.3") from None
