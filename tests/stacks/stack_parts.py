"""CloudFormation as the laptop has it: ministack, the front door before it, our CloudWatch."""

import hashlib
import io
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3

from activities.infrastructure import Infrastructure
from activities.inputs import ChangeSetInput, PlanInput
from infra.local.parts import aws_schemas
from tests.git_command import git
from tests.local import front_door_parts as parts

ROOT = Path(__file__).parents[2]
TEMPLATE = "infra/template.yaml"
STACK, API = "crypto-watch-prod", "crypto-watch-api-prod"
FIRST = "0.1.0"


class Cloud:
    """The clients of one laptop cloud's control plane."""

    def __init__(self, aws: int, front_door: int, cloudwatch: int) -> None:
        self.ssm, self.s3 = _client("ssm", aws), _client("s3", aws)
        self.lambda_ = _client("lambda", front_door)
        self.cloudwatch = _client("cloudwatch", cloudwatch)
        self.cloudformation = _client("cloudformation", front_door, "/_cloudformation")

    def create_production(self, text: str, **more: str) -> None:
        """The stack, made of a template; its functions serve their first version."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("app.py", "def handler(event, context): return {}")
        digest = hashlib.sha256(buffer.getvalue()).hexdigest()
        self.s3.put_object(Bucket=parts.BUCKET, Key=f"lambda/{digest}.zip", Body=buffer.getvalue())
        values = {
            "Environment": "prod",
            "ArtifactBucket": parts.BUCKET,
            **dict.fromkeys(("ApiArtifact", "FetcherArtifact", "GuardArtifact"), digest),
            "FirstVersion": FIRST,
            "FirstCommit": "a" * 40,
            **more,
        }
        self.cloudformation.create_stack(
            StackName=STACK,
            TemplateBody=text,
            Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in values.items()],
            Capabilities=["CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
        )
        self._settled("stack_create_complete")

    def delete_production(self) -> None:
        """Nothing of it is left, also of what a template keeps."""
        self.cloudformation.delete_stack(StackName=STACK)
        self._settled("stack_delete_complete")

    def alarms(self) -> dict[str, float]:
        """Name → threshold of every alarm there is."""
        found = self.cloudwatch.describe_alarms()["MetricAlarms"]
        return {alarm["AlarmName"]: alarm["Threshold"] for alarm in found}

    def change_sets(self) -> list[str]:
        """The names of the stack's change sets."""
        found = self.cloudformation.list_change_sets(StackName=STACK)["Summaries"]
        return [one["ChangeSetName"] for one in found]

    def status(self) -> str:
        """The stack's."""
        [stack] = self.cloudformation.describe_stacks(StackName=STACK)["Stacks"]
        return str(stack["StackStatus"])

    def _settled(self, waiter: str) -> None:
        self.cloudformation.get_waiter(waiter).wait(
            StackName=STACK, WaiterConfig={"Delay": 0.1, "MaxAttempts": 300}
        )


class Project:
    """A repository of commits that differ in their template."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        git(folder, "init", "--quiet", "--initial-branch=main")
        self.text = (ROOT / TEMPLATE).read_text()

    def commit(self, *changes: tuple[str, str]) -> str:
        """The sha of a commit whose template has these texts replaced, each once."""
        text = self.text
        for old, new in changes:
            assert old in text, old
            text = text.replace(old, new, 1)
        path = self.folder / TEMPLATE
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        git(self.folder, "add", ".")
        git(self.folder, "commit", "--quiet", "--allow-empty", "--message", "a template")
        return git(self.folder, "rev-parse", "HEAD").strip()

    def plan(self, sha: str, change_set: str = "promotion-1") -> PlanInput:
        """What is asked for of a commit."""
        return PlanInput(sha=sha, template=TEMPLATE, stack=STACK, change_set=change_set)


def execute(change_set: str = "promotion-1") -> ChangeSetInput:
    """What is asked for of a change set."""
    return ChangeSetInput(stack=STACK, change_set=change_set)


def infrastructure(project: Project, cloudformation: Any, **more: Any) -> Infrastructure:
    """The activities, which look again at once."""
    return Infrastructure(project.folder, cloudformation, **{"pause": short_pause, **more})


def short_pause(seconds: float) -> None:
    """A twentieth of the time that was asked for."""
    parts.time.sleep(seconds / 20)


@contextmanager
def cloud(folder: Path) -> Iterator[Cloud]:
    """ministack, the front door and CloudWatch, each a process of its own."""
    with parts.ministack(folder / "ministack") as (aws, _):
        cloudwatch, front_door = parts.free_ports(2)
        arguments = [f"--database={folder / 'cloudwatch.db'}", "--ingest-delay=1", "--tick=1"]
        running = [_start(folder, "cloudwatch", cloudwatch, *arguments)]
        try:
            arguments = [
                *("--service=crypto-watch", f"--code-bucket={parts.BUCKET}"),
                f"--control-plane=http://127.0.0.1:{aws}",
                *(f"--runtime-python={sys.executable}", f"--work-dir={folder / 'work'}"),
                f"--schemas={aws_schemas()}",
            ]
            endpoint = f"http://127.0.0.1:{cloudwatch}"
            running.append(
                _start(
                    folder,
                    "front_door",
                    front_door,
                    *arguments,
                    AWS_ENDPOINT_URL_CLOUDWATCH=endpoint,
                )
            )
            for port in (cloudwatch, front_door):
                parts.until(lambda port=port: parts.answers(port, "/_ready"))
            yield Cloud(aws, front_door, cloudwatch)
        finally:
            for process in reversed(running):
                parts.stop(process)


def _start(
    folder: Path, name: str, port: int, *arguments: str, **environment: str
) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", f"infra.local.{name}", f"--port={port}", *arguments]
    with (folder / f"{name}.log").open("wb") as log:
        return subprocess.Popen(
            command,
            cwd=ROOT,
            env={**parts.ACCESS, **parts.measured(), **environment},
            stdout=log,
            stderr=log,
        )


def _client(service: str, port: int, path: str = "") -> Any:
    return boto3.client(
        service,
        endpoint_url=f"http://127.0.0.1:{port}{path}",
        region_name="eu-west-1",
        aws_access_key_id="local",
        aws_secret_access_key="local",
    )
