"""The run itself: nothing is lost, nothing fails that was not measured, it may run twice."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from temporalio.exceptions import CancelledError
from temporalio.testing import ActivityEnvironment

from activities.checks.context import Once, Patience
from activities.checks.registry import CHECKS
from activities.checks.staging_checks import StagingChecks
from activities.staging import Check, Staging, TestKeys
from release.verdict import Verdict
from tests.checks.staging_parts import Answer, At, Cloud, server

NOWHERE = "http://127.0.0.1:9"  # the discard port: nothing listens there


def test_unreachable_staging_is_inconclusive(cloud: Cloud) -> None:
    """What cannot be reached was not measured; what needs no HTTP still is."""
    names = [name for name in CHECKS if name not in {"alarm-thresholds", "https"}]

    results = cloud.check(*names, url=NOWHERE)

    by_verdict: dict[Verdict, list[str]] = {}
    for name, result in results.items():
        by_verdict.setdefault(result.verdict, []).append(name)
    assert Verdict.FAILED not in by_verdict
    assert by_verdict[Verdict.PASSED] == [
        *("price-feed", "alarms", "changelog", "deployment-notes", "rollback-plan", "deployed")
    ]
    assert results["endpoints"].evidence == (
        "could not be measured: ConnectError: [Errno 111] Connection refused"
    )


class Down:
    """An AWS client of a service that does not answer."""

    def __getattr__(self, name: str) -> Any:
        raise TimeoutError(f"{name}: no answer")


def test_aws_that_does_not_answer_is_inconclusive(cloud: Cloud) -> None:
    """A secret that cannot be read leaves everything over HTTP unmeasured, and fails nothing."""
    results = cloud.check("endpoints", "deployed", clients={"secrets": Down()})

    assert results["endpoints"].verdict is Verdict.INCONCLUSIVE
    assert "TimeoutError: get_secret_value: no answer" in results["endpoints"].evidence
    assert results["deployed"].verdict is Verdict.PASSED


def test_unknown_check_is_inconclusive(cloud: Cloud) -> None:
    """A name that is no check is told the names there are; the others run."""
    results = cloud.check("no-such-check", "deployed")

    assert list(results) == ["no-such-check", "deployed"]
    assert results["no-such-check"].verdict is Verdict.INCONCLUSIVE
    assert "there is no check 'no-such-check'; there are alarm-thresholds, alarms, " in (
        results["no-such-check"].evidence
    )
    assert results["deployed"].verdict is Verdict.PASSED


def test_two_runs_at_once_both_pass(cloud: Cloud) -> None:
    """A second attempt beside a first that is not dead yet disturbs neither."""
    names = [name for name in CHECKS if name not in {"rate-limit", "https"}]

    with ThreadPoolExecutor() as pool:
        runs = list(pool.map(lambda _: cloud.check(*names), range(2)))

    for results in runs:
        assert {r.id: r.evidence for r in results.values() if r.verdict is not Verdict.PASSED} == {}


def test_run_out_of_time_is_inconclusive_and_ends(cloud: Cloud) -> None:
    """When the time of all checks is over, what is not done is inconclusive, nothing hangs."""
    results = cloud.check("endpoints", "rate-limit", patience=Patience(all_checks=timedelta(0)))

    assert {result.verdict for result in results.values()} == {Verdict.INCONCLUSIVE}


def test_run_says_that_it_lives(cloud: Cloud) -> None:
    """The heartbeats count the checks that are done."""
    beats: list[Any] = []
    environment = ActivityEnvironment()
    environment.on_heartbeat = lambda *details: beats.append(details)
    checks = StagingChecks(Staging(cloud.aws.ssm, cloud.aws.secrets), cloud.aws, cloud.repository)

    environment.run(checks.check_staging, cloud.order.model_copy(update={"checks": ("alarms",)}))

    assert set(beats) <= {("0 of 1 checks done",), ("1 of 1 checks done",)}
    assert beats


def test_cancelled_run_ends_at_once(cloud: Cloud) -> None:
    """An abort does not wait for the rate limit's minute, and no thread goes on."""
    environment = ActivityEnvironment()
    begin = time.monotonic()

    def stop_when_it_waits(*_: Any) -> None:
        if waits.is_set():
            environment.cancel()

    environment.on_heartbeat = stop_when_it_waits
    waits = threading.Event()

    def refuse(request: BaseHTTPRequestHandler) -> Answer:
        waits.set()
        return 429, {"ratelimit-limit": "100", "ratelimit-reset": "60"}, b"{}"

    with server(refuse) as url:
        checks = StagingChecks(At(url, cloud.aws.secrets), cloud.aws, cloud.repository)
        order = cloud.order.model_copy(update={"checks": ("rate-limit",)})
        with pytest.raises(CancelledError):
            environment.run(checks.check_staging, order)

    assert time.monotonic() - begin < 20
    assert [thread.name for thread in threading.enumerate() if thread.name[:5] == "check"] == []


def test_full_key_never_reaches_the_evidence(cloud: Cloud) -> None:
    """Evidence is kept in a workflow's history, so whatever raised may not bring a key there."""
    key = "cw_test_" + "x" * 32

    class Refusing:
        def __getattr__(self, name: str) -> Any:
            raise RuntimeError(f"refused {key}")

    result = cloud.check("deployed", clients={"lambda_": Refusing()})["deployed"]

    assert result.verdict is Verdict.INCONCLUSIVE
    assert key not in result.evidence
    assert "cw_test_****xxxx" in result.evidence


def test_once_is_made_once_by_many_threads() -> None:
    """Threads that ask together get the same; what could not be made is not tried again."""
    calls: list[int] = []
    gate = threading.Event()

    def make() -> int:
        gate.wait(5)
        calls.append(1)
        return 7

    once = Once(make)
    with ThreadPoolExecutor() as pool:
        asked = [pool.submit(once) for _ in range(4)]
        gate.set()

    assert [future.result() for future in asked] == [7] * 4
    assert len(calls) == 1
    broken = Once(lambda: calls[99])
    for _ in range(2):
        with pytest.raises(IndexError):
            broken()


@pytest.mark.parametrize(
    ("record", "verdict", "evidence"),
    [
        (lambda check: check.saw("1"), Verdict.PASSED, "1"),
        (lambda check: check.expect(False, "2"), Verdict.FAILED, "2"),
        (lambda check: check.could_not("3"), Verdict.INCONCLUSIVE, "3"),
        (lambda check: check.not_applicable("4"), Verdict.NOT_APPLICABLE, "4"),
        (lambda c: (c.could_not("3"), c.expect(False, "2"), c.saw("1")), Verdict.FAILED, "2"),
        (lambda c: (c.not_applicable("4"), c.could_not("3")), Verdict.INCONCLUSIVE, "3"),
        (lambda c: [c.expect(False, str(n)) for n in range(12)], Verdict.FAILED, None),
    ],
)
def test_verdict_follows_from_what_was_found(
    record: Any, verdict: Verdict, evidence: str | None
) -> None:
    """Failed before inconclusive before not applicable; a long list of findings is cut."""
    check = Check("any", "text")

    record(check)

    assert check.result().verdict is verdict
    assert check.result().evidence == evidence or check.result().evidence.endswith("9; and 2 more")


@pytest.mark.parametrize("secret", ["[]", '["a", "b"]', '"a"', "{}", "no JSON"])
def test_secret_of_another_form_is_refused(secret: str) -> None:
    """The secret is a JSON list with room for every kind of key."""
    with pytest.raises(ValueError, match=r"."):
        TestKeys.of(secret)


def test_keys_are_not_shown() -> None:
    """A key does not show where the keys are printed."""
    keys = TestKeys.of('["one", "two", "three", "four"]')

    assert keys.ordinary == ("one", "two")
    assert (keys.outage, keys.rate_limit) == ("three", "four")
    assert "one" not in repr(keys)
