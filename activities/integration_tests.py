"""Integration tests: the contract of the price API, over HTTP, against staging."""

from collections.abc import Callable

from temporalio import activity

from activities.inputs import StagingInput
from activities.staging import Check, Staging, StagingClient, body
from release.verdict import CheckResult

Test = Callable[[StagingClient, StagingInput, Check], None]


class IntegrationTests:
    """Runs each test against the commit that staging serves."""

    def __init__(self, staging: Staging) -> None:
        self._staging = staging

    @activity.defn
    def run_integration_tests(self, order: StagingInput) -> list[CheckResult]:
        """One result per test. Raises when staging cannot be reached, which says nothing of it."""
        results = []
        with self._staging.client(order) as client:
            for test_id, (text, test) in TESTS.items():
                check = Check(test_id, text)
                test(client, order, check)
                results.append(check.result())
        return results


def _runs_the_commit(client: StagingClient, order: StagingInput, check: Check) -> None:
    answer = client.get("/health", key=None)
    sha = body(answer).get("gitSha")
    check.expect(answer.status_code == 200, f"GET /health answered {answer.status_code}")
    check.expect(sha == order.sha, f"staging runs {sha}, not {order.sha}")
    check.saw(f"gitSha {order.sha[:7]}")


def _lists_prices(client: StagingClient, order: StagingInput, check: Check) -> None:
    answer = client.get("/prices?symbols=BTC,ETH")
    symbols = [item.get("symbol") for item in body(answer).get("data", [])]
    check.expect(answer.status_code == 200, f"answered {answer.status_code}")
    check.expect(symbols == ["BTC", "ETH"], f"asked for BTC,ETH, got {symbols}")
    check.saw("BTC and ETH")


def _gives_one_price(client: StagingClient, order: StagingInput, check: Check) -> None:
    answer = client.get("/prices/BTC")
    symbol = body(answer).get("data", {}).get("symbol")
    check.expect(answer.status_code == 200, f"answered {answer.status_code}")
    check.expect(symbol == "BTC", f"asked for BTC, got {symbol}")
    check.saw("BTC")


def _refuses_a_missing_key(client: StagingClient, order: StagingInput, check: Check) -> None:
    _expect_error(check, client, "/prices/BTC", 401, "UNAUTHORIZED", key=None)


def _refuses_an_unknown_key(client: StagingClient, order: StagingInput, check: Check) -> None:
    _expect_error(check, client, "/prices/BTC", 401, "UNAUTHORIZED", key="cw_no_such_key")


def _knows_no_such_symbol(client: StagingClient, order: StagingInput, check: Check) -> None:
    _expect_error(check, client, "/prices/NOSUCH", 404, "NOT_FOUND")


def _refuses_no_symbols(client: StagingClient, order: StagingInput, check: Check) -> None:
    _expect_error(check, client, "/prices", 400, "INVALID_REQUEST")


def _serves_its_description(client: StagingClient, order: StagingInput, check: Check) -> None:
    answer = client.get("/openapi.json", key=None)
    version = str(body(answer).get("openapi"))
    check.expect(version.startswith("3.1"), f"openapi is {version}")
    check.saw(f"OpenAPI {version}")


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


TESTS: dict[str, tuple[str, Test]] = {
    "runs-the-commit": ("Staging runs this commit", _runs_the_commit),
    "lists-prices": ("GET /prices answers what was asked", _lists_prices),
    "one-price": ("GET /prices/{symbol} answers", _gives_one_price),
    "missing-key": ("A missing API key is refused", _refuses_a_missing_key),
    "unknown-key": ("An unknown API key is refused", _refuses_an_unknown_key),
    "unknown-symbol": ("An unknown symbol is not found", _knows_no_such_symbol),
    "no-symbols": ("A request without symbols is refused", _refuses_no_symbols),
    "openapi": ("The OpenAPI document is served", _serves_its_description),
}
