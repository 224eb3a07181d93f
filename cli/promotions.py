"""Promotions from the command line: start one, send it a message, look at it."""

from dataclasses import asdict
from typing import Any

from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle
from temporalio.common import (
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import WorkflowAlreadyStartedError

from cli import aws, production, quarantine, versions
from cli.commits import Commits
from cli.errors import CliError
from cli.temporal import PROOF_TIMEOUT, RPC_TIMEOUT, temporal
from release.decisions import Decision, impossible_quorum
from release.message import Message
from release.policy import Policy
from release.promotion import PromotionRequest, PromotionStatus, Stage, promotion_id
from settings import Settings, task_queue
from workflows.details import summary
from workflows.promotion import PromotionWorkflow
from workflows.state import SERVICE, SHA, STAGE, VERSION

_WATCHES = {"shift_step", "shift_by_codedeploy"}  # activities whose heartbeat has counts


def commits() -> Commits:
    """The repository that this process is set to release from."""
    settings = Settings.from_environment()
    return Commits(settings.repository, settings.branch)


def prepare(
    revision: str,
    requested_by: str,
    clock_factor: float,
    version: str | None = None,
    hotfix: str = "",
) -> PromotionRequest:
    """A checked request: everything that can be wrong is said before Temporal hears of it."""
    repository = commits()
    sha = repository.resolve(revision)
    repository.check_on_branch(sha)
    policy = repository.policy(sha)
    now = production.live(policy, "prod")
    if now is None:
        raise CliError(
            f"production has no first release {aws.region()}; create the environment first"
        )
    repository.check_not_behind(sha, now.sha)
    known = versions.named(repository, policy, now)
    request = PromotionRequest(
        sha=sha,
        version=versions.choose(repository, sha, known, version),
        requested_by=requested_by,
        changes=repository.changes(sha, now.sha),
        authors=repository.authors(sha, now.sha, policy),
        running_version=now.release,
        policy=policy.compressed(clock_factor),
        clock_factor=clock_factor,
        hotfix=hotfix,
    )
    impossible = impossible_quorum(request)
    if impossible:
        raise CliError(impossible)
    quarantine.check(repository.repository, policy, sha)
    return request


async def start(
    client: Client, request: PromotionRequest, version: str | None = None
) -> tuple[WorkflowHandle[Any, Any], bool]:
    """The commit's promotion, and whether it was running already: of many calls one starts it.

    Under the next free version if a running promotion has got this one; not if it was asked for.
    """
    handle = client.get_workflow_handle(request.workflow_id)
    running = await is_running(handle)
    policy = request.policy
    others = await versions.running(client, policy.service, but=request.sha)
    if not running and versions.holder(others, request.version):
        request = _kept_apart(request, others, version)
    try:
        handle = await client.start_workflow(
            PromotionWorkflow.run,
            request,
            id=request.workflow_id,
            task_queue=task_queue(),
            id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            static_summary=summary(request),
            static_details="\n".join(
                ["#### Changes", *(f"- {change}" for change in request.changes)]
            ),
            search_attributes=TypedSearchAttributes(
                [
                    SearchAttributePair(SERVICE, policy.service),
                    SearchAttributePair(SHA, request.sha),
                    SearchAttributePair(VERSION, request.version),
                    SearchAttributePair(STAGE, Stage.BUILD.value),
                ]
            ),
            rpc_timeout=RPC_TIMEOUT,
        )
    except WorkflowAlreadyStartedError:
        return handle, True
    return handle, False


def _kept_apart(
    request: PromotionRequest, others: list[versions.Named], version: str | None
) -> PromotionRequest:
    repository = commits()
    now = production.live(request.policy, "prod")
    known = versions.named(repository, request.policy, now) if now else []
    chosen = versions.choose(repository, request.sha, [*known, *others], version)
    return request.model_copy(update={"version": chosen})


async def is_running(handle: WorkflowHandle[Any, Any]) -> bool:
    """Whether the promotion exists and has not ended."""
    from temporalio.service import RPCError

    try:
        description = await handle.describe(rpc_timeout=RPC_TIMEOUT)
    except RPCError:
        return False
    return description.status is WorkflowExecutionStatus.RUNNING


async def version_of(client: Client, identity: str) -> str:
    """The version that the promotion runs under."""
    described = await client.get_workflow_handle(identity).describe(rpc_timeout=RPC_TIMEOUT)
    found = described.typed_search_attributes.get(VERSION)
    return found if found is not None else "?"


def workflow_id(reference: str) -> str:
    """The id of the promotion that a person means: an id, or any revision of its commit."""
    if reference.startswith("promotion/"):
        return reference
    repository = commits()
    sha = repository.resolve(reference)
    return promotion_id(repository.policy(sha).service, sha)


async def status(client: Client, identity: str) -> PromotionStatus:
    """Everything the promotion knows of itself."""
    handle: WorkflowHandle[Any, Any] = client.get_workflow_handle(identity)
    return await handle.query(PromotionWorkflow.status, rpc_timeout=RPC_TIMEOUT)


async def live_counts(client: Client, identity: str) -> dict[str, Any]:
    """What the step under way has counted so far, from its last heartbeat; and as `note` what is
    being tried again, and why.
    """
    description = await client.get_workflow_handle(identity).describe(rpc_timeout=RPC_TIMEOUT)
    found: dict[str, Any] = {}
    for pending in description.raw_description.pending_activities:
        if pending.HasField("last_failure"):
            failure = pending.last_failure
            kind = failure.application_failure_info.type
            found["note"] = (
                f"{pending.activity_type.name} failed {pending.attempt - 1} times, is tried again: "
                f"{f'{kind}: ' if kind else ''}{failure.message}"
            )
        if pending.activity_type.name in _WATCHES and pending.HasField("heartbeat_details"):
            payloads = list(pending.heartbeat_details.payloads)
            values = await client.data_converter.decode(payloads)
            if values and isinstance(values[0], dict):
                found |= values[0]
    return found


async def send(name: str, reference: str, message: Message, sender: str) -> None:
    """The promotion took the message; a refusal is raised with its reason."""
    async with temporal(sender) as client:
        handle: WorkflowHandle[Any, Any] = client.get_workflow_handle(workflow_id(reference))
        longest = PROOF_TIMEOUT if name == "approve" else RPC_TIMEOUT
        await handle.execute_update(name, message, rpc_timeout=longest)


def approval(arguments: Any, code: str) -> Decision:
    """An approver's yes; GitHub's review names its people itself."""
    by_github = arguments.github_run is not None
    return Decision(
        approver="" if by_github else arguments.name,
        comment=arguments.comment,
        digest=arguments.digest,
        code=code,
        github_run=arguments.github_run,
    )


def signers(policy: Policy) -> dict[str, str]:
    """Manual item → somebody who may sign it off; for the demo's and the tests' people."""
    return {
        item.id: policy.approval.roles[item.manual[0]].people[0]
        for item in policy.checklist.items()
        if item.manual
    }


async def list_promotions(identity: str) -> list[dict[str, Any]]:
    """The promotions that Temporal still knows, newest first."""
    async with temporal(identity) as client:
        found = []
        async for run in client.list_workflows("WorkflowId STARTS_WITH 'promotion/'", limit=200):
            known = {pair.key.name: pair.value for pair in run.typed_search_attributes}
            found.append(
                {
                    "id": run.id,
                    "started": run.start_time.isoformat(timespec="seconds"),
                    "version": known.get("ReleaseVersion", "?"),
                    "stage": known.get("ReleaseStage", "?"),
                    "outcome": known.get("ReleaseOutcome", "running"),
                }
            )
        return sorted(found, key=lambda row: row["started"], reverse=True)


def live_json(policy: Policy) -> dict[str, Any] | None:
    """What production runs, for programs."""
    now = production.live(policy, "prod")
    return asdict(now) if now else None
