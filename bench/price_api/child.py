"""A fresh process for a variant, in the environment that Lambda would give it."""

import json
import os
import subprocess
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple

from bench.price_api.errors import BenchError
from bench.price_api.stand_in import REGION, TABLE, StandIn
from bench.price_api.work import SYMBOLS, Event

RUNNER = Path(__file__).with_name("runner.py")
SECONDS = 120


class Result(NamedTuple):
    """What one process tells."""

    first_ms: float  # from before the process was started to the first answer
    answers: list[dict[str, Any]]
    warm_ms: list[float]
    warm_cpu_s: float
    warm_statuses: list[int]
    peak_kb: int


class Runtime:
    """Starts the runtime's Python on an unpacked zip."""

    def __init__(self, python: Path, folder: Path, stand_in: StandIn) -> None:
        self._python = python
        self._folder = folder
        self._environment = _environment(stand_in)
        self._certificates = stand_in.certificates

    def run(
        self,
        code: Path,
        events: list[Event],
        warm: list[Event] | None = None,
        warm_count: int = 0,
        log: Path = Path(os.devnull),
    ) -> Result:
        """What the process told; its log lines are in `log`.

        Raises:
            BenchError: it failed; the text shows the end of its stderr.
        """
        work = self._folder / "work.json"
        work.write_text(
            json.dumps({"events": events, "warm": warm or [], "warm_count": warm_count})
        )
        bundle = self._folder / "bundle.pem"
        bundle.write_bytes(self._certificates.bundle_of(code))
        environment = {
            **self._environment,
            "LAMBDA_TASK_ROOT": str(code),
            "AWS_CA_BUNDLE": str(bundle),
        }
        reading, writing = os.pipe()
        with (
            log.open("wb") as output,
            (self._folder / "stderr").open("w+b") as errors,
            open(reading, "rb") as result,
        ):
            # The monotonic clock is one for all processes: the child's reading can be compared.
            began = time.monotonic()
            process = subprocess.Popen(
                [str(self._python), str(RUNNER), str(code), str(work), str(writing)],
                cwd=code,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                pass_fds=(writing,),
            )
            os.close(writing)
            limit = threading.Timer(SECONDS, process.kill)
            limit.start()
            try:
                told = result.read()
                code_of_exit = process.wait()
            finally:
                limit.cancel()
                process.kill()  # harmless once it has ended
                process.wait()
            if code_of_exit != 0 or not told:
                errors.seek(0)
                raise BenchError(
                    f"{code.name} failed:\n{errors.read().decode(errors='replace')[-2000:]}"
                )
        values = json.loads(told)
        return Result(first_ms=(values.pop("first_at") - began) * 1000, **values)


def _environment(stand_in: StandIn) -> dict[str, str]:
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": "/nonexistent",  # nobody's own AWS settings
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        # /var/task is read-only: nothing that a process compiles is kept for the next.
        "PYTHONDONTWRITEBYTECODE": "1",
        "AWS_LAMBDA_FUNCTION_NAME": "crypto-watch-api-bench",
        "AWS_LAMBDA_FUNCTION_VERSION": "7",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_SESSION_TOKEN": "local",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": stand_in.endpoint,
        "TABLE_NAME": TABLE,
        "ENVIRONMENT": "bench",
        "RELEASE_VERSION": "1.2.3",
        "GIT_SHA": "a" * 40,
        "SYMBOLS": ",".join(SYMBOLS[:2]),
        "RATE_LIMIT_PER_MINUTE": "1000000000",
    }
