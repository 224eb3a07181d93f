"""The DynamoDB stand-in: ministack behind TLS on 127.0.0.1, with one table."""

import hashlib
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from bench.price_api.certificates import Certificates
from bench.price_api.errors import BenchError
from bench.price_api.work import KEY, Item
from infra.local.child import die_with_parent

REGION = "eu-west-1"
TABLE = "crypto-watch-bench"
WINDOW_SECONDS = 60
# The window of the rate limit must not change between a process's start and its first answer.
LEFT_SECONDS = 5
_START_SECONDS = 30


class StandIn:
    """A running stand-in; `endpoint` is its https address."""

    def __init__(self, endpoint: str, certificates: Certificates) -> None:
        self.endpoint = endpoint
        self.certificates = certificates
        self._dynamodb: Any = boto3.session.Session().client(
            "dynamodb",
            region_name=REGION,
            endpoint_url=endpoint,
            aws_access_key_id="local",
            aws_secret_access_key="local",  # noqa: S106 any does
            verify=str(certificates.authority),
            config=Config(proxies={"https": ""}),
        )

    def create_table(self) -> None:
        """The service's table is there, empty."""
        keys = {"PK": "HASH", "SK": "RANGE"}
        self._dynamodb.create_table(
            TableName=TABLE,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": n, "AttributeType": "S"} for n in keys],
            KeySchema=[{"AttributeName": n, "KeyType": kind} for n, kind in keys.items()],
        )

    def prepare(self, prices: list[Item]) -> None:
        """The prices are there and the key's minute is open: a request costs one UpdateItem."""
        left = WINDOW_SECONDS - time.time() % WINDOW_SECONDS
        if left < LEFT_SECONDS:
            time.sleep(left)
        key = {
            **_key_of_the_key(),
            "enabled": {"BOOL": True},
            "rateWindow": {"N": str(int(time.time() // WINDOW_SECONDS))},
            "rateCount": {"N": "0"},
        }
        puts = [{"PutRequest": {"Item": item}} for item in [key, *prices]]
        self._dynamodb.batch_write_item(RequestItems={TABLE: puts})

    def counted(self) -> int:
        """How many requests the key made since `prepare`, within the same minute."""
        answer = self._dynamodb.get_item(TableName=TABLE, Key=_key_of_the_key())
        return int(answer["Item"]["rateCount"]["N"])


@contextmanager
def running_stand_in(python: Path, folder: Path, certificates: Certificates) -> Iterator[StandIn]:
    """It answers inside the block, and is gone after it.

    Raises:
        BenchError: it did not start; the text shows the end of its log.
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "MINISTACK_HOST": "127.0.0.1",
        "MINISTACK_REGION": REGION,
        "STATE_DIR": str(folder / "state"),
        "S3_DATA_DIR": str(folder / "s3"),
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "LOG_LEVEL": "WARNING",
    }
    # By its server's own command: with USE_SSL=1 ministack would take port 443 as well.
    command = [
        *(str(python), "-m", "hypercorn", "ministack.app:app", "--bind", f"127.0.0.1:{port}"),
        *("--certfile", str(certificates.certificate), "--keyfile", str(certificates.key)),
        *("--workers", "0", "--keep-alive", "75", "--log-level", "WARNING"),
    ]
    log = folder / "ministack.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # an interrupt reaches it through us, once we are done with it
            preexec_fn=die_with_parent(os.getpid()),
        )
    try:
        _wait_until_it_listens(process, port, log)
        stand_in = StandIn(f"https://127.0.0.1:{port}", certificates)
        stand_in.create_table()
        yield stand_in
    finally:
        process.kill()  # it has nothing to save, and would wait for its open connections
        process.wait()


def _wait_until_it_listens(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise BenchError(f"the DynamoDB stand-in did not start:\n{log.read_text()[-2000:]}")


def _key_of_the_key() -> dict[str, Any]:
    digest = hashlib.sha256(KEY.encode()).hexdigest()
    return {"PK": {"S": f"APIKEY#{digest}"}, "SK": {"S": "METADATA"}}
