"""What the laptop cloud is told (settings) and what it tells (its state file, its errors)."""

import sys
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

REGION = "eu-west-1"
CREDENTIAL = "local"  # access key and secret alike; the emulator takes any
PROJECT_ROOT = Path(__file__).resolve().parents[2]

AbsolutePath = Annotated[Path, AfterValidator(Path.resolve)]


class LaptopError(Exception):
    """The laptop cloud could not do what was asked; its text is for a person to read."""


class Frozen(BaseModel):
    """Immutable, and strict about unknown names so that a typing error is noticed."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Ports(Frozen):
    """The port of each listener on 127.0.0.1; 0 is any free one."""

    temporal: int = Field(7233, ge=0, le=65535)
    temporal_ui: int = Field(8233, ge=0, le=65535)
    aws: int = Field(4566, ge=0, le=65535)
    lambda_: int = Field(4567, ge=0, le=65535)
    cloudwatch: int = Field(4568, ge=0, le=65535)
    price_feed: int = Field(4569, ge=0, le=65535)
    staging: int = Field(8801, ge=0, le=65535)
    prod: int = Field(8802, ge=0, le=65535)


class LaptopSettings(Frozen):
    """What a person may choose about the laptop cloud."""

    state_dir: AbsolutePath = Field(Path(".local"), validate_default=True)
    ports: Ports = Ports()
    repository: AbsolutePath = Field(
        Path(), validate_default=True, description="the git repository to build from"
    )
    release_branch: str = "main"
    clock_factor: float = Field(
        1, ge=1, description="how much faster than the wall clock the waits of a release pass"
    )
    worker_command: list[str] = Field(default_factory=lambda: [sys.executable, "worker.py"])
    temporal_address: str | None = Field(
        None, description="host:port of a Temporal server of one's own; no dev server is started"
    )
    task_queue: str = Field("releases", description="of each service beside others in one Temporal")
    service: str = "crypto-watch"
    functions: tuple[str, ...] = ("api", "fetcher")
    api: str = Field("api", description="the function behind the HTTP API")


class Addresses(Frozen):
    """Where the parts answer; Temporal's as host:port, all others as URLs."""

    temporal: str
    temporal_ui: str | None
    aws: str
    lambda_: str
    cloudwatch: str
    price_feed: str
    staging: str
    prod: str


class LaptopState(Frozen):
    """A laptop cloud that is ready: who runs it and how it is reached."""

    pid: int
    state_dir: Path
    addresses: Addresses
    repository: Path
    release_branch: str
    clock_factor: float
    task_queue: str = "releases"

    def environment(self) -> dict[str, str]:
        """The variables with which any boto3 or temporalio client reaches this laptop cloud."""
        variables = {
            "AWS_ENDPOINT_URL": self.addresses.aws,
            "AWS_ENDPOINT_URL_LAMBDA": self.addresses.lambda_,
            "AWS_ENDPOINT_URL_CLOUDWATCH": self.addresses.cloudwatch,
            "AWS_ENDPOINT_URL_CLOUDFORMATION": f"{self.addresses.lambda_}/_cloudformation",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": CREDENTIAL,
            "AWS_SECRET_ACCESS_KEY": CREDENTIAL,
            "AWS_EC2_METADATA_DISABLED": "true",
            "TEMPORAL_ADDRESS": self.addresses.temporal,
            "RELEASE_REPOSITORY": str(self.repository),
            "RELEASE_BRANCH": self.release_branch,
            "RELEASE_STATE_DIR": str(self.state_dir),
            "RELEASE_TASK_QUEUE": self.task_queue,
        }
        if self.addresses.temporal_ui:
            variables["TEMPORAL_UI_URL"] = self.addresses.temporal_ui
        return variables


class AlreadyRunning(LaptopError):
    """A laptop cloud is already up in this state directory."""

    def __init__(self, state: LaptopState) -> None:
        found = state.addresses.model_dump(exclude_none=True)
        where = ", ".join(f"{name.rstrip('_')} {address}" for name, address in found.items())
        super().__init__(f"the laptop cloud is already running (pid {state.pid}): {where}")
        self.state = state
