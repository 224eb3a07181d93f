"""The rate limit, driven into on purpose with the one key that is reserved for it."""

import random
import re
from typing import NamedTuple

import httpx

from activities.checks.context import CheckContext
from activities.checks.contract import error_deviations
from activities.staging import Check, StagingClient

_PATH = "/prices/BTC"
_MINUTE = 60  # seconds; "100 requests a minute per key": the price service's contract
_POLICY = re.compile(r"\d+;w=(\d+)")  # RateLimit-Policy, which names the seconds of the window
# With less of the window left, the limit might not be reached in it.
_LEAST_SHARE_LEFT = 1 / 8
_MOST_REQUESTS = 2000
_TRIES = 4
# Of a window: two runs that met wake together when it ends, and would meet in every one.
_JITTER_SHARE = 1 / 6


class Burst(NamedTuple):
    """What came of requests as fast as they go, within one minute."""

    limit: int
    window_seconds: int
    accepted: int
    lost: int  # of the limit, to something else than these requests
    refused: httpx.Response | None
    reset: str  # how the limit was seen to be whole again before; empty when it was not


def rate_limit(context: CheckContext, check: Check) -> None:
    """The limit is enforced after exactly its number of requests, and reset after the minute."""
    bursts: list[Burst] = []
    while len(bursts) < _TRIES and (not bursts or bursts[-1].lost):
        late = random.uniform(0, _JITTER_SHARE) if bursts else 0.0  # noqa: S311  # nosec B311
        bursts.append(_burst(context, context.http(), late))
    burst = bursts[-1]
    if not 0 < burst.limit <= _MOST_REQUESTS:
        check.expect(False, f"RateLimit-Limit of a first request is {burst.limit}")
    elif burst.lost:
        _explain_loss(check, bursts)
    elif burst.refused is None and burst.accepted <= burst.limit:
        check.could_not(f"only {burst.accepted} of {burst.limit} requests fit in a minute")
    elif burst.refused is None:
        said = f"the limit is {burst.limit} a minute"
        check.expect(False, f"{burst.accepted} requests in a minute were accepted, {said}")
    else:
        _judge(context, check, burst, burst.refused)


def _burst(context: CheckContext, http: StagingClient, late: float) -> Burst:
    """A burst that begins this share of a window late, if it has to wait for one.

    A count that goes up again means that the next minute has begun: counting begins anew."""
    first, reset = _in_a_fresh_minute(context, http, late)
    limit, remaining = _number(first, "ratelimit-limit"), _number(first, "ratelimit-remaining")
    window = _window_seconds(first)
    if first.status_code != 200:
        return Burst(limit, window, 0, limit, first, reset)
    accepted, lost = 1, limit - 1 - remaining
    for _ in range(min(2 * limit, _MOST_REQUESTS)):
        answer = http.send(_PATH, key=http.keys.rate_limit)
        if answer.status_code == 429:
            return Burst(limit, window, accepted, lost + remaining, answer, reset)
        now = _number(answer, "ratelimit-remaining")
        if now > remaining:
            accepted, lost = 1, limit - 1 - now
        else:
            accepted, lost = accepted + 1, lost + max(0, remaining - 1 - now)
        remaining = now
    return Burst(limit, window, accepted, lost, None, reset)


def _in_a_fresh_minute(
    context: CheckContext, http: StagingClient, late: float
) -> tuple[httpx.Response, str]:
    """The first answer of a minute that is unused and has time enough left, if there is one.

    Where that was waited for, also how the limit was seen to be reset.
    """
    answer = http.send(_PATH, key=http.keys.rate_limit)
    limit, remaining = _number(answer, "ratelimit-limit"), _number(answer, "ratelimit-remaining")
    left = _number(answer, "ratelimit-reset")
    is_used = answer.status_code == 429 or remaining != limit - 1
    window = _window_seconds(answer)
    if 0 < left <= window and (is_used or left < _LEAST_SHARE_LEFT * window):
        context.pause(left + late * window)
        again = http.send(_PATH, key=http.keys.rate_limit)
        now = _number(again, "ratelimit-remaining")
        said = (
            f"reset after the {left} s of RateLimit-Reset, from {max(remaining, 0)} left to {now}"
        )
        return again, said if now == limit - 1 else ""
    return answer, ""


def _explain_loss(check: Check, bursts: list[Burst]) -> None:
    """Another run of the checks takes another share each minute; a wrong count always the same."""
    losses = {burst.lost for burst in bursts}
    if len(losses) == 1:
        check.expect(
            False,
            f"in each of {len(bursts)} minutes {bursts[-1].accepted} requests were accepted, "
            f"{bursts[-1].limit} are the limit",
        )
    else:
        others = ", ".join(str(burst.lost) for burst in bursts)
        check.could_not(
            f"others used the reserved key in each of {len(bursts)} minutes, for {others} requests"
        )


def _judge(context: CheckContext, check: Check, burst: Burst, refused: httpx.Response) -> None:
    exact = burst.accepted == burst.limit
    check.expect(exact, f"refused after {burst.accepted} requests, the limit is {burst.limit}")
    wrong = error_deviations(refused, 429, "RATE_LIMIT_EXCEEDED")
    check.expect(not wrong, f"the 429: {', '.join(wrong)}")
    wait = _number(refused, "retry-after")
    in_time = 0 < wait <= burst.window_seconds
    check.expect(in_time, f"Retry-After of the 429 is {refused.headers.get('retry-after')}")
    check.saw(f"429 after exactly {burst.accepted} requests; the limit is {burst.limit} a minute")
    if burst.reset:
        check.saw(burst.reset)
    elif in_time:
        _expect_reset(context, check, wait)


def _expect_reset(context: CheckContext, check: Check, wait: int) -> None:
    context.pause(wait)
    http = context.http()
    again = http.send(_PATH, key=http.keys.rate_limit)
    still = f"after the {wait} s of Retry-After still {again.status_code}"
    check.expect(again.status_code == 200, still)
    left = again.headers.get("ratelimit-remaining")
    check.saw(f"accepted again after the {wait} s of Retry-After, with {left} left")


def _window_seconds(answer: httpx.Response) -> int:
    """The seconds of a window, by the policy's header; a minute where it has none."""
    found = _POLICY.fullmatch(answer.headers.get("ratelimit-policy", ""))
    return min(int(found[1]), _MINUTE) if found else _MINUTE


def _number(answer: httpx.Response, header: str) -> int:
    """A header's whole number; -1 where it is none."""
    text = answer.headers.get(header, "")
    return int(text) if text.isascii() and text.isdigit() else -1
