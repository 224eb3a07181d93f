"""An incident at a quarter past three, for the tests of its packet."""

from datetime import UTC, datetime, timedelta
from typing import Any

from release.incident import Facts, Found, LogSample, Packet
from release.promotion import AliasState, Counts, InboxRecord, StepJudgement, StepRecord
from release.verdict import Verdict

SHA = "c0ffee" * 6 + "beef"
API, FETCHER = "crypto-watch-api-prod", "crypto-watch-fetcher-prod"
START = datetime(2026, 1, 15, 3, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
KEY = "cw_live_" + "k" * 28 + "WXYZ"


def rung(
    weight: float,
    minute: int,
    canary: tuple[int, int],
    baseline: tuple[int, int] = (0, 0),
    verdict: Verdict = Verdict.PASSED,
) -> StepRecord:
    """One judged rung; counts are (requests, failures)."""
    judgement = StepJudgement(
        verdict=verdict,
        reason="seen",
        canary=Counts(requests=canary[0], failures=canary[1]),
        baseline=Counts(requests=baseline[0], failures=baseline[1]),
    )
    begin = START + minute * MINUTE
    return StepRecord(weight=weight, started_at=begin, ended_at=begin + MINUTE, judgement=judgement)


def facts(**changes: Any) -> Facts:
    """A release that failed at 20 % and went back from version 2 to version 1."""
    known: dict[str, Any] = {
        "service": "crypto-watch",
        "sha": SHA,
        "version": "1.2.3",
        "promotion": f"promotion/crypto-watch/{SHA[:12]}",
        "run": "0a1b2c3d",
        "outcome": "rolled back",
        "reason": "at 20 %: new 25 of 100 requests failed",
        "requested_by": "dora",
        "changes": ("feat: more coins",),
        "authors": ("alice",),
        "went_back_at": START + 2 * MINUTE,
        "ended_at": START + 2 * MINUTE + timedelta(seconds=4),
        "steps": (
            rung(0.1, 0, (50, 0), (450, 0)),
            rung(0.2, 1, (100, 25), (400, 4), Verdict.FAILED),
        ),
        "messages": (
            InboxRecord(at=START - MINUTE, kind="approve", by="bob", accepted=True, text="go"),
            InboxRecord(at=START - MINUTE, kind="sign_off", by="eve", accepted=True, text="ok"),
        ),
        "api": API,
        "alias": "live",
        "expected": {API: "1", FETCHER: "1"},
        "bad": {API: "2", FETCHER: "2"},
        "quarantines": True,
        "bucket": "crypto-watch-artifacts",
        "table": "crypto-watch-prod",
    }
    return Facts(**known | changes)


def alias(function: str, version: str, canary: str | None = None, weight: float = 0) -> AliasState:
    """An alias as it was read."""
    return AliasState(
        function=function,
        alias="live",
        version=version,
        canary=canary,
        weight=weight,
        revision_id="r",
    )


def packet(*aliases: AliasState, found: dict[str, Any] | None = None, **changes: Any) -> Packet:
    """Everything could be read; both functions serve the old version unless said otherwise."""
    known: dict[str, Any] = {
        "aliases": aliases or (alias(API, "1"), alias(FETCHER, "1")),
        "quarantined": True,
        "periods": (),
        "alarms": (),
        "logs": (LogSample(at=START, function=API, text="KeyError: 'usd'", times=22),),
    }
    return Packet(facts=facts(**changes), found=Found(**known | (found or {})))
