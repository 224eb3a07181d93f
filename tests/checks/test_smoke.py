"""Smoke fails where a new version does, before a user has met it."""

import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError
from temporalio.testing import ActivityEnvironment

from activities.checks.contract import example_paths
from activities.contract_cases import CASES
from activities.inputs import SmokeInput
from activities.smoke import Smoke
from activities.staging import Staging
from release.verdict import CheckResult, Verdict
from tests.checks.staging_parts import Cloud
from tests.checks.test_preflight import Bent, denied

API, FETCHER = "crypto-watch-api-staging", "crypto-watch-fetcher-staging"
Change = Callable[[dict[str, Any]], None]


def smoke(cloud: Cloud, lambda_: Any = None, **given: Any) -> dict[str, CheckResult]:
    """The results by their id, of the first versions unless others are given."""
    secrets = given.pop("secrets", cloud.aws.secrets)
    order = {
        "service": cloud.order.service,
        "environment": "staging",
        "functions": {"api": API, "fetcher": FETCHER},
        "versions": {"api": "1", "fetcher": "1"},
        "api": "api",
        "sha": cloud.order.sha,
        "cases": tuple(CASES),
        "dry_runs": ("fetcher",),
    }
    activities = Smoke(lambda_ or cloud.aws.lambda_, Staging(cloud.aws.ssm, secrets))
    results = ActivityEnvironment().run(activities.smoke, SmokeInput(**{**order, **given}))
    return {result.id: result for result in results}


def failed(result: CheckResult) -> str:
    """The evidence of a result that has to be failed."""
    assert result.verdict is Verdict.FAILED, result
    return result.evidence


def bent(cloud: Cloud, path: str, change: Change) -> Bent:
    """The real Lambda, whose answers to requests of one path are changed in place."""

    def invoke(**given: Any) -> Any:
        event = json.loads(given["Payload"])
        if "rawPath" in event:
            # unpacked bodies can be changed
            event["headers"].pop("accept-encoding", None)
        answer = cloud.aws.lambda_.invoke(**{**given, "Payload": json.dumps(event).encode()})
        document = json.loads(answer["Payload"].read())
        if event.get("rawPath", "") == path:
            change(document)
        return answer | {"Payload": io.BytesIO(json.dumps(document).encode())}

    return Bent(cloud.aws.lambda_, invoke=invoke)


def body(change: Change) -> Change:
    """A change of the body's JSON."""

    def changed(answer: dict[str, Any]) -> None:
        found = json.loads(answer["body"])
        change(found)
        answer["body"] = json.dumps(found)

    return changed


def answers(payload: str, **more: Any) -> Callable[..., Any]:
    """An Invoke that always answers so."""
    return lambda **_: {"Payload": io.BytesIO(payload.encode()), **more}


def fresh_version(cloud: Cloud) -> str:
    """A published version that nobody has invoked yet."""
    lambda_ = cloud.aws.lambda_
    found = lambda_.get_function_configuration(FunctionName=API)
    description = f"{found.get('Description', '')}+"
    lambda_.update_function_configuration(FunctionName=API, Description=description)
    lambda_.get_waiter("function_updated_v2").wait(FunctionName=API, WaiterConfig={"Delay": 1})
    return str(lambda_.publish_version(FunctionName=API)["Version"])


def test_new_version_is_asked_by_its_number_before_any_user(cloud: Cloud) -> None:
    """A version at weight 0 answers everything, its cold start is told, and no alias moves."""
    version = fresh_version(cloud)
    before = cloud.aws.lambda_.get_alias(FunctionName=API, Name="live")

    results = smoke(cloud, versions={"api": version, "fetcher": "1"})

    assert [r for r in results.values() if r.verdict is not Verdict.PASSED] == []
    assert list(results) == ["cold-start", *CASES, "dry-run/fetcher"]
    start = results["cold-start"]
    assert start.text == f"{API} version {version}: Its first invocation answers"
    assert start.evidence.startswith("cold start: first invocation ")
    assert " ms, of which init " in start.evidence
    for path in ("/prices?symbols=BTC,ETH", "/prices/BTC", "/health", "/openapi.json"):
        assert f"GET {path} 200 in " in results["documented-examples"].evidence
    after = cloud.aws.lambda_.get_alias(FunctionName=API, Name="live")
    assert after["FunctionVersion"] == before["FunctionVersion"] != version
    assert after["RevisionId"] == before["RevisionId"]


def test_warm_version_is_said_to_be_warm(cloud: Cloud) -> None:
    """A retry finds an instance there, and does not claim a cold start."""
    smoke(cloud)

    assert "no init told; the next " in smoke(cloud)["cold-start"].evidence


def test_init_in_a_json_log_is_read(cloud: Cloud) -> None:
    """A function with JSON logs tells its init in another form."""
    real = cloud.aws.lambda_.invoke
    # {"type":"platform.report","record":{"metrics":{"initDurationMs":451.25}}}
    log = (
        "eyJ0eXBlIjoicGxhdGZvcm0ucmVwb3J0IiwicmVjb3JkIjp7Im1ldHJpY3MiOnsiaW5pdER1cmF0aW9uTXMiOjQ1"
        "MS4yNX19fQ=="
    )
    lambda_ = Bent(cloud.aws.lambda_, invoke=lambda **given: real(**given) | {"LogResult": log})

    assert ", of which init 451 ms" in smoke(cloud, lambda_)["cold-start"].evidence


def test_version_of_another_commit_fails(cloud: Cloud) -> None:
    """What was published has to be what was approved."""
    evidence = failed(smoke(cloud, sha="f" * 40)["runs-the-commit"])

    assert evidence == f"it runs {cloud.order.sha}, not {'f' * 40}"


def test_function_error_fails_every_case_with_its_words(cloud: Cloud) -> None:
    """A version that crashes is told by Lambda's own words, not by a bare 500."""
    crash = answers('{"errorMessage": "no module named app"}', FunctionError="Unhandled")

    results = smoke(cloud, Bent(cloud.aws.lambda_, invoke=crash))

    for result in results.values():
        assert "no module named app" in failed(result)


@pytest.mark.parametrize(
    ("case", "path", "change"),
    [
        ("cold-start", "/health", lambda a: a.update(statusCode=503)),
        ("lists-prices", "/prices", body(lambda b: b["data"].reverse())),
        ("lists-prices", "/prices", body(lambda b: b.update(data=None))),
        ("one-price", "/prices/BTC", body(lambda b: b["data"].update(symbol="ETH"))),
        ("one-price", "/prices/BTC", body(lambda b: b.update(data=[]))),
        ("missing-key", "/prices/BTC", lambda a: a.update(statusCode=200)),
        ("unknown-key", "/prices/BTC", lambda a: a.update(statusCode=200)),
        ("unknown-symbol", "/prices/NOSUCH", body(lambda b: b.update(code="OTHER"))),
        ("no-symbols", "/prices", body(lambda b: b.pop("requestId", None))),
        ("openapi", "/openapi.json", body(lambda b: b.update(openapi="2.0"))),
        ("documented-examples", "/prices/BTC", body(lambda b: b["data"].pop("name", None))),
        ("documented-examples", "/health", lambda a: a.update(statusCode=503)),
        ("documented-examples", "/openapi.json", body(lambda b: b.update(paths=[1]))),
        ("documented-examples", "/openapi.json", lambda a: a.update(body="{}")),
    ],
)
def test_wrong_answer_fails_its_case(cloud: Cloud, case: str, path: str, change: Change) -> None:
    """Each promise of the contract is held, over Invoke as over HTTP."""

    def where_possible(answer: dict[str, Any]) -> None:
        try:
            change(answer)
        except (KeyError, AttributeError):
            return  # an error's answer has no data

    failed(smoke(cloud, bent(cloud, path, where_possible), versions={"api": "1"})[case])


def test_failed_feed_fails_the_dry_run(cloud: Cloud) -> None:
    """A fetcher that gets no prices is not sent into production."""
    lambda_ = Bent(cloud.aws.lambda_, invoke=answers('{"status": "failed", "error": "503"}'))

    results = smoke(cloud, lambda_, versions={"fetcher": "1"})

    assert failed(results["dry-run/fetcher"]).startswith('a dry run came to {"status": "failed"')


def test_missing_version_fails(cloud: Cloud) -> None:
    """A number that Lambda does not know is no version to send users to."""
    results = smoke(cloud, versions={"api": "77", "fetcher": "77"})

    assert {result.verdict for result in results.values()} == {Verdict.FAILED}


def test_function_of_another_kind_is_not_invoked(cloud: Cloud) -> None:
    """What an invocation would do is not known, so there is none."""
    names = {"mailer": "crypto-watch-mailer-staging"}

    results = smoke(cloud, functions=names, versions={"mailer": "1"})

    assert results["dry-run/mailer"].verdict is Verdict.NOT_APPLICABLE


def test_lambda_that_does_not_answer_is_inconclusive(cloud: Cloud) -> None:
    """A call without an answer says nothing of the version."""

    def away(**_: Any) -> Any:
        raise ReadTimeoutError(endpoint_url="https://lambda")

    results = smoke(cloud, Bent(cloud.aws.lambda_, invoke=away))

    assert {result.verdict for result in results.values()} == {Verdict.INCONCLUSIVE}


def test_environment_without_test_keys_is_inconclusive(cloud: Cloud) -> None:
    """What needs a key cannot be asked; everything else is asked all the same."""
    secrets = Bent(
        cloud.aws.secrets, get_secret_value=denied("ResourceNotFoundException", "no secret")
    )

    results = smoke(cloud, secrets=secrets)

    assert results["one-price"].verdict is Verdict.INCONCLUSIVE
    assert "no secret" in results["one-price"].evidence
    assert results["missing-key"].verdict is Verdict.PASSED
    assert results["dry-run/fetcher"].verdict is Verdict.PASSED


def test_every_documented_example_is_asked() -> None:
    """A parameter with several examples makes several requests."""
    named = {"one": {"value": "BTC"}, "two": {"value": "ETH"}}
    operation = {
        "parameters": [
            {"name": "symbol", "in": "path", "examples": named},
            {"name": "in", "in": "query", "required": True, "schema": {"examples": ["usd"]}},
            {"name": "optional", "in": "query"},
        ]
    }

    paths = example_paths({}, "/prices/{symbol}", operation)

    assert paths == ["/prices/BTC?in=usd", "/prices/ETH?in=usd"]
