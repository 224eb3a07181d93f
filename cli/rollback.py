"""`starter.py rollback`: stop the promotion that moves production, or go back to a release."""

import asyncio
import json
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy

from activities.traffic import Traffic
from cli import aws, promotions, stop
from cli.commits import Commits
from cli.errors import OK, Refused, Unreachable
from cli.production import AlreadyServed
from cli.rollback_request import rollback_request
from cli.stop import Stopped
from cli.temporal import RPC_TIMEOUT, temporal
from release.policy import Policy
from release.promotion import AliasState
from release.rollback import RollbackRequest, RollbackResult
from settings import task_queue
from workflows.rollback import RollbackWorkflow

_HINT = "without Temporal: starter.py rollback --break-glass --reason …"
_LINE_SECONDS = 5


@dataclass(frozen=True)
class Done:
    """The promotions that were stopped, and production as it is now."""

    stopped: list[str]
    result: RollbackResult
    on_baseline: bool = False


def run(arguments: Any) -> int:
    """Production serves the baseline of the promotion under way, else the release before, or the
    one that is wanted.
    """
    if arguments.break_glass:
        from cli import break_glass

        return break_glass.run(arguments)
    repository = promotions.commits()
    policy = repository.policy(repository.resolve("HEAD"))
    try:
        done = asyncio.run(_roll_back(repository, policy, arguments))
    except Unreachable as silence:
        raise Unreachable(f"{silence}; {_HINT}") from silence
    _print(done, as_json=arguments.json)
    if done.result.failures:
        raise Refused("; ".join(done.result.failures))
    return OK


async def _roll_back(repository: Commits, policy: Policy, arguments: Any) -> Done:
    name, wanted = arguments.name, arguments.to
    reason = arguments.reason.strip() or "no reason given"
    if wanted is not None:  # a slip in the name is said before anything is stopped
        with suppress(AlreadyServed):  # for now: a promotion may be about to change it
            rollback_request(repository, policy, wanted, name, reason)
    async with temporal(name) as client:
        stopped = [
            await stop.stop(client, identity, by=name, reason=reason, say=_say)
            async for identity in stop.in_production(client, policy)
        ]
        ids = [one.identity for one in stopped]
        if stopped and wanted is None and all(one.is_back for one in stopped):
            return Done(ids, _on_baseline(policy, stopped[0]), on_baseline=True)
        try:
            request = rollback_request(repository, policy, wanted, name, reason)
        except AlreadyServed:
            if not stopped:
                raise
            return Done(ids, RollbackResult(aliases=_aliases(policy)))
        return Done(ids, await _execute(client, request))


def _on_baseline(policy: Policy, stopped: Stopped) -> RollbackResult:
    aliases = _aliases(policy)
    api = aliases[0]
    if api.canary is not None or stopped.baseline not in (None, api.version):
        raise Refused(
            f"{stopped.identity} has ended, but {api.function} does not serve its baseline "
            f"{stopped.baseline}: another hand moved it; name the release with --to"
        )
    return RollbackResult(aliases=aliases)


async def _execute(client: Client, request: RollbackRequest) -> RollbackResult:
    """Has no time limit of its own: nobody is left on a bad version because it took long."""
    handle = await client.start_workflow(
        RollbackWorkflow.run,
        request,
        id=f"rollback/{request.service}",
        task_queue=task_queue(),
        static_summary=f"production back to {request.release}, by {request.requested_by}",
        # the last word counts: one that is stuck must not block another
        id_conflict_policy=WorkflowIDConflictPolicy.TERMINATE_EXISTING,
        rpc_timeout=RPC_TIMEOUT,
    )
    result = asyncio.create_task(handle.result())
    while not (await asyncio.wait({result}, timeout=_LINE_SECONDS))[0]:
        _say(await _trouble(handle))
    try:
        return result.result()
    except WorkflowFailureError as error:
        raise Refused(f"the rollback was ended: {error.cause}; see {handle.id}") from error


async def _trouble(handle: WorkflowHandle[Any, Any]) -> str:
    """What a rollback that takes long is waiting for."""
    described = (await handle.describe(rpc_timeout=RPC_TIMEOUT)).raw_description
    for pending in described.pending_activities:
        if pending.attempt > 1:
            why = pending.last_failure.message
            return f"{pending.activity_type.name}, try {pending.attempt}: {why}; trying on"
    if not described.pending_activities:
        return f"no worker has taken it yet; {_HINT}"
    return f"{', '.join(p.activity_type.name for p in described.pending_activities)} …"


def _aliases(policy: Policy) -> tuple[AliasState, ...]:
    traffic = Traffic(aws.client("lambda"))
    names = sorted(policy.functions, key=lambda name: name != policy.api)
    with aws.asking("say what production serves"):
        return tuple(
            traffic.read(policy.function_name(name, "prod"), policy.alias) for name in names
        )


def _print(done: Done, *, as_json: bool) -> None:
    result = done.result
    if as_json:
        print(json.dumps({"aborted": done.stopped} | result.model_dump(mode="json")))
        return
    for identity in done.stopped:
        print(f"{identity} has ended")
    if done.on_baseline:
        print("100 % is back on the baseline")
    for alias in result.aliases:
        print(f"{alias.function} serves version {alias.version}, all of its traffic")
    for sha in result.quarantined:
        print(
            f"{sha[:12]} is quarantined: see `starter.py quarantine list`; "
            "a fix says so in its commit message"
        )
    for warning in result.warnings:
        print(f"warning: {warning}", file=sys.stderr)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
