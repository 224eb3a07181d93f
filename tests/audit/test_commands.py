"""`starter.py audit` as a person meets it: from Temporal, from the export, and when forged."""

import asyncio
import json
from collections.abc import Callable
from types import SimpleNamespace

import pytest
import pytest_asyncio
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest

from activities.audit import Audits
from activities.histories import read_events
from release.audit_chain import Kind, chain, read, to_text
from release.audit_export import export
from tests.audit.test_export import promoted, record_of
from tests.commands.conftest import Completed, repository, starter, state_dir

__all__ = ["repository", "starter", "state_dir"]
pytestmark = pytest.mark.asyncio(loop_scope="session")
Run = Callable[..., Completed]


@pytest_asyncio.fixture(loop_scope="session")
async def rejected(release_system, temporal, cloud, repository, starter) -> SimpleNamespace:
    """A promotion that bob refused, and whose audit was kept; `run` is `starter.py audit`."""
    sha = repository.commit("fix: a price")
    release_system.script.export = Audits(temporal.client, cloud.s3, cloud.dynamodb).export_audit
    handle = await promoted(release_system, sha)
    await handle.signal("approve", {"approver": "mallory"})
    await handle.execute_update("reject", {"approver": "bob", "comment": "not today"})
    await handle.result()
    await (await record_of(release_system, handle)).result()

    async def run(*arguments: str, **environment: str) -> Completed:
        known = {
            "TEMPORAL_ADDRESS": temporal.client.service_client.config.target_host,
            "AWS_ENDPOINT_URL": cloud.endpoint,
        }
        return await asyncio.to_thread(starter, "audit", *arguments, **(known | environment))

    [record] = cloud.store.records(handle.id)
    return SimpleNamespace(sha=sha, id=handle.id, handle=handle, run=run, record=record)


def said(done: Completed) -> str:
    """What was printed, however wide the terminal is."""
    return " ".join(done.stdout.split())


def overwrite(cloud, record, text: str) -> None:
    """Somebody writes another export over the first."""
    cloud.s3.put_object(Bucket=cloud.bucket, Key=record.key, Body=text.encode())


async def forget(temporal, rejected) -> None:
    """Temporal has deleted the history, as after its retention."""
    await temporal.client.workflow_service.delete_workflow_execution(
        DeleteWorkflowExecutionRequest(
            namespace="default",
            workflow_execution=WorkflowExecution(workflow_id=rejected.id),
        )
    )
    async with asyncio.timeout(90):  # it deletes in its own time
        while await read_events(temporal.client, rejected.id):  # noqa: ASYNC110  a server's work
            await asyncio.sleep(0.05)


async def test_audit_tells_who_asked_and_who_refused(rejected):
    """By the commit alone: the end with its reason, each message, and why one was refused."""
    done = await rejected.run(rejected.sha[:10])

    assert done.returncode == 0, done.stderr
    assert "rejected: rejected by bob: not today" in said(done)
    assert "asked for by dora" in said(done)
    assert "mallory is not an approver" in said(done)
    assert "update reject bob applied" in said(done)


async def test_untouched_audit_verifies(rejected):
    """Chain, record, Temporal's own history and a replay agree."""
    done = await rejected.run(rejected.id, "--verify")

    assert done.returncode == 0, done.stdout + done.stderr
    for what in ("chain", "record", "Temporal", "replay"):
        assert f"holds {what}" in said(done)


async def test_after_retention_the_export_tells_the_same(rejected, temporal):
    """When Temporal has forgotten it, the audit and its verification go on by the export."""
    before = await rejected.run(rejected.id, "--json")
    await forget(temporal, rejected)

    after = await rejected.run(rejected.id, "--json")
    verified = await rejected.run(rejected.id, "--verify", "--json")

    assert json.loads(after.stdout) == json.loads(before.stdout)
    findings = {one["what"]: one["holds"] for one in json.loads(verified.stdout)["findings"]}
    assert findings == {"chain": True, "record": True, "replay": True}
    assert verified.returncode == 0


async def test_without_temporal_the_export_tells(rejected):
    """An audit of a closed promotion needs no Temporal at all."""
    done = await rejected.run(rejected.id, TEMPORAL_ADDRESS="127.0.0.1:9")

    assert done.returncode == 0, done.stderr
    assert "rejected by bob" in said(done)


async def test_changed_export_is_named_and_fails(rejected, cloud):
    """One changed comment: the link is named, and the exit code is 1."""
    text = cloud.store.get(rejected.record.key) or ""
    overwrite(cloud, rejected.record, text.replace("not today", "not todaY"))

    done = await rejected.run(rejected.id, "--verify")

    assert done.returncode == 1
    assert "does not have its content's hash: it was changed" in said(done)
    assert "DynamoDB has the head" not in said(done)  # the last hash itself was left


async def test_forged_export_with_a_whole_chain_is_noticed(rejected, cloud):
    """Made anew with all its hashes, it still leads to another head, and replays otherwise."""
    events = read(cloud.store.get(rejected.record.key) or "").contents(Kind.EVENT)
    forged = json.loads(json.dumps(events).replace('"reject"', '"approve"'))
    made = export(forged, rejected.id, rejected.record.run_id)
    overwrite(cloud, rejected.record, to_text(made))

    done = await rejected.run(rejected.id, "--verify", TEMPORAL_ADDRESS="127.0.0.1:9")

    assert done.returncode == 1
    assert "holds chain" in said(done)
    assert f"DynamoDB has the head {rejected.record.head}" in said(done)
    assert "BROKEN replay" in said(done)


async def test_export_of_another_run_is_not_taken_for_this_one(rejected, cloud):
    """A true export of something else, in this one's place, is called what it is."""
    other = chain({"workflow": "promotion/x/y", "run": "r", "genesis": "0" * 64}, [], [])
    overwrite(cloud, rejected.record, to_text(other))

    done = await rejected.run(rejected.id, "--verify")

    assert done.returncode == 1
    assert "the export is of promotion/x/y, run r" in said(done)


async def test_missing_record_and_missing_file_are_said(rejected, cloud):
    """Whoever removes the head, or the file, does not get a clean answer."""
    where = {"PK": {"S": "AUDIT#prod"}, "SK": {"S": f"{rejected.id}#{rejected.record.run_id}"}}
    cloud.dynamodb.delete_item(TableName=cloud.table, Key=where)
    headless = await rejected.run(rejected.id, "--verify")
    cloud.store.record(rejected.record)
    cloud.s3.delete_object(Bucket=cloud.bucket, Key=rejected.record.key)  # a delete marker
    gone = await rejected.run(rejected.id, "--verify")

    assert (headless.returncode, gone.returncode) == (1, 1)
    assert "DynamoDB has no head for this run" in said(headless)
    assert "is gone, and its record says that it was written" in said(gone)


async def test_running_promotion_is_told_by_replay(
    release_system, temporal, cloud, repository, starter
):
    """What it has decided so far is known without a worker's answer, and verified likewise."""
    handle = await promoted(release_system, repository.commit("fix: another"))
    await handle.signal("approve", {"approver": "mallory"})
    await release_system.until(handle, lambda status: any(not r.accepted for r in status.inbox))
    known = {
        "TEMPORAL_ADDRESS": temporal.client.service_client.config.target_host,
        "AWS_ENDPOINT_URL": cloud.endpoint,
    }

    done = await asyncio.to_thread(starter, "audit", handle.id, "--json", **known)
    verified = await asyncio.to_thread(starter, "audit", handle.id, "--verify", **known)
    await handle.terminate("the test is over")

    audit = json.loads(done.stdout)
    assert (audit["outcome"], audit["is_decided"], len(audit["items"])) == ("", True, 50)
    assert [one["fate"] for one in audit["said"] if one["by"] == "mallory"] == ["refused"]
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert "it has no export yet" in said(verified)


async def test_page_is_written_where_it_was_asked_for(rejected, tmp_path):
    """`--format html --output` leaves one file; a folder that is not there is said."""
    file = tmp_path / "audit.html"
    done = await rejected.run(rejected.id, "--format", "html", "--output", str(file))
    bad = await rejected.run(rejected.id, "--format", "html", "--output", "/nowhere/a.html")

    assert (done.returncode, done.stdout) == (0, "")
    assert file.read_text().startswith("<!doctype html>")
    assert (bad.returncode, bad.stderr) == (
        2,
        "error: cannot write /nowhere/a.html: No such file or directory\n",
    )


async def test_unknown_promotion_is_bad_input(rejected):
    """A promotion that nobody knows is one clear line."""
    done = await rejected.run("promotion/crypto-watch/000000000000")

    assert done.returncode == 2
    assert "neither Temporal nor an export knows promotion/crypto-watch/000000000000" in done.stderr


async def test_nothing_answers_is_unreachable(rejected):
    """Without Temporal and without AWS nothing can be told."""
    nobody = {"TEMPORAL_ADDRESS": "127.0.0.1:9", "AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
    done = await rejected.run(rejected.id, **nobody)

    assert done.returncode == 3
    assert done.stdout == ""
