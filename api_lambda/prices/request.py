"""A request, read from an API Gateway HTTP API event (payload version 2.0)."""

import os
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qs

from answers import invalid_request

LONGEST_SYMBOL = 10
MOST_SYMBOLS = 50


class Request(NamedTuple):
    """What the routes look at; header names are lower-case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    request_id: str

    @classmethod
    def from_event(cls, event: Mapping[str, Any], context: Any) -> "Request":
        """The request in `event`. What a hand-made event leaves out is empty, the method GET.

        Never raises: whatever invoked the function gets an answer in the service's own format.
        """
        event = _object(event)
        about = _object(event.get("requestContext"))
        http = _object(about.get("http"))
        path = str(event.get("rawPath") or http.get("path") or "/")
        stage = about.get("stage") or "$default"
        if stage != "$default":  # a named stage is part of the path
            path = path.removeprefix(f"/{stage}") or "/"
        headers = _object(event.get("headers"))
        request_id = about.get("requestId") or getattr(context, "aws_request_id", "")
        return cls(
            str(http.get("method") or "GET").upper(),
            path,
            str(event.get("rawQueryString") or ""),
            {str(name).lower(): str(value) for name, value in headers.items()},
            str(request_id or os.urandom(16).hex()),
        )

    @property
    def key(self) -> str:
        """The API key as sent; empty when there is none."""
        return self.headers.get("x-api-key", "").strip()


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def symbols_of(query: str) -> list[str]:
    """The symbols asked for, upper-case, each once, in the order asked. Raises the 400 ApiError."""
    texts = ",".join(parse_qs(query, keep_blank_values=True).get("symbols", []))
    if not texts.strip():
        raise invalid_request("Ask for at least one symbol, as in ?symbols=BTC,ETH.")
    symbols = list(dict.fromkeys(symbol_of(text) for text in texts.split(",")))
    if len(symbols) > MOST_SYMBOLS:
        raise invalid_request(f"Ask for at most {MOST_SYMBOLS} symbols.", maximum=MOST_SYMBOLS)
    return symbols


def symbol_of(text: str) -> str:
    """`text` as a symbol, upper-case. Raises the 400 ApiError."""
    text = text.strip()
    if not (0 < len(text) <= LONGEST_SYMBOL and text.isascii() and text.isalnum()):
        raise invalid_request(f"A symbol is 1 to {LONGEST_SYMBOL} letters and digits, as in BTC.")
    return text.upper()
