"""Functional testing: what a consumer of the API relies on."""

import secrets
import string

from activities.checks.context import CheckContext
from activities.checks.contract import error_deviations, expect_as_documented
from activities.staging import Check, body
from release.api_keys import new_key

_TRIES = 3
_REFRESH_SECONDS = 5.0  # an instance reads the table at most so often: api_lambda/prices/prices.py


def endpoints(context: CheckContext, check: Check) -> None:
    """Every path of the served OpenAPI document answers as documented."""
    expect_as_documented(context.http(), check)


def authentication(context: CheckContext, check: Check) -> None:
    """Valid API keys are accepted; a missing and an invalid one get a 401."""
    http = context.http()
    for number, key in enumerate(http.keys.ordinary, start=1):
        status = http.get("/prices/BTC", key=key).status_code
        check.expect(status == 200, f"valid key {number} got {status}")
    check.saw(f"{len(http.keys.ordinary)} valid keys accepted")
    missing = http.send("/prices/BTC", key=None).status_code
    unknown = http.send("/prices/BTC", key=new_key(context.order.environment)).status_code
    check.expect(missing == 401, f"without a key {missing}")
    check.expect(unknown == 401, f"with an unknown key {unknown}")
    check.saw("without a key 401; with an unknown key 401")


def health(context: CheckContext, check: Check) -> None:
    """The health check tells the truth: version, commit, newest price, DynamoDB."""
    answer = context.http().get("/health", key=None)
    found = body(answer)
    order, checks = context.order, found.get("checks", {})
    check.expect(answer.status_code == 200, f"GET /health answered {answer.status_code}")
    for name, value, wanted in (
        ("status", found.get("status"), "healthy"),
        ("version", found.get("version"), order.version),
        ("gitSha", found.get("gitSha"), order.sha),
        ("dynamodb", checks.get("dynamodb"), "ok"),
    ):
        check.expect(value == wanted, f"{name} is {value}, not {wanted}")
        check.saw(f"{name} {value}")
    said, served = _newest_prices(context)
    check.expect(said == served, f"lastPriceUpdate is {said}, the newest price served is {served}")
    check.saw(f"lastPriceUpdate {said}, as of the newest of {len(context.symbols())} prices served")


def _newest_prices(context: CheckContext) -> tuple[str | None, str | None]:
    """What /health says of the newest price, and the newest served.

    A fetch may fall between the two requests, and another instance may have read the table some
    seconds earlier: what differs is looked at again.
    """
    said = served = None
    for attempt in range(_TRIES):
        if attempt:
            context.pause(_REFRESH_SECONDS)
        listed = body(context.http().get(context.prices_path())).get("data", [])
        served = max((str(item.get("lastUpdated")) for item in listed), default=None)
        said = (
            body(context.http().get("/health", key=None)).get("checks", {}).get("lastPriceUpdate")
        )
        if said == served and said is not None:
            break
    return said, served


def error_format(context: CheckContext, check: Check) -> None:
    """Every kind of error has the same format."""
    http, unknown = context.http(), new_key(context.order.environment)
    nowhere = "NOPE" + "".join(secrets.choice(string.ascii_uppercase) for _ in range(6))
    cases = (
        ("no symbols", "GET", "/prices", "", 400, "INVALID_REQUEST"),
        ("a bad symbol", "GET", "/prices?symbols=B-T-C", "", 400, "INVALID_REQUEST"),
        ("no key", "GET", "/prices/BTC", None, 401, "UNAUTHORIZED"),
        ("an unknown key", "GET", "/prices/BTC", unknown, 401, "UNAUTHORIZED"),
        ("an unknown symbol", "GET", f"/prices/{nowhere}", "", 404, "NOT_FOUND"),
        ("an unknown route", "GET", "/no/such/route", "", 404, "NOT_FOUND"),
        ("a POST", "POST", "/prices", "", 405, "METHOD_NOT_ALLOWED"),
    )
    for what, method, path, key, status, code in cases:
        answer = http.get(path, key=key, method=method)
        wrong = error_deviations(answer, status, code)
        check.expect(not wrong, f"{what}: {', '.join(wrong)}")
        check.saw(f"{what}: {status} {code}")
