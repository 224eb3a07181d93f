"""The incident packet: everything read at once within a bound, whatever cannot be, and stored."""

import time
from collections.abc import Callable
from threading import Thread
from typing import Any

from botocore.exceptions import ClientError
from temporalio import activity

from activities.aws import AwsClients, error_code
from activities.incident_alarms import alarms_seen, periods_seen
from activities.incident_logs import log_samples
from activities.quarantine_table import QuarantineTable
from activities.traffic import Traffic
from release.api_keys import mask_keys
from release.incident import Facts, Found, Packet, Stored
from release.incident_head import head
from release.incident_report import markdown
from release.incident_rules import title
from release.text import one_line

_FOR_GOOD = {"NoSuchBucket", "AccessDenied"}  # until a person changes something
_MOST_WORDS = 300


class Incidents:
    """Reads what an incident left behind; each source by itself, so that none holds up others."""

    def __init__(self, aws: AwsClients, whole_seconds: float = 20) -> None:
        self._aws = aws
        self._whole_seconds = whole_seconds

    @activity.defn
    def write_incident(self, facts: Facts) -> Stored:
        """The packet is in S3, as Markdown and as JSON; a retry reads and writes it anew.

        Where the bucket refuses it for good that is said, and its head is there all the same.
        """
        packet = Packet(facts=facts, found=self.read(facts))
        problem = self._store(packet)
        return Stored(
            address="" if problem else f"s3://{facts.bucket}/{facts.key}.md",
            problem=problem,
            title=mask_keys(title(facts)),
            head=mask_keys(head(packet)),
        )

    def read(self, facts: Facts) -> Found:
        """What each source says within the bound; of the others, why not."""
        aws, traffic = self._aws, Traffic(self._aws.lambda_)
        found, unread = read_all(
            {
                "aliases": lambda: tuple(
                    traffic.read(name, facts.alias) for name in facts.expected
                ),
                "quarantined": lambda: _is_quarantined(aws.dynamodb, facts),
                "periods": lambda: periods_seen(aws.cloudwatch, facts),
                "alarms": lambda: alarms_seen(aws.cloudwatch, facts),
                "logs": lambda: log_samples(aws.logs, facts),
            },
            self._whole_seconds,
        )
        return Found(**found, unread=unread)

    def _store(self, packet: Packet) -> str:
        """Why the packet can never be stored as things stand; empty once it is."""
        facts = packet.facts
        try:
            for ending, kind, text in (
                ("json", "application/json", packet.model_dump_json(indent=2)),
                ("md", "text/markdown; charset=utf-8", markdown(packet)),
            ):
                self._aws.s3.put_object(
                    Bucket=facts.bucket,
                    Key=f"{facts.key}.{ending}",
                    Body=mask_keys(text).encode(errors="replace"),
                    ContentType=kind,
                )
        except ClientError as error:
            if error_code(error) not in _FOR_GOOD:
                raise
            return f"the bucket {facts.bucket} does not take it: {_words(error)}"
        return ""


def read_all(
    sources: dict[str, Callable[[], Any]], seconds: float
) -> tuple[dict[str, Any], dict[str, str]]:
    """What the sources gave in time, and why the others did not: (found, unread)."""
    found: dict[str, Any] = {}
    unread: dict[str, str] = {}

    def read(name: str) -> None:
        try:
            found[name] = sources[name]()
        except Exception as error:  # whatever it is: the packet says so, and has the rest
            unread[name] = _words(error)

    # not a pool: its end would wait for a source that hangs
    threads = {name: Thread(target=read, args=(name,), daemon=True) for name in sources}
    until = time.monotonic() + seconds
    for thread in threads.values():
        thread.start()
    for thread in threads.values():
        thread.join(max(0.0, until - time.monotonic()))
    late = f"no answer within {seconds:g} s"
    got, refused = dict(found), dict(unread)  # a late thread may still write
    return got, {name: refused.get(name, late) for name in sources if name not in got}


def _is_quarantined(dynamodb: Any, facts: Facts) -> bool:
    entry = QuarantineTable(dynamodb, facts.table).get(facts.sha)
    return entry is not None and entry.released is None


def _words(error: Exception) -> str:
    if isinstance(error, ClientError):
        return one_line(f"{error_code(error)}: {error}", _MOST_WORDS)
    return one_line(f"{type(error).__name__}: {error}", _MOST_WORDS)
