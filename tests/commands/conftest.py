"""The command line as a person meets it: a process of its own, in a repository of its own."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.local.front_door_parts import measured

ROOT = Path(__file__).resolve().parents[2]
POLICY = (ROOT / "release.toml").read_text()
NOBODY = "http://127.0.0.1:9"  # the discard port: nothing answers there

Completed = subprocess.CompletedProcess[str]


class Repository:
    """A git repository of which every commit is made here."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.git("init", "--quiet", "--initial-branch=main")

    def commit(self, subject: str = "fix: a price", **files: str | bytes | None) -> str:
        """The sha of a commit of the whole service, with these files changed (None removes)."""
        names = {"policy": "release.toml", "api": "api_lambda/prices/app.py"}
        whole: dict[str, str | bytes | None] = {
            "release.toml": POLICY,
            "api_lambda/prices/app.py": "# prices",
            "api_lambda/fetcher/app.py": "# fetcher",
        }
        whole |= {names[name]: content for name, content in files.items()}
        for name, content in whole.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            if content is not None:
                path.write_bytes(content if isinstance(content, bytes) else content.encode())
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", subject)
        return self.git("rev-parse", "HEAD")

    def git(self, *arguments: str) -> str:
        """git's answer."""
        identity = ("-c", "user.name=carol", "-c", "user.email=carol@example.org")
        command = ["git", "-C", str(self.folder), *identity, *arguments]
        environment = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": os.devnull}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """An empty repository to release from."""
    folder = tmp_path / "repository"
    folder.mkdir()
    return Repository(folder)


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    """The state directory that the commands of this test use."""
    return tmp_path / "state"


@pytest.fixture
def starter(repository: Repository, state_dir: Path) -> Callable[..., Completed]:
    """Runs `starter.py`; neither AWS nor Temporal answers unless the test names one that does."""

    def run(*arguments: str, **environment: str) -> Completed:
        known = {
            "PATH": os.environ["PATH"],
            "HOME": str(repository.folder.parent),
            "GIT_CONFIG_GLOBAL": os.devnull,
            "RELEASE_REPOSITORY": str(repository.folder),
            "RELEASE_STATE_DIR": str(state_dir),
            "TEMPORAL_ADDRESS": "127.0.0.1:9",
            "AWS_ENDPOINT_URL": NOBODY,
            "AWS_DEFAULT_REGION": "eu-west-1",
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
        }
        return subprocess.run(
            [sys.executable, str(ROOT / "starter.py"), *arguments],
            env=known | measured() | environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run
