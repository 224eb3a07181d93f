"""Preflight refuses a commit that production has come to contain, by git's word."""

from typing import Any

import pytest
from botocore.exceptions import ClientError
from temporalio.testing import ActivityEnvironment

from activities.inputs import PreflightInput
from activities.preflight import AHEAD, Preflight
from release.verdict import Verdict
from tests.git_command import git


class Serving:
    """An AWS that says which commit production's API runs, and refuses every other question."""

    def __init__(self, sha: str) -> None:
        self._sha = sha

    def get_alias(self, **_: Any) -> dict[str, Any]:
        return {"FunctionVersion": "7"}

    def get_function_configuration(self, **_: Any) -> dict[str, Any]:
        return {"Environment": {"Variables": {"GIT_SHA": self._sha, "RELEASE_VERSION": "1.2.3"}}}

    def __getattr__(self, name: str) -> Any:
        def refuse(*_: Any, **__: Any) -> Any:
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, name)

        return refuse


@pytest.mark.parametrize(
    ("wanted", "live", "verdict"),
    [
        ("first", "second", Verdict.FAILED),
        ("second", "second", Verdict.FAILED),
        ("second", "first", Verdict.PASSED),
        ("second", "aside", Verdict.PASSED),
        ("first", "unknown", Verdict.PASSED),
    ],
)
def test_only_what_production_contains_is_refused(tmp_path, wanted, live, verdict):
    """Behind, or the same: the words say how to go back. Beside it, or unknown to git: not."""

    def commit(subject: str) -> str:
        git(tmp_path, "commit", "--quiet", "--allow-empty", "--message", subject)
        return git(tmp_path, "rev-parse", "HEAD")

    git(tmp_path, "init", "--quiet", "--initial-branch=main")
    shas = {"unknown": "f" * 40, "first": commit("first"), "second": commit("second")}
    git(tmp_path, "switch", "--quiet", "--create", "aside", shas["first"])
    shas["aside"] = commit("aside")
    aws = Serving(shas[live])
    order = PreflightInput(
        service="s",
        environment="prod",
        functions={"api": "s-api-prod"},
        api="api",
        alias="live",
        alarm_period_seconds=60,
        sha=shas[wanted],
    )

    results = ActivityEnvironment().run(Preflight(aws, aws, tmp_path).preflight, order)

    found = next(result for result in results if result.id == AHEAD)
    assert found.verdict is verdict
    assert ("`starter.py rollback --to`" in found.evidence) == (verdict is Verdict.FAILED)
