"""Which version an alias goes back to, from what Lambda says of it alone."""

from pydantic import Field

from release.lease import Lease, Note
from release.message import Message

ROLLBACK_ALIAS = "rollback"
"""Names the version that a rollback returns to: Lambda deletes no version that an alias names."""

_SHORTEST_SHA = 7


class NoWayBack(ValueError):
    """No version to go back to; the text says why, and what there is."""


class Standing(Message):
    """An alias as it stands, with the versions around it."""

    function: str
    version: str
    canary: str | None = Field(None, description="the version that gets a share, if any")
    description: str = Field("", description="the alias's: a lease, a note, or neither")
    versions: dict[str, str] = Field(description='number → "<release> <sha>", oldest release first')
    kept: str | None = Field(None, description="the version that the alias `rollback` names")

    @property
    def note(self) -> Note | None:
        """What an earlier intervention left, if the alias was not moved since."""
        return None if self.canary else Note.from_description(self.description)


def named(versions: dict[str, str], wanted: str) -> str | None:
    """The newest version that `wanted` names: by release, tag, commit, both, or its own number."""
    for number, description in reversed(versions.items()):
        release, _, sha = description.partition(" ")
        plain = release.partition("+")[0]
        if wanted in (release, plain, f"v{plain}", number, description):
            return number
        if len(wanted) >= _SHORTEST_SHA and sha.startswith(wanted):
            return number
    return None


def before(versions: dict[str, str], version: str) -> list[str]:
    """The versions of older releases, oldest first."""
    return _on_one_side(versions, version, after=False)


def after(versions: dict[str, str], version: str) -> list[str]:
    """The versions of newer releases, oldest first."""
    return _on_one_side(versions, version, after=True)


def way_back(standing: Standing, wanted: str | None = None, release: str = "") -> str:
    """The version that the alias goes back to.

    What a person names comes first. Then what a promotion under way started from, by its lease or
    by the split; then `release`, which is "<release> <sha>" of what the API went back to, so that
    no function goes further back than its API. Asked again, it says the same.

    Raises:
        NoWayBack: there is none.
    """
    if wanted is not None:
        return _wanted(standing, wanted)
    lease = Lease.from_description(standing.description)
    if lease is not None:
        return lease.baseline
    if standing.canary is not None or standing.note is not None:
        return standing.version
    if release:
        return _wanted(standing, release)
    if standing.kept is not None and standing.kept != standing.version:
        return standing.kept
    older = before(standing.versions, standing.version)
    if not older:
        raise NoWayBack(f"{standing.function} has no version before {standing.version}")
    return older[-1]


def taken_out(standing: Standing, target: str) -> str:
    """The version that loses its traffic; done twice, what the first time took out."""
    leaves = [v for v in (standing.canary, standing.version) if v is not None and v != target]
    if leaves:
        return leaves[0]
    return standing.note.undone if standing.note else ""


def _wanted(standing: Standing, wanted: str) -> str:
    number = named(standing.versions, wanted)
    if number is None:
        there = ", ".join(standing.versions.values()) or "none"
        raise NoWayBack(f"{standing.function} has no release {wanted!r}; there is: {there}")
    return number


def _on_one_side(versions: dict[str, str], version: str, *, after: bool) -> list[str]:
    numbers = list(versions)
    place = numbers.index(version) if version in versions else len(numbers)
    side = numbers[place + 1 :] if after else numbers[:place]
    return [number for number in side if versions[number] != versions.get(version)]
