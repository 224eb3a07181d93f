"""The function's process: loads a handler as Lambda does, sends it events, tells what it cost.

A script for the runtime's Python, not a module of the bench: it imports next to nothing before the
first answer, for that is what a cold start is measured by. Its arguments are the unpacked zip, a
JSON file with the work, and the file descriptor that takes the result.
"""

from __future__ import annotations

import json
import os
import sys
import time

TYPE_CHECKING = False  # importing `typing` would be a part of every cold start
if TYPE_CHECKING:
    from typing import Any


class Context:
    """What handlers read of Lambda's context object."""

    aws_request_id = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"
    function_name = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
    function_version = os.environ["AWS_LAMBDA_FUNCTION_VERSION"]
    invoked_function_arn = f"arn:aws:lambda:eu-west-1:123456789012:function:{function_name}"
    memory_limit_in_mb = os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]

    def get_remaining_time_in_millis(self) -> int:
        return 25_000


def main(folder: str, work_file: str, result_file_descriptor: str) -> None:
    """The result is written; a handler that raises ends the process with its traceback."""
    with open(work_file) as file:
        work = json.load(file)
    sys.path[0] = folder  # in place of this script's own
    from app import handler  # type: ignore[import-not-found]

    context = Context()
    answers = [handler(work["events"][0], context)]
    first_at = time.monotonic()
    answers += [handler(event, context) for event in work["events"][1:]]
    result = {"first_at": first_at, "answers": answers, **measure(handler, work, context)}
    result["peak_kb"] = peak_kb()
    with open(int(result_file_descriptor), "w") as file:
        json.dump(result, file)


def measure(handler: Any, work: dict[str, Any], context: Context) -> dict[str, Any]:
    """Milliseconds of each warm request, the processor seconds of all, the statuses seen."""
    events, count = work["warm"], work["warm_count"]
    statuses: set[int] = set()
    milliseconds: list[float] = []
    processor = time.process_time()
    for number in range(count):
        event = events[number % len(events)]
        began = time.perf_counter()
        answer = handler(event, context)
        milliseconds.append((time.perf_counter() - began) * 1000)
        statuses.add(answer["statusCode"])
    return {
        "warm_ms": milliseconds,
        "warm_cpu_s": time.process_time() - processor,
        "warm_statuses": sorted(statuses),
    }


def peak_kb() -> int:
    """The most memory this program held.

    Not getrusage's maximum: that begins with what the process held between fork and exec, which is
    the harness's own memory.
    """
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM:"))


main(*sys.argv[1:])
