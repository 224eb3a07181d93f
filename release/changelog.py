"""CHANGELOG.md as data: the entries of the release that is being prepared (Keep a Changelog)."""

import re

_RELEASE = re.compile(r"^## +(?:\[(?P<linked>[^\]]+)\]|(?P<plain>\S+))")
_GROUP = re.compile(r"^### +(?P<name>.+?) *$")
_BULLET = re.compile(r"^[-*] +(?P<text>\S.*)")
UNRELEASED = "Unreleased"


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
