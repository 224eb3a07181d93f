"""Payload encryption: Temporal keeps what it cannot read, and every command still can."""

import asyncio
import base64
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError

from activities.audit import Audits
from activities.histories import read_events
from connection import keys as payload_keys
from connection.codec import EncryptionCodec, Keyring, new_key
from connection.converter import data_converter
from connection.errors import KeyringError
from release.audit_events import cause, closing
from release.promotion import Outcome
from settings import TemporalSettings
from tests.audit.conftest import cloud
from tests.audit.test_export import promoted, record_of
from tests.commands.conftest import repository, starter, state_dir
from tests.connection.conftest import OFF, SECRET

__all__ = ["cloud", "repository", "starter", "state_dir"]
pytestmark = pytest.mark.asyncio(loop_scope="session")


def payloads_of(node: Any) -> Iterator[bytes]:
    """What every payload of a history holds, as the server has it."""
    if isinstance(node, dict):
        if isinstance(node.get("data"), str):
            yield base64.b64decode(node["data"])
        node = list(node.values())
    if isinstance(node, list):
        for value in node:
            yield from payloads_of(value)


async def stored(client, handle) -> bytes:
    """Everything that Temporal's server has of a workflow, as one text."""
    history = await client.get_workflow_handle(handle.id).fetch_history()
    text = history.to_json()
    return text.encode() + b"\n".join(payloads_of(json.loads(text)))


async def test_server_holds_no_word_of_a_promotion(encrypted_system, temporal):
    """Neither what was asked, nor what people wrote, nor why it failed can be read there."""
    encrypted_system.script.judge = lambda order: (_ for _ in ()).throw(
        ApplicationError("the zanzibar gateway is gone", non_retryable=True)
    )
    handle = await encrypted_system.promote(changes=("fix: the quetzal feed",))
    await encrypted_system.sign_off_all(handle)
    await handle.signal("approve", {"approver": "alice", "comment": "for the okapi team"})
    await handle.execute_update("approve", {"approver": "bob", "comment": "okapi"})
    with pytest.raises(WorkflowFailureError) as failure:
        await handle.result()

    kept = await stored(temporal.client, handle)
    assert "zanzibar" in str(failure.value.cause)
    for word in (b"zanzibar", b"quetzal", b"okapi", b"alice", b"min_requests"):
        assert word not in kept
    plain = await read_events(encrypted_system.environment.client, handle.id)
    said = b"".join(payloads_of(plain)) + json.dumps(plain).encode()
    for word in (b"zanzibar", b"quetzal", b"okapi", b"alice", b"min_requests"):
        assert word in said
    failed = closing(plain)["workflowExecutionFailedEventAttributes"]["failure"]
    assert "zanzibar" in cause(failed)


async def test_without_keys_the_same_words_are_there(release_system, temporal):
    """The search for words is no rubber stamp: without encryption it finds them."""
    handle = await release_system.promote(changes=("fix: the quetzal feed",))
    await handle.signal("abort", {"by": "carol", "reason": "enough of the okapi"})
    await handle.result()

    kept = await stored(temporal.client, handle)
    assert b"quetzal" in kept
    assert b"okapi" in kept


async def test_commands_work_with_encryption(
    encrypted_system, temporal, cloud, repository, starter, keys
):
    """`status`, `reject` and `audit --verify` with its replay read what only the keys open."""
    client = encrypted_system.environment.client
    sha = repository.commit("fix: a price")
    audits = Audits(client, cloud.s3, cloud.dynamodb)
    encrypted_system.script.export = audits.export_audit
    handle = await promoted(encrypted_system, sha)
    environment = keys.environment | {
        "TEMPORAL_ADDRESS": client.service_client.config.target_host,
        "AWS_ENDPOINT_URL": cloud.endpoint,
    }

    async def run(*arguments: str, **more: str):
        return await asyncio.to_thread(starter, *arguments, **(environment | more))

    status = await run("status", sha, "--json")
    assert json.loads(status.stdout)["stage"] == "approval", status.stderr
    rejected = await run("reject", sha, "--as", "bob", "--comment", "not today")
    assert rejected.returncode == 0, rejected.stderr
    assert (await handle.result()).outcome is Outcome.REJECTED
    await (await record_of(encrypted_system, handle)).result()

    audit = await run("audit", sha, "--verify")
    said = " ".join(audit.stdout.split())
    assert audit.returncode == 0, audit.stdout + audit.stderr
    assert "the same decisions again: rejected" in said
    assert "has the same events still" in said

    keyless = await run("status", sha, RELEASE_PAYLOAD_KEY_SECRET="release/none")
    assert keyless.returncode == 3
    assert keyless.stderr.startswith("error: there is no secret release/none")


async def test_rotated_key_is_found_by_a_process_that_runs(keys):
    """What a newer process encrypts, an older one reads: it asks for the keys once more."""
    settings = TemporalSettings.from_environment()
    older = data_converter(settings).payload_codec
    [before] = await older.encode([Payload(data=b"old")])
    keys.rotate("second")
    newer = data_converter(settings).payload_codec
    [after] = await newer.encode([Payload(data=b"new")])

    assert before.metadata["encryption-key-id"] == b"first"
    assert after.metadata["encryption-key-id"] == b"second"
    for codec in (older, newer):
        read = await codec.decode([before, after])
        assert [payload.data for payload in read] == [b"old", b"new"]


async def test_unencrypted_payload_passes():
    """A message from the Temporal UI, or from before there were keys, is read as it is."""
    plain = Payload(metadata={"encoding": b"json/plain"}, data=b'{"approver": "alice"}')

    assert await codec().decode([plain]) == [plain]


async def test_changed_payload_is_refused():
    """A payload that somebody changed on the server is no payload."""
    ours = codec()
    [sealed] = await ours.encode([Payload(data=b"approve")])
    for at in range(len(sealed.data)):
        data = bytearray(sealed.data)
        data[at] ^= 1
        with pytest.raises(KeyringError, match="was changed"):
            await ours.decode([Payload(metadata=sealed.metadata, data=bytes(data))])


async def test_payload_of_an_unknown_key_is_refused():
    """The error names the key that is missing."""
    [sealed] = await codec("lost").encode([Payload(data=b"approve")])

    with pytest.raises(KeyringError, match="'lost' is not in the keyring"):
        await codec("kept").decode([sealed])


async def test_same_payload_is_never_encrypted_alike():
    """Equal values cannot be told to be equal."""
    sealed = await codec().encode([Payload(data=b"yes")] * 100)

    assert len({payload.data for payload in sealed}) == 100


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"current": "a", "keys": {}}',
        '{"current": "a", "keys": {"a": "c2hvcnQ="}}',
        '{"current": "a", "keys": {"a": "U0VDUkVU!"}}',
        '{"current": "b", "keys": {"a": "%s"}}' % ("A" * 43 + "="),
    ],
)
async def test_secret_that_holds_no_keys_is_named_and_not_shown(keys, text):
    """One line says which secret is wrong, and nothing of what it holds."""
    keys.secrets.put_secret_value(SecretId=SECRET, SecretString=text or " ")

    with pytest.raises(KeyringError, match=re.escape(SECRET)) as error:
        data_converter(TemporalSettings.from_environment())
    assert "U0VDUkVU" not in str(error.value)
    assert "AAAA" not in str(error.value)


async def test_new_keys_join_the_old_ones(capsys):
    """`python -m connection.keys` makes a keyring, and adds to the one that it is given."""
    payload_keys.main("2026", "")
    first = Keyring.parse(capsys.readouterr().out)
    payload_keys.main("2027", first.model_dump_json())
    second = Keyring.parse(capsys.readouterr().out)

    assert second.current == "2027"
    assert second.keys["2026"] == first.keys["2026"]
    assert second.keys["2027"] != second.keys["2026"]


async def test_nothing_is_encrypted_unless_a_secret_is_named():
    """The laptop needs no keys."""
    assert data_converter(OFF).payload_codec is None


def codec(key_id: str = "a") -> EncryptionCodec:
    keyring = Keyring(current=key_id, keys={key_id: new_key()})
    return EncryptionCodec(lambda: keyring)
