"""The next semantic version, from the commits since the last tag (Conventional Commits)."""

import re

_HEADER = re.compile(r"^(?P<kind>[a-z]+)(\([^)]*\))?(?P<breaking>!)?:")


def next_version(last_tag: str | None, messages: list[str], sha: str) -> str:
    """`major.minor.patch+sha7`.

    Major for a breaking change, minor for a `feat`, patch for all else; before 1.0.0 a breaking
    change raises the minor (SemVer 4). The build part keeps two commits apart until a tag does.
    """
    major, minor, patch = _parse(last_tag)
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
    return f"{major}.{minor}.{patch}+{sha[:7]}"


def _parse(tag: str | None) -> tuple[int, int, int]:
    match = re.fullmatch(r"v(\d+)\.(\d+)\.(\d+)", tag or "v0.0.0")
    if match is None:
        raise ValueError(f"tag {tag!r} is not of the form v1.2.3")
    major, minor, patch = (int(part) for part in match.groups())
    return major, minor, patch
