"""The price API: AWS Lambda behind an API Gateway HTTP API (payload version 2.0)."""

import os
import time
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any
from urllib.parse import unquote

from answers import (
    NEVER_STORE,
    Answer,
    ApiError,
    encode,
    error_answer,
    internal_error,
    rfc3339,
    to_gateway,
    unauthorized,
    unavailable,
)
from auth import WINDOW_SECONDS, Gate, RateLimitedError
from dynamodb import DynamoDB, UnavailableError
from journal import COLD_INVOCATIONS, Entry
from prices import FRESH_SECONDS, OLDEST_SECONDS, Price, Snapshot
from request import Request, symbol_of, symbols_of
from variables import Settings

ALLOWED = "GET, HEAD, OPTIONS"
# The function's timeout is 25 s: give up early enough to say so.
LONGEST_REQUEST_SECONDS = 20.0
# not pathlib: its import is a tenth of the cold start
OPENAPI = os.path.join(os.path.dirname(__file__), "openapi.json")


class PriceApi:
    """Answers every request, whatever happens; one per execution environment."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._store = DynamoDB(settings)
        self._snapshot = Snapshot(self._store, settings.table_name)
        self._gate = Gate(self._store, settings.table_name, settings.rate_limit_per_minute)
        self._invocations = 0

    def handle(self, event: Mapping[str, Any], context: Any) -> dict[str, Any]:
        """The answer in API Gateway's form; its log line is written."""
        request = Request.from_event(event, context)
        self._invocations += 1
        warm = self._invocations > COLD_INVOCATIONS
        entry = Entry(request.request_id, request.method, request.key, warm)
        limit = self._settings.rate_limit_per_minute
        headers = {
            "x-request-id": request.request_id,
            "ratelimit-policy": f"{limit};w={WINDOW_SECONDS}",
            "ratelimit-limit": str(limit),
        }
        before = self._store.spent_seconds
        answer = self._answer_or_error(request, entry, headers)
        entry.store_ms = (self._store.spent_seconds - before) * 1000
        answer = answer._replace(headers={**headers, **answer.headers})
        response = to_gateway(answer, request.method, request.headers)
        entry.write(self._settings, response["statusCode"])
        return response

    def _answer_or_error(self, request: Request, entry: Entry, headers: dict[str, str]) -> Answer:
        now = time.time()
        self._store.deadline = time.monotonic() + LONGEST_REQUEST_SECONDS
        try:
            return self._route(request, entry, headers, now)
        except ApiError as error:
            entry.cause = error.__cause__
            failure = error
        except RateLimitedError as error:
            headers.update(error.quota.headers())
            failure = error.answer()
        except UnavailableError as error:
            entry.cause = error
            failure = unavailable("The price store does not answer. Try again in a few seconds.")
        except Exception as error:
            entry.cause = error
            failure = internal_error()
        return error_answer(failure, request.request_id, now)

    def _route(self, request: Request, entry: Entry, headers: dict[str, str], now: float) -> Answer:
        entry.route, answer = self._find(request.path)
        if request.method == "OPTIONS":
            return Answer(204, b"", {"allow": ALLOWED, "cache-control": NEVER_STORE})
        if request.method not in ("GET", "HEAD"):
            text = f"Use one of {ALLOWED}."
            raise ApiError(405, "METHOD_NOT_ALLOWED", text, {"allow": ALLOWED})
        found = answer(request, headers, now)
        if request.key:  # answered from memory: the log says why
            entry.cause = self._gate.failure
        return found

    def _find(self, path: str) -> tuple[str, Callable[[Request, dict[str, str], float], Answer]]:
        match path.split("/")[1:]:
            case ["prices"]:
                return "/prices", self._prices
            case ["prices", symbol] if symbol:
                return "/prices/{symbol}", self._one_price
            case ["health"]:
                return "/health", self._health
            case ["openapi.json"]:
                return "/openapi.json", self._openapi
        raise ApiError(404, "NOT_FOUND", "There is nothing at this path. See /openapi.json.")

    def _prices(self, request: Request, headers: dict[str, str], now: float) -> Answer:
        self._admit(request, headers, now)
        found = self._current(symbols_of(request.query), now)
        return _price_answer(found, f"[{','.join(price.to_json(now) for price in found)}]", now)

    def _one_price(self, request: Request, headers: dict[str, str], now: float) -> Answer:
        self._admit(request, headers, now)
        symbol = symbol_of(unquote(request.path.rpartition("/")[2]))
        found = self._current([symbol], now)
        return _price_answer(found, found[0].to_json(now), now)

    def _admit(self, request: Request, headers: dict[str, str], now: float) -> None:
        if not request.key:
            raise unauthorized()
        headers.update(self._gate.admit(request.key, now).headers())

    def _current(self, symbols: list[str], now: float) -> list[Price]:
        """The prices in the order asked: all of them or an error, never a part."""
        held = self._snapshot.get(symbols)
        unknown = [symbol for symbol in symbols if symbol not in held]
        if unknown:
            text = f"No such symbol: {', '.join(unknown)}."
            raise ApiError(404, "NOT_FOUND", text, fields={"details": {"symbols": unknown}})
        served = {s: price for s, price in held.items() if price and not price.is_too_old(now)}
        missing = [symbol for symbol in symbols if symbol not in served]
        if missing:
            text = f"No price younger than an hour for {', '.join(missing)}."
            raise unavailable(text, {"details": {"symbols": missing}})
        return list(served.values())

    def _health(self, request: Request, headers: dict[str, str], now: float) -> Answer:
        failure = self._snapshot.check(list(self._settings.health_symbols))
        newest, cache_age = self._snapshot.newest(), self._snapshot.age()
        body = {
            "status": "healthy",
            "timestamp": rfc3339(now),
            "version": self._settings.version,
            "gitSha": self._settings.git_sha,
            "checks": {
                "dynamodb": "unreachable" if failure else "ok",
                "lastPriceUpdate": None if newest is None else rfc3339(newest),
                "cacheAge": None if cache_age is None else round(cache_age, 1),
            },
        }
        problem = "DynamoDB does not answer." if failure else _problem(newest, now)
        if problem:
            raise unavailable(problem, {**body, "status": "unhealthy"}) from failure
        return Answer(200, encode(body), {"cache-control": NEVER_STORE})

    def _openapi(self, request: Request, headers: dict[str, str], now: float) -> Answer:
        with open(OPENAPI, encoding="utf-8") as file:
            document = file.read().replace("0.0.0", self._settings.version, 1)
        return Answer(200, document.encode(), {"cache-control": "public, max-age=60"})


def _price_answer(prices: list[Price], data: str, now: float) -> Answer:
    # The timestamp is the data's own, so that unchanged prices keep their bytes and their ETag.
    newest = rfc3339(max(price.last_updated for price in prices))
    oldest_age = max(price.age(now) for price in prices)
    stale = any(price.is_stale(now) for price in prices)
    lifetime = "max-age=0, must-revalidate" if stale else f"max-age={FRESH_SECONDS}"
    headers = {"cache-control": f"private, {lifetime}", "age": str(int(oldest_age))}
    return Answer(200, f'{{"data":{data},"timestamp":"{newest}"}}'.encode(), headers)


def _problem(newest: float | None, now: float) -> str:
    if newest is None:
        return "There are no prices yet."
    if now - newest > OLDEST_SECONDS:
        return "The newest price is older than an hour."
    return ""


@cache
def _api() -> PriceApi:
    return PriceApi(Settings.from_environment(os.environ))


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """AWS Lambda's entry point."""
    return _api().handle(event, context)
