"""The part of CBOR (RFC 8949) that the Smithy RPC v2 protocol uses; tag 1 is an aware datetime."""

import struct
from datetime import UTC, datetime
from typing import Any

_BREAK = object()
_INDEFINITE = 31
_SIMPLE = {20: False, 21: True, 22: None, 23: None}
_FLOATS = {25: ">e", 26: ">f", 27: ">d"}


class CborError(ValueError):
    """The bytes are not the CBOR that this protocol sends."""


def encode(value: Any) -> bytes:
    """Raises TypeError for a type the protocol has no form for."""
    match value:
        case None:
            return b"\xf6"
        case bool():
            return b"\xf5" if value else b"\xf4"
        case int():
            return _head(0, value) if value >= 0 else _head(1, -1 - value)
        case float():
            return b"\xfb" + struct.pack(">d", value)
        case str():
            text = value.encode()
            return _head(3, len(text)) + text
        case list():
            return _head(4, len(value)) + b"".join(map(encode, value))
        case dict():
            pairs = (encode(key) + encode(item) for key, item in value.items())
            return _head(5, len(value)) + b"".join(pairs)
        case datetime():
            return _head(6, 1) + encode(value.timestamp())
    raise TypeError(f"no CBOR form for {type(value).__name__}")


def _head(major: int, length: int) -> bytes:
    if length < 24:
        return bytes([major << 5 | length])
    for info, code in ((24, ">B"), (25, ">H"), (26, ">I"), (27, ">Q")):
        if length < 1 << 8 * struct.calcsize(code):
            return bytes([major << 5 | info]) + struct.pack(code, length)
    raise TypeError("no CBOR form for an integer over 64 bits")


def decode(data: bytes) -> Any:
    """Raises CborError, whatever is wrong with the bytes."""
    try:
        return _Reader(data).item()
    except (IndexError, KeyError, OverflowError, RecursionError, TypeError, ValueError) as error:
        raise CborError("the request body is not readable CBOR") from error


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def item(self) -> Any:
        first = self._take(1)[0]
        major, info = first >> 5, first & 31
        if major == 7:
            return self._simple(info)
        length = -1 if info == _INDEFINITE else self._length(info)
        match major:
            case 0:
                return length
            case 1:
                return -1 - length
            case 2 | 3:
                chunks = self._chunks(major, length)
                return chunks if major == 2 else chunks.decode()
            case 4:
                return self._items(length)
            case 5:
                return self._pairs(length)
        return self._tagged(length)

    def _take(self, count: int) -> bytes:
        chunk = self._data[self._at : self._at + count]
        if len(chunk) < count:
            raise CborError("the body ends in the middle of an item")
        self._at += count
        return chunk

    def _length(self, info: int) -> int:
        return info if info < 24 else int.from_bytes(self._take({24: 1, 25: 2, 26: 4, 27: 8}[info]))

    def _simple(self, info: int) -> Any:
        if info in _FLOATS:
            code = _FLOATS[info]
            return struct.unpack(code, self._take(struct.calcsize(code)))[0]
        return _BREAK if info == _INDEFINITE else _SIMPLE[info]

    def _chunks(self, major: int, length: int) -> bytes:
        if length >= 0:
            return self._take(length)
        parts = self._items(-1)
        return b"".join(part if major == 2 else part.encode() for part in parts)

    def _items(self, length: int) -> list[Any]:
        if length >= 0:
            return [self.item() for _ in range(length)]
        items = []
        while (item := self.item()) is not _BREAK:
            items.append(item)
        return items

    def _pairs(self, length: int) -> dict[str, Any]:
        flat = self._items(2 * length if length >= 0 else -1)
        pairs = zip(flat[::2], flat[1::2], strict=True)
        return {key: value for key, value in pairs if value is not None}

    def _tagged(self, tag: int) -> datetime:
        if tag != 1:
            raise CborError(f"CBOR tag {tag} is not used by this protocol")
        return datetime.fromtimestamp(self.item(), UTC)
