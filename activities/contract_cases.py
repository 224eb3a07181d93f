"""What a service promises, case by case: the same over HTTP and over Invoke.

The first two cases fit any service; the others are the price API's.
"""

from collections.abc import Callable
from typing import Any

from activities.checks.contract import expect_as_documented
from activities.staging import Check, StagingClient, body
from release.checklist import ContractCase

_NO_DOCUMENT = (LookupError, ValueError, TypeError, AttributeError)
"""What reading a document raises that is not of OpenAPI's form."""

Case = Callable[[StagingClient, str, Check], None]
"""Asks what answers, which is to be of the commit with this sha."""


def _runs_the_commit(client: StagingClient, sha: str, check: Check) -> None:
    answer = client.get("/health", key=None)
    found = body(answer).get("gitSha")
    check.expect(answer.status_code == 200, f"GET /health answered {answer.status_code}")
    check.expect(found == sha, f"it runs {found}, not {sha}")
    check.saw(f"gitSha {sha[:7]}")


def _answers_as_documented(client: StagingClient, sha: str, check: Check) -> None:
    try:
        expect_as_documented(client, check)
    except _NO_DOCUMENT as error:
        check.expect(False, f"its document cannot be read: {type(error).__name__}: {error}")


def _lists_prices(client: StagingClient, sha: str, check: Check) -> None:
    answer = client.get("/prices?symbols=BTC,ETH")
    data = body(answer).get("data")
    symbols = [_symbol(item) for item in data] if isinstance(data, list) else None
    check.expect(answer.status_code == 200, f"answered {answer.status_code}")
    check.expect(symbols == ["BTC", "ETH"], f"asked for BTC,ETH, got {symbols}")
    check.saw("BTC and ETH")


def _gives_one_price(client: StagingClient, sha: str, check: Check) -> None:
    answer = client.get("/prices/BTC")
    symbol = _symbol(body(answer).get("data"))
    check.expect(answer.status_code == 200, f"answered {answer.status_code}")
    check.expect(symbol == "BTC", f"asked for BTC, got {symbol}")
    check.saw("BTC")


def _refuses_a_missing_key(client: StagingClient, sha: str, check: Check) -> None:
    _expect_error(check, client, "/prices/BTC", 401, "UNAUTHORIZED", key=None)


def _refuses_an_unknown_key(client: StagingClient, sha: str, check: Check) -> None:
    _expect_error(check, client, "/prices/BTC", 401, "UNAUTHORIZED", key="cw_no_such_key")


def _knows_no_such_symbol(client: StagingClient, sha: str, check: Check) -> None:
    _expect_error(check, client, "/prices/NOSUCH", 404, "NOT_FOUND")


def _refuses_no_symbols(client: StagingClient, sha: str, check: Check) -> None:
    _expect_error(check, client, "/prices", 400, "INVALID_REQUEST")


def _serves_its_description(client: StagingClient, sha: str, check: Check) -> None:
    answer = client.get("/openapi.json", key=None)
    version = str(body(answer).get("openapi"))
    check.expect(version.startswith("3.1"), f"openapi is {version}")
    check.saw(f"OpenAPI {version}")


def _symbol(item: Any) -> Any:
    return item.get("symbol") if isinstance(item, dict) else None


def _expect_error(
    check: Check, client: StagingClient, path: str, status: int, code: str, key: str | None = ""
) -> None:
    answer = client.get(path, key=key)
    found = body(answer)
    check.expect(answer.status_code == status, f"GET {path} answered {answer.status_code}")
    check.expect(found.get("code") == code, f"GET {path} gave code {found.get('code')}")
    missing = {"error", "code", "timestamp", "requestId"} - set(found)
    check.expect(not missing, f"GET {path} lacks {sorted(missing)}")
    check.saw(f"{status} {code}")


CASES: dict[ContractCase, tuple[str, Case]] = {
    ContractCase.RUNS_THE_COMMIT: ("What answers is this commit", _runs_the_commit),
    ContractCase.DOCUMENTED_EXAMPLES: ("It answers as it documents", _answers_as_documented),
    ContractCase.LISTS_PRICES: ("GET /prices answers what was asked", _lists_prices),
    ContractCase.ONE_PRICE: ("GET /prices/{symbol} answers", _gives_one_price),
    ContractCase.MISSING_KEY: ("A missing API key is refused", _refuses_a_missing_key),
    ContractCase.UNKNOWN_KEY: ("An unknown API key is refused", _refuses_an_unknown_key),
    ContractCase.UNKNOWN_SYMBOL: ("An unknown symbol is not found", _knows_no_such_symbol),
    ContractCase.NO_SYMBOLS: ("A request without symbols is refused", _refuses_no_symbols),
    ContractCase.OPENAPI: ("The OpenAPI document is served", _serves_its_description),
}
