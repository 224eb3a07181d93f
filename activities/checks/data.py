"""Data integrity: how old the prices are, what they hold, how they are written."""

import json
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from activities.checks.context import FETCHER, CheckContext
from activities.checks.contract import moment
from activities.staging import Check, body

FIELDS = frozenset({"symbol", "name", "price", "change24h", "marketCap", "lastUpdated", "stale"})
_CLOCK_SKEW = timedelta(seconds=5)
_RATE = re.compile(r"rate\((\d+) minutes?\)")
_PRICE = re.compile(r"\d+\.\d\d")
_CHANGE = re.compile(r"-?\d+\.\d")
_TINY = Decimal("0.005")  # below it, two decimals would read 0.00 (rounded half to even)
_TINY_DIGITS = 4


def price_updates(context: CheckContext, check: Check) -> None:
    """Every price served is young enough, and the schedule that renews them is enabled."""
    allowed = timedelta(minutes=context.order.limits.price_age_minutes)
    waited = context.until(lambda: _oldest(context) <= allowed, context.patience.fetch)
    oldest = _oldest(context)
    figures = f"oldest of {len(context.symbols())} prices {oldest.total_seconds():.0f} s"
    check.expect(oldest <= allowed, f"{figures}; allowed {allowed.total_seconds():.0f} s")
    again = f", renewed while looked at for {waited:.0f} s" if waited >= 1 else ""
    check.saw(f"{figures}{again}; allowed {allowed.total_seconds():.0f} s")
    _expect_schedule(context, check)


def _oldest(context: CheckContext) -> timedelta:
    made = [moment(item.get("lastUpdated")) for item in _served(context)]
    found = [at for at in made if at is not None]
    if not found or len(found) < len(made):
        raise ValueError("staging served no prices, or one without a time")
    return datetime.now(UTC) - min(found)


def _expect_schedule(context: CheckContext, check: Check) -> None:
    if FETCHER not in context.order.functions:
        check.could_not(f"the release has no function {FETCHER!r} whose schedule could be read")
        return
    target = context.alias(context.function(FETCHER))["AliasArn"]
    events = context.aws.events
    names = events.list_rule_names_by_target(TargetArn=target)["RuleNames"]
    check.expect(bool(names), f"no schedule invokes {context.function(FETCHER)}")
    for name in names:
        rule = events.describe_rule(Name=name)
        schedule = rule.get("ScheduleExpression", "")
        rate = _RATE.fullmatch(schedule)
        check.expect(rule["State"] == "ENABLED", f"the schedule {name} is {rule['State']}")
        often_enough = rate is None or int(rate[1]) <= context.order.limits.price_age_minutes
        check.expect(often_enough, f"the schedule {name} is {schedule}")
        check.saw(f"schedule {name}: {schedule}, {rule['State'].lower()}")


def timestamps(context: CheckContext, check: Check) -> None:
    """Times are RFC 3339 in UTC, none lies in the future, and they agree with each other."""
    answer = body(context.http().get(context.prices_path()))
    latest = datetime.now(UTC) + _CLOCK_SKEW
    written = {str(item.get("symbol")): item.get("lastUpdated") for item in answer.get("data", [])}
    check.expect(bool(written), "staging served no prices")
    for name, text in {**written, "the answer": answer.get("timestamp")}.items():
        at = moment(text)
        check.expect(at is not None, f"the time of {name} is {text!r}")
        check.expect(at is None or at <= latest, f"the time of {name} is {text}, in the future")
    newest = max((str(text) for text in written.values()), default="")
    same = answer.get("timestamp") == newest
    check.expect(same, f"timestamp is {answer.get('timestamp')}, the newest price of {newest}")
    now = moment(body(context.http().get("/health", key=None)).get("timestamp"))
    near = now is not None and abs(datetime.now(UTC) - now) <= _CLOCK_SKEW
    check.expect(near, f"the time of /health is {now}, not now")
    check.saw(
        f"{len(written) + 2} times in UTC, none in the future; timestamp {newest} is the "
        "newest price's, that of /health is now"
    )


def required_fields(context: CheckContext, check: Check) -> None:
    """Every price has every field, in a list and alone."""
    symbols = context.symbols()
    answer = body(context.http().get(context.prices_path()))
    items = answer.get("data", [])
    got = [item.get("symbol") for item in items]
    check.expect(got == list(symbols), f"asked for {','.join(symbols)}, got {got}")
    alone = body(context.http().get(f"/prices/{symbols[0]}"))
    check.expect("timestamp" in answer and "timestamp" in alone, "an answer has no timestamp")
    for item in [*items, alone.get("data", {})]:
        missing = sorted(name for name in FIELDS if item.get(name) is None)
        check.expect(not missing, f"{item.get('symbol')} lacks {', '.join(missing)}")
    check.saw(f"{len(items)} prices in a list and {symbols[0]} alone, {len(FIELDS)} fields each")


def precision(context: CheckContext, check: Check) -> None:
    """Prices are written with 2 decimals, changes with 1."""
    text = context.http().get(context.prices_path()).text
    # as written: a float would not tell 1.50 from 1.5
    items = json.loads(text, parse_float=str, parse_int=str).get("data", [])
    check.expect(bool(items), "staging served no prices")
    for item in items:
        price, change = str(item.get("price")), str(item.get("change24h"))
        check.expect(_is_price(price), f"{item.get('symbol')} price is written {price}")
        check.expect(_is_change(change), f"{item.get('symbol')} change24h is written {change}")
    shown = ", ".join(f"{i.get('symbol')} {i.get('price')} {i.get('change24h')}" for i in items[:2])
    check.saw(f"{len(items)} prices with 2 decimals and changes with 1, such as {shown}")


def _is_price(text: str) -> bool:
    """Two decimals; a price that would read 0.00 has up to four significant digits instead."""
    if _PRICE.fullmatch(text):
        return Decimal(text) > 0
    try:
        number = Decimal(text)
    except ArithmeticError:
        return False
    return 0 < number <= _TINY and len(number.as_tuple().digits) <= _TINY_DIGITS


def _is_change(text: str) -> bool:
    return bool(_CHANGE.fullmatch(text)) and text != "-0.0"


def _served(context: CheckContext) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = body(context.http().get(context.prices_path())).get("data", [])
    return found
