"""Stands between the worker and an AWS endpoint: notes every call, and lets faults happen to it.

HTTP/1.1 by hand, because what has to be told apart here (before the call, applied but not
answered, answered) is below what a web framework shows.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

from tests.faults.aws_calls import Call, name_call

_BODILESS = {204, 304}


class Fate(StrEnum):
    """What happens to a call."""

    PASS = "pass"
    DROP = "drop"  # the connection ends before AWS hears of it
    LOSE = "lose"  # AWS does it; the answer never arrives
    ERROR = "error"  # 500, and AWS never hears of it
    THROTTLE = "throttle"
    STALE = "stale"  # a read answers what it answered before


class Moment(StrEnum):
    """Where in a call the worker can be killed."""

    BEFORE = "before the call"
    APPLIED = "after the call, before the answer"
    ANSWERED = "after the answer"


class Rules:
    """What is to happen; a test replaces these."""

    def decide(self, call: Call) -> Fate:
        """The call's fate, asked once."""
        return Fate.PASS

    def at(self, moment: Moment, call: Call) -> bool:
        """The call has come to this moment; true if the worker is dead now."""
        return False


@dataclass
class Message:
    """A request or a response as it travels."""

    start: str
    headers: dict[str, str]
    raw: bytes
    body: bytes


class AwsProxy:
    """One endpoint's proxy."""

    def __init__(
        self, service: str, upstream: str, log: list[Call], rules: Callable[[], Rules]
    ) -> None:
        host, _, port = upstream.removeprefix("http://").partition(":")
        self._service, self._host, self._port = service, host, int(port)
        self._log, self._rules = log, rules
        self._known: dict[str, bytes] = {}
        self.url = ""

    async def start(self) -> None:
        """It listens on a free port of the loopback."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=2**20)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        try:
            while (request := await _read(reader, writer)) is not None:
                method, target, _ = request.start.split(" ", 2)
                call = name_call(self._service, method, target, request.headers, request.body)
                self._log.append(call)

                async def forward(request: Message = request, method: str = method) -> Message:
                    nonlocal upstream
                    upstream = upstream or await asyncio.open_connection(
                        self._host, self._port, limit=2**20
                    )
                    upstream[1].write(request.raw)
                    answer = await _read(upstream[0], None, answers=method)
                    if answer is None:
                        raise ConnectionError("AWS closed the connection")
                    return answer

                answer = await self._answer(call, f"{target} {request.body!r}", forward)
                if answer is None:
                    break
                writer.write(answer)
                await writer.drain()
                if self._rules().at(Moment.ANSWERED, call):
                    break
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            for one in (writer, *(upstream[1:] if upstream else ())):
                with suppress(OSError):
                    one.close()

    async def _answer(
        self, call: Call, key: str, forward: Callable[[], Awaitable[Message]]
    ) -> bytes | None:
        """What the worker gets to hear; None if nothing any more."""
        rules = self._rules()
        fate = rules.decide(call)
        call.fault = "" if fate is Fate.PASS else fate.value
        if fate is Fate.DROP or rules.at(Moment.BEFORE, call):
            return None
        if fate in {Fate.ERROR, Fate.THROTTLE}:
            return _refusal(self._service, fate)
        if fate is Fate.STALE and key in self._known:
            return self._known[key]
        answer = await forward()
        call.status = int(answer.start.split(" ")[1])
        if not call.writes:
            self._known[key] = answer.raw
        if rules.at(Moment.APPLIED, call) or fate is Fate.LOSE:
            return None
        return answer.raw


def _refusal(service: str, fate: Fate) -> bytes:
    status, code = (500, "InternalFailure")
    if fate is Fate.THROTTLE:
        status, code = (429, "TooManyRequestsException" if service == "lambda" else "Throttling")
    body = f'{{"__type": "{code}", "message": "a fault of the harness"}}'
    head = (
        f"HTTP/1.1 {status} Fault\r\nContent-Type: application/x-amz-json-1.0\r\n"
        f"x-amzn-ErrorType: {code}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return (head + body).encode()


async def _read(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter | None, answers: str = ""
) -> Message | None:
    """The next message, whole; None when the other side has closed. `answers`: which method."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    lines = head.decode("latin-1").split("\r\n")[:-2]
    start, pairs = lines[0], [line.partition(":") for line in lines[1:]]
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    if answers and start.split(" ")[1] == "100":
        return await _read(reader, writer, answers)
    if writer is not None and "expect" in headers:
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        kept = [line for line in lines if not line.lower().startswith("expect:")]
        head = "\r\n".join([*kept, "", ""]).encode("latin-1")
    status = int(start.split(" ")[1]) if answers else 0
    if answers == "HEAD" or status in _BODILESS:
        return Message(start, headers, head, b"")
    if headers.get("transfer-encoding", "").lower() == "chunked":
        raw = await _chunks(reader)
        return Message(start, headers, head + raw, raw)
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Message(start, headers, head + body, body)


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    raw = b""
    while True:
        size = await reader.readuntil(b"\r\n")
        raw += size
        if int(size.split(b";")[0], 16) == 0:
            while (line := await reader.readuntil(b"\r\n")) != b"\r\n":  # trailers
                raw += line
            return raw + line
        raw += await reader.readexactly(int(size.split(b";")[0], 16) + 2)
