"""A shift by CodeDeploy: what it asks for, how it is watched, and every way in which it ends."""

import pytest
from temporalio.exceptions import ApplicationError, CancelledError
from temporalio.testing import ActivityEnvironment

from activities.codedeploy import FOREIGN_DEPLOYMENT
from activities.codedeploy_api import REFUSED
from activities.inputs import RollbackInput
from activities.traffic import INTERVENED
from release.lease import Hand, Note
from release.verdict import Verdict
from tests.codedeploy.codedeploy_parts import (
    FUNCTION,
    NEW,
    OLD,
    ROLE,
    until,
    with_preexisting,
)

ALARMS = [
    "crypto-watch-backend-prod-lambda-errors",
    "crypto-watch-backend-prod-api-5xx",
    "crypto-watch-backend-prod-lambda-throttles",
    "crypto-watch-backend-prod-canary-errors",
]


def put_baseline_back(aws, past_codedeploy=False):
    """The write of the workflow's rollback."""
    order = RollbackInput(
        function=FUNCTION,
        alias="live",
        baseline=OLD,
        canary=NEW,
        past_codedeploy=past_codedeploy,
    )
    ActivityEnvironment().run(aws.traffic.roll_back, order)


def test_deployment_that_succeeds_passes(aws):
    """Everything is on the new version, and each weight on the way was told by heartbeat."""
    running = aws.begun()
    aws.stand_in.shift(0.1)
    until(lambda: 0.1 in running.weights())
    aws.stand_in.succeed()

    result = running.result()

    assert result.judgement.verdict is Verdict.PASSED
    assert result.judgement.reason.startswith("CodeDeploy deployment d-1 succeeded; 0 of ")
    assert (result.alias.version, result.alias.canary) == (NEW, None)
    assert result.alias.revision_id == aws.alias.state["RevisionId"]
    assert running.weights() == [0.0, 0.1, 1.0]
    assert [weight for _, weight in result.progress.weights] == [0.0, 0.1, 1.0]


def test_group_has_the_plan_the_alarms_the_role_and_rolls_back_by_itself(aws):
    """CodeDeploy's own net is there, should the release system fall silent."""
    plan = "CodeDeployDefault.LambdaCanary10Percent5Minutes"
    aws.begun(aws.order(codedeploy_config=plan))

    group = aws.stand_in.groups["crypto-watch-prod"]

    assert aws.stand_in.applications == {"crypto-watch": "Lambda"}
    assert (group["deploymentConfigName"], group["serviceRoleArn"]) == (plan, ROLE)
    assert [alarm["name"] for alarm in group["alarmConfiguration"]["alarms"]] == ALARMS
    assert group["alarmConfiguration"]["enabled"]
    assert set(group["autoRollbackConfiguration"]["events"]) == {
        "DEPLOYMENT_FAILURE",
        "DEPLOYMENT_STOP_ON_ALARM",
        "DEPLOYMENT_STOP_ON_REQUEST",
    }
    aws.stand_in.succeed()


def test_app_spec_names_both_versions(aws):
    """CodeDeploy is told what to leave and where to go."""
    aws.begun()

    properties = {"Name": FUNCTION, "Alias": "live", "CurrentVersion": OLD, "TargetVersion": NEW}
    resource = {FUNCTION: {"Type": "AWS::Lambda::Function", "Properties": properties}}
    assert aws.stand_in.specs == {"d-1": {"version": 0.0, "Resources": [resource]}}
    aws.stand_in.succeed()


def test_group_that_exists_is_brought_up_to_date(aws):
    """Another plan in the policy counts from the next release on."""
    first = aws.begun()
    aws.stand_in.succeed()
    first.result()
    aws.alias.write(OLD, {})
    lease = aws.order().lease.model_copy(update={"run": "run-2"})
    plan = "CodeDeployDefault.LambdaAllAtOnce"

    aws.begun(aws.order(codedeploy_config=plan).model_copy(update={"lease": lease}))

    assert aws.stand_in.groups["crypto-watch-prod"]["deploymentConfigName"] == plan
    assert len(aws.stand_in.deployments) == 2
    aws.stand_in.succeed()


def test_alarm_that_was_red_before_is_left_to_us(aws):
    """A release that mends what is red can be deployed: CodeDeploy would stop it at once."""
    aws.cloudwatch.red = [ALARMS[0]]

    running = aws.begun(with_preexisting(aws.order(), ALARMS[0]))
    aws.stand_in.succeed()

    group = aws.stand_in.groups["crypto-watch-prod"]
    assert [alarm["name"] for alarm in group["alarmConfiguration"]["alarms"]] == ALARMS[1:]
    assert running.result().judgement.verdict is Verdict.PASSED


def test_stop_by_an_alarm_fails_with_codedeploys_reason(aws):
    """CodeDeploy was faster: what it says is the reason of the rollback."""
    running = aws.begun()
    aws.stand_in.shift(0.1)
    aws.stand_in.alarm()

    judgement = running.result().judgement

    assert judgement.verdict is Verdict.FAILED
    assert judgement.reason == (
        "CodeDeploy deployment d-1 stopped: ALARM_ACTIVE: One or more alarms have been activated; "
        "rolled back by d-2: Rolled back to the last version"
    )


def test_stop_by_a_person_fails(aws):
    """The flow's manual rollback, `aws deploy stop-deployment`, ends the release."""
    running = aws.begun()
    aws.stand_in.end("Stopped", "MANUAL_STOP", "stopped by carol")

    judgement = running.result().judgement

    assert judgement.verdict is Verdict.FAILED
    assert "d-1 stopped: MANUAL_STOP: stopped by carol" in judgement.reason


def test_end_without_measurements_is_still_an_end(aws):
    """What CodeDeploy has concluded needs no CloudWatch."""
    running = aws.begun()
    aws.cloudwatch.is_down = True
    aws.stand_in.end("Failed", "INVALID_LAMBDA_CONFIGURATION", "another version")

    assert running.result().judgement.verdict is Verdict.FAILED


def test_worse_version_is_stopped_with_rollback(aws):
    """The judgement is ours and comes before CodeDeploy's alarms."""
    aws.cloudwatch.failing = {NEW}
    aws.stand_in.shift(0.1)

    judgement = aws.begin().result().judgement

    assert judgement.verdict is Verdict.FAILED
    assert "requests failed" in judgement.reason
    (stop,) = aws.stand_in.asked("StopDeployment")
    assert stop == {"deploymentId": "d-1", "autoRollbackEnabled": True}
    until(aws.stand_in.is_over)
    assert aws.alias.serves() == {OLD: 1}


def test_success_is_not_believed_while_the_new_version_is_worse(aws):
    """That everything is shifted says nothing of how it fares."""
    aws.cloudwatch.is_down = True
    order = aws.order()
    served = order.progress.weighed(order.progress.answers_until, 0.1)
    running = aws.begin(order.model_copy(update={"progress": served}))
    until(lambda: aws.stand_in.deployments)
    aws.stand_in.succeed()
    aws.cloudwatch.failing = {NEW}
    aws.cloudwatch.is_down = False

    assert running.result().judgement.verdict is Verdict.FAILED


def test_blindness_is_inconclusive_and_stops(aws):
    """What cannot be measured for too long goes back, and CodeDeploy does not go on alone."""
    aws.cloudwatch.is_down = True

    judgement = aws.begin(aws.order(max_blind="1s")).result().judgement

    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert len(aws.stand_in.asked("StopDeployment")) == 1


def test_abort_stops_with_rollback(aws):
    """Cancelled, the deployment is told to stop before the activity ends."""
    running = aws.begun()
    aws.stand_in.shift(0.4)

    running.cancel(cancel_requested=True)
    with pytest.raises(CancelledError):
        running.result()

    assert len(aws.stand_in.asked("StopDeployment")) == 1
    assert aws.stand_in.deployments["d-1"]["status"] == "Stopped"


def test_abort_while_codedeploy_does_not_answer_still_ends(aws):
    """The stop is best effort: what follows does not wait for it."""
    running = aws.begun()
    aws.stand_in.faults = [("StopDeployment", 500, "InternalFailure", False)] * 4

    running.cancel(cancel_requested=True)

    with pytest.raises(CancelledError):
        running.result()
    aws.stand_in.succeed()


def test_worker_that_ends_leaves_the_deployment_alone(aws):
    """A new worker is no abort: the next attempt goes on watching."""
    running = aws.begun()

    running.cancel(worker_shutdown=True)
    with pytest.raises(CancelledError):
        running.result()
    again = aws.begun()
    aws.stand_in.succeed()

    assert aws.stand_in.asked("StopDeployment") == []
    assert again.result().judgement.verdict is Verdict.PASSED


def test_retry_watches_the_deployment_of_the_first_attempt(aws):
    """A worker that is killed after it has begun the deployment leaves no second one."""
    order = aws.order()
    running = aws.begun(order)
    running.dies_at_heartbeat = lambda _: True
    with pytest.raises(RuntimeError):
        running.result()

    again = aws.begun(order)
    aws.stand_in.succeed()

    assert again.result().judgement.verdict is Verdict.PASSED
    assert len(aws.stand_in.asked("CreateDeployment")) == 1


def test_retry_after_the_end_concludes_from_the_ended_one(aws):
    """Nobody watched while it ended: that is read, and not begun anew."""
    order = aws.order()
    running = aws.begun(order)
    running.dies_at_heartbeat = lambda _: True
    with pytest.raises(RuntimeError):
        running.result()
    aws.stand_in.alarm()
    until(aws.stand_in.is_over)

    judgement = aws.begin(order).result().judgement

    assert "ALARM_ACTIVE" in judgement.reason
    assert len(aws.stand_in.asked("CreateDeployment")) == 1


def test_lost_answer_to_the_beginning_makes_no_second_deployment(aws):
    """CodeDeploy began and could not say so: the client's own retry meets the busy group."""
    aws.stand_in.faults = [("CreateDeployment", 500, "InternalFailure", True)]

    running = aws.begun()
    aws.stand_in.succeed()

    assert running.result().judgement.verdict is Verdict.PASSED
    assert len(aws.stand_in.deployments) == 1


def test_foreign_deployment_is_refused(aws):
    """Two hands at one alias end badly: who was first goes on, and stays untouched."""
    aws.begun()
    aws.stand_in.succeed()
    aws.alias.write(OLD, {})
    aws.stand_in.begin_foreign()
    lease = aws.order().lease.model_copy(update={"run": "run-2"})

    refused = aws.begin(aws.order().model_copy(update={"lease": lease})).future.exception(20)

    assert isinstance(refused, ApplicationError)
    assert (refused.type, refused.non_retryable) == (FOREIGN_DEPLOYMENT, True)
    assert "deployment d-2 (by hand) is under way in the same group" in str(refused)
    assert aws.stand_in.asked("StopDeployment") == []


def test_refusal_for_good_is_not_retried(aws):
    """A missing permission says so at once, with CodeDeploy's own words."""
    aws.stand_in.faults = [("CreateDeploymentGroup", 400, "InvalidRoleException", False)]

    refused = aws.begin().future.exception(20)

    assert isinstance(refused, ApplicationError)
    assert (refused.type, refused.non_retryable) == (REFUSED, True)
    assert "CodeDeploy refused CreateDeploymentGroup: InvalidRoleException" in str(refused)


@pytest.mark.parametrize(
    ("operation", "status", "code"),
    [
        ("GetDeployment", 400, "ThrottlingException"),
        ("GetDeployment", 503, "ServiceUnavailable"),
        ("CreateDeployment", 400, "ThrottlingException"),
        ("ListDeployments", 500, "InternalFailure"),
    ],
)
def test_what_passes_by_itself_is_waited_for(aws, operation, status, code):
    """Throttling and a bad minute of AWS end no release."""
    aws.stand_in.faults = [(operation, status, code, False)] * 2

    running = aws.begun()
    aws.stand_in.succeed()

    assert running.result().judgement.verdict is Verdict.PASSED
    assert aws.stand_in.faults == []


def test_longer_outage_while_watching_is_blindness_not_failure(aws):
    """More than the client retries: the watching goes on by itself."""
    running = aws.begun()
    aws.stand_in.faults = [("GetDeployment", 500, "InternalFailure", False)] * 5
    until(lambda: not aws.stand_in.faults)
    aws.stand_in.succeed()

    assert running.result().judgement.verdict is Verdict.PASSED


def test_intervention_past_the_release_ends_it(aws):
    """A person with break-glass was faster than both."""
    running = aws.begun()
    now = aws.order().since
    note = Note(hand=Hand.BREAK_GLASS, by="carol", reason="smoke", at=now)
    aws.alias.write(OLD, {}, Description=note.to_description())

    stopped = running.future.exception(20)

    assert isinstance(stopped, ApplicationError)
    assert (stopped.type, stopped.non_retryable) == (INTERVENED, True)
    assert "by break-glass (carol): smoke" in str(stopped)


def test_third_version_at_the_alias_ends_it(aws):
    """Neither ours nor CodeDeploy's doing: what is there is somebody's decision."""
    running = aws.begun()
    aws.alias.write("3", {})

    stopped = running.future.exception(20)

    assert isinstance(stopped, ApplicationError)
    assert stopped.type == "ForeignChange"


def test_end_is_waited_for_until_the_rollback_is_through(aws):
    """After it CodeDeploy writes nothing more, so that what is written then stays."""
    aws.begun()
    aws.stand_in.shift(0.5)
    aws.stand_in.rollback_may_end.clear()

    ending = aws.end()
    until(lambda: len(ending.heartbeats) >= 2)
    put_baseline_back(aws)
    aws.stand_in.shift(0.6)  # a last step that was on its way
    assert not ending.future.done()
    aws.stand_in.rollback_may_end.set()
    ending.result()
    put_baseline_back(aws)

    assert aws.stand_in.is_over()
    assert aws.alias.serves() == {OLD: 1}


def test_rollback_to_an_older_version_is_overwritten(aws):
    """CodeDeploy deploys its own last success: that may be a version that we took back since."""
    aws.stand_in.last_good = "7"
    aws.begun()
    aws.stand_in.alarm()

    rolled_back = aws.end().result()
    assert aws.alias.serves() == {"7": 1}
    put_baseline_back(aws, past_codedeploy=rolled_back)

    assert aws.alias.serves() == {OLD: 1}


def test_intervention_while_codedeploy_rolls_back_stays(aws):
    """A person's note says whose the version is: that is left alone."""
    note = Note(hand=Hand.BREAK_GLASS, by="carol", reason="smoke", at=aws.order().since)
    aws.alias.write("7", {}, Description=note.to_description())

    put_baseline_back(aws, past_codedeploy=True)

    assert aws.alias.serves() == {"7": 1}


def test_older_version_at_the_alias_after_a_stop_is_codedeploys(aws):
    """The reason of the end is the stop, not what the rollback then brought."""
    aws.stand_in.last_good = "7"
    running = aws.begun()
    with aws.stand_in.lock:
        aws.stand_in.alarm()
        aws.alias.write("7", {})

    assert "ALARM_ACTIVE" in running.result().judgement.reason


def test_end_of_nothing_is_at_once(aws):
    """A release that never came as far as CodeDeploy has nothing to wait for."""
    assert aws.end().result() is False

    assert aws.stand_in.asked("StopDeployment") == []


def test_end_leaves_a_foreign_deployment_alone(aws):
    """Only what this run of this promotion began is stopped."""
    aws.begun()
    aws.stand_in.succeed()
    aws.stand_in.begin_foreign()

    aws.end().result()

    assert aws.stand_in.asked("StopDeployment") == []


def test_rollback_leaves_a_foreign_split_alone(aws):
    """A deployment of somebody else that has moved the alias already is not undone by ours."""
    aws.alias.write(OLD, {"7": 0.1})

    put_baseline_back(aws)

    assert aws.alias.serves() == {OLD: 0.9, "7": 0.1}
