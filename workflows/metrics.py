"""What a team watches of its releases over months; told once, a replay tells nothing."""

from datetime import datetime

from temporalio import workflow

ENDED = "release_promotions_ended"
ROLLBACK_SECONDS = "release_rollback_duration"


def count_end(service: str, outcome: str) -> None:
    """One more promotion ended so."""
    counter = workflow.metric_meter().create_counter(ENDED, "Promotions that ended")
    counter.add(1, {"service": service, "outcome": outcome})


def time_rollback(service: str, kind: str, since: datetime) -> None:
    """All traffic is back; `since` it was judged bad, or asked for. `kind`: by whom it was done."""
    histogram = workflow.metric_meter().create_histogram_timedelta(
        ROLLBACK_SECONDS, "From the word to roll back until the old version has all traffic"
    )
    histogram.record(workflow.now() - since, {"service": service, "kind": kind})
