"""The documentation checks fail where the commit, staging or production lacks something."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from release.verdict import Verdict
from tests.checks.staging_parts import Cloud

OPENAPI_FILE = "api_lambda/prices/openapi.json"
API_IN_PRODUCTION = "crypto-watch-api-prod"


def test_other_document_in_the_commit_fails_openapi(cloud: Cloud) -> None:
    """The place where served and committed document differ is named; the version may differ."""
    text = (cloud.repository / OPENAPI_FILE).read_text()
    sha = cloud.commit(OPENAPI_FILE, text.replace("The price of one coin", "A price", 1))

    evidence = cloud.failed("openapi", order={"sha": sha})

    assert evidence == (
        "served and committed document differ at $.paths./prices/{symbol}.get.summary: "
        "'The price of one coin', committed 'A price'"
    )
    assert cloud.order.version in cloud.passed("openapi")


@pytest.mark.parametrize("name", ["changelog", "deployment-notes"])
@pytest.mark.parametrize(
    ("text", "evidence"),
    [
        ("# Changelog\n\n## Unreleased\n\n### Added\n\n## 0.0.1\n- old\n", "under Unreleased"),
        ("# Changelog\n", "under Unreleased"),
    ],
)
def test_changelog_without_an_entry_fails(
    cloud: Cloud, name: str, text: str, evidence: str
) -> None:
    """A release without a word on what it brings is not ready."""
    sha = cloud.commit("CHANGELOG.md", text)

    assert evidence in cloud.failed(name, order={"sha": sha})


def test_entry_under_the_version_counts(cloud: Cloud) -> None:
    """A changelog that names the version already is read there."""
    version = cloud.order.version.partition("+")[0]
    sha = cloud.commit("CHANGELOG.md", f"## [{version}] - 2025-01-31\n### Fixed\n- one\n* two\n")

    evidence = cloud.passed("changelog", order={"sha": sha})

    assert evidence == f"2 entries under '{version}' of CHANGELOG.md (2 Fixed)"


def test_unknown_commit_is_inconclusive(cloud: Cloud) -> None:
    """A repository that lacks the commit says nothing of its changelog."""
    result = cloud.check("changelog", order={"sha": "f" * 40})["changelog"]

    assert result.verdict is Verdict.INCONCLUSIVE
    assert "has no commit ffffffffffff" in result.evidence


@contextmanager
def broken_production(cloud: Cloud) -> Iterator[str]:
    """Production serves a version that cannot start, and the old one again at the end."""
    lambda_ = cloud.aws.lambda_
    alias = lambda_.get_alias(FunctionName=API_IN_PRODUCTION, Name="live")
    found = lambda_.get_function_configuration(FunctionName=API_IN_PRODUCTION)
    variables = found["Environment"]["Variables"]
    without = {name: value for name, value in variables.items() if name != "TABLE_NAME"}

    def configure(given: dict[str, str]) -> None:
        lambda_.update_function_configuration(
            FunctionName=API_IN_PRODUCTION, Environment={"Variables": given}
        )
        lambda_.get_waiter("function_updated_v2").wait(
            FunctionName=API_IN_PRODUCTION, WaiterConfig={"Delay": 1}
        )

    configure(without)
    version = lambda_.publish_version(FunctionName=API_IN_PRODUCTION)["Version"]
    lambda_.update_alias(FunctionName=API_IN_PRODUCTION, Name="live", FunctionVersion=version)
    try:
        yield version
    finally:
        lambda_.update_alias(
            FunctionName=API_IN_PRODUCTION, Name="live", FunctionVersion=alias["FunctionVersion"]
        )
        configure(variables)


def test_production_that_cannot_start_fails_rollback_plan(cloud: Cloud) -> None:
    """A version that does not answer is nothing to go back to."""
    with broken_production(cloud) as version:
        evidence = cloud.failed("rollback-plan")

    assert evidence.startswith(f"{API_IN_PRODUCTION} version {version} failed GET /health: ")
    assert "TABLE_NAME" in evidence


def test_first_release_has_no_rollback_plan(cloud: Cloud) -> None:
    """Where production has no version there is none to go back to, and that is said."""
    result = cloud.check("rollback-plan", order={"service": "newcomer"})["rollback-plan"]

    assert result.verdict is Verdict.NOT_APPLICABLE
    assert "no version of newcomer-api-prod to go back to" in result.evidence


def test_other_commit_fails_deployed(cloud: Cloud) -> None:
    """Both functions have to be of the commit."""
    evidence = cloud.failed("deployed", order={"sha": "f" * 40})

    for function in cloud.order.functions.values():
        assert f"{function} version 1 is of {cloud.order.sha}, not {'f' * 40}" in evidence


def test_split_alias_fails_deployed(cloud: Cloud) -> None:
    """Staging that serves two versions serves neither whole."""
    lambda_, function = cloud.aws.lambda_, cloud.order.functions["api"]
    lambda_.update_function_configuration(FunctionName=function, Description=str(time.time()))
    lambda_.get_waiter("function_updated_v2").wait(FunctionName=function, WaiterConfig={"Delay": 1})
    other = lambda_.publish_version(FunctionName=function)["Version"]
    weights = {"AdditionalVersionWeights": {other: 0.1}}
    lambda_.update_alias(FunctionName=function, Name="live", RoutingConfig=weights)
    try:
        evidence = cloud.failed("deployed")
    finally:
        whole: dict[str, dict[str, float]] = {"AdditionalVersionWeights": {}}
        lambda_.update_alias(FunctionName=function, Name="live", RoutingConfig=whole)

    assert evidence == f"{function} is split: {{'{other}': 0.1}}"


def test_stopped_schedule_fails_price_updates(cloud: Cloud) -> None:
    """Prices that are young now will not stay so without their schedule."""
    rule = "crypto-watch-fetcher-staging-schedule"
    cloud.aws.events.disable_rule(Name=rule)
    try:
        evidence = cloud.failed("price-updates")
    finally:
        cloud.aws.events.enable_rule(Name=rule)

    assert evidence == f"the schedule {rule} is DISABLED"


def test_rare_schedule_fails_price_updates(cloud: Cloud) -> None:
    """A schedule slower than the age that is allowed cannot hold it."""
    rule = "crypto-watch-fetcher-staging-schedule"
    cloud.aws.events.put_rule(Name=rule, ScheduleExpression="rate(15 minutes)", State="ENABLED")
    try:
        evidence = cloud.failed("price-updates")
    finally:
        cloud.aws.events.put_rule(Name=rule, ScheduleExpression="rate(5 minutes)", State="ENABLED")

    assert evidence == f"the schedule {rule} is rate(15 minutes)"
