"""Where this process runs: the one place that reads the process environment."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self


def task_queue() -> str:
    """Where the worker looks for work; services that share a Temporal namespace have one each."""
    return os.environ.get("RELEASE_TASK_QUEUE", "releases")


@dataclass(frozen=True)
class Settings:
    """The repository that is released from, and the branch that counts as main."""

    repository: Path
    branch: str
    state_dir: Path
    temporal_ui: str | None
    accepts_claims: bool
    github_api: str
    github_token_secret: str

    @classmethod
    def from_environment(cls) -> Self:
        """Settings of `RELEASE_*`; the repository is the current folder unless named."""
        return cls(
            repository=Path(os.environ.get("RELEASE_REPOSITORY", ".")).resolve(),
            branch=os.environ.get("RELEASE_BRANCH", "main"),
            state_dir=Path(os.environ.get("RELEASE_STATE_DIR", ".local")).resolve(),
            temporal_ui=os.environ.get("TEMPORAL_UI_URL"),
            # the worker's word, not a requester's: with it a name alone is an approval
            accepts_claims=os.environ.get("RELEASE_PROFILE", "production") == "laptop",
            github_api=os.environ.get("RELEASE_GITHUB_API", "https://api.github.com"),
            github_token_secret=os.environ.get("RELEASE_GITHUB_TOKEN_SECRET", "release/github"),
        )


@dataclass(frozen=True)
class TemporalSettings:
    """How this process takes part in Temporal; each is off unless it is named."""

    deployment: str
    build_id: str
    metrics_address: str
    traces_endpoint: str
    payload_key_secret: str

    @classmethod
    def from_environment(cls) -> Self:
        """Settings of `RELEASE_*`, and OpenTelemetry's own name for where traces go."""
        return cls(
            deployment=os.environ.get("RELEASE_DEPLOYMENT", "crypto-watch-release"),
            build_id=os.environ.get("RELEASE_BUILD_ID", ""),
            metrics_address=os.environ.get("RELEASE_METRICS_ADDRESS", ""),
            traces_endpoint=os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", ""),
            payload_key_secret=os.environ.get("RELEASE_PAYLOAD_KEY_SECRET", ""),
        )


def connect_to_temporal_config() -> dict[str, object]:
    """Arguments of `Client.connect`: a profile of `temporal.toml` and `TEMPORAL_*` variables."""
    from temporalio.envconfig import ClientConfig

    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", "localhost:7233")
    return dict(config)
