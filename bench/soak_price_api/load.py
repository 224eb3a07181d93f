"""Requests that come when they come, whether or not the last one was answered; all are counted."""

import asyncio
import random
import time
from collections import Counter
from dataclasses import dataclass, field

import httpx

PATHS = ("/prices?symbols=BTC,ETH,SOL", "/prices/BTC", "/prices/ETH", "/prices?symbols=BTC")
MOST_IN_FLIGHT = 14  # the laptop's front door runs 16 at once, and refuses the next
_MOST_BAD = 10
GATEWAY_SECONDS = 30.0  # API Gateway waits no longer


@dataclass
class Answers:
    """Every request's end: an HTTP status, or why there was none."""

    statuses: Counter[int] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    bad: list[str] = field(default_factory=list)  # the first answers that were not a 200
    seconds: list[float] = field(default_factory=list)  # from when it was due, so waiting counts
    sent: int = 0
    elapsed: float = 0.0

    def quantile(self, share: float) -> float:
        """Seconds within which this share was answered; 0 where nothing was."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0

    @property
    def server_errors(self) -> int:
        """Answers of 500 and above."""
        return sum(count for status, count in self.statuses.items() if status >= 500)

    @property
    def unanswered(self) -> int:
        """Requests that were sent and have no answer."""
        return self.sent - sum(self.statuses.values())


class Load:
    """Clients of one deployed API, with its good keys."""

    def __init__(self, url: str, keys: tuple[str, ...]) -> None:
        self._keys = keys
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=2 * MOST_IN_FLIGHT)
        self._client = httpx.AsyncClient(
            base_url=url, limits=limits, timeout=GATEWAY_SECONDS, trust_env=False
        )
        self._room = asyncio.Semaphore(MOST_IN_FLIGHT)

    async def aclose(self) -> None:
        """No connection is left."""
        await self._client.aclose()

    async def warm_up(self) -> None:
        """Every worker knows every key and has the prices, if each answer takes long enough."""
        for key in self._keys:
            many = [self._client.get(PATHS[0], headers={"x-api-key": key}) for _ in range(16)]
            for answer in await asyncio.gather(*many):
                answer.raise_for_status()

    async def closed_loop(self, clients: int, seconds: float) -> float:
        """Answers a second when so many clients each wait for the last one."""
        until, answers = time.monotonic() + seconds, Answers()

        async def client(number: int) -> None:
            while time.monotonic() < until:
                await self._ask(answers, number, time.monotonic())

        began = time.monotonic()
        await asyncio.gather(*(client(number) for number in range(clients)))
        return sum(answers.statuses.values()) / (time.monotonic() - began)

    async def open_loop(self, rate: float, seconds: float, seed: int) -> Answers:
        """`rate` requests a second at random moments, for so long; returns when all have ended."""
        draw, answers = random.Random(seed), Answers()  # noqa: S311 no secret
        began = due = time.monotonic()
        asking: set[asyncio.Task[None]] = set()
        while (due := due + draw.expovariate(rate)) < began + seconds:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            task = asyncio.create_task(self._ask(answers, answers.sent, due))
            answers.sent += 1
            asking.add(task)
            task.add_done_callback(asking.discard)
        await asyncio.gather(*asking)
        answers.elapsed = time.monotonic() - began
        return answers

    async def _ask(self, answers: Answers, number: int, due: float) -> None:
        headers = {"x-api-key": self._keys[number % len(self._keys)]}
        async with self._room:
            try:
                answer = await self._client.get(PATHS[number % len(PATHS)], headers=headers)
            except httpx.HTTPError as error:
                answers.lost[type(error).__name__] += 1
                return
        answers.statuses[answer.status_code] += 1
        if answer.status_code != 200 and len(answers.bad) < _MOST_BAD:
            answers.bad.append(f"{answer.status_code} {answer.text[:300]}")
        answers.seconds.append(time.monotonic() - due)
