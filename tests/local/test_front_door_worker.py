"""One worker of the front door, in this process's own loop."""

import asyncio
import time
import uuid

from front_door_parts import ENVIRONMENTS

from infra.local.front_door import worker as workers
from infra.local.front_door.invocation import Invocation
from infra.local.front_door.model import FunctionVersion

ARN = "arn:aws:lambda:eu-central-1:000000000000:function:echo"
SECONDS = 2.0  # the function's time limit, and that of its start
HOST = {"AWS_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}
VERSION = FunctionVersion(
    function="echo",
    version="1",
    arn=ARN,
    code_sha256="",
    revision="",
    handler="app.handler",
    runtime="python3.13",
    timeout_seconds=SECONDS,
    memory_mb=128,
    log_group="/aws/lambda/echo",
    variables={},
)


async def test_runtime_that_asks_before_its_start_has_returned_is_not_ended_later(
    tmp_path, monkeypatch
):
    """On a busy machine the process is up before whoever started it goes on: its time limit for
    the start must not end what runs later.
    """
    (tmp_path / "app.py").write_text("def handler(event, context):\n    return event\n")
    worker = workers.Worker(VERSION, lambda *_: None)
    start, asked_next, asked = workers.start_process, worker.asked_next, asyncio.Event()

    def asking(connection):
        asked_next(connection)
        asked.set()

    async def slowly(*arguments):
        process = await start(*arguments)
        async with asyncio.timeout(30):
            await asked.wait()
        return process

    monkeypatch.setattr(workers, "_INIT_SECONDS", SECONDS)
    monkeypatch.setattr(workers, "start_process", slowly)
    worker.asked_next = asking
    await worker.start(str(ENVIRONMENTS / "lambda-runtime/bin/python"), tmp_path, HOST, {})
    try:
        until = time.monotonic() + 1.2 * SECONDS
        while time.monotonic() < until:
            outcome = asyncio.get_running_loop().create_future()
            worker.submit(Invocation(uuid.uuid4().hex, b"{}", ARN, {}, outcome))
            assert not (await outcome).failed
    finally:
        worker.kill()
        await worker.ended()
