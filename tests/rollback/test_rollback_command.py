"""`starter.py rollback` with everything real below it but the measuring."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio
from boto3.dynamodb.conditions import Key
from botocore.exceptions import ClientError
from temporalio.client import WorkflowHandle
from temporalio.service import RPCError

from activities.deployment_table import DeploymentTable
from release.deployment import Change, DeploymentStatus
from release.deployments import known_by_name
from release.promotion import Outcome, Stage
from tests.commands.conftest import Completed
from tests.rollback.production_parts import API, FETCHER, STAGING, Production
from tests.service.service_parts import new_table
from workflows.rollback import RollbackWorkflow

AT = datetime(2026, 1, 1, 10, tzinfo=UTC)

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture
def released(repository, production) -> SimpleNamespace:
    """Three releases of three commits, each tagged; production serves the newest."""
    shas = []
    for number in range(3):
        shas.append(repository.commit(f"feat: {number}", api=f"# prices {number}"))
        repository.git("tag", f"v1.{number}.0")
    names = [f"1.{number}.0" for number in range(3)]
    production.create(names[0], shas[0])
    for name, sha in zip(names[1:], shas[1:], strict=True):
        production.publish(name, sha)
    production.serve("3")
    return SimpleNamespace(shas=shas, names=names)


@pytest.fixture
def rollback(release_system, production, starter) -> Callable[..., Awaitable[Completed]]:
    """Runs `starter.py rollback …` as alice; AWS and Temporal answer."""
    address = release_system.environment.client.service_client.config.target_host

    async def run(*arguments: str, command: str = "rollback") -> Completed:
        return await asyncio.to_thread(
            starter,
            *(command, *arguments, "--as", "alice"),
            AWS_ENDPOINT_URL=production.endpoint,
            TEMPORAL_ADDRESS=address,
        )

    return run


def quarantined(table: Any) -> dict[str, str]:
    """Commit → why it stays out."""
    items = table.query(KeyConditionExpression=Key("PK").eq("QUARANTINE#prod"))["Items"]
    return {item["SK"]: item["reason"] for item in items}


async def test_rollback_goes_to_the_release_before_and_quarantines(
    rollback, production, released, table
):
    """Both functions are back, and what they ran stays out of production."""
    done = await rollback("--reason", "customers call")

    assert done.returncode == 0, done.stderr
    assert production.serves(API) == {"2": 1}
    assert production.serves(FETCHER) == {"2": 1}
    assert f"{API} serves version 2, all of its traffic" in done.stdout
    assert f"{released.shas[2][:12]} is quarantined" in done.stdout
    assert quarantined(table) == {released.shas[2]: "rolled back by alice: customers call"}


async def test_rollback_moves_the_deployment_record(rollback, production, released, table):
    """What went out of service has its reason; what serves again is active, with its own facts."""
    record = DeploymentTable(production.client("dynamodb"), table.name, "prod")
    for number, at in ((1, AT), (2, AT + timedelta(hours=1))):
        change = Change(at=at, status=DeploymentStatus.ACTIVE)
        told = known_by_name(released.names[number], released.shas[number], change)
        record.record([told.model_copy(update={"promotion": "p", "deployed_at": at})])

    done = await rollback("--reason", "customers call")

    assert done.returncode == 0, done.stderr
    await _until(lambda: _is_back(record))
    undone, active = record.all()
    assert (undone.version, undone.reason) == ("1.2.0", "rolled back by alice: customers call")
    assert (active.version, active.status, active.deployed_at) == ("1.1.0", "active", AT)


async def test_release_from_before_the_suffix_went_is_gone_back_to(rollback, production, released):
    """Versions were once named `1.0.0+abc1234`: Lambda still has them under that name."""
    named = f"1.0.5+{released.shas[1][:7]}"
    production.publish(named, released.shas[1])

    done = await rollback("--to", "1.0.5")

    assert done.returncode == 0, done.stderr
    assert production.serves(API) == {"4": 1}


async def _is_back(record: DeploymentTable) -> bool:
    return {one.status for one in record.all()} == {"active", "rolled_back"}


async def test_rollback_of_a_completed_release_leaves_an_incident(
    rollback, released, release_system, table
):
    """What went out, what has to serve now, who and why; and the rollback did not wait for it."""
    await rollback("--reason", "customers call")

    facts = await _first(release_system.script.incidents)

    assert (facts.sha, facts.version) == (released.shas[2], released.names[2])
    assert facts.expected == {API: "2", FETCHER: "2"}
    assert facts.bad == {API: "3"}
    assert (facts.outcome, facts.requested_by) == ("rolled back by hand", "alice")
    assert facts.reason == "rolled back by alice: customers call"


async def test_going_on_to_a_newer_release_is_no_incident(
    rollback, production, released, release_system, table
):
    """Nothing that was bad went out of service."""
    production.serve("2")

    done = await rollback("--to", "1.2.0")

    assert done.returncode == 0, done.stderr
    handle = release_system.environment.client.get_workflow_handle("rollback/crypto-watch")
    events = (await handle.fetch_history()).events
    children = [
        event.start_child_workflow_execution_initiated_event_attributes.workflow_type.name
        for event in events
        if event.HasField("start_child_workflow_execution_initiated_event_attributes")
    ]
    assert "IncidentWorkflow" not in children


async def test_rollback_typed_twice_ends_at_the_same_place(rollback, production, released):
    """The second does not go back one more; with a name it says that it is there."""
    assert (await rollback()).returncode == 0

    again, named = await rollback(), await rollback("--to", "1.1.0")

    assert [again.returncode, named.returncode] == [2, 2]
    assert "is out of service already" in again.stderr
    assert "production serves 1.1.0 already" in named.stderr
    assert production.serves(API) == {"2": 1}
    assert production.serves(FETCHER) == {"2": 1}


async def test_what_broken_glass_took_out_is_quarantined_before_its_note_goes(
    rollback, production, released, table
):
    """The rollback writes the alias's description anew: what it said must stand elsewhere."""
    await rollback("--break-glass", "--reason", "customers call")

    done = await rollback("--to", "1.0.0", "--reason", "still")

    assert done.returncode == 0, done.stderr
    assert production.alias()["Description"] == ""
    assert quarantined(table) == {
        released.shas[2]: "break-glass by alice: customers call",
        released.shas[1]: "rolled back by alice: still",
    }


async def test_table_that_is_not_there_keeps_nobody_on_the_bad_release(
    rollback, production, released, table
):
    """What could not be quarantined is a warning."""
    production.client("dynamodb").delete_table(TableName="crypto-watch-prod")

    done = await rollback()

    new_table(production.endpoint, "crypto-watch-prod")
    assert done.returncode == 0, done.stderr
    assert production.serves(API) == {"2": 1}
    assert f"warning: {released.shas[2][:12]} is not quarantined: " in done.stderr


async def test_going_on_to_a_newer_release_quarantines_nothing(
    rollback, production, released, table
):
    """What is left then is in the newer one."""
    production.serve("1")

    done = await rollback("--to", "v1.2.0", "--json")

    assert json.loads(done.stdout)["quarantined"] == []
    assert production.serves(API) == {"3": 1}
    assert quarantined(table) == {}


@pytest.mark.parametrize("wanted", ["1.0.0", "v1.0.0", "commit"])
async def test_pruned_release_is_built_and_published_again(rollback, production, released, wanted):
    """Lambda has none of its versions: the same commit gives the release back, under its name."""
    production.prune("1")

    done = await rollback("--to", released.shas[0][:9] if wanted == "commit" else wanted)

    assert done.returncode == 0, done.stderr
    for function in (API, FETCHER):
        assert production.serves(function) == {"4": 1}
        assert production.descriptions(function)["4"] == f"{released.names[0]} {released.shas[0]}"


async def test_release_built_again_has_the_same_bytes(rollback, production, released):
    """Built twice and pruned in between: one digest, and so one object in S3."""
    digests = []
    for _ in range(2):
        production.prune("4" if digests else "1")
        await rollback("--to", "1.0.0")
        found = production.lambda_.get_function_configuration(FunctionName=API, Qualifier="live")
        digests.append(found["CodeSha256"])
        production.serve("3")

    assert digests[0] == digests[1]


async def test_function_that_is_still_there_is_not_built_again(rollback, production, released):
    """Only what was pruned is published."""
    production.prune("1", (FETCHER,))

    done = await rollback("--to", "1.0.0")

    assert done.returncode == 0, done.stderr
    assert production.serves(API) == {"1": 1}
    assert production.serves(FETCHER) == {"4": 1}


async def test_commit_that_never_was_in_production_is_no_way_back(
    rollback, production, repository, released
):
    """One person asks for a rollback: by it nothing gets to production for the first time."""
    new = repository.commit("feat: not yet approved")

    done = await rollback("--to", new)

    assert done.returncode == 2
    assert f"no release '{new}'" in done.stderr
    assert production.serves(API) == {"3": 1}


async def test_rollback_outlasts_an_aws_that_refuses(
    rollback, release_system, production, released
):
    """It is tried until it works, and the command shows each reason it waits for."""
    left = [3]

    def refuse(**_: Any) -> None:
        if left[0]:
            left[0] -= 1
            raise ClientError({"Error": {"Code": "ServiceException"}}, "UpdateAlias")

    production.lambda_.meta.events.register("before-call.lambda.UpdateAlias", refuse)

    done = await rollback()

    assert done.returncode == 0, done.stderr
    assert production.serves(API) == {"2": 1}


async def test_function_that_cannot_be_brought_back_does_not_hold_up_the_other(
    rollback, production, released
):
    """While AWS refuses one function without end, the other is back."""

    def refuse(params: dict[str, Any], **_: Any) -> None:
        if API in params["url_path"]:
            raise ClientError({"Error": {"Code": "ServiceException"}}, "UpdateAlias")

    events = production.lambda_.meta.events
    events.register("before-call.lambda.UpdateAlias", refuse)
    waiting = asyncio.create_task(rollback())
    await _until(lambda: _serves(production, FETCHER, "2"))
    assert production.serves(API) == {"3": 1}

    events.unregister("before-call.lambda.UpdateAlias", refuse)

    assert (await waiting).returncode == 0
    assert production.serves(API) == {"2": 1}


async def test_second_rollback_takes_over_from_one_that_is_stuck(
    rollback, release_system, production, released
):
    """The last word counts; the first command says that it was ended."""

    def refuse(params: dict[str, Any], **_: Any) -> None:
        if json.loads(params["body"])["FunctionVersion"] == "2":
            raise ClientError({"Error": {"Code": "ServiceException"}}, "UpdateAlias")

    production.lambda_.meta.events.register("before-call.lambda.UpdateAlias", refuse)
    first = asyncio.create_task(rollback("--to", "1.1.0"))
    handle = release_system.environment.client.get_workflow_handle("rollback/crypto-watch")
    await _until(lambda: _is_trying(handle))

    second = await rollback("--to", "1.0.0")

    assert second.returncode == 0, second.stderr
    assert production.serves(API) == {"1": 1}
    ended = await first
    assert (ended.returncode, "the rollback was ended" in ended.stderr) == (1, True)


async def _first(found: list[Any]) -> Any:
    """What comes first of a list that fills."""

    async def came() -> bool:
        return bool(found)

    await _until(came)
    return found[0]


async def _until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while True:
            if await condition():
                return
            await asyncio.sleep(0.05)


async def _serves(production: Production, function: str, version: str) -> bool:
    return production.serves(function) == {version: 1}


async def _is_trying(handle: WorkflowHandle[Any, Any]) -> bool:
    try:
        described = await handle.describe()
    except RPCError:  # it is not started yet
        return False
    return any(pending.attempt > 1 for pending in described.raw_description.pending_activities)


@pytest_asyncio.fixture(loop_scope="session")
async def shifting(release_system, repository, production) -> AsyncIterator[SimpleNamespace]:
    """A promotion that has brought 20 % of production's traffic, and stays there."""
    live, new = repository.commit(), repository.commit("feat: more", api="# more prices")
    production.create("1.0.0", live)
    production.create("1.0.0", live, STAGING)
    release_system.script.hold_at = lambda order: order.weight >= 0.2
    handle = await release_system.promote(sha=new, version="1.1.0")
    await release_system.sign_off_all(handle)
    await release_system.approve(handle)
    await release_system.until(handle, lambda status: status.weight >= 0.2)
    await asyncio.wait_for(release_system.script.holding.wait(), 20)
    yield SimpleNamespace(handle=handle, live=live, new=new)
    if (await release_system.status(handle)).outcome is None:
        await handle.terminate()


async def test_rollback_aborts_the_promotion_that_moves_production(
    rollback, release_system, production, shifting
):
    """No release named: the promotion ends as aborted by whom and why, and its baseline is back."""
    done = await rollback("--reason", "customers call")

    assert done.returncode == 0, done.stderr
    assert "100 % is back on the baseline" in done.stdout
    assert "abort accepted" in done.stderr
    status = await release_system.status(shifting.handle)
    assert (status.outcome, status.reason) == (
        Outcome.ABORTED,
        "aborted by alice: customers call",
    )
    assert production.serves(API) == {"1": 1}
    assert production.serves(FETCHER) == {"1": 1}


async def test_named_release_is_gone_to_once_the_promotion_has_ended(
    rollback, release_system, production, shifting
):
    """The two would fight over the alias: one ends before the other begins."""
    done = await rollback("--to", "1.0.0", "--json")

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["aborted"] == [shifting.handle.id]
    assert (await release_system.status(shifting.handle)).outcome is Outcome.ABORTED
    assert production.serves(API) == {"1": 1}


async def test_slip_in_the_releases_name_stops_no_promotion(
    rollback, release_system, production, shifting
):
    """Bad input changes nothing."""
    done = await rollback("--to", "9.9.9")

    assert done.returncode == 2
    assert (await release_system.status(shifting.handle)).outcome is None
    assert production.serves(API)["2"] >= 0.2


async def test_promotion_that_still_waits_is_left_alone(
    rollback, release_system, repository, production, released
):
    """A rollback asks nobody, and takes no other release with it."""
    for name in STAGING:
        production.create(released.names[2], released.shas[2], (name,))
    new = repository.commit("feat: more")
    handle = await release_system.promote(sha=new, version="1.3.0")
    await release_system.until(handle, lambda status: status.stage is Stage.CHECKLIST)

    done = await rollback()

    assert done.returncode == 0, done.stderr
    assert production.serves(API) == {"2": 1}
    assert (await release_system.status(handle)).outcome is None
    await handle.terminate()


async def test_details_in_temporals_ui_say_how_far_it_is(rollback, release_system, released):
    """Whoever looks there sees each function, and the way without Temporal."""
    await rollback("--reason", "customers call")

    handle = release_system.environment.client.get_workflow_handle("rollback/crypto-watch")
    details = await handle.query("__temporal_workflow_metadata")
    text = json.dumps(details) if isinstance(details, dict) else str(details)
    assert RollbackWorkflow.__name__ in text
    assert f"{API}: serves version 2" in text
    assert "Tried without limit" in text
