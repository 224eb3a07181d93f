"""Secrets: read when they are needed, kept nowhere, and said by nobody's log."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from botocore.exceptions import ClientError

from activities.aws import error_code

_GONE = {
    "ResourceNotFoundException",
    "InvalidRequestException",  # it is marked for deletion
}
# these write whole bodies and addresses: botocore's at DEBUG, httpx's at INFO
_TELLING_LOGGERS = (
    *("botocore.auth", "botocore.endpoint", "botocore.hooks", "botocore.parsers"),
    *("httpx", "httpcore.connection", "httpcore.http11", "httpcore.http2", "httpcore.proxy"),
)
_unlogged: ContextVar[bool] = ContextVar("unlogged", default=False)


class _Silence(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return not _unlogged.get()


_SILENCE = _Silence()


@contextmanager
def unlogged() -> Iterator[None]:
    """What AWS's and httpx's clients do in this thread meanwhile reaches no log, at any level."""
    for name in _TELLING_LOGGERS:
        logging.getLogger(name).addFilter(_SILENCE)  # added again it is there once
    token = _unlogged.set(True)
    try:
        yield
    finally:
        _unlogged.reset(token)


def read_secret(secrets: Any, name: str) -> str | None:
    """The secret's text; empty if it holds bytes; None if there is none, or it is being deleted.

    Raises:
        ClientError, BotoCoreError: it could not be read; whether a retry helps is AWS's to say.
    """
    try:
        with unlogged():
            return str(secrets.get_secret_value(SecretId=name).get("SecretString", ""))
    except ClientError as error:
        if error_code(error) in _GONE:
            return None
        raise
