"""The laptop's front door: the Lambda endpoint, the HTTP APIs, and the workers behind them;
at the Lambda endpoint's port, CloudFormation too (`infra/local/stacks`).

    python -m infra.local.front_door --port P --http staging=PORT --http prod=PORT ...

An HTTP request becomes an API Gateway event, goes to the version that the alias's weights pick,
and is run by a warm worker: AWS's own Python runtime client on that version's zip. Region,
credentials and AWS_ENDPOINT_URL_CLOUDWATCH are read from the environment.
"""

import argparse
import asyncio
import contextlib
import logging
import os
from pathlib import Path
from typing import Any

import boto3
import uvloop
from botocore.config import Config

from infra.local.front_door.code_store import CodeStore
from infra.local.front_door.control_plane import ControlPlane
from infra.local.front_door.data_plane import DataPlane, WorkerSettings
from infra.local.front_door.http_api import HttpApi
from infra.local.front_door.lambda_api import LambdaApi
from infra.local.front_door.routing import Routing
from infra.local.front_door.server import serve
from infra.local.front_door.telemetry import Telemetry
from infra.local.stacks.recreation import Recreation
from infra.local.stacks.stack_api import PATH, StackApi

_HOST_VARIABLES = ("AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
_ROUTING_SECONDS = 1.0
_LAST_FLUSH_SECONDS = 1.2


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m infra.local.front_door")
    parser.add_argument("--port", type=int, required=True, help="of the Lambda endpoint")
    parser.add_argument("--http", type=_pair, action="append", default=[], metavar="ENV=PORT")
    parser.add_argument("--service", required=True)
    parser.add_argument("--api", default="api", help="the function behind the HTTP APIs")
    parser.add_argument("--control-plane", required=True, metavar="URL")
    parser.add_argument("--code-bucket", required=True)
    parser.add_argument(
        "--runtime-python", type=os.path.abspath, required=True, help="has awslambdaric"
    )
    parser.add_argument("--schemas", type=Path, default=Path(), help="AWS's, of resource types")
    parser.add_argument("--work-dir", type=os.path.abspath, required=True)
    parser.add_argument("--flush-seconds", type=float, default=1.0)
    parser.add_argument(
        "--high-resolution", action="store_true", help="all metrics by the second, not the minute"
    )
    parser.add_argument("--idle-seconds", type=float, default=300.0, help="a worker's, at most")
    parser.add_argument(
        "--worker-env", type=_pair, action="append", default=[], metavar="NAME=VALUE"
    )
    return parser.parse_args()


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def _client(service: str, endpoint: str | None, region: str) -> Any:
    # One attempt, short waits: the next flush is the retry, and the end must not be held up.
    config = Config(connect_timeout=1, read_timeout=3, retries={"total_max_attempts": 1})
    return boto3.client(service, endpoint_url=endpoint, region_name=region, config=config)


def _by_path(prefix: str, special: Any, other: Any) -> Any:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        chosen = special if scope["path"].startswith(prefix) else other
        await chosen(scope, receive, send)

    return application


async def _main(arguments: argparse.Namespace) -> None:
    host = {name: os.environ[name] for name in _HOST_VARIABLES}
    region, plane = host["AWS_REGION"], arguments.control_plane
    control_plane = ControlPlane(
        plane, region, host["AWS_ACCESS_KEY_ID"], host["AWS_SECRET_ACCESS_KEY"]
    )
    cloudwatch = _client("cloudwatch", os.environ.get("AWS_ENDPOINT_URL_CLOUDWATCH", plane), region)
    telemetry = Telemetry(
        cloudwatch,
        _client("logs", plane, region),
        arguments.flush_seconds,
        arguments.high_resolution,
    )
    folder = Path(arguments.work_dir) / "code"
    code = CodeStore(_client("s3", plane, region), arguments.code_bucket, folder)
    routing = Routing(control_plane)
    settings = WorkerSettings(arguments.runtime_python, host, dict(arguments.worker_env))
    data_plane = DataPlane(routing, code, telemetry, settings)
    applications: dict[int, Any] = {
        int(port): HttpApi(
            data_plane,
            telemetry,
            api_id=f"{arguments.service}-{environment}",
            function=f"{arguments.service}-{arguments.api}-{environment}",
        )
        for environment, port in arguments.http
    }
    stacks = StackApi(control_plane, cloudwatch, Recreation(arguments.schemas))
    lambda_ = LambdaApi(data_plane, routing, control_plane)
    applications[arguments.port] = _by_path(PATH, stacks, lambda_)

    telemetry.start()
    watching = asyncio.gather(
        routing.watch(_ROUTING_SECONDS), data_plane.reap_idle(arguments.idle_seconds)
    )
    try:
        await serve(applications)
    finally:
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching
        await data_plane.close()
        await asyncio.to_thread(telemetry.stop, _LAST_FLUSH_SECONDS)
        await control_plane.close()


def main() -> None:
    """Serves until SIGTERM or SIGINT."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    arguments = _arguments()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_main(arguments))


if __name__ == "__main__":
    main()
