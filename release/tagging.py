"""What a release is called in git, and when it was where."""

import re
from datetime import UTC, date, datetime

from release.promotion import PromotionRequest, PromotionStatus

_HEADER = re.compile(r"^(?P<kind>[a-z]+)(\([^)]*\))?!?: *(?P<rest>\S.*)")
_LONGEST = 100


def plain_version(version: str) -> str:
    """`X.Y.Z` without a build part."""
    return version.partition("+")[0]


def tag_message(request: PromotionRequest) -> str:
    """The flow's: `Release v1.2.3: Add new features`."""
    return f"Release v{plain_version(request.version)}: {headline(request.changes, request.sha)}"


def headline(changes: tuple[str, ...], sha: str) -> str:
    """The newest feature, else the newest change, as a sentence; `changes` are newest first."""
    subjects = [subject for subject in changes if not subject.startswith("Merge ")]
    headers = [_HEADER.match(subject) for subject in subjects]
    features = [found["rest"] for found in headers if found and found["kind"] == "feat"]
    if not subjects:
        return f"commit {sha[:12]}"
    text = features[0] if features else headers[0]["rest"] if headers[0] else subjects[0]
    text = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
    return text[0].upper() + text[1:]


def live_at(status: PromotionStatus) -> datetime:
    """From when on the new version had all traffic; of a release that is live."""
    whole = (step.started_at for step in status.steps if step.weight == 1)
    return next(whole, status.stage_since)


def deployment_notes(staged_at: datetime | None, live: datetime) -> tuple[str, ...]:
    """The flow's lines for the changelog; a time that is not known has none."""
    staged = () if staged_at is None else (f"Staging: {_minute(staged_at)}",)
    return (*staged, f"Production: {_minute(live)}", "Rollback: None")


def day(moment: datetime) -> date:
    """The day by UTC."""
    return moment.astimezone(UTC).date()


def _minute(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
