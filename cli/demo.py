"""The demo: one good and one bad release, real commits in a scratch clone, real requests."""

import asyncio
import shutil
import subprocess
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from temporalio.client import Client

from cli import laptop, promotions, show
from cli.consumers import Consumers, Tally
from cli.errors import NOT_COMPLETED, OK, CliError
from cli.temporal import temporal
from infra.local.laptop import running as running_laptop
from infra.local.laptop import stop as stop_laptop
from infra.local.settings import PROJECT_ROOT, LaptopSettings, LaptopState, Ports
from release.decisions import Decision, SignOff
from release.policy import Policy
from release.promotion import Outcome, PromotionStatus, Stage
from release.text import percent

CLOCK_FACTOR = 12
REQUESTS_PER_SECOND = 40
_KEYS = 60  # 40 requests a second are 2,400 a minute: 40 a key, well below the limit of 100
_POLL_SECONDS = 0.5

_QUICK = {
    "make -s coverage TOOLS=": (
        "pytest -q tests/rules tests/approvals tests/audit/test_story.py "
        "tests/incident/test_packet.py tests/record_git/test_close_release.py "
        "tests/record_git/test_tagging.py "
        "--cov=release --cov-report=json"
    ),
    "make -s types TOOLS=": "mypy release",
}
_HANDLER = "api_lambda/prices/app.py"
_GOOD_HOOK = '''

# --- the demo's good change: the answer says who serves it ---
_plain_handler = handler


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """The plain answer, with an `x-powered-by` header."""
    answer = _plain_handler(event, context)
    answer.setdefault("headers", {})["x-powered-by"] = "crypto-watch"
    return answer
'''
_BAD_HOOK = """

# --- the demo's bad change: one route fails for a part of its requests ---
_careful_price = PriceApi._one_price
_asked = 0


def _hasty_price(self: PriceApi, request: Request, headers: dict[str, str], now: float) -> Answer:
    global _asked
    if request.path == "/prices/ETH":
        _asked += 1
        if _asked % 2 == 0:
            raise KeyError("ETH is not in the cache")
    return _careful_price(self, request, headers, now)


PriceApi._one_price = _hasty_price
"""


@dataclass(frozen=True)
class Release:
    """One of the demo's two releases, as it should end."""

    title: str
    sha: str
    expected: Outcome


def run(*, keep: bool) -> int:
    """0 only if the good release completed without a failed request and the bad one came back."""
    begun = time.monotonic()
    folder = PROJECT_ROOT / ".local" / "demo"
    repository = _scratch_clone(folder)
    print(f"laptop cloud (ladder and windows run {CLOCK_FACTOR} times faster):")
    wanted = LaptopSettings(
        state_dir=folder / "state",
        repository=repository,
        clock_factor=CLOCK_FACTOR,
        ports=Ports(**dict.fromkeys(Ports.model_fields, 0)),
    )
    state = laptop.up(wanted, attached=not keep, first="main")
    fine = False
    try:
        fine = asyncio.run(_both(state, repository))
    finally:
        if keep:
            print(f"\nleft up; stop it with: RELEASE_STATE_DIR={folder / 'state'} starter.py down")
        else:
            stop_laptop(wanted.state_dir, progress=lambda line: print(f"  {line}"))
    print(f"\n{'both ended as they should' if fine else 'NOT as it should be'}", end="")
    print(f", {time.monotonic() - begun:.0f} s in all")
    return OK if fine else NOT_COMPLETED


async def _both(state: LaptopState, repository: Path) -> bool:
    from infra.local.environment import create_api_keys

    names = [f"demo-consumer-{number}" for number in range(_KEYS)]
    keys = create_api_keys("crypto-watch", "prod", names, state.environment())
    consumers = Consumers(state.addresses.prod, keys, REQUESTS_PER_SECOND)
    consumers.start()
    try:
        good = _commit(repository, _GOOD_HOOK, "feat: say who serves the answer")
        fine = await _release(state, consumers, Release("good", good, Outcome.COMPLETED))
        bad = _commit(repository, _BAD_HOOK, "fix: answer Ether's price faster")
        return await _release(state, consumers, Release("bad", bad, Outcome.ROLLED_BACK)) and fine
    finally:
        consumers.stop()


async def _release(state: LaptopState, consumers: Consumers, release: Release) -> bool:
    print(f"\n── the {release.title} release: {release.sha[:12]}")
    consumers.reset()
    request = promotions.prepare(release.sha, "demo", state.clock_factor)
    async with temporal("demo") as client:
        handle, _ = await promotions.start(client, request)
        if state.addresses.temporal_ui:
            escaped = handle.id.replace("/", "%2F")
            print(f"   {state.addresses.temporal_ui}/namespaces/default/workflows/{escaped}")
        status = await _follow(client, request.policy, handle.id)
    show.print_status(status)
    return _judge(release, status, consumers.reset())


async def _follow(client: Client, policy: Policy, identity: str) -> PromotionStatus:
    """The demo's people act as soon as they are asked; each change of stage is one line."""
    begun = time.monotonic()
    said: Any = None
    asked: set[Stage] = set()
    while True:
        status = await promotions.status(client, identity)
        line = (
            f"{status.stage.value} {percent(status.weight)}"
            if status.weight
            else status.stage.value
        )
        if line != said:
            print(f"   {time.monotonic() - begun:5.1f} s  {line}")
            said = line
        if status.outcome is not None:
            return status
        await _act(client, policy, status, asked)
        await asyncio.sleep(_POLL_SECONDS)


async def _act(client: Client, policy: Policy, status: PromotionStatus, asked: set[Stage]) -> None:
    handle = client.get_workflow_handle(status.workflow_id)
    if status.stage is Stage.CHECKLIST and Stage.CHECKLIST not in asked:
        asked.add(Stage.CHECKLIST)
        for item, name in promotions.signers(policy).items():
            message = SignOff(item=item, by=name, note="used staging: fine")
            await handle.execute_update("sign_off", message)
    if status.stage is Stage.APPROVAL and status.digest and Stage.APPROVAL not in asked:
        asked.add(Stage.APPROVAL)
        for role in status.quorum:
            vote = Decision(approver=role.people[0], comment="go", digest=status.digest)
            await handle.execute_update("approve", vote)


def _judge(release: Release, status: PromotionStatus, tally: Tally) -> bool:
    print(f"   consumers: {tally.failures} of {tally.requests} requests failed", end="")
    if tally.failed_routes:
        print(f" ({', '.join(f'{path}: {n}' for path, n in tally.failed_routes.items())})", end="")
    print()
    if release.expected is Outcome.COMPLETED:
        return status.outcome is Outcome.COMPLETED and tally.failures == 0
    if tally.first_failure and tally.last_failure and status.steps:
        first = datetime.fromtimestamp(tally.first_failure).strftime("%H:%M:%S")
        seconds = tally.last_failure - tally.first_failure
        print(f"   first bad answer {first}, last one {seconds:.1f} s later: all on the baseline")
    return status.outcome is Outcome.ROLLED_BACK and status.weight == 0 and tally.failures > 0


def _scratch_clone(folder: Path) -> Path:
    """A clone of this repository's newest commit, on a branch `main` of its own."""
    if running_laptop(folder / "state") is not None:
        raise CliError(
            f"a demo is up; stop it with: RELEASE_STATE_DIR={folder / 'state'} starter.py down"
        )
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    repository = folder / "repository"
    _git(PROJECT_ROOT, "clone", "--quiet", "--no-hardlinks", ".", str(repository))
    _git(repository, "checkout", "--quiet", "-B", "main")
    _git(repository, "config", "user.name", "demo")
    _git(repository, "config", "user.email", "demo@localhost")
    quicken(repository)
    return repository


def quicken(repository: Path) -> None:
    """The project's own checks are real and few here: all of its tests take minutes, twice."""
    policy = repository / "release.toml"
    text = policy.read_text()
    for whole, part in _QUICK.items():
        if whole not in text:
            raise CliError(f"release.toml has no line {whole!r}, which the demo shortens")
        text = text.replace(whole, part)
    policy.write_text(text)
    _git(repository, "commit", "--quiet", "--all", "--message", "ci: the demo's share of the tests")


def _commit(repository: Path, hook: str, subject: str) -> str:
    handler = repository / _HANDLER
    handler.write_text(handler.read_text() + hook)
    _git(repository, "commit", "--quiet", "--all", "--message", subject)
    return _git(repository, "rev-parse", "HEAD")


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode != 0:
        raise CliError(f"git {arguments[0]} failed: {done.stderr.strip()}")
    return done.stdout.strip()
