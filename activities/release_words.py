"""What a release is called wherever it is recorded, and what is said where it cannot be."""

import re

from temporalio.exceptions import ApplicationError

from activities.release_inputs import ChangelogInput
from release.changelog import FILE, NoUnreleased, close_release, names
from release.tagging import day, deployment_notes


def cannot(text: str) -> ApplicationError:
    """What no retry mends: `text` says what does."""
    return ApplicationError(text, type="NotRecorded", non_retryable=True)


def tag_name(version: str) -> str:
    """The release's tag.

    Raises:
        ApplicationError: not retryable when that is no version.
    """
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        raise cannot(f"{version!r} is no version of the form 1.2.3; tag the commit by hand")
    return f"v{version}"


def changelog_branch(version: str) -> str:
    """Where the changelog is proposed."""
    return f"changelog/{tag_name(version)}"


def title(version: str) -> str:
    """What the commit is called."""
    return f"docs: changelog of {tag_name(version)}"


def moved(name: str, has: str, sha: str) -> ApplicationError:
    """The error of a tag that is another commit's."""
    text = (
        f"{name} is on {has[:12]} already and is never moved; "
        f"give {sha[:12]} a tag of its own by hand"
    )
    return cannot(text)


def unclosed(text: str, order: ChangelogInput) -> str | None:
    """The tag of the release before, if the branch's changelog does not name that one yet."""
    known = re.fullmatch(r"\d+\.\d+\.\d+", order.previous)
    return f"v{order.previous}" if known and not names(text, order.previous) else None


def closed(text: str, released: str, order: ChangelogInput, before: str = "") -> str:
    """The changelog with the release closed in it; `before` is that of the `unclosed` release.

    Raises:
        ApplicationError: not retryable when it keeps no Unreleased.
    """
    notes = deployment_notes(order.staged_at, order.live_at)
    try:
        return close_release(text, released, order.version, day(order.live_at), notes, before)
    except NoUnreleased as error:
        raise cannot(f"{error}; {by_hand(order)}") from None


def by_hand(order: ChangelogInput) -> str:
    """What somebody has to write, where we cannot."""
    notes = "; ".join(deployment_notes(order.staged_at, order.live_at))
    return f"write its section by hand ({notes})"


def no_changelog(revision: str) -> ApplicationError:
    """The error of a commit or branch without the file."""
    return cannot(f"{revision[:12]} has no {FILE}; add one with a heading `## Unreleased`")
