"""Another service, `examples/hello`: in the Temporal of the price service, on AWS of its own."""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.git_command import git

ROOT = Path(__file__).parents[2]
CLOCK_FACTOR = 60
GREETING = '200 {"message": "Hello, Grace!"}'
BAD = '''

_friendly = greeting


def greeting(name: str) -> str:
    """Fails for whoever is not in the examples."""
    if name != "Ada":
        raise LookupError(name)
    return _friendly(name)
'''


class Hello:
    """The service's repository, and `starter.py` run in it."""

    def __init__(self, folder: Path, temporal: str) -> None:
        self.folder = folder
        self._environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("AWS_", "RELEASE_", "TEMPORAL_"))
        } | {
            # one Temporal for both services: each has a queue of its own
            "TEMPORAL_ADDRESS": temporal,
            "RELEASE_TASK_QUEUE": "hello",
        }

    def starter(self, *arguments: str) -> str:
        """What the command printed."""
        done = self._run(*arguments)
        assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        return done.stdout

    def eventually(self, *arguments: str) -> str:
        """What the command prints once there is something to print."""
        deadline = time.monotonic() + 60
        while (done := self._run(*arguments)).returncode:
            assert time.monotonic() < deadline, done.stderr
            time.sleep(0.5)
        return done.stdout

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(ROOT / "starter.py"), *arguments],
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def status(self) -> dict[str, Any]:
        """The promotion of main."""
        found: dict[str, Any] = json.loads(self.starter("status", "main", "--json"))
        return found

    def until(self, what: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first status for which it holds."""
        deadline = time.monotonic() + 90
        while not what(status := self.status()):
            assert status["outcome"] is None, status["reason"]
            assert time.monotonic() < deadline, status
            time.sleep(0.2)
        return status

    def promote(self) -> dict[str, Any]:
        """Main, with its people's yes; its status at the end."""
        self.starter("promote", "main", "--as", "dora")
        self.until(lambda status: status["stage"] == "checklist")
        self.starter("sign-off", "main", "used", "--as", "alice", "--note", "it greeted me")
        self.until(lambda status: status["stage"] == "approval" and status["digest"])
        self.starter("approve", "main", "--as", "alice")
        return self.until(lambda status: status["outcome"] is not None)

    def commit(self, subject: str) -> None:
        git(self.folder, "commit", "--quiet", "--allow-empty", "--all", "--message", subject)


@pytest.fixture
def hello(laptop: Any, tmp_path: Path) -> Iterator[Hello]:
    """Its repository, with a laptop cloud up in it."""
    folder = tmp_path / "hello"
    shutil.copytree(ROOT / "examples" / "hello", folder)
    git(folder, "init", "--quiet", "--initial-branch", "main")
    git(folder, "add", ".")
    service = Hello(folder, laptop.state.addresses.temporal)
    service.commit("feat: say hello")
    service.commit("feat: say it again")
    try:
        service.starter("up", "--port", "all=0", "--clock", str(CLOCK_FACTOR))
        yield service
    finally:
        service.starter("down")


class Greeted:
    """Somebody says hello to production 20 times a second."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._stop = threading.Event()
        self._seen: list[str] = []
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        with httpx.Client(base_url=self._url, timeout=10) as client:
            while not self._stop.wait(0.05):
                answer = client.get("/hello/Grace")
                self._seen.append(f"{answer.status_code} {answer.text}")

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def so_far(self) -> set[str]:
        """What was answered since this was asked last."""
        seen, self._seen = self._seen, []
        return set(seen)

    def next(self, count: int) -> set[str]:
        """What the next so many requests are answered."""
        self.so_far()
        deadline = time.monotonic() + 30
        while len(self._seen) < count:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        return self.so_far()


@pytest.fixture
def greeted(hello: Hello) -> Iterator[Greeted]:
    """Steady traffic."""
    state = json.loads((hello.folder / ".local" / "laptop.json").read_text())
    traffic = Greeted(state["addresses"]["prod"])
    yield traffic
    traffic.stop()


def test_another_service_is_promoted_and_comes_back(hello: Hello, greeted: Greeted) -> None:
    """A good commit takes all traffic without a failed answer; a bad one is put back."""
    good = hello.promote()

    assert good["outcome"] == "completed", good["reason"]
    assert greeted.so_far() == {GREETING}

    app = hello.folder / "hello" / "app.py"
    app.write_text(app.read_text() + BAD)
    hello.commit("feat: greet faster")
    bad = hello.promote()

    assert (bad["outcome"], bad["weight"]) == ("rolled back", 0.0), bad["reason"]
    assert any(answer.startswith("500") for answer in greeted.so_far())
    greeted.next(3)  # they may have been under way
    assert greeted.next(20) == {GREETING}
    assert "**Are users safe now?** **Yes.**" in hello.eventually("incident", "main")
    assert bad["sha"][:12] in hello.starter("quarantine", "list")
    ids = [found["id"] for found in json.loads(hello.starter("list", "--json"))]
    assert {good["workflow_id"], bad["workflow_id"]} <= set(ids)
