"""What each command does: checked input → one call → words, or JSON with `--json`."""

import asyncio
import getpass
import json
import sys
from typing import TYPE_CHECKING, Any

from cli import laptop, post_deploy, promotions, show
from cli.commits import AlreadyLive
from cli.errors import NOT_COMPLETED, OK, CliError, Unreachable
from cli.temporal import temporal
from infra.local.settings import AlreadyRunning
from release.decisions import (
    MOST_TEXT,
    Abort,
    Decision,
    FinishNow,
    Pause,
    Resume,
    SignOff,
    Waive,
    Withdrawal,
)
from settings import Settings

if TYPE_CHECKING:
    from temporalio.client import Client


def up(arguments: Any) -> int:
    """Start the laptop cloud."""
    try:
        state = laptop.up(laptop.settings(arguments), attached=False)
    except AlreadyRunning as running:
        print(running)
        return OK
    print("\nup. Addresses:")
    _print_addresses(state.addresses.model_dump())
    print("\nnext: starter.py promote main --watch   (and starter.py down when you are done)")
    return OK


def down(arguments: Any) -> int:
    """Stop the laptop cloud."""
    if not laptop.down():
        print("nothing is up here")
    return OK


def status(arguments: Any) -> int:
    """A promotion, or without one: what is up, and what production runs."""
    state = laptop.enter_environment()
    if arguments.promotion is None:
        return _overview(state, arguments.json)
    return asyncio.run(_promotion_status(arguments))


def promote(arguments: Any) -> int:
    """Start, or attach to, the promotion of a commit."""
    hotfix = _hotfix(arguments)
    state = laptop.enter_environment()
    factor = arguments.clock or (state.clock_factor if state else 1)
    try:
        request = promotions.prepare(
            arguments.revision, arguments.name, factor, arguments.version, hotfix
        )
    except AlreadyLive as live:
        return asyncio.run(_attach(arguments, live))

    async def run() -> int:
        async with temporal(arguments.name) as client:
            handle, running = await promotions.start(client, request, arguments.version)
            return await _started(client, handle.id, arguments, attached=running)

    return asyncio.run(run())


def _hotfix(arguments: Any) -> str:
    """Why the release goes before others; empty if it does not."""
    reason: str = arguments.reason.strip()
    if arguments.hotfix and not reason:
        raise CliError("--hotfix needs --reason: why it goes before what others have waiting")
    if reason and not arguments.hotfix:
        raise CliError("--reason is for --hotfix: what a release brings, its commits say")
    return reason[:MOST_TEXT]


async def _attach(arguments: Any, live: AlreadyLive) -> int:
    """At 100 % the promotion still watches: it is attached to; one that ended is bad input."""
    identity = promotions.workflow_id(arguments.revision)
    try:
        async with temporal(arguments.name) as client:
            if await promotions.is_running(client.get_workflow_handle(identity)):
                return await _started(client, identity, arguments, attached=True)
    except Unreachable as silence:
        raise live from silence  # what production runs is known without Temporal
    raise live


async def _started(client: "Client", identity: str, arguments: Any, *, attached: bool) -> int:
    version = await promotions.version_of(client, identity)
    if arguments.json:
        print(json.dumps({"id": identity, "attached": attached, "version": version}))
    else:
        print(f"{'attached to' if attached else 'started'} {identity}, version {version}")
        if attached and arguments.hotfix:
            print("it keeps the place that it has: abort it first, to promote it as a hotfix")
        _print_ui(identity)
    return await show.watch(client, identity) if arguments.watch else OK


def list_(arguments: Any) -> int:
    """Every promotion that Temporal knows."""
    laptop.enter_environment()
    rows = asyncio.run(promotions.list_promotions(arguments.name))
    if arguments.json:
        print(json.dumps(rows))
        return OK
    for row in rows:
        where = row["outcome"] if row["outcome"] != "running" else row["stage"]
        print(f"{row['started']}  {row['id']}  {row['version']:<18}  {where}")
    if not rows:
        print("no promotions yet; start one with `starter.py promote main`")
    return OK


def checklist(arguments: Any) -> int:
    """Every item of both checklists, with its evidence."""
    laptop.enter_environment()
    return asyncio.run(_checklist(arguments))


async def _checklist(arguments: Any) -> int:
    async with temporal(arguments.name) as client:
        found = await promotions.status(client, promotions.workflow_id(arguments.promotion))
    if arguments.json:
        print(json.dumps([item.model_dump(mode="json") for item in found.items]))
    else:
        show.print_checklist(found)
    return OK


def approve(arguments: Any) -> int:
    """Let a release into production."""
    message = promotions.approval(arguments, code=_one_time_code() if arguments.code else "")
    return _send(arguments, "approve", message, "approved")


def _one_time_code() -> str:
    """Asked for, or read from a pipe: an argument would stand in the process list and history."""
    if sys.stdin.isatty():
        return getpass.getpass("one-time code: ").strip()
    return sys.stdin.readline().strip()


def reject(arguments: Any) -> int:
    """Refuse a release."""
    message = Decision(approver=arguments.name, comment=arguments.comment)
    return _send(arguments, "reject", message, "rejected")


def sign_off(arguments: Any) -> int:
    """Answer manual checklist items: they are as they should be."""
    return _sign(arguments, passed=True)


def fail(arguments: Any) -> int:
    """Answer a manual checklist item: it is not as it should be."""
    return _sign(arguments, passed=False)


def _sign(arguments: Any, *, passed: bool) -> int:
    for item in arguments.item:
        message = SignOff(
            item=item,
            by=arguments.name,
            passed=passed,
            note=arguments.note,
            link=arguments.link,
        )
        code = _send(arguments, "sign_off", message, f"{item} signed off" if passed else "failed")
        if code != OK:
            return code
    return OK


def waive(arguments: Any) -> int:
    """Leave open an item that could not be measured."""
    message = Waive(item=arguments.item, by=arguments.name, reason=arguments.reason)
    return _send(arguments, "waive", message, f"{arguments.item} waived")


def withdraw(arguments: Any) -> int:
    """Take back a sign-off, or an approval."""
    message = Withdrawal(by=arguments.name, item=arguments.item)
    return _send(arguments, "withdraw", message, f"withdrew {arguments.item or 'the approval of'}")


def abort(arguments: Any) -> int:
    """Stop a promotion; the old version takes all traffic again."""
    message = Abort(by=arguments.name, reason=arguments.reason or "no reason given")
    return _send(arguments, "abort", message, "aborting")


def pause(arguments: Any) -> int:
    """Hold the weight."""
    message = Pause(by=arguments.name, reason=arguments.reason or "no reason given")
    return _send(arguments, "pause", message, "paused")


def resume(arguments: Any) -> int:
    """Go on after a pause."""
    return _send(arguments, "resume", Resume(by=arguments.name), "resumed")


def finish_now(arguments: Any) -> int:
    """All traffic at once."""
    message = FinishNow(by=arguments.name, reason=arguments.reason)
    return _send(arguments, "finish_now", message, "all traffic to the new version")


def rollback(arguments: Any) -> int:
    """Production back to an earlier release."""
    laptop.enter_environment()
    from cli import rollback as found

    return found.run(arguments)


def lane(arguments: Any) -> int:
    """Who moves production, who waits and why; freeze it, or lift the freeze."""
    laptop.enter_environment()
    from cli import lane as found

    return found.run(arguments)


def quarantine(arguments: Any) -> int:
    """List what was rolled back and stays out, or let one in again."""
    laptop.enter_environment()
    from cli import quarantine as found

    return found.run(arguments)


def incident(arguments: Any) -> int:
    """The packet of a release that went back."""
    laptop.enter_environment()
    from cli import incidents

    return incidents.run(arguments)


def history(arguments: Any) -> int:
    """What an environment served, newest first."""
    laptop.enter_environment()
    from cli import history as found

    return found.run(arguments)


def diff(arguments: Any) -> int:
    """What one release has that another has not."""
    laptop.enter_environment()
    from cli import diff as found

    return found.run(arguments)


def drill(arguments: Any) -> int:
    """Drill the rollback now, or by a schedule."""
    state = laptop.enter_environment()
    from cli import drills

    factor = state.clock_factor if state else 1
    request, policy = drills.prepare(arguments.environment, arguments.name, factor)
    if arguments.unschedule:
        removed = asyncio.run(drills.unschedule(request))
        said = "is no longer scheduled" if removed else "was not scheduled"
        facts = {"schedule": request.workflow_id, "removed": removed}
        _say(arguments, facts, f"{request.workflow_id} {said}")
        return OK
    if arguments.schedule:
        at = asyncio.run(drills.schedule(request, policy))
        when = at.isoformat(timespec="minutes") if at else None
        facts = {"schedule": request.workflow_id, "next": when}
        _say(arguments, facts, f"{request.workflow_id} is scheduled; next: {when or 'never'}")
        return OK
    result = asyncio.run(drills.run(request, quiet=arguments.json))
    verdict = "passed" if result.passed else "not passed"
    _say(arguments, result.model_dump(mode="json"), f"{verdict}: {result.reason}")
    return OK if result.passed else NOT_COMPLETED


def _say(arguments: Any, facts: dict[str, Any], text: str) -> None:
    print(json.dumps(facts) if arguments.json else text)


def audit(arguments: Any) -> int:
    """The whole story of a promotion, or whether its export can be trusted."""
    laptop.enter_environment()
    from cli import audit as found

    return found.run(arguments)


def report(arguments: Any) -> int:
    """How this service is delivered, by DORA's four figures."""
    laptop.enter_environment()
    from cli import report as found

    return found.run(arguments)


def keys(arguments: Any) -> int:
    """Create, list, disable, enable or rotate API keys."""
    laptop.enter_environment()
    from cli import api_keys

    return api_keys.run(arguments)


def approvers(arguments: Any) -> int:
    """Give an approver a secret for one-time codes, or list who has one."""
    laptop.enter_environment()
    from cli import approvers as found

    return found.run(arguments)


def artifacts(arguments: Any) -> int:
    """Build a first version for `infra/template.yaml`."""
    laptop.enter_environment()
    from cli import artifacts as found

    return found.run(arguments)


def demo(arguments: Any) -> int:
    """One good and one bad release on a laptop cloud of its own."""
    from cli.demo import run

    return run(keep=arguments.keep)


async def _promotion_status(arguments: Any) -> int:
    identity = promotions.workflow_id(arguments.promotion)
    async with temporal("status") as client:
        if arguments.watch:
            return await show.watch(client, identity)
        found = await promotions.status(client, identity)
        after = await post_deploy.status(client, identity) if found.outcome else None
        counts = {} if found.outcome else await promotions.live_counts(client, identity)
    if arguments.json:
        watch = after.model_dump(mode="json") if after else None
        more = {"post_deploy": watch, "trying_again": counts.get("note")}
        print(json.dumps(found.model_dump(mode="json") | more))
    else:
        show.print_status(found, counts)
        if after:
            post_deploy.print_status(after)
        _print_ui(identity)
    return OK


def _overview(state: Any, as_json: bool) -> int:
    if state is None:
        raise show.no_laptop()
    repository = promotions.commits()
    policy = repository.policy(repository.resolve(repository.branch))
    live = promotions.live_json(policy)
    addresses = {name.rstrip("_"): value for name, value in state.addresses.model_dump().items()}
    if as_json:
        print(json.dumps({"addresses": addresses, "production": live}))
        return OK
    _print_addresses(addresses)
    if live is not None:
        print(f"\nproduction runs {live['release']} (commit {live['sha'][:12]})")
    return OK if live is not None else NOT_COMPLETED


def _send(arguments: Any, name: str, message: Any, said: str) -> int:
    laptop.enter_environment()
    asyncio.run(promotions.send(name, arguments.promotion, message, arguments.name))
    print(json.dumps({"accepted": True}) if arguments.json else f"{said}: {arguments.promotion}")
    return OK


def _print_addresses(addresses: dict[str, Any]) -> None:
    for name, address in addresses.items():
        if address:
            print(f"  {name.rstrip('_').replace('_', ' '):<12} {address}")


def _print_ui(identity: str) -> None:
    interface = Settings.from_environment().temporal_ui
    if interface:
        escaped = identity.replace("/", "%2F")
        print(f"  {interface}/namespaces/default/workflows/{escaped}")
