"""No secret in a history, an export, a log, a process list or the repository.

The activities that hold secrets are the real ones, and those they speak to are as bad as can be:
they repeat everything they are told, in headers' names, bodies and status lines.
"""

import asyncio
import json
import logging
import os
import re
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pyotp
import pytest
from temporalio.client import WorkflowUpdateFailedError
from temporalio.worker import Worker

from activities.audit import Audits
from activities.aws_retries import AwsFaults
from activities.deploy import Deploy
from activities.github import GitHub
from activities.github_api import GitHubApi, github_client
from activities.github_call import GitHubCalls
from activities.github_deployment import GitHubDeployments
from activities.github_issues import GitHubIssues
from activities.github_release import GitHubRelease
from activities.integration_tests import IntegrationTests
from activities.lane import Lanes
from activities.notify import Notify, Patience
from activities.one_time_code import OneTimeCodes
from activities.pulse import Pulse
from activities.secrets import read_secret
from activities.staging import Staging
from release.channels import Channel, ChannelKind
from release.promotion import Outcome, PromotionRequest
from tests.flow.release_system import ReleaseSystem, project_policy
from tests.local import front_door_parts as parts
from tests.secrets.secrets_parts import parrot, stored, told
from tests.service.service_parts import new_table
from workflows.deployment_record import DeploymentRecordWorkflow
from workflows.incident import IncidentWorkflow
from workflows.post_deploy import PostDeployWorkflow
from workflows.promotion import PromotionWorkflow
from workflows.record import RecordWorkflow

ROOT = Path(__file__).parents[2]
API_KEYS = [f"cw_test_S3CRETkey{number}abcdefghijkl" for number in range(4)]
SLACK_PATH = "/services/T0S3CRET/B0S3CRET/x0S3CRETx0S3CRET"
SIGNING = "S3CRET-signing-key"
GITHUB_TOKEN = "ghs_S3CRETtoken0123456789"
TOTP = {name: pyotp.random_base32() for name in ("alice", "bob")}
ALL = (*API_KEYS, SLACK_PATH, SLACK_PATH.rpartition("/")[2], SIGNING, GITHUB_TOKEN, *TOTP.values())
PATIENCE = Patience(tries=1, connect_seconds=1, answer_seconds=2, whole_seconds=5)

flow = pytest.mark.asyncio(loop_scope="session")


class World:
    """A worker whose activities with secrets are real, in a world that repeats them."""

    def __init__(self, system: ReleaseSystem, endpoint: str, secret: Any) -> None:
        self.port = port = int(endpoint.rpartition(":")[2])
        self.system = system
        self.s3, self.ssm = parts.client("s3", port), parts.client("ssm", port)
        self.secrets, self.dynamodb = (
            parts.client("secretsmanager", port),
            parts.client("dynamodb", port),
        )
        self.secret = secret
        self.queue = uuid.uuid4().hex
        self.real: list[Any] = []

    def keep(self, text: str, name: str) -> None:
        """The secret of this name has this text."""
        try:
            self.secret(text, name)
        except self.secrets.exceptions.ResourceExistsException:
            self.secrets.put_secret_value(SecretId=name, SecretString=text)

    def bucket(self) -> str:
        """An empty one."""
        name = f"shop-{uuid.uuid4().hex}"
        self.s3.create_bucket(
            Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
        )
        return name

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The real activities, and the test's own for all others."""
        script = self.system.script
        mine = {activity.__name__ for activity in self.real}
        scripted = [
            found
            for name in dir(script)
            if hasattr(found := getattr(script, name), "__temporal_activity_definition")
            and name not in mine
        ]
        traffic, deploy = script.traffic, Deploy(self.system.aws)
        own = [traffic.record_baseline, traffic.shift_traffic, traffic.roll_back]
        lanes = Lanes(self.system.environment.client, Path("no repository"))
        with ThreadPoolExecutor(8) as threads:
            async with Worker(
                self.system.environment.client,
                task_queue=self.queue,
                workflows=[
                    PromotionWorkflow,
                    RecordWorkflow,
                    PostDeployWorkflow,
                    IncidentWorkflow,
                    DeploymentRecordWorkflow,
                ],
                activities=[
                    *(*scripted, *self.real, *own, deploy.publish_version),
                    lanes.join_lane,
                ],
                activity_executor=threads,
                interceptors=[AwsFaults(), Pulse()],
                workflow_failure_exception_types=[Exception],
            ):
                yield

    async def promote(self, **changed: Any) -> Any:
        """A promotion on this worker; its channels' addresses are secrets."""
        policy = project_policy().model_copy(update=changed)
        sha = (uuid.uuid4().hex + uuid.uuid4().hex)[:40]
        order = PromotionRequest(sha=sha, version="1.2.3", requested_by="dora", policy=policy)
        return await self.system.environment.client.start_workflow(
            PromotionWorkflow.run, order, id=order.workflow_id, task_queue=self.queue
        )


@pytest.fixture
def world(release_system: ReleaseSystem, endpoint: str, secret: Any) -> World:
    """It has no real activity yet."""
    return World(release_system, endpoint, secret)


def channels(world: World, address: str) -> tuple[Channel, ...]:
    """Slack and a webhook that repeat all they hear, and one that is not there."""
    here = world.secret(f"{address}{SLACK_PATH}")
    nowhere = world.secret(f"http://127.0.0.1:9{SLACK_PATH}")
    broken = world.secret(f"not an address {SLACK_PATH}")
    signing = world.secret(SIGNING)
    return (
        Channel(kind=ChannelKind.SLACK, name="chat", url_secret=here),
        Channel(kind=ChannelKind.WEBHOOK, name="hook", url_secret=here, signing_secret=signing),
        Channel(kind=ChannelKind.WEBHOOK, name="gone", url_secret=nowhere),
        Channel(kind=ChannelKind.SLACK, name="wrong", url_secret=broken),
    )


def on_github(calls: GitHubCalls) -> list[Any]:
    """What the record writes there."""
    release = GitHubRelease(calls, "main")
    return [
        release.tag_on_github,
        release.propose_changelog,
        GitHubDeployments(calls).show_deployment_on_github,
        GitHubIssues(calls).open_issue,
    ]


def found(text: str) -> list[str]:
    """The secrets that stand in it."""
    return [secret for secret in ALL if secret in text]


@flow
@pytest.mark.parametrize(
    "keys", [json.dumps(API_KEYS), json.dumps([f"x\n{key}" for key in API_KEYS]), API_KEYS[0]]
)
async def test_staging_that_repeats_its_keys(
    world: World, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], keys: str
) -> None:
    """Failed tests have evidence, and the evidence has no key; nor has a secret that is broken."""
    with parrot(500) as address:
        world.ssm.put_parameter(
            Name="/crypto-watch/staging/url", Value=address, Type="String", Overwrite=True
        )
        world.keep(keys, "crypto-watch/staging/test-api-keys")
        staging = Staging(world.ssm, world.secrets)
        notify = Notify(world.secrets, httpx.Client(trust_env=False), PATIENCE)
        world.real = [IntegrationTests(staging).run_integration_tests, notify.notify]
        told_to = channels(world, address)
        caplog.set_level(logging.DEBUG)  # from here on nobody but the activities knows a secret
        async with world.running():
            handle = await world.promote(notify=told_to)
            pending = await _ended_or_stuck(handle)
            history = pending + await told(world.system.environment.client, handle.id)

    out, err = capfd.readouterr()
    assert "run_integration_tests" in history
    assert found(history) == []
    assert found(caplog.text + out + err) == []


async def _ended_or_stuck(handle: Any) -> str:
    """It has ended, or its tests could not be made twice and more; what is known of the tries."""
    async with asyncio.timeout(60):
        while True:
            described = (await handle.describe()).raw_description
            stuck = any(pending.attempt > 2 for pending in described.pending_activities)
            if stuck or described.workflow_execution_info.status != 1:
                break
            await asyncio.sleep(0.05)
    if stuck:
        await handle.signal("abort", {"by": "carol", "reason": "enough"})
    await handle.result()
    return str(described)


@flow
async def test_release_with_everything_that_needs_a_secret(
    world: World, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Slack, webhooks, one-time codes, GitHub, the export: a whole release, and nothing told."""
    bucket = world.bucket()
    for name in ("alice", "bob"):
        world.keep(TOTP[name], f"crypto-watch/approvers/{name}/totp")
    new_table(f"http://127.0.0.1:{world.port}", "crypto-watch-prod")
    token = world.secret(GITHUB_TOKEN)
    world.system.script.accepts_claims = False
    with parrot(401) as address, parrot(200) as listens:
        github = github_client(address, lambda: read_secret(world.secrets, token) or "")
        world.real = [
            Notify(world.secrets, httpx.Client(trust_env=False), PATIENCE).notify,
            OneTimeCodes(world.secrets, world.dynamodb).check_code,
            GitHub(GitHubApi(github)).read_environment_review,
            Audits(world.system.environment.client, world.s3, world.dynamodb).export_audit,
            *on_github(GitHubCalls(github)),
        ]
        hook = channels(world, listens)[1]  # the checklist wants everybody told
        caplog.set_level(logging.DEBUG)
        async with world.running():
            handle = await world.promote(
                notify=(hook,),
                artifact_bucket=bucket,
                ci=project_policy().ci.model_copy(update={"repository": "owner/name"}),
            )
            await world.system.sign_off_all(handle)
            status = await world.system.until(handle, lambda status: status.digest)
            with pytest.raises(WorkflowUpdateFailedError):
                await handle.execute_update("approve", {"github_run": 7, "digest": status.digest})
            wrong = {"approver": "alice", "code": "000000", "digest": status.digest}
            with pytest.raises(WorkflowUpdateFailedError):
                await handle.execute_update("approve", wrong)
            for name in ("alice", "bob"):
                vote = {
                    "approver": name,
                    "digest": status.digest,
                    "code": pyotp.TOTP(TOTP[name]).now(),
                }
                await handle.execute_update("approve", vote)
            assert (await handle.result()).outcome is Outcome.COMPLETED
            client = world.system.environment.client
            async with asyncio.timeout(60):
                while True:
                    if stored(world.s3, bucket):
                        break
                    await asyncio.sleep(0.1)
            history = await told(client, handle.id)

    out, err = capfd.readouterr()
    for name in ("notify", "read_environment_review", "check_code", "tag_on_github"):
        assert name in history
    assert found(history) == []
    assert found(stored(world.s3, bucket)) == []
    assert found(caplog.text + out + err) == []


def test_code_is_in_no_process_list(tmp_path: Path) -> None:
    """`approve --code` reads the code from its input: while it runs, nobody's `ps` shows it."""
    command = [sys.executable, str(ROOT / "starter.py"), "approve", "--code", "promotion/shop/a"]
    environment = {
        "PATH": os.environ["PATH"],
        "RELEASE_STATE_DIR": str(tmp_path),
        "TEMPORAL_ADDRESS": "127.0.0.1:9",
        **parts.measured(),
    }
    process = subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    parts.until(lambda: Path(f"/proc/{process.pid}/cmdline").read_bytes().count(b"\0") >= 4)
    assert process.stdin is not None
    process.stdin.write("731942\n")
    process.stdin.flush()
    listed = [
        text for entry in Path("/proc").glob("[0-9]*/cmdline") if "731942" in (text := _read(entry))
    ]
    out, err = process.communicate(timeout=60)

    assert listed == []
    assert process.returncode == 3, err
    assert "731942" not in out + err


def _read(entry: Path) -> str:
    try:
        return entry.read_bytes().decode(errors="replace")
    except OSError:  # it ended meanwhile
        return ""


# what real credentials look like; documentation's own example key, and digits in order, are not
CREDENTIALS = re.compile(
    r"\b(?:AKIA|ASIA)(?!IOSFODNN7EXAMPLE)[A-Z0-9]{16}\b"
    r"|\bgh[pousr]_(?!0123456789)[A-Za-z0-9]{36}\b|\bgithub_pat_[A-Za-z0-9_]{60,}"
    r"|hooks\.slack\.com/services/T[A-Z0-9]{6,}/B[A-Z0-9]{6,}/[A-Za-z0-9]{20,}"
    r"|\bxox[abprs]-[0-9]{8,}-[A-Za-z0-9-]{10,}"
    r"|-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----"
    r"|\bcw_(?:live|prod)_[A-Za-z0-9_-]{24,}"
)
NOT_OURS = {".git", ".venv", ".local", "__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache"}


def test_no_credential_in_the_repository() -> None:
    """No file of the project has the form of a key, a token or a private key in it."""
    files = [
        path
        for path in ROOT.rglob("*")
        if path.is_file() and not NOT_OURS & set(path.relative_to(ROOT).parts)
    ]
    leaks = [
        f"{path.relative_to(ROOT)}: {match[0][:12]}…"
        for path in files
        if (match := CREDENTIALS.search(path.read_bytes().decode(errors="replace")))
    ]

    assert len(files) > 400
    assert leaks == []


@pytest.mark.parametrize(
    "text",
    [
        "AKIA" + "ABCDEFGHIJKLMNOP",
        "ghp_" + "a" * 36,
        "https://hooks.slack.com/services/" + "T0000000/B0000000/" + "x" * 24,
        "-----BEGIN RSA " + "PRIVATE KEY-----",
        "cw_live_" + "a" * 32,
    ],
)
def test_credentials_are_recognised(text: str) -> None:
    """The search can find."""
    assert CREDENTIALS.search(f"key = '{text}'")
