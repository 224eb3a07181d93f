"""AWS's faults as a promotion meets them: what ends it, what is waited for, what it says."""

import asyncio
import dataclasses
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from temporalio import activity
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput

from activities.aws_faults import FaultKind
from activities.aws_retries import AwsFaults
from cli import promotions
from release.promotion import Outcome, Stage
from workflows import options

pytestmark = pytest.mark.asyncio(loop_scope="session")

ROLE = "arn:aws:sts::123456789012:assumed-role/crypto-watch-release-worker/i-0abc"
ALIAS = "arn:aws:lambda:eu-west-1:123456789012:function:crypto-watch-api-prod"


def refusal(code: str, message: str, status: int = 400) -> ClientError:
    """As boto3 raises it."""
    answer = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(answer, "UpdateAlias")


DENIED = refusal(
    "AccessDeniedException",
    f"User: {ROLE} is not authorized to perform: lambda:UpdateAlias on resource: {ALIAS} because "
    "no identity-based policy allows the lambda:UpdateAlias action",
    403,
)
EXPIRED = refusal("ExpiredTokenException", "The security token is expired", 403)
THROTTLED = refusal("TooManyRequestsException", "Rate exceeded", 429)
SILENT = EndpointConnectionError(endpoint_url="https://lambda.eu-west-1.amazonaws.com")


async def test_missing_permission_ends_it_at_once_in_one_line(release_system):
    """Trying again grants nothing: the reason names the role, the action and where to grant it."""
    release_system.aws.fail_updates_with = [DENIED, DENIED]  # staging's aliases, side by side

    handle = await release_system.promote()
    with pytest.raises(WorkflowFailureError):
        await handle.result()

    status = await release_system.status(handle)
    assert status.outcome is Outcome.FAILED
    assert status.reason == (
        f"AWS refused: {ROLE} may not lambda:UpdateAlias on {ALIAS}; "
        "grant it in infra/account.yaml and deploy that stack"
    )
    assert release_system.aws.writes == []


@pytest.mark.parametrize(
    ("error", "kind", "seconds"),
    [
        (THROTTLED, FaultKind.THROTTLED, [5, 15, 30, 45, 60]),  # 155 s: two minutes are outlasted
        (SILENT, FaultKind.UNREACHABLE, [5, 15, 30, 45, 60]),
        (EXPIRED, FaultKind.CREDENTIALS, [60, 60, 60, 60, 60]),  # five minutes to renew a session
    ],
    ids=["throttled", "silent", "expired"],
)
async def test_what_passes_is_tried_further_apart(error, kind, seconds):
    """Between the six tries of an ordinary call lies the time in which such a fault passes."""
    raised = [await told(error, attempt, options.AWS_CALL) for attempt in range(1, 6)]

    assert {error.type for error in raised} == {kind}
    assert [error.next_retry_delay for error in raised] == [timedelta(seconds=s) for s in seconds]
    assert not any(error.non_retryable for error in raised)


async def test_rollback_keeps_its_own_short_pace():
    """A rollback does not wait a minute for credentials: it tries at least every ten seconds."""
    assert (await told(EXPIRED, 4, options.ROLLBACK)).next_retry_delay is None


async def test_what_aws_says_of_the_call_itself_is_not_touched():
    """A lost race is the activity's to understand."""
    with pytest.raises(ClientError):
        await told(refusal("PreconditionFailedException", "RevisionId", 412), 1, options.AWS_CALL)


async def told(error: Exception, attempt: int, how: dict[str, Any]) -> ApplicationError:
    """What an activity's error becomes on its way to Temporal."""

    @activity.defn
    async def failing() -> None:
        raise error

    class Last(ActivityInboundInterceptor):
        def __init__(self) -> None:
            pass

        async def execute_activity(self, order: ExecuteActivityInput) -> Any:
            return await order.fn()

    chain = AwsFaults().intercept_activity(Last())
    environment = ActivityEnvironment()
    environment.info = dataclasses.replace(
        environment.info, attempt=attempt, retry_policy=how["retry_policy"]
    )
    order = ExecuteActivityInput(fn=failing, args=[], executor=None, headers={})
    with pytest.raises(ApplicationError) as raised:
        await environment.run(chain.execute_activity, order)
    return raised.value


async def test_rollback_outlasts_every_refusal_and_says_what_it_waits_for(release_system):
    """A rollback does not give up: not for a permission, not for credentials; it tells why."""
    aws, script = release_system.aws, release_system.script
    script.hold_at = lambda order: order.weight == 0.2
    handle = await release_system.promote_and_pass_gates()
    await asyncio.wait_for(script.holding.wait(), 20)
    aws.fail_updates_with = [DENIED, EXPIRED, THROTTLED, SILENT] * 8
    await handle.signal("abort", {"by": "carol", "reason": "wrong commit"})

    client = release_system.environment.client
    async with asyncio.timeout(20):
        while True:
            counts = await promotions.live_counts(client, handle.id)
            if "note" in counts:
                break
            await asyncio.sleep(0.02)
    assert (await release_system.status(handle)).stage is Stage.ROLLBACK
    assert counts["note"].startswith("roll_back failed ")
    assert ": AWS " in counts["note"]

    aws.fail_updates_with.clear()
    result = await handle.result()
    assert result.outcome is Outcome.ABORTED
    assert aws.serves() == {"1": 1}
