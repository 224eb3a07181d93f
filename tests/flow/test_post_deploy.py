"""The day after a release: what is watched, what harm leads to, and what is left alone."""

import asyncio
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer

from release.channels import Channel, ChannelKind
from release.policy import parse_policy
from release.post_deploy import PostDeployRequest, WatchOutcome, Window, post_deploy_id
from release.promotion import Outcome, PromotionRequest
from release.verdict import Verdict
from workflows.post_deploy import WATCHING, PostDeployWorkflow
from workflows.promotion import PromotionWorkflow
from workflows.state import OUTCOME, STAGE

pytestmark = pytest.mark.asyncio(loop_scope="session")

ROOT = Path(__file__).parents[2]
SHA = "a" * 40
OLD, NEW = "1", "2"
MOST_EVENTS = 120


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
    (notice,) = release_system.script.notices
    assert notice.event == "post_deploy_rolled_back"
    assert notice.title == "crypto-watch 1.2.3 was rolled back"
    assert len(release_system.script.watches) == 2
    status = await handle.query(PostDeployWorkflow.status)
    item = next(item for item in status.items if item.id == "error-rates")
    assert (item.window, item.verdict) == (Window.SHORT_TERM, Verdict.FAILED)


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

    assert result.outcome is WatchOutcome.ROLLED_BACK
    assert served == [{OLD: 1}]


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
    (notice,) = release_system.script.notices
    assert notice.title == "crypto-watch 1.2.3 could not be rolled back whole"


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
