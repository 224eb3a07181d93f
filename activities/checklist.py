"""The staging validation checklist: the items that a machine can check over HTTP."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation

from temporalio import activity

from activities.inputs import StagingInput
from activities.staging import Check, Staging, StagingClient, body
from release.promotion import CheckResult

_FRESH = timedelta(minutes=5)
_SYMBOLS = "BTC,ETH"
_FIELDS = {"symbol", "name", "price", "change24h", "marketCap", "lastUpdated", "stale"}


class StagingChecks:
    """Measures staging; each result carries the figures it rests on."""

    def __init__(self, staging: Staging) -> None:
        self._staging = staging

    @activity.defn
    def check_staging(self, order: StagingInput) -> list[CheckResult]:
        """One result per item. Raises when staging cannot be reached, which says nothing of it."""
        with self._staging.client(order) as client:
            return [
                _price_latency(client, order),
                _health_latency(client, order),
                _fields(client),
                _precision(client),
                _freshness(client),
            ]


def _price_latency(client: StagingClient, order: StagingInput) -> CheckResult:
    limit = order.checklist.max_price_p99_ms
    check = Check("price-latency", f"Price requests answer in < {limit} ms (p99)")
    return _p99(check, client, f"/prices?symbols={_SYMBOLS}", limit, order)


def _health_latency(client: StagingClient, order: StagingInput) -> CheckResult:
    limit = order.checklist.max_health_p99_ms
    check = Check("health-latency", f"Health check answers in < {limit} ms (p99)")
    return _p99(check, client, "/health", limit, order)


def _p99(
    check: Check, client: StagingClient, path: str, limit_ms: int, order: StagingInput
) -> CheckResult:
    count = order.checklist.latency_requests
    client.get(path)  # warm: a cold start is judged by the release, not by this item
    times = sorted(client.timed(path)[1] for _ in range(count))
    p99 = times[min(count - 1, int(count * 0.99))]
    check.expect(p99 < limit_ms, f"p99 was {p99:.0f} ms over {count} requests")
    check.saw(f"p50 {times[count // 2]:.0f} ms, p99 {p99:.0f} ms over {count} requests")
    return check.result()


def _fields(client: StagingClient) -> CheckResult:
    check = Check("required-fields", "All required fields are present in answers")
    answer = body(client.get(f"/prices?symbols={_SYMBOLS}"))
    check.expect("timestamp" in answer, "the answer has no timestamp")
    check.expect(bool(answer.get("data")), "the answer has no data")
    for item in answer.get("data", []):
        missing = sorted(_FIELDS - set(item))
        check.expect(not missing, f"{item.get('symbol')} lacks {missing}")
    check.saw(f"{len(answer.get('data', []))} prices with {len(_FIELDS)} fields each")
    return check.result()


def _precision(client: StagingClient) -> CheckResult:
    check = Check("precision", "Data precision (price: 2 decimals, change: 1 decimal)")
    for item in body(client.get(f"/prices?symbols={_SYMBOLS}")).get("data", []):
        for field, places in (("price", 2), ("change24h", 1)):
            decimals = _decimals(item.get(field))
            fits = decimals is not None and decimals <= places
            check.expect(fits, f"{item.get('symbol')}.{field} is {item.get(field)}")
            check.saw(f"{item.get('symbol')}.{field} {item.get(field)}")
    return check.result()


def _decimals(value: object) -> int | None:
    try:
        exponent = Decimal(str(value)).as_tuple().exponent
    except InvalidOperation:
        return None
    return max(0, -exponent) if isinstance(exponent, int) else None


def _freshness(client: StagingClient) -> CheckResult:
    check = Check("freshness", "Prices were updated in the last 5 minutes, timestamps agree")
    now = datetime.now(UTC)
    for item in body(client.get(f"/prices?symbols={_SYMBOLS}")).get("data", []):
        age = now - datetime.fromisoformat(item["lastUpdated"])
        # the schedule itself is 5 minutes: one late run of the fetcher is not a defect
        fine = timedelta(seconds=-5) < age < 2 * _FRESH
        seconds = age.total_seconds()
        check.expect(fine, f"{item['symbol']} is {seconds:.0f} s old")
        check.saw(f"{item['symbol']} {seconds:.0f} s old")
    return check.result()
