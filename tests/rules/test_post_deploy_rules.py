"""The day after a release: its schedule, who may act when, and what is worse than before."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from activities.checks.production_registry import PRODUCTION_CHECKS
from release.checklist import ProductionCheck
from release.day_before import chance_of, judge_errors, judge_latency
from release.policy import PostDeploy, parse_policy
from release.post_deploy import (
    Action,
    PostDeployRequest,
    Served,
    WatchOutcome,
    Window,
    harm,
    items_until,
    judge_day,
    judge_served,
    next_action,
    passed_text,
    rollback_of,
    schedule,
    seen,
    unseen,
)
from release.promotion import AliasState, Counts, PromotionRequest
from release.verdict import CheckResult, Verdict

POLICY = parse_policy((Path(__file__).resolve().parents[2] / "release.toml").read_text())
RELEASED = datetime(2026, 1, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def request(factor: float = 1) -> PostDeployRequest:
    """A release at noon."""
    return PostDeployRequest(
        promotion=PromotionRequest(
            sha="a" * 40,
            version="1.2.3",
            requested_by="dora",
            running_version="1.2.2",
            policy=POLICY.compressed(factor),
            clock_factor=factor,
        ),
        run_id="r" * 36,
        released_at=RELEASED,
        published={"fetcher": "2", "api": "7"},
        baseline={"fetcher": "1", "api": "6"},
    )


def result(check: str, verdict: Verdict, evidence: str = "seen") -> CheckResult:
    """What one check saw."""
    return CheckResult(id=check, text=check, verdict=verdict, evidence=evidence)


FAILED = (result("health", Verdict.PASSED), result("alarms", Verdict.FAILED, "one is red"))


# --- the schedule ---


def test_the_projects_day_is_the_flows() -> None:
    """0-15 min and 15-60 min without a break, then looks after 2, 6, 12, 18 and 24 hours."""
    stretches = list(schedule(POLICY.post_deploy))

    assert [s.ends / HOUR for s in stretches] == [0.25, 1, 2, 6, 12, 18, 24]
    assert [s.is_round for s in stretches] == [False, False, True, True, True, True, True]
    assert [s.window for s in stretches[:3]] == list(Window)


def test_looks_leave_no_time_unlooked_at() -> None:
    """A round looks back to the look before it; the hour's looks overlap."""
    stretches = list(schedule(POLICY.post_deploy))

    assert [s.span(1) / HOUR for s in stretches] == [0.25, 0.25, 1, 4, 6, 6, 6]
    for before, after in pairwise(stretches):
        assert after.begins == before.ends


def test_short_day_has_only_the_rounds_after_its_first_hour() -> None:
    """A round that would fall into the watched windows is none."""
    short = PostDeploy(long_term_until=timedelta(hours=3))

    assert [s.ends / HOUR for s in schedule(short)] == [0.25, 1, 1.5, 2.25, 3]


def test_item_is_looked_at_from_its_window_on() -> None:
    """An alarm at minute 40 counts: what began in the first window goes on."""
    numbers = [len(items_until(POLICY.post_deploy, window)) for window in Window]

    assert numbers == [4, 8, 12]


# --- authority ---


@pytest.mark.parametrize(
    ("after", "action"),
    [
        (timedelta(minutes=1), Action.ROLL_BACK),
        (timedelta(minutes=59), Action.ROLL_BACK),
        (timedelta(minutes=62), Action.ROLL_BACK),  # the window's last look, confirmed
        (timedelta(minutes=66), Action.PAGE),
        (timedelta(hours=3), Action.PAGE),
        (timedelta(hours=24), Action.PAGE),
    ],
)
def test_authority_declines_after_the_first_hour(after: timedelta, action: Action) -> None:
    """Harm goes back in the first hour, and is told from then on."""
    assert next_action(request(), RELEASED + after, FAILED, "") is action


def test_compressed_clock_compresses_the_authority() -> None:
    """At factor 60 the first hour is a minute."""
    compressed = request(60)

    for seconds, action in ((59, Action.ROLL_BACK), (70, Action.PAGE)):
        now = RELEASED + timedelta(seconds=seconds)
        assert next_action(compressed, now, FAILED, "") is action


def test_only_harm_does_harm() -> None:
    """Inconclusive, not applicable and passed change nothing at any time."""
    for verdict in (Verdict.INCONCLUSIVE, Verdict.NOT_APPLICABLE, Verdict.PASSED):
        results = (result("alarms", verdict),)
        assert next_action(request(), RELEASED, results, "") is Action.GO_ON
    assert next_action(request(), RELEASED, (), "") is Action.GO_ON


def test_superseded_ends_whatever_failed() -> None:
    """Another release's alias is never touched."""
    assert next_action(request(), RELEASED, FAILED, "version 9") is Action.END


@pytest.mark.parametrize(
    ("version", "canary", "served"),
    [
        ("7", None, Served.OURS),
        ("7", "8", Served.SHARED),
        ("6", "7", Served.SHARED),
        ("8", None, Served.ANOTHERS),
        ("8", "9", Served.ANOTHERS),
    ],
)
def test_alias_is_ours_shared_or_anothers(version: str, canary: str | None, served: Served) -> None:
    """A drill's or a newer release's weights are not the end of the watch; another version is."""
    alias = AliasState(
        function="f", alias="live", version=version, canary=canary, weight=0.1, revision_id="r"
    )

    assert judge_served(alias, "7") is served


def test_rollback_names_the_api_first_and_quarantines_the_release() -> None:
    """Every function goes to its baseline; the commit that did harm stays out."""
    order = rollback_of(request(), f"1.2.1 {'b' * 40}", "alarms: one is red")

    assert [(t.function, t.version) for t in order.targets] == [
        ("crypto-watch-api-prod", "6"),
        ("crypto-watch-fetcher-prod", "1"),
    ]
    assert [u.sha for u in order.undone] == ["a" * 40]
    assert order.undone[0].table == "crypto-watch-prod"
    assert order.undone[0].number == "7"
    assert order.release == f"1.2.1 {'b' * 40}"
    assert rollback_of(request(), "", "alarms: one is red").release == "1.2.2"


def test_watch_id_follows_from_the_promotions_run() -> None:
    """One watch per run, found without asking anybody."""
    assert request().workflow_id == f"post-deploy/crypto-watch/{'a' * 12}/{'r' * 8}"


# --- what is said ---


def test_newest_look_counts_also_where_it_could_not_measure() -> None:
    """An item that passed once and cannot be measured any more is not shown as passed."""
    items = unseen(POLICY.post_deploy)
    first = seen(items, (result("health", Verdict.PASSED),), RELEASED)
    second = seen(first, (result("health", Verdict.INCONCLUSIVE),), RELEASED + HOUR)

    assert passed_text(first) == "1 of 12 items passed"
    assert (second[0].verdict, second[0].at) == (Verdict.INCONCLUSIVE, RELEASED + HOUR)
    assert second[1].verdict is None


def test_day_ends_as_what_was_seen() -> None:
    """Passed only with every item passed; harm that people were told of is never forgotten."""
    items = unseen(POLICY.post_deploy)
    good = seen(items, tuple(result(i.check, Verdict.PASSED) for i in items), RELEASED)

    assert judge_day(good, ()) == (WatchOutcome.PASSED, "all 12 items passed")
    assert judge_day(good, ("14:00 UTC: alarms",))[0] is WatchOutcome.HARM
    outcome, reason = judge_day(items, ())
    assert outcome is WatchOutcome.UNMEASURED
    assert reason.startswith("could not be measured: health, endpoints, ")
    assert harm(FAILED) == "alarms: one is red"


# --- the day before ---


@pytest.mark.parametrize(
    ("now", "before", "verdict"),
    [
        ((1000, 0), (100_000, 100), Verdict.PASSED),
        ((1000, 5), (100_000, 100), Verdict.PASSED),  # a rise of 0.4 %, and by chance
        ((1000, 40), (100_000, 100), Verdict.FAILED),
        ((20, 2), (100_000, 0), Verdict.PASSED),  # 10 %, but two failures are no rate
        ((20, 10), (100_000, 0), Verdict.FAILED),
        ((10_000, 60), (1_000_000, 100), Verdict.PASSED),  # sure, but too small a rise to go back
        ((1000, 100), (1000, 100), Verdict.PASSED),  # as bad as it was
        ((20, 5), (20, 0), Verdict.PASSED),  # the day before is too quiet to be sure
        ((0, 0), (100_000, 0), Verdict.INCONCLUSIVE),
        ((1000, 0), (0, 0), Verdict.INCONCLUSIVE),
        ((1000, 60), (0, 0), Verdict.FAILED),  # the flow's own 5 %
        ((20, 2), (0, 0), Verdict.INCONCLUSIVE),
    ],
)
def test_errors_are_held_against_the_day_before(
    now: tuple[int, int], before: tuple[int, int], verdict: Verdict
) -> None:
    """Worse is what is both surely and notably worse; nothing to compare with is inconclusive."""
    counts = [Counts(requests=r, failures=f) for r, f in (now, before)]

    assert judge_errors(*counts)[0] is verdict


@pytest.mark.parametrize(
    ("p90", "p99", "worst", "verdict"),
    [
        (100, 900, 100, Verdict.PASSED),
        (140, 900, 100, Verdict.PASSED),  # 40 ms nobody notices
        (160, 900, 100, Verdict.FAILED),
        (1200, 1900, 1000, Verdict.PASSED),
        (1300, 1900, 1000, Verdict.FAILED),
        (100, 900, None, Verdict.INCONCLUSIVE),
        (100, 2100, None, Verdict.FAILED),  # the contract's 2 s
    ],
)
def test_latency_is_held_against_the_day_before(
    p90: float, p99: float, worst: float | None, verdict: Verdict
) -> None:
    """Slower than the worst hour by a quarter and 50 ms is slower."""
    assert judge_latency(p90, p99, worst, limit_ms=2000)[0] is verdict


@pytest.mark.parametrize(
    ("events", "expected", "chance"),
    [(1, 1.0, 0.6321), (3, 1.0, 0.0803), (10, 10.0, 0.5421), (0, 5.0, 1.0), (500, 1.0, 0.0)],
)
def test_chance_is_poissons(events: int, expected: float, chance: float) -> None:
    """Figures from the textbook's table of the Poisson distribution."""
    assert chance_of(events, expected) == pytest.approx(chance, abs=1e-4)


def test_chance_of_many_is_counted_too() -> None:
    """A busy service's counts neither overflow nor underflow."""
    assert chance_of(100_000, 100_000.0) == pytest.approx(0.5, abs=0.01)


def test_every_production_check_of_the_policy_exists() -> None:
    """What release.toml may name can be measured."""
    assert set(PRODUCTION_CHECKS) == set(ProductionCheck)
