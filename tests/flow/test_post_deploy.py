"""The day after a release: what is watched, what harm leads to, and what is left alone."""

import asyncio
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer, Worker

from activities.aws import AwsClients
from activities.post_deploy import PostDeploy
from activities.traffic import Traffic
from cli import post_deploy
from release.channels import Channel, ChannelKind
from release.checklist import ProductionCheck
from release.policy import parse_policy
from release.post_deploy import PostDeployRequest, WatchOutcome, Window, post_deploy_id
from release.promotion import Outcome, PromotionRequest
from release.verdict import Verdict
from workflows.deployment_record import DeploymentRecordWorkflow
from workflows.incident import IncidentWorkflow
from workflows.post_deploy import WATCHING, PostDeployWorkflow
from workflows.promotion import PromotionWorkflow
from workflows.rollback import RollbackWorkflow
from workflows.state import OUTCOME, STAGE

pytestmark = pytest.mark.asyncio(loop_scope="session")

ROOT = Path(__file__).parents[2]
SHA = "a" * 40
OLD, NEW = "1", "2"
OLD_SHA = "c" * 40
MOST_EVENTS = 120
FAST = 20_000  # a day of 4 s, for activities whose clock cannot be skipped
AWS = AwsClients(*[None] * len(fields(AwsClients)))  # the scripted checks ask nothing of it


def released(release_system, factor=1, **changes):
    """Production serves version 2 of everything; the request to watch that."""
    for name in ("api", "fetcher"):
        function = f"crypto-watch-{name}-prod"
        release_system.aws.versions[function].append({"Version": NEW})
        release_system.aws.aliases[function]["FunctionVersion"] = NEW
    channel = Channel(kind=ChannelKind.WEBHOOK, name="team", url_secret="team")
    policy = parse_policy((ROOT / "release.toml").read_text()).compressed(factor)
    return PostDeployRequest(
        **{
            "promotion": PromotionRequest(
                sha=SHA,
                version="1.2.3",
                requested_by="dora",
                running_version="1.2.2",
                policy=policy.model_copy(update={"notify": (channel,)}),
                clock_factor=factor,
            ),
            "run_id": uuid.uuid4().hex,
            "released_at": datetime.now(UTC),
            "published": {"fetcher": NEW, "api": NEW},
            "baseline": {"fetcher": OLD, "api": OLD},
        }
        | changes
    )


def in_seconds(request, immediate, short_term, long_term):
    """The request with windows that end after so many seconds."""
    windows = request.policy.model_copy(
        update={
            "immediate_until": timedelta(seconds=immediate),
            "short_term_until": timedelta(seconds=short_term),
            "long_term_until": timedelta(seconds=long_term),
        }
    )
    policy = request.promotion.policy.model_copy(update={"post_deploy": windows})
    promotion = request.promotion.model_copy(update={"policy": policy})
    return request.model_copy(update={"promotion": promotion})


async def watch(release_system, request, queue=None):
    """A started watch."""
    return await release_system.environment.client.start_workflow(
        PostDeployWorkflow.run,
        request,
        id=request.workflow_id,
        task_queue=queue or release_system.queue,
    )


async def day_of(release_system, request):
    """The watch with its whole day over."""
    handle = await watch(release_system, request)
    await release_system.environment.fast_forward(handle, timedelta(hours=25))
    return handle


def hours(order):
    """When an order's last look is due, in hours after the release."""
    return (order.until - order.released_at) / timedelta(hours=1)


def failing_from(release_system, hour, **verdicts):
    """The given checks come out so at every look that ends at this hour or later."""

    def look(order):
        return release_system.script.seen(order, **(verdicts if hours(order) >= hour else {}))

    release_system.script.watch = look


async def test_harmless_day_passes_every_item_with_a_short_history(release_system):
    """Two windows and five rounds, every item measured, in fewer than 120 events that replay."""
    handle = await day_of(release_system, released(release_system))

    result = await handle.result()
    history = await handle.fetch_history()
    orders = release_system.script.watches

    assert result.outcome is WatchOutcome.PASSED
    assert {item.verdict for item in result.items} == {Verdict.PASSED}
    assert len(result.items) == 12
    assert [hours(order) for order in orders] == [0.25, 1, 2, 6, 12, 18, 24]
    assert [len(order.checks) for order in orders] == [4, 8, 12, 12, 12, 12, 12]
    assert len(history.events) < MOST_EVENTS
    assert release_system.aws.writes == []
    assert release_system.script.notices == []
    replayer = Replayer(workflows=[PostDeployWorkflow], data_converter=pydantic_data_converter)
    recorded = WorkflowHistory.from_json(handle.id, history.to_json())
    await replayer.replay_workflow(recorded)


async def test_harm_in_the_first_hour_goes_back_once_and_quarantines(release_system):
    """Everything serves the old version again, the commit stays out, and people hear of it."""
    request = released(release_system)
    failing_from(release_system, 1, error_rate=Verdict.FAILED)

    handle = await watch(release_system, request)
    result = await handle.result()

    assert result.outcome is WatchOutcome.ROLLED_BACK
    assert result.reason == "error-rate: seen"
    assert release_system.aws.serves("api") == {OLD: 1}
    assert release_system.aws.serves("fetcher") == {OLD: 1}
    assert len(release_system.aws.writes) == 2
    assert list(release_system.script.quarantined) == [SHA]
    script = release_system.script
    await until(lambda: script.incidents and script.notices and script.recorded)
    assert script.notices[0].title == "crypto-watch 1.2.3 was rolled back after its release"
    (facts,) = script.incidents
    assert (facts.sha, facts.bad) == (SHA, {"crypto-watch-api-prod": NEW})
    (record,) = script.recorded
    assert [(d.version, d.git_commit) for d in record.deployments] == [
        ("1.2.2", OLD_SHA),
        ("1.2.3", SHA),
    ]
    assert len(release_system.script.watches) == 2
    status = await handle.query(PostDeployWorkflow.status)
    item = next(item for item in status.items if item.id == "error-rates")
    assert (item.window, item.verdict) == (Window.SHORT_TERM, Verdict.FAILED)


async def until(condition):
    """It is so, before long."""
    async with asyncio.timeout(20):
        while True:
            if condition():
                return
            await asyncio.sleep(0.02)


async def test_rollback_comes_before_the_notice(release_system):
    """Channels that cannot be told hold no rollback up."""
    request = released(release_system)
    failing_from(release_system, 0, alarms=Verdict.FAILED)
    served = []

    def deliver(channel):
        served.append(release_system.aws.serves("api"))
        return "no answer"

    release_system.script.deliver = deliver
    result = await (await watch(release_system, request)).result()

    await until(lambda: served)
    assert result.outcome is WatchOutcome.ROLLED_BACK
    assert served[0] == {OLD: 1}


async def test_harm_after_three_hours_pages_once_and_leaves_production_alone(release_system):
    """After the first hour people decide: they are told once of one harm, with the command."""
    request = released(release_system)
    failing_from(release_system, 3, error_rate=Verdict.FAILED, cache=Verdict.FAILED)

    handle = await day_of(release_system, request)
    result = await handle.result()

    assert result.outcome is WatchOutcome.HARM
    assert result.reason.endswith("UTC: error-rate: seen; cache: seen")
    assert release_system.aws.serves("api") == {NEW: 1}
    assert release_system.script.quarantined == {}
    (notice,) = release_system.script.notices
    assert notice.event == "post_deploy_harm"
    assert '`starter.py rollback --reason "…"`' in notice.markdown


async def test_harm_that_went_away_is_told_again_when_it_comes_back(release_system):
    """A second incident of one check is news, and a day with harm in it did not pass."""
    request = released(release_system)
    red = {2.0, 12.0}

    def look(order):
        bad = {"alarms": Verdict.FAILED} if hours(order) in red else {}
        return release_system.script.seen(order, **bad)

    release_system.script.watch = look
    result = await (await day_of(release_system, request)).result()

    assert result.outcome is WatchOutcome.HARM
    assert len(release_system.script.notices) == 2


async def test_late_look_of_a_dead_worker_pages_instead_of_rolling_back(release_system):
    """What was to be seen in the first hour and is seen in the third is people's to judge."""
    request = released(release_system, released_at=datetime.now(UTC) - timedelta(hours=3))
    failing_from(release_system, 0, alarms=Verdict.FAILED)

    handle = await day_of(release_system, request)
    result = await handle.result()

    assert result.outcome is WatchOutcome.HARM
    assert release_system.aws.writes == []


async def test_inconclusive_day_does_nothing_and_does_not_pass(release_system):
    """What could not be measured neither goes back nor pages, nor counts as passed."""
    request = released(release_system)
    failing_from(release_system, 0, latency=Verdict.INCONCLUSIVE)

    result = await (await day_of(release_system, request)).result()

    assert result.outcome is WatchOutcome.UNMEASURED
    assert result.reason == "could not be measured: response-times"
    assert release_system.aws.writes == []
    assert release_system.script.notices == []


async def test_superseded_watch_ends_and_touches_nothing(release_system):
    """Another release took the alias: what fails now is not this release's to undo."""
    request = released(release_system)

    def look(order):
        seen = release_system.script.seen(order, alarms=Verdict.FAILED)
        return seen.model_copy(update={"superseded": "version 3"})

    release_system.script.watch = look
    result = await (await watch(release_system, request)).result()

    assert result.outcome is WatchOutcome.SUPERSEDED
    assert result.reason == "production serves version 3"
    assert release_system.aws.writes == []


async def test_rollback_that_fails_for_good_pages(release_system):
    """A version that Lambda has no more is said, and nobody believes it went back."""
    request = released(release_system, baseline={"api": "", "fetcher": OLD})
    failing_from(release_system, 0, health=Verdict.FAILED)

    result = await (await watch(release_system, request)).result()

    assert result.outcome is WatchOutcome.HARM
    assert "crypto-watch-api-prod" in result.reason
    told = [n for n in release_system.script.notices if n.event == "post_deploy_harm"]
    assert [notice.title for notice in told] == ["crypto-watch 1.2.3 was not rolled back whole"]


async def test_alarm_red_before_the_release_is_known_at_every_look(release_system):
    """What each look says of alarms that were red before goes on to the next."""
    request = released(release_system, red_before=("old-alarm", "older-alarm"))

    def look(order):
        seen = release_system.script.seen(order)
        return seen.model_copy(update={"red_before": order.red_before[:1]})

    release_system.script.watch = look
    await (await day_of(release_system, request)).result()

    assert [order.red_before for order in release_system.script.watches[:3]] == [
        ("old-alarm", "older-alarm"),
        ("old-alarm",),
        ("old-alarm",),
    ]


async def test_completed_promotion_leaves_a_watch_behind(release_system):
    """Its id follows from the promotion's run; it knows both versions and is found by its stage."""
    looked = asyncio.Event()

    def look(order):
        looked.set()
        return release_system.script.seen(order)

    release_system.script.watch = look
    handle = await release_system.promote_and_pass_gates()
    result = await handle.result()
    status = await handle.query(PromotionWorkflow.status)
    description = await handle.describe()

    identity = post_deploy_id(status.workflow_id, description.run_id)
    child = release_system.environment.client.get_workflow_handle(identity)
    found = await child.query(PostDeployWorkflow.status)
    attributes = (await child.describe()).typed_search_attributes
    await asyncio.wait_for(looked.wait(), 20)
    order = release_system.script.watches[0]
    await child.terminate()

    assert result.outcome is Outcome.COMPLETED
    assert (found.sha, found.version, found.outcome) == (SHA, "1.2.3", None)
    assert attributes[STAGE] == WATCHING
    assert order.published == {"api": "2", "fetcher": "2"}
    assert order.baseline == {"api": "1", "fetcher": "1"}


async def test_promotion_that_went_back_is_not_watched(release_system):
    """Production serves the old version: there is nothing new to look at."""
    release_system.script.judge = lambda _: release_system.script.judgement(Verdict.FAILED)
    handle = await release_system.promote_and_pass_gates()
    await handle.result()
    events = (await handle.fetch_history()).events

    children = [
        event.start_child_workflow_execution_initiated_event_attributes.workflow_id
        for event in events
        if event.HasField("start_child_workflow_execution_initiated_event_attributes")
    ]
    assert [child.partition("/")[0] for child in children] == ["record"]


async def test_ended_watch_is_found_by_its_outcome(release_system):
    """The search attributes say how it ended."""
    request = released(release_system)
    failing_from(release_system, 0, health=Verdict.FAILED)
    handle = await watch(release_system, request)
    await handle.result()

    attributes = (await handle.describe()).typed_search_attributes
    assert (attributes[STAGE], attributes[OUTCOME]) == ("done", "rolled back")


# --- the real activity, with what it measures scripted ---


class Looks:
    """Production's checks, each of which passes; what a test wants otherwise it sets."""

    def __init__(self, release_system):
        self.counted = 0
        self.looked = asyncio.Event()
        self.loop = asyncio.get_running_loop()
        self.fails = lambda number: False
        self.activity = PostDeploy(
            None,
            replace(AWS, lambda_=release_system.aws),
            Traffic(release_system.aws),
            ROOT,
            dict.fromkeys(ProductionCheck, lambda _, check: check.saw("well"))
            | {ProductionCheck.HEALTH: self.health},
        )

    def health(self, _, check):
        """The check that a test scripts by the number of its look."""
        self.counted += 1
        check.expect(not self.fails(self.counted), f"look {self.counted} saw harm")
        check.saw(f"look {self.counted}")
        self.loop.call_soon_threadsafe(self.looked.set)

    def worker(self, release_system, queue, threads):
        """A worker whose activities are the real ones."""
        script, traffic = release_system.script, Traffic(release_system.aws)
        return Worker(
            release_system.environment.client,
            task_queue=queue,
            workflows=[
                PostDeployWorkflow,
                RollbackWorkflow,
                IncidentWorkflow,
                DeploymentRecordWorkflow,
            ],
            activities=[
                self.activity.watch_production,
                traffic.point_alias,
                script.quarantine,
                script.notify,
                script.write_incident,
                script.open_issue,
                script.record_deployments,
            ],
            activity_executor=threads,
            max_heartbeat_throttle_interval=timedelta(milliseconds=100),
            default_heartbeat_throttle_interval=timedelta(milliseconds=100),
            sticky_queue_schedule_to_start_timeout=timedelta(seconds=1),
            workflow_failure_exception_types=[Exception],
        )


@pytest.fixture
def threads():
    with ThreadPoolExecutor(4) as executor:
        yield executor


async def test_worker_that_dies_in_a_window_is_followed_by_another(release_system, threads):
    """The next worker goes on until the window's own end, and then to the day's."""
    looks, queue = Looks(release_system), uuid.uuid4().hex
    request = in_seconds(released(release_system, factor=600), 2, 3, 4)
    async with looks.worker(release_system, queue, threads):
        handle = await watch(release_system, request, queue)
        await asyncio.wait_for(looks.looked.wait(), 20)
    before = looks.counted
    async with looks.worker(release_system, queue, threads):
        result = await handle.result()
    events = (await handle.fetch_history()).events

    assert result.outcome is WatchOutcome.PASSED
    assert looks.counted > before
    attempts = [
        event.activity_task_started_event_attributes.attempt
        for event in events
        if event.HasField("activity_task_started_event_attributes")
    ]
    assert attempts == [2, 1, 1]


async def test_next_worker_knows_what_the_one_before_had_seen(release_system, threads):
    """Findings travel in the heartbeat: a release superseded meanwhile keeps its last look."""
    looks, queue = Looks(release_system), uuid.uuid4().hex
    request = in_seconds(released(release_system, factor=600), 60, 70, 80)
    async with looks.worker(release_system, queue, threads):
        handle = await watch(release_system, request, queue)
        await asyncio.wait_for(looks.looked.wait(), 20)
    before = looks.counted
    release_system.aws.aliases["crypto-watch-api-prod"]["FunctionVersion"] = "3"
    async with looks.worker(release_system, queue, threads):
        result = await handle.result()

    assert (result.outcome, result.reason) == (
        WatchOutcome.SUPERSEDED,
        "production serves version 3",
    )
    assert looks.counted == before  # the alias is asked before anything is measured
    assert result.items[0].evidence.startswith("look ")
    assert release_system.aws.writes == []


async def test_one_bad_look_is_looked_at_again_before_it_counts(release_system, threads):
    """What was seen once only goes back nowhere."""
    looks, queue = Looks(release_system), uuid.uuid4().hex
    looks.fails = lambda number: number == 2
    request = released(release_system, factor=FAST)
    async with looks.worker(release_system, queue, threads):
        result = await (await watch(release_system, request, queue)).result()

    assert result.outcome is WatchOutcome.PASSED
    assert looks.counted > 3
    assert release_system.aws.writes == []


async def test_two_bad_looks_in_a_row_go_back(release_system, threads):
    """Harm that is confirmed rolls back; production is not looked at any more."""
    looks, queue = Looks(release_system), uuid.uuid4().hex
    looks.fails = lambda number: number in (2, 3)
    request = released(release_system, factor=60)
    async with looks.worker(release_system, queue, threads):
        result = await (await watch(release_system, request, queue)).result()

    assert (result.outcome, result.reason) == (
        WatchOutcome.ROLLED_BACK,
        "health: look 3 saw harm",
    )
    assert release_system.aws.serves("api") == {OLD: 1}
    assert looks.counted == 3


async def test_weights_beside_the_release_are_waited_out(release_system, threads):
    """A drill or a newer release moves traffic: nothing is judged meanwhile, and nothing ends."""
    looks, queue = Looks(release_system), uuid.uuid4().hex
    request = released(release_system, factor=FAST)
    looks.fails = lambda number: True
    alias = release_system.aws.aliases["crypto-watch-api-prod"]
    alias["RoutingConfig"] = {"AdditionalVersionWeights": {"3": 0.1}}
    async with looks.worker(release_system, queue, threads):
        result = await (await watch(release_system, request, queue)).result()

    assert result.outcome is WatchOutcome.UNMEASURED
    assert looks.counted == 0
    assert result.items[0].evidence == (
        "could not be measured: production serves version 2, with 10 % of the traffic on version 3"
    )


async def test_alias_that_cannot_be_read_is_inconclusive(release_system, threads):
    """While Lambda does not answer nothing is judged."""
    looks, queue = Looks(release_system), uuid.uuid4().hex
    request = released(release_system, factor=FAST)
    looks.fails = lambda number: True
    error = ClientError({"Error": {"Code": "ServiceException"}}, "GetAlias")

    def get_alias(**_):
        raise error

    release_system.aws.get_alias = get_alias
    async with looks.worker(release_system, queue, threads):
        result = await (await watch(release_system, request, queue)).result()

    assert result.outcome is WatchOutcome.UNMEASURED
    assert "ServiceException" in result.items[0].evidence


async def test_status_shows_what_the_look_under_way_has_seen(release_system, threads):
    """The command line knows more than the workflow, which hears of a window at its end."""
    looks, queue = Looks(release_system), uuid.uuid4().hex
    request = released(release_system, factor=10)
    client = release_system.environment.client

    async with looks.worker(release_system, queue, threads):
        promotion = f"promotion/test/{uuid.uuid4().hex[:12]}"
        stand_in = await client.start_workflow(
            PostDeployWorkflow.run, request, id=promotion, task_queue="nobody"
        )
        identity = post_deploy_id(promotion, stand_in.result_run_id)
        assert await post_deploy.status(client, promotion) is None
        handle = await client.start_workflow(
            PostDeployWorkflow.run, request, id=identity, task_queue=queue
        )
        async with asyncio.timeout(20):
            found = None
            while found is None or found.items[3].verdict is None:
                found = await post_deploy.status(client, promotion)
        asked = await handle.query(PostDeployWorkflow.status)
        for one in (handle, stand_in):
            await one.terminate()

    assert [item.verdict for item in found.items[:5]] == [*[Verdict.PASSED] * 4, None]
    assert asked.items[0].verdict is None


async def test_status_is_short_and_names_what_is_not_well(release_system, capsys):
    """What people read: until when, how many passed, what did not."""
    request = released(release_system)
    failing_from(release_system, 3, error_rate=Verdict.FAILED)
    handle = await day_of(release_system, request)
    await handle.result()

    found = await handle.query(PostDeployWorkflow.status)
    post_deploy.print_status(found)
    ended = " ".join(capsys.readouterr().out.split())
    post_deploy.print_status(found.model_copy(update={"outcome": None, "next": "a look at 14:00"}))
    running = " ".join(capsys.readouterr().out.split())

    assert ended.startswith("the day after: harm seen: ")
    assert "11 of 12 items passed" in ended
    assert "failed error-rates seen" in ended
    assert running.startswith(f"watched until {request.ends_at:%Y-%m-%d %H:%M} UTC, 11 of 12 items")
