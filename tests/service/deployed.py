"""The price API deployed for real: its zip in warm Lambda workers behind the front door's HTTP."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from activities.build import zip_folder
from tests.local import front_door_parts as parts
from tests.service.service_parts import ROOT, new_table, put_key, put_price


class Deployed:
    """One stage of the service: its URL, its table, and what it logged."""

    def __init__(self, door: parts.FrontDoor, control_plane: int, **variables: str) -> None:
        endpoint = f"http://127.0.0.1:{control_plane}"
        self.function, port = door.stage()
        self.url = f"http://127.0.0.1:{port}"
        self.table = new_table(endpoint)
        self._door = door
        self._logs = parts.client("logs", control_plane)
        code = zip_folder(ROOT / "api_lambda" / "prices")
        key = f"lambda/{hashlib.sha256(code).hexdigest()}.zip"
        door.s3.put_object(Bucket=parts.BUCKET, Key=key, Body=code)
        door.aws.create_function(
            FunctionName=self.function,
            Role="arn:aws:iam::000000000000:role/any",
            Runtime="python3.13",
            Handler="app.handler",
            Code={"S3Bucket": parts.BUCKET, "S3Key": key},
            Environment={
                "Variables": {
                    "TABLE_NAME": self.table.name,
                    "AWS_ENDPOINT_URL": endpoint,
                    "RELEASE_VERSION": "1.2.3",
                    "GIT_SHA": "a" * 40,
                    **variables,
                }
            },
            Timeout=25,
            MemorySize=256,
        )
        version = door.aws.publish_version(FunctionName=self.function)["Version"]
        door.live(self.function, version)

    def with_prices(self) -> "Deployed":
        """Fresh, stale and too old prices, and the good key, stand in the table."""
        put_key(self.table)
        for symbol, age in (("BTC", 0), ("ETH", 100), ("SOL", 1000), ("OLD", 7200)):
            put_price(self.table, symbol, age=age)
        return self

    def log_lines(self) -> list[str]:
        """Every line of the function's log group so far."""
        group = f"/aws/lambda/{self.function}"
        pages = self._logs.get_paginator("filter_log_events").paginate(logGroupName=group)
        return [event["message"] for page in pages for event in page["events"]]

    def own_log(self) -> str:
        """What the front door itself wrote: its access to the key must leave no trace."""
        return self._door.log_file.read_text()


@contextmanager
def platform(folder: Path, idle_seconds: float = 300) -> Iterator[Callable[..., "Deployed"]]:
    """A maker of stages: `stage(RATE_LIMIT_PER_MINUTE="50")`."""
    recorder = parts.Recorder()
    with parts.ministack(folder / "ministack") as (control_plane, _):
        door = parts.FrontDoor(
            control_plane, recorder, folder / "front_door", idle_seconds=idle_seconds
        )
        try:
            yield lambda **variables: Deployed(door, control_plane, **variables)
        finally:
            parts.stop(door.process)
            recorder.close()
