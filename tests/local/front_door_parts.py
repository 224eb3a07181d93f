"""The real parts that the front door's tests stand on: ministack, a metrics recorder, functions."""

import contextlib
import gzip
import hashlib
import http.client
import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import boto3
from botocore.config import Config

T = TypeVar("T")
ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENTS = Path(sys.prefix) / "envs"  # as the laptop cloud finds them: a checkout has none
BUCKET = "artifacts"
SERVICE = "shop"
STAGES = [f"e{number}" for number in range(64)]
ACCESS = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local", "AWS_REGION": "eu-west-1"}

# One handler for all: the event, or an HTTP request's JSON body, says what to do.
HANDLER = """
import json, os, time

if os.environ.get("BREAK_INIT") == "raise":
    raise RuntimeError("no settings")
if os.environ.get("BREAK_INIT") == "exit":
    os._exit(7)

def handler(event, context):
    asked = event
    if isinstance(event, dict) and event.get("body", "").startswith("{"):
        asked = json.loads(event["body"])
    do = asked.get("do") if isinstance(asked, dict) else None
    if do == "raise":
        raise ValueError("broken on purpose")
    if do == "sleep":
        time.sleep(asked["seconds"])
    if do == "exit":
        os._exit(3)
    if do == "crash":
        os.kill(os.getpid(), 11)
    if do == "print":
        print(asked["text"])
    if do == "answer":
        return asked["answer"]
    if do == "large":
        return "x" * (6 * 1024 * 1024 + 1000)
    if do == "environment":
        return dict(os.environ)
    if do == "context":
        return {"arn": context.invoked_function_arn, "version": context.function_version,
                "left_ms": context.get_remaining_time_in_millis(), "pid": os.getpid()}
    if do == "echo":
        return {"statusCode": 200, "body": json.dumps(event)}
    return {"statusCode": 200, "body": os.environ.get("LABEL", "")}
"""


def until(read: Callable[[], T], seconds: float = 20) -> T:
    """The first true value that `read` gives; fails when none came in time."""
    deadline = time.monotonic() + seconds
    while not (value := read()):
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.02)
    return value


def free_ports(count: int) -> list[int]:
    """Ports on 127.0.0.1 on which nothing listens now."""
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [probe.getsockname()[1] for probe in probes]


def answers(port: int, path: str) -> bool:
    """A GET is answered with 200."""
    try:
        return get(port, path).status == 200
    except OSError:
        return False


class Response(NamedTuple):
    """An HTTP response that was read whole."""

    status: int
    headers: Message
    body: bytes


def get(port: int, path: str = "/", **options: Any) -> Response:
    """The response to one request on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(options.pop("method", "GET"), path, **options)
        response = connection.getresponse()
        return Response(response.status, response.headers, response.read())
    finally:
        connection.close()


def client(service: str, port: int) -> Any:
    """A plain boto3 client of one endpoint, without retries."""
    return boto3.client(
        service,
        endpoint_url=f"http://127.0.0.1:{port}",
        region_name="eu-west-1",
        aws_access_key_id="local",
        aws_secret_access_key="local",
        config=Config(
            retries={"total_max_attempts": 1}, read_timeout=60, parameter_validation=False
        ),
    )


def stop(process: "subprocess.Popen[bytes]", number: int = signal.SIGTERM) -> None:
    """The process is gone."""
    process.send_signal(number)
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def measured() -> dict[str, str]:
    """What lets a coverage run follow a process whose environment is made here."""
    return {name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")}


@contextlib.contextmanager
def ministack(
    folder: Path, given: dict[str, str] | None = None
) -> Iterator[tuple[int, "subprocess.Popen[bytes]"]]:
    """A control plane of its own, forgetting all at its end; yields its port."""
    [port] = free_ports(1)
    folder.mkdir(parents=True, exist_ok=True)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "MINISTACK_HOST": "127.0.0.1",
        "MINISTACK_REGION": "eu-west-1",
        "STATE_DIR": str(folder / "state"),
        "S3_DATA_DIR": str(folder / "s3"),
        "PERSIST_STATE": "0",
        **(given or {}),
    }
    with (folder / "ministack.log").open("wb") as log:
        process = subprocess.Popen(
            [ENVIRONMENTS / "ministack" / "bin" / "ministack"],
            env=environment,
            stdout=log,
            stderr=log,
        )
    try:
        until(lambda: answers(port, "/_ministack/health"))
        client("s3", port).create_bucket(
            Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
        )
        yield port, process
    finally:
        stop(process)


class Recorder:
    """A CloudWatch that keeps what PutMetricData brings; `down` makes it refuse with a 503."""

    def __init__(self) -> None:
        self.datums: list[tuple[str, dict[str, Any]]] = []
        self.refused = 0
        self.down = False
        recorder = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                if recorder.down:
                    recorder.refused += 1
                else:
                    request = json.loads(body)  # boto3's choice of CloudWatch's protocols
                    found = [(request["Namespace"], datum) for datum in request["MetricData"]]
                    recorder.datums += found
                self.send_response(503 if recorder.down else 200)
                self.send_header("content-type", "application/x-amz-json-1.0")
                self.send_header("content-length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """It listens no more."""
        self._server.shutdown()
        self._server.server_close()

    def total(self, namespace: str, name: str, **dimensions: str) -> float:
        """The Sum of one metric with exactly these dimensions."""
        return sum(value * count for value, count in self.values(namespace, name, **dimensions))

    def values(self, namespace: str, name: str, **dimensions: str) -> list[tuple[float, float]]:
        """Each value with its count, of one metric with exactly these dimensions."""
        found = []
        for space, datum in list(self.datums):
            given = {item["Name"]: item["Value"] for item in datum["Dimensions"]}
            if (space, datum["MetricName"], given) == (namespace, name, dimensions):
                found += list(zip(datum["Values"], datum["Counts"], strict=True))
        return found


class FrontDoor:
    """A running front door and what is needed to deploy functions behind it."""

    def __init__(
        self,
        control_plane_port: int,
        recorder: Recorder,
        folder: Path,
        *,
        port: int | None = None,
        idle_seconds: float = 300,
    ) -> None:
        free, *ports = free_ports(1 + len(STAGES))
        self.port = port or free
        self.http = dict(zip(STAGES, ports, strict=True))
        self.stages = iter(STAGES)
        arguments = ["--port", str(self.port), "--service", SERVICE, "--code-bucket", BUCKET]
        arguments += [f"--http={stage}={port}" for stage, port in self.http.items()]
        arguments += ["--control-plane", f"http://127.0.0.1:{control_plane_port}"]
        arguments += ["--runtime-python", str(ENVIRONMENTS / "lambda-runtime/bin/python")]
        arguments += ["--work-dir", str(folder / "work"), "--flush-seconds", "0.2"]
        arguments += [
            "--worker-env",
            "GIVEN=by the data plane",
            "--idle-seconds",
            str(idle_seconds),
        ]
        self.log_file = folder / "front_door.log"
        folder.mkdir(parents=True, exist_ok=True)
        environment = {
            "PATH": os.environ["PATH"],
            "HOST_SECRET": "of this machine",
            "AWS_ENDPOINT_URL_CLOUDWATCH": f"http://127.0.0.1:{recorder.port}",
            **ACCESS,
            **measured(),
        }
        with self.log_file.open("wb") as log:
            self.command = [sys.executable, "-m", "infra.local.front_door", *arguments]
            self.process = subprocess.Popen(
                self.command,
                cwd=ROOT,
                env=environment,
                stdout=log,
                stderr=log,
            )
        try:
            until(lambda: answers(self.port, "/_ready"))
        except BaseException:
            stop(self.process)
            raise
        self.aws = client("lambda", self.port)
        self.s3 = client("s3", control_plane_port)

    def stage(self) -> tuple[str, int]:
        """An environment that no test has used yet: its API function's name, its HTTP port."""
        stage = next(self.stages)
        return f"{SERVICE}-api-{stage}", self.http[stage]

    def deploy(self, function: str, *, timeout: int = 10, **variables: str) -> str:
        """A published version with these variables; the function is created where missing."""
        key = self.upload()
        environment = {"Variables": {"CONFIGURED": "yes", **variables}}
        try:
            self.aws.update_function_configuration(
                FunctionName=function, Environment=environment, Timeout=timeout
            )
        except self.aws.exceptions.ResourceNotFoundException:
            self.aws.create_function(
                FunctionName=function,
                Role="arn:aws:iam::000000000000:role/any",
                Runtime="python3.13",
                Handler="app.handler",
                Code={"S3Bucket": BUCKET, "S3Key": key},
                Environment=environment,
                Timeout=timeout,
                MemorySize=256,
            )
        version: str = self.aws.publish_version(FunctionName=function)["Version"]
        return version

    def upload(self, source: str = HANDLER) -> str:
        """The key under which a zip with this app.py lies in the bucket."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr(zipfile.ZipInfo("app.py"), source)
        key = f"lambda/{hashlib.sha256(buffer.getvalue()).hexdigest()}.zip"
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=buffer.getvalue())
        return key

    def live(self, function: str, version: str, weights: dict[str, float] | None = None) -> None:
        """The alias `live` routes so."""
        routing = {"AdditionalVersionWeights": weights or {}}
        given = {"FunctionName": function, "Name": "live", "FunctionVersion": version}
        try:
            self.aws.update_alias(**given, RoutingConfig=routing)
        except self.aws.exceptions.ResourceNotFoundException:
            self.aws.create_alias(**given, RoutingConfig=routing)
