"""Reads the body of a request."""

import gzip
import io
import json
import zlib
from collections.abc import Awaitable, Callable
from typing import Any

from infra.local.cloudwatch.errors import ValidationError

Message = dict[str, Any]
_LARGEST_BODY = 4 << 20  # bytes, unpacked; AWS takes 1 MiB, packed or not


async def read_body(receive: Callable[[], Awaitable[Message]]) -> bytes:
    """The whole body of an ASGI request."""
    chunks, more = [], True
    while more:
        message = await receive()
        chunks.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(chunks)


def read_params(headers: dict[bytes, bytes], body: bytes) -> Message:
    """The parameters of the call. Raises ValidationError when the body has none."""
    try:
        if headers.get(b"content-encoding") == b"gzip":
            with gzip.open(io.BytesIO(body)) as packed:
                body = packed.read(_LARGEST_BODY + 1)
        if len(body) > _LARGEST_BODY:
            raise ValidationError("The request body is too large.")
        params = json.loads(body or b"{}")
    except (EOFError, OSError, RecursionError, ValueError, zlib.error) as error:
        raise ValidationError(f"The request body cannot be read: {error}") from error
    if not isinstance(params, dict):
        raise ValidationError("The request body is not an object.")
    return params
