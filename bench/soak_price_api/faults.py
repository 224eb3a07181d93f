"""A proxy before DynamoDB that makes a share of the calls fail, each in a way that happens."""

import asyncio
import random
import socket
from collections import Counter
from enum import StrEnum


class Fate(StrEnum):
    """What becomes of one call."""

    ANSWERED = "answered"
    BROKEN = "500"
    THROTTLED = "throttled"
    SILENT = "no answer"
    LOST = "carried out, answer lost"


FAULTS = (Fate.BROKEN, Fate.THROTTLED, Fate.SILENT, Fate.LOST)
_THROTTLED = b'{"__type":"com.amazonaws.dynamodb.v20120810#ThrottlingException","message":"slow"}'
_END = b"\r\n\r\n"


class Faults:
    """Which call fails how: drawn with a seed, so that two runs draw the same."""

    def __init__(self, share: float, seed: int) -> None:
        self.share = share  # of 1; it may be changed while calls come
        self.delay_seconds = 0.0  # before every answer
        self.fates: Counter[Fate] = Counter()
        self._random = random.Random(seed)  # noqa: S311 no secret

    def draw(self) -> Fate:
        """The fate of the next call."""
        failing = self._random.random() < self.share
        fate = self._random.choice(FAULTS) if failing else Fate.ANSWERED
        self.fates[fate] += 1
        return fate


class FaultyDynamoDB:
    """Passes calls on to a DynamoDB on 127.0.0.1, but for those whose fate is another."""

    def __init__(self, upstream_port: int, faults: Faults) -> None:
        self._upstream_port = upstream_port
        self._faults = faults
        self._serving: set[asyncio.Task[None] | None] = set()  # asyncio itself holds them weakly

    async def serve(self, listener: socket.socket) -> asyncio.Server:
        """It listens until the server is closed."""
        return await asyncio.start_server(self._connected, sock=listener)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._serving.add(task := asyncio.current_task())
        try:
            while True:
                call = await _message(reader)
                upstream = upstream or await asyncio.open_connection(
                    "127.0.0.1", self._upstream_port
                )
                if not await self._one(call, reader, writer, *upstream):
                    return
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the caller hung up, which is its right, or all is over
        finally:
            self._serving.discard(task)
            writer.close()
            if upstream:
                upstream[1].close()

    async def _one(
        self,
        call: bytes,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        answers: asyncio.StreamReader,
        calls: asyncio.StreamWriter,
    ) -> bool:
        """Whether the connection is still good."""
        fate = self._faults.draw()
        if fate is Fate.SILENT:
            await reader.read()  # until the caller has waited long enough
            return False
        if fate in (Fate.ANSWERED, Fate.LOST):
            calls.write(call)
            answer = await _message(answers)
        elif fate is Fate.THROTTLED:
            answer = _response(b"400 Bad Request", _THROTTLED)
        else:
            answer = _response(b"500 Internal Server Error", b"{}")
        if fate is Fate.LOST:
            return False
        await asyncio.sleep(self._faults.delay_seconds)
        writer.write(answer)
        await writer.drain()
        return True


async def _message(reader: asyncio.StreamReader) -> bytes:
    """One whole HTTP message; all of DynamoDB's say how long they are."""
    head = await reader.readuntil(_END)
    [length] = [
        int(line.partition(b":")[2])
        for line in head.split(b"\r\n")
        if line.lower().startswith(b"content-length:")
    ]
    return head + await reader.readexactly(length)


def _response(status: bytes, body: bytes) -> bytes:
    length = str(len(body)).encode()
    kind = b"content-type: application/x-amz-json-1.0\r\n"
    return b"HTTP/1.1 " + status + b"\r\n" + kind + b"content-length: " + length + _END + body
