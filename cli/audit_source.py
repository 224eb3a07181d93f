"""Where the story of a promotion can be had: from Temporal, and from its export."""

from dataclasses import dataclass

from activities.audit_store import AuditStore
from activities.histories import read_events
from cli import aws, promotions
from cli.errors import CliError, Unreachable
from cli.temporal import temporal
from release.audit_chain import Export, Kind, read
from release.audit_events import Event, attributes
from release.audit_export import AuditRecord, key, prefix


@dataclass(frozen=True)
class Stored:
    """A run's export: the file and its record, of which one may be missing."""

    key: str
    export: Export | None
    record: AuditRecord | None


@dataclass(frozen=True)
class Source:
    """One run of a promotion, as Temporal has it and as it was exported."""

    workflow_id: str
    run_id: str
    live: list[Event]
    stored: Stored | None = None

    @property
    def events(self) -> list[Event]:
        """Temporal's own, while it has them."""
        if self.live or self.stored is None or self.stored.export is None:
            return self.live
        return self.stored.export.contents(Kind.EVENT)


async def load(reference: str, run_id: str, *, both: bool) -> Source:
    """The run that is meant, the latest unless it is named; `both`: its export too.

    Raises CliError when neither Temporal nor the exports know it.
    """
    identity = promotions.workflow_id(reference)
    live, silence = await _live(identity, run_id)
    if live and not both:
        return Source(identity, _run_of(live), live)
    with aws.asking("read the exports of audits"):
        store = _store()
        run_id = run_id or (_run_of(live) if live else _latest(store, identity))
        stored = _stored(store, identity, run_id) if run_id else None
    if not live and stored is None:
        raise silence or CliError(f"neither Temporal nor an export knows {identity} {run_id}")
    return Source(identity, run_id, live, stored)


async def _live(identity: str, run_id: str) -> tuple[list[Event], Unreachable | None]:
    """Temporal's events; without Temporal none, and what there is to say of that."""
    try:
        async with temporal("audit") as client:
            return await read_events(client, identity, run_id or None), None
    except Unreachable as silence:
        return [], silence


def _store() -> AuditStore:
    commits = promotions.commits()
    policy = commits.policy(commits.resolve(commits.branch))
    return AuditStore(
        aws.client("s3"), aws.client("dynamodb"), policy.artifact_bucket, policy.table_name("prod")
    )


def _stored(store: AuditStore, identity: str, run_id: str) -> Stored | None:
    records = {record.run_id: record for record in store.records(identity)}
    record = records.get(run_id)
    where = record.key if record else key(identity, run_id)
    text = store.get(where)
    if record is None and text is None:
        return None
    return Stored(where, None if text is None else read(text), record)


def _latest(store: AuditStore, identity: str) -> str:
    """The run that was exported last; one whose record is gone still has its file."""
    records = store.records(identity)
    if records:
        return records[-1].run_id
    keys = sorted(store.keys(prefix(identity)))  # run ids begin with the time
    return keys[-1].rpartition("/")[2].removesuffix(".jsonl") if keys else ""


def _run_of(events: list[Event]) -> str:
    return str(attributes(events[0]).get("originalExecutionRunId", ""))
