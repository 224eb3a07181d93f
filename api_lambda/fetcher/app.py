"""The fetcher: every five minutes, the feed's prices into the table."""

import os
import time
from collections.abc import Mapping
from functools import cache
from typing import Any

import boto3
import httpx
import structlog
from botocore.config import Config as ClientConfig
from botocore.exceptions import ClientError
from coins import COINS
from config import Config
from feed import FeedError, fetch
from quotes import BadQuoteError, Quote, read_quote

METRICS = {
    "Namespace": "CryptoWatch",
    "Dimensions": [["FunctionName", "ExecutedVersion"]],
    "Metrics": [
        {"Name": "PricesUpdated", "Unit": "Count"},
        {"Name": "FetchFailures", "Unit": "Count"},
    ],
}
# What is left of the function's time for the writes once the feed has been waited for.
WRITING_SECONDS = 5.0
LONGEST_FETCH_SECONDS = 20.0
CLIENT = ClientConfig(
    connect_timeout=3, read_timeout=3, retries={"mode": "standard", "total_max_attempts": 4}
)


class Fetcher:
    """Fetches, checks and stores; one per execution environment.

    A feed that fails is an outcome (`FetchFailures`, old prices kept). A table that fails is
    raised: the invocation is an error, and Lambda repeats it.
    """

    def __init__(self, config: Config, table: Any, http: httpx.Client, log: Any) -> None:
        self._config = config
        self._table = table
        self._http = http
        self._log = log

    def run(self, event: Mapping[str, Any], context: Any) -> dict[str, Any]:
        """What was updated, what was kept because it is as new, and what was refused and why.

        With `{"dryRun": true}` nothing is written, and `updated` is what would be.
        """
        started = time.monotonic()
        dry_run = event.get("dryRun") is True
        result: dict[str, Any] = {"status": "ok", "dryRun": dry_run}
        try:
            quotes, refused = self._quotes(started + _seconds_to_fetch(context))
        except FeedError as error:
            result |= {"status": "failed", "error": str(error)}
            quotes, refused = [], {}
        newer = [quote for quote in quotes if self._store(quote, dry_run)]
        updated = [quote.coin.symbol for quote in newer]
        kept = [quote.coin.symbol for quote in quotes if quote not in newer]
        result |= {"updated": updated, "kept": kept, "refused": refused}
        self._write_line(result, started, context)
        return result

    def _quotes(self, deadline: float) -> tuple[list[Quote], dict[str, str]]:
        config = self._config
        coins = [COINS[symbol] for symbol in config.symbols if symbol in COINS]
        ids = [coin.id for coin in coins]
        feed = fetch(self._http, config.feed_url, ids, config.api_key, deadline)
        refused = {symbol: "not a known coin" for symbol in config.symbols if symbol not in COINS}
        quotes = []
        for coin in coins:
            try:
                quotes.append(read_quote(coin, feed, time.time()))
            except BadQuoteError as error:
                refused[coin.symbol] = str(error)
        if not quotes:
            raise FeedError(f"no usable price: {refused}")
        return quotes, refused

    def _store(self, quote: Quote, dry_run: bool) -> bool:
        """Whether the quote is newer than what stands, which it then replaces."""
        item = quote.item()
        if dry_run:
            key = {"PK": item["PK"], "SK": item["SK"]}
            standing = self._table.get_item(Key=key, ConsistentRead=True).get("Item", {})
            return bool(standing.get("lastUpdated", "") < item["lastUpdated"])
        try:
            # The times are all of one form in UTC, so their text sorts as they do.
            self._table.put_item(
                Item=item,
                ConditionExpression="attribute_not_exists(PK) OR lastUpdated < :updated",
                ExpressionAttributeValues={":updated": item["lastUpdated"]},
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            return False
        return True

    def _write_line(self, result: dict[str, Any], started: float, context: Any) -> None:
        failed = result["status"] == "failed"
        written = 0 if result["dryRun"] else len(result["updated"])
        write = self._log.error if failed else self._log.info
        write(
            "fetch",
            _aws={"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [METRICS]},
            FunctionName=self._config.function_name,
            ExecutedVersion=self._config.function_version,
            PricesUpdated=written,
            FetchFailures=int(failed),
            environment=self._config.environment,
            requestId=getattr(context, "aws_request_id", ""),
            durationMs=round((time.monotonic() - started) * 1000, 1),
            functionVersion=self._config.function_version,
            **result,
        )


def _seconds_to_fetch(context: Any) -> float:
    if not hasattr(context, "get_remaining_time_in_millis"):
        return LONGEST_FETCH_SECONDS
    left: float = context.get_remaining_time_in_millis() / 1000 - WRITING_SECONDS
    return min(LONGEST_FETCH_SECONDS, max(1.0, left))


def _logger() -> Any:
    return structlog.wrap_logger(
        structlog.PrintLogger(),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper("iso", key="timestamp"),
            structlog.processors.JSONRenderer(separators=(",", ":")),
        ],
    )


@cache
def _fetcher() -> Fetcher:
    config = Config.from_environment(os.environ)
    table = boto3.resource("dynamodb", config=CLIENT).Table(config.table_name)
    return Fetcher(config, table, httpx.Client(), _logger())


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """AWS Lambda's entry point."""
    try:
        return _fetcher().run(event or {}, context)
    except Exception:
        _logger().exception("fetch", requestId=getattr(context, "aws_request_id", ""))
        raise
