"""Preflight fails where a rollback would, each check for its own reason."""

import io
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from temporalio.testing import ActivityEnvironment

from activities.inputs import PreflightInput
from activities.preflight import Preflight
from release.lease import Hand, Lease, Note
from release.verdict import CheckResult, Verdict
from release.way_back import ROLLBACK_ALIAS
from tests.checks.staging_parts import Cloud
from tests.checks.test_monitoring import API_5XX, ERRORS, THROTTLES, alarms

API, FETCHER = "crypto-watch-api-staging", "crypto-watch-fetcher-staging"
AT = datetime(2025, 1, 31, 12, tzinfo=UTC)


class Bent:
    """A client, of which some calls are answered otherwise."""

    def __init__(self, real: Any, **calls: Callable[..., Any]) -> None:
        self._real = real
        self.__dict__.update(calls)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


def denied(code: str, message: str = "no") -> Callable[..., Any]:
    """A call that AWS refuses."""

    def call(**_: Any) -> Any:
        raise ClientError({"Error": {"Code": code, "Message": message}}, "Call")

    return call


def lambda_bent(cloud: Cloud, call: str, change: Callable[[dict[str, Any], Any], Any]) -> Bent:
    """The real Lambda, with what `change` makes of one call's arguments and answer."""
    real = getattr(cloud.aws.lambda_, call)
    return Bent(cloud.aws.lambda_, **{call: lambda **given: change(given, real(**given))})


def preflight(
    cloud: Cloud, lambda_: Any = None, cloudwatch: Any = None, **given: Any
) -> dict[str, CheckResult]:
    """The results by their id."""
    order = PreflightInput(
        service=cloud.order.service,
        environment="staging",
        functions=given.pop("functions", {"api": API, "fetcher": FETCHER}),
        api="api",
        alias="live",
        alarm_period_seconds=cloud.order.alarm_period_seconds,
        dry_runs=("fetcher",),
        **given,
    )
    clients = (lambda_ or cloud.aws.lambda_, cloudwatch or cloud.aws.cloudwatch)
    activities = Preflight(*clients, Path("no repository"))
    return {r.id: r for r in ActivityEnvironment().run(activities.preflight, order)}


def failed(result: CheckResult) -> str:
    """The evidence of a result that has to be failed."""
    assert result.verdict is Verdict.FAILED, result
    return result.evidence


def requested(cloud: Cloud) -> None:
    """The alarms have data of requests through the alias, and each has judged it."""
    cloud.check("alarm-thresholds")  # waits for the data
    deadline = time.monotonic() + 60
    while cloud.aws.cloudwatch.describe_alarms(StateValue="INSUFFICIENT_DATA")["MetricAlarms"]:
        assert time.monotonic() < deadline


@contextmanager
def described(cloud: Cloud, description: str) -> Iterator[None]:
    """The API's alias has a description."""
    cloud.aws.lambda_.update_alias(FunctionName=API, Name="live", Description=description)
    try:
        yield
    finally:
        cloud.aws.lambda_.update_alias(FunctionName=API, Name="live", Description="")


def test_healthy_environment_passes_preflight_twice(cloud: Cloud) -> None:
    """Everything a rollback needs is there; asking writes nothing but the pin, and that once."""
    requested(cloud)
    before = cloud.aws.lambda_.get_alias(FunctionName=API, Name="live")
    results = preflight(cloud, expected={"api": before["FunctionVersion"]})
    pin = cloud.aws.lambda_.get_alias(FunctionName=API, Name=ROLLBACK_ALIAS)
    again = preflight(cloud)

    assert [r for r in results.values() if r.verdict is not Verdict.PASSED] == []
    assert {r.verdict for r in again.values()} == {Verdict.PASSED}
    assert list(results) == [
        *("alias-clean/api", "rollback-target/api", "rollback-target-pinned/api"),
        *("rollback-permission/api", "same-settings/api"),
        *("alias-clean/fetcher", "rollback-target/fetcher", "rollback-target-pinned/fetcher"),
        *("rollback-permission/fetcher", "alarms"),
    ]
    assert "GET /health 200 in " in results["rollback-target/api"].evidence
    assert "a dry run came back in " in results["rollback-target/fetcher"].evidence
    assert pin["FunctionVersion"] == before["FunctionVersion"]
    unchanged = cloud.aws.lambda_.get_alias(FunctionName=API, Name=ROLLBACK_ALIAS)
    assert unchanged["RevisionId"] == pin["RevisionId"]
    after = cloud.aws.lambda_.get_alias(FunctionName=API, Name="live")
    assert after["RevisionId"] == before["RevisionId"]


def test_version_that_does_not_answer_fails_rollback_target(cloud: Cloud) -> None:
    """A function error, and a 500, are no version to go back to; a 503 is an answer."""

    def health(status: int, **more: Any) -> Bent:
        body = f'{{"statusCode": {status}, "body": "{{}}"}}'.encode()
        return Bent(cloud.aws.lambda_, invoke=lambda **_: {"Payload": io.BytesIO(body), **more})

    crashed = preflight(cloud, health(200, FunctionError="Unhandled"))
    broken, too_old = preflight(cloud, health(500)), preflight(cloud, health(503))

    assert "GET /health: function error: " in failed(crashed["rollback-target/api"])
    assert "dry run: function error: " in failed(crashed["rollback-target/fetcher"])
    assert failed(broken["rollback-target/api"]) == "version 1 answers GET /health with 500"
    assert too_old["rollback-target/api"].verdict is Verdict.PASSED


def test_version_that_sleeps_fails_rollback_target(cloud: Cloud) -> None:
    """A version that stays inactive though it was invoked cannot take traffic back at once."""
    asleep = {"State": "Inactive", "StateReason": "The function is idle."}
    lambda_ = lambda_bent(
        cloud, "get_function_configuration", lambda given, answer: answer | asleep
    )

    evidence = failed(preflight(cloud, lambda_)["rollback-target/fetcher"])

    assert evidence == "version 1 is Inactive: The function is idle."


def test_deleted_version_fails_rollback_target(cloud: Cloud) -> None:
    """An alias may name what Lambda no longer has; that is found before it is needed."""
    lambda_ = lambda_bent(
        cloud, "get_alias", lambda given, answer: answer | {"FunctionVersion": "77"}
    )

    results = preflight(cloud, lambda_)

    for name in ("api", "fetcher"):
        evidence = failed(results[f"rollback-target/{name}"])
        assert evidence == "version 77 does not exist any more"


def test_function_without_the_alias_fails_what_asks_it(cloud: Cloud) -> None:
    """Where there is no alias there is nothing to go back to."""
    results = preflight(cloud, functions={"api": API, "fetcher": "no-such-function"})

    for check in ("alias-clean", "rollback-target", "rollback-target-pinned"):
        assert "ResourceNotFoundException" in failed(results[f"{check}/fetcher"])
    assert "ResourceNotFoundException" in failed(results["rollback-permission/fetcher"])


def test_pin_that_stays_behind_fails_rollback_target_pinned(cloud: Cloud) -> None:
    """The pin is read back: a write that did not arrive is found."""

    def behind(given: dict[str, Any], answer: Any) -> Any:
        is_pin = given["Name"] == ROLLBACK_ALIAS
        return answer | {"FunctionVersion": "0"} if is_pin else answer

    preflight(cloud)
    results = preflight(cloud, lambda_bent(cloud, "get_alias", behind))

    assert failed(results["rollback-target-pinned/api"]) == "rollback names version 0, not 1"


def test_pin_follows_the_version_that_is_served(cloud: Cloud) -> None:
    """A pin of an older release is moved on."""
    lambda_ = cloud.aws.lambda_
    preflight(cloud)
    lambda_.update_alias(FunctionName=FETCHER, Name=ROLLBACK_ALIAS, FunctionVersion="$LATEST")

    result = preflight(cloud)["rollback-target-pinned/fetcher"]

    assert result.evidence.startswith("rollback now names version 1; ")
    pin = lambda_.get_alias(FunctionName=FETCHER, Name=ROLLBACK_ALIAS)
    assert pin["FunctionVersion"] == "1"


def test_split_alias_fails_alias_clean(cloud: Cloud) -> None:
    """Somebody else's weights are found, and the pin is left as it is meanwhile."""
    split = {"RoutingConfig": {"AdditionalVersionWeights": {"5": 0.25}}}
    lambda_ = lambda_bent(cloud, "get_alias", lambda given, answer: answer | split)

    results = preflight(cloud, lambda_)

    assert failed(results["alias-clean/api"]) == "version 5 has 25% of the traffic"
    pinned = results["rollback-target-pinned/api"]
    assert pinned.verdict is Verdict.INCONCLUSIVE
    assert pinned.evidence == "not written, since version 5 has 25% of the traffic"


def test_lease_fails_alias_clean(cloud: Cloud) -> None:
    """Another promotion's lease is found, with its holder."""
    lease = Lease(holder="promotion/crypto-watch/abc", run="r1", baseline="1", expires=AT)
    with described(cloud, lease.to_description()):
        evidence = failed(preflight(cloud)["alias-clean/api"])

    assert evidence == (
        "a lease of promotion/crypto-watch/abc (run r1) stands until 2025-01-31 12:00:00Z"
    )


def test_note_is_shown(cloud: Cloud) -> None:
    """What an intervention left does not block, but whoever approves reads it."""
    note = Note(hand=Hand.BREAK_GLASS, by="ann", reason="prices were wrong", at=AT, undone="5")
    with described(cloud, note.to_description()):
        result = preflight(cloud)["alias-clean/api"]

    assert result.verdict is Verdict.PASSED
    assert result.evidence.endswith(
        "note of 2025-01-31 12:00Z: break-glass by ann, which undid version 5; prices were wrong"
    )


def test_other_version_than_expected_fails_alias_clean(cloud: Cloud) -> None:
    """What was approved against another version is not what would go back to."""
    results = preflight(cloud, expected={"api": "9"})

    assert failed(results["alias-clean/api"]) == "it serves version 1, not 9"
    assert results["alias-clean/fetcher"].verdict is Verdict.PASSED


def test_denied_write_fails_rollback_permission(cloud: Cloud) -> None:
    """A role that may not roll back is found before there is anything to roll back."""
    refused = denied("AccessDeniedException", "not authorized to perform: lambda:UpdateAlias")
    results = preflight(cloud, Bent(cloud.aws.lambda_, update_alias=refused))

    assert failed(results["rollback-permission/api"]) == (
        "UpdateAlias is denied: not authorized to perform: lambda:UpdateAlias"
    )


def test_write_that_is_taken_fails_rollback_permission(cloud: Cloud) -> None:
    """Where a wrong `RevisionId` is not refused, two writers overwrite each other."""
    results = preflight(cloud, Bent(cloud.aws.lambda_, update_alias=lambda **_: {}))

    assert "took a RevisionId that cannot be" in failed(results["rollback-permission/api"])


@pytest.mark.parametrize(
    ("setting", "evidence"),
    [
        ({"Role": "arn:other"}, "the new version would have role arn:other, version 1 has arn:"),
        (
            {"DeadLetterConfig": {"TargetArn": "arn:queue"}},
            "the new version would have dead-letter queue arn:queue, version 1 has none: Lambda",
        ),
    ],
)
def test_other_setting_fails_same_settings(
    cloud: Cloud, setting: dict[str, Any], evidence: str
) -> None:
    """What Lambda would refuse at the first weight is found before."""

    def change(given: dict[str, Any], answer: Any) -> Any:
        return answer | setting if given["Qualifier"] == "$LATEST" else answer

    lambda_ = lambda_bent(cloud, "get_function_configuration", change)

    assert failed(preflight(cloud, lambda_)["same-settings/api"]).startswith(evidence)


def other_alias(alarms: dict[str, dict[str, Any]]) -> None:
    """An alarm on another alias."""
    alarms[THROTTLES]["Dimensions"][1]["Value"] = f"{API}:other"


@pytest.mark.parametrize(
    ("change", "evidence"),
    [
        (lambda a: a.pop(API_5XX), f"there is no alarm {API_5XX}"),
        (lambda a: a[ERRORS].update(Threshold=6), f"{ERRORS}: Threshold is 6, not 5"),
        (other_alias, f"{THROTTLES}: Dimensions is "),
    ],
)
def test_other_alarm_fails_preflight(
    cloud: Cloud, change: Callable[[dict[str, dict[str, Any]]], None], evidence: str
) -> None:
    """The alarms have to be the flow's, on this alias."""
    with alarms(cloud, change):
        assert evidence in failed(preflight(cloud)["alarms"])


def states(cloud: Cloud, state: str) -> Bent:
    """CloudWatch, where every alarm is in one state."""

    def describe_alarms(**given: Any) -> Any:
        answer = cloud.aws.cloudwatch.describe_alarms(**given)
        for alarm in answer["MetricAlarms"]:
            alarm.update(StateValue=state, StateReason="as told", ActionsEnabled=False)
        return answer

    return Bent(cloud.aws.cloudwatch, describe_alarms=describe_alarms)


def test_alarm_that_is_red_already_passes(cloud: Cloud) -> None:
    """A fix is not held up by what it may fix; disabled actions do not matter."""
    requested(cloud)

    result = preflight(cloud, cloudwatch=states(cloud, "ALARM"))["alarms"]

    assert result.verdict is Verdict.PASSED
    assert result.evidence.count("red before the release began: neither blocks nor triggers") == 3


def test_alarm_that_knows_nothing_fails(cloud: Cloud) -> None:
    """With requests there, an alarm without a judgement judges nothing."""
    requested(cloud)

    evidence = failed(preflight(cloud, cloudwatch=states(cloud, "INSUFFICIENT_DATA"))["alarms"])

    assert f"{ERRORS} is in INSUFFICIENT_DATA: as told" in evidence


def only(cloud: Cloud, namespace: str, oldest_minutes: float = 0) -> Bent:
    """CloudWatch with the OK alarms and data of one namespace, since so many minutes or more."""

    def get_metric_data(**given: Any) -> Any:
        span = (given["EndTime"] - given["StartTime"]).total_seconds() / 60

        def value(query: dict[str, Any]) -> list[float]:
            metric = query["MetricStat"]["Metric"]
            there = metric["Namespace"].startswith(namespace or "-") and span > oldest_minutes
            return [7.0] if there else []

        found = [
            {"Id": q["Id"], "Values": value(q), "Timestamps": [AT] * len(value(q))}
            for q in given["MetricDataQueries"]
        ]
        return {"MetricDataResults": found}

    return Bent(states(cloud, "OK"), get_metric_data=get_metric_data)


def test_alarm_without_data_can_never_fire(cloud: Cloud) -> None:
    """Requests that one alarm sees and another does not: the other watches nothing."""
    evidence = failed(preflight(cloud, cloudwatch=only(cloud, "AWS/Lambda"))["alarms"])

    assert evidence == (
        f"{API_5XX} can never fire: no data of AWS/ApiGateway 5xx, AWS/ApiGateway Count in 3 h, "
        "though there were requests"
    )


def test_alarms_without_any_request_are_inconclusive(cloud: Cloud) -> None:
    """Nothing asked is nothing measured."""
    result = preflight(cloud, cloudwatch=only(cloud, ""))["alarms"]

    assert result.verdict is Verdict.INCONCLUSIVE
    assert f"{ERRORS}: nothing was requested for 3 h" in result.evidence


def test_quiet_hour_is_looked_past(cloud: Cloud) -> None:
    """Data that is older than a quarter of an hour counts when there is none since."""
    result = preflight(cloud, cloudwatch=only(cloud, "AWS", oldest_minutes=30))["alarms"]

    assert result.verdict is Verdict.PASSED
    assert f"{THROTTLES} OK, 7 samples in 3 h" in result.evidence


def test_aws_that_does_not_answer_is_inconclusive(cloud: Cloud) -> None:
    """What could not be asked is neither yes nor no, and the rest is asked all the same."""

    def away(**_: Any) -> Any:
        raise EndpointConnectionError(endpoint_url="https://lambda")

    results = preflight(cloud, Bent(cloud.aws.lambda_, invoke=away))
    throttled = preflight(
        cloud, cloudwatch=Bent(cloud.aws.cloudwatch, describe_alarms=denied("Throttling", "slow"))
    )

    assert results["rollback-target/api"].verdict is Verdict.INCONCLUSIVE
    assert "https://lambda" in results["rollback-target/api"].evidence
    assert results["same-settings/api"].verdict is Verdict.PASSED
    assert throttled["alarms"].verdict is Verdict.INCONCLUSIVE
    assert "(Throttling)" in throttled["alarms"].evidence
