"""The built price API behind the front door, under load, while its DynamoDB fails."""

import asyncio
import contextlib
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from bench.soak_price_api.faults import Fate, Faults, FaultyDynamoDB
from bench.soak_price_api.load import Answers, Load
from tests.service.deployed import platform
from tests.service.service_parts import put_key

KEYS = tuple(f"cw_test_soak_client_number_{number}" for number in range(4))
CALIBRATION_SECONDS, CALIBRATION_CLIENTS = 4.0, 4
_MOST_LINES = 10
_USUAL = ("INIT_START", "START", "END", "REPORT")
_WARM_UP_DELAY_SECONDS = 0.5  # long enough that sixteen requests at once meet sixteen workers


@dataclass(frozen=True)
class Plan:
    """What to do, and for how long."""

    seconds: float
    rate: float | None  # requests a second; None for `share_of_limit` of what the machine does
    share_of_limit: float
    failing: float  # of DynamoDB's calls
    seed: int


@dataclass(frozen=True)
class Soaked:
    """What came of it."""

    plan: Plan
    limit: float  # answers a second without faults; 0 if it was not measured
    rate: float
    answers: Answers
    fates: Counter[Fate]
    logged: tuple[str, ...] = ()  # what function and front door said of them

    @property
    def problems(self) -> list[str]:
        """What breaks the promise: no 5xx, and no request without an answer."""
        found = []
        if self.answers.server_errors:
            found.append(f"{self.answers.server_errors} answers of 5xx")
        if self.answers.unanswered:
            found.append(f"{self.answers.unanswered} requests without an answer")
        if others := set(self.answers.statuses) - {200} - set(range(500, 600)):
            found.append(f"answers that were not asked for: {sorted(others)}")
        return found


def soak(plan: Plan, folder: Path, progress: Callable[[str], None]) -> Soaked:
    """Every request of the plan was sent, and what came of each is known."""
    with (
        platform(folder, idle_seconds=plan.seconds + 600) as stage,
        socket.create_server(("127.0.0.1", 0)) as listener,
    ):
        deployed = stage(
            AWS_ENDPOINT_URL_DYNAMODB=f"http://127.0.0.1:{listener.getsockname()[1]}",
            RATE_LIMIT_PER_MINUTE="1000000",
        )
        deployed.with_prices()
        for key in KEYS:
            put_key(deployed.table, key)
        upstream = urlsplit(deployed.table.meta.client.meta.endpoint_url).port or 0
        faults = Faults(0.0, plan.seed)
        dynamodb = FaultyDynamoDB(upstream, faults)
        soaked = asyncio.run(_soak(plan, dynamodb, faults, listener, deployed.url, progress))
        if not soaked.answers.server_errors:
            return soaked
        lines = [line for line in deployed.log_lines() if _is_server_error(line)]
        own = deployed.own_log().splitlines()
        return replace(soaked, logged=(*lines[:_MOST_LINES], *own[-_MOST_LINES:]))


def _is_server_error(line: str) -> bool:
    """Ours with a status of 5xx, or what the runtime says when it does not end as it should."""
    if line.startswith("{"):
        return '"status":5' in line.replace(" ", "")
    return not line.startswith(_USUAL)


async def _soak(
    plan: Plan,
    dynamodb: FaultyDynamoDB,
    faults: Faults,
    listener: socket.socket,
    url: str,
    progress: Callable[[str], None],
) -> Soaked:
    async with _serving(dynamodb, listener), contextlib.aclosing(Load(url, KEYS)) as load:
        faults.delay_seconds = _WARM_UP_DELAY_SECONDS
        await load.warm_up()
        faults.delay_seconds, limit = 0.0, 0.0
        rate = plan.rate
        if rate is None:
            limit = await load.closed_loop(CALIBRATION_CLIENTS, CALIBRATION_SECONDS)
            rate = limit * plan.share_of_limit
        progress(f"{rate:.0f} requests a second for {plan.seconds:.0f} s")
        faults.share = plan.failing
        faults.fates.clear()
        answers = await load.open_loop(rate, plan.seconds, plan.seed)
        return Soaked(plan, limit, rate, answers, faults.fates)


@contextlib.asynccontextmanager
async def _serving(dynamodb: FaultyDynamoDB, listener: socket.socket) -> AsyncIterator[None]:
    server = await dynamodb.serve(listener)
    try:
        yield
    finally:
        server.close()
