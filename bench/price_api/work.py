"""The work: what is in the table, and the requests that every variant answers."""

from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

KEY = "cw_test_bench0123456789abcdefghijkl4567"
SYMBOLS = ("BTC", "ETH", "SOL", "XRP", "ADA", "DOT", "PEPE", "LINK", "LTC", "UNI")
PRICES = (
    "97123.455",
    "3456.7",
    "187.125",
    "2.345",
    "0.915",
    "7.5",
    "0.0000123456",
    "18",
    "101",
    "9",
)

Event = dict[str, Any]
Item = dict[str, Any]  # as DynamoDB's API has it


class Case(NamedTuple):
    """A request and the status that it must have."""

    name: str
    event: Event
    status: int


def price_items() -> list[Item]:
    """A price of each coin, made now, as the fetcher stores it."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return [
        {
            "PK": {"S": f"PRICE#{symbol}"},
            "SK": {"S": "METADATA"},
            "symbol": {"S": symbol},
            "name": {"S": f"Name of {symbol}"},
            "price": {"N": price},
            "change24h": {"N": f"{index - 4.25}"},
            "marketCap": {"N": f"{1_923_456_789_012.5 / (index + 1)}"},
            "lastUpdated": {"S": now},
        }
        for index, (symbol, price) in enumerate(zip(SYMBOLS, PRICES, strict=True))
    ]


def first() -> Event:
    """The first request of a process: it reads every price that the others ask for."""
    return request("/prices", f"symbols={','.join(SYMBOLS)}")


def warm() -> list[Event]:
    """What a watch and a phone ask, in turn: one coin, and three."""
    return [request("/prices/BTC"), request("/prices", "symbols=BTC,ETH,SOL")]


def cases() -> list[Case]:
    """What every variant must answer alike before anything is timed."""
    return [
        Case("several prices", first(), 200),
        Case("one price", request("/prices/ETH"), 200),
        Case("a price below a cent", request("/prices/PEPE"), 200),
        Case("no symbols", request("/prices"), 400),
        Case("a bad symbol", request("/prices", "symbols=BTC,B-T"), 400),
        Case("no key", request("/prices/BTC", key=None), 401),
        Case("an unknown key", request("/prices/BTC", key=f"{KEY}x"), 401),
        Case("an unknown symbol", request("/prices/NOPE"), 404),
        Case("an unknown route", request("/price"), 404),
        Case("health", request("/health", key=None), 200),
        Case("the description", request("/openapi.json", key=None), 200),
    ]


def request(path: str, query: str = "", key: str | None = KEY) -> Event:
    """The event of an API Gateway HTTP API (payload version 2.0) for a GET."""
    domain = "abcdefghij.execute-api.eu-west-1.amazonaws.com"
    headers = {
        "accept": "application/json",
        "content-length": "0",
        "host": domain,
        "user-agent": "watch/1.0",
        "x-amzn-trace-id": "Root=1-67891233-abcdef012345678912345678",
        "x-forwarded-for": "192.0.2.1",
        "x-forwarded-port": "443",
        "x-forwarded-proto": "https",
    }
    if key is not None:
        headers["x-api-key"] = key
    event: Event = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": headers,
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "abcdefghij",
            "domainName": domain,
            "domainPrefix": "abcdefghij",
            "http": {
                "method": "GET",
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.1",
                "userAgent": "watch/1.0",
            },
            "requestId": "JKJaXmPLvHcESHA=",
            "routeKey": "$default",
            "stage": "$default",
            "time": "01/Mar/2025:12:00:00 +0000",
            "timeEpoch": 1740830400000,
        },
        "isBase64Encoded": False,
    }
    if query:
        event["queryStringParameters"] = dict(parse_qsl(query))
    return event
