"""What the pages show does what it says, run as it stands there against one laptop cloud."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import pytest

import starter
from cli import laptop as laptop_commands
from infra.local import laptop as laptop_cloud
from infra.local.settings import LaptopSettings, Ports
from tests.docs.documented import NEEDS_AN_ACCOUNT, PAGES, ROOT, blocks, starter_arguments

ELSEWHERE = {"up": "the fixture here", "down": "the fixture here", "demo": "CI, as `make demo`"}
OF_A_PROMOTION = {
    *("status", "checklist", "sign-off", "fail", "waive", "withdraw", "approve", "reject"),
    *("pause", "resume", "finish-now", "abort", "audit"),
}
# What is right to answer here, where nothing went back, nothing shifts, and no version is the
# second: the command has found what it needs, and says why there is nothing to do. Where that
# depends on how far the promotion has come meanwhile, any reason will do.
REASONS = {
    "waive": "refused: ",  # nothing is open: no item, no change of the stack
    "withdraw": "no ",
    "resume": "not paused",
    "finish-now": "no traffic is being shifted",
    "pause": "no traffic is being shifted",
    "approve": "",
    "rollback": "",
    "incident": "there is no incident packet",
    "quarantine": "quarantine list",
    "diff": "",
    "keys": "no key '3f2a9c0d1b7e'",
    "audit": "",
}


def documented() -> list[tuple[str, ...]]:
    """Each `starter.py` call of an unmarked block once, in the order of the pages."""
    found = [
        tuple(call)
        for page in PAGES
        for block in blocks(page)
        if block.language == "sh" and not block.mark
        for line in block.commands
        for call in starter_arguments(line)
    ]
    return [call for call in dict.fromkeys(found) if call[0] not in ELSEWHERE]


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A clone whose main is one commit ahead of production, with a laptop cloud up; the folder."""
    folder = tmp_path_factory.mktemp("docs")
    repository = folder / "repository"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(repository)], check=True)
    identity = ("-c", "user.name=carol", "-c", "user.email=carol@example.org")
    for command in (
        ["checkout", "--quiet", "-B", "main"],
        [*identity, "commit", "--quiet", "--allow-empty", "--message", "fix: a price"],
    ):
        subprocess.run(["git", "-C", str(repository), *command], check=True)
    wanted = LaptopSettings(
        state_dir=folder / "state",
        repository=repository,
        clock_factor=60,
        ports=Ports(**dict.fromkeys(Ports.model_fields, 0)),
    )
    with mock.patch.dict(os.environ):
        os.environ["RELEASE_STATE_DIR"] = str(folder / "state")
        try:
            laptop_commands.up(wanted, attached=True)
            yield folder
        finally:
            laptop_cloud.stop(wanted.state_dir, progress=print)


Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    """One `starter.py` call in this process: exit code, and all that it printed."""

    def run_(*call: str) -> tuple[int, str]:
        capfd.readouterr()
        code = starter.main(list(call))
        return code, "".join(capfd.readouterr())

    return run_


def test_every_documented_command_runs(
    cloud: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each ends with 0, or says why there is nothing for it to do here."""
    monkeypatch.chdir(cloud)
    wrong, lines = [], []
    for call in documented():
        if call[0] in OF_A_PROMOTION and "main" in call:
            assert run("promote", "main", "--as", "dora")[0] == 0
        code, said = run(*(word for word in call if word != "--watch"))
        reason = REASONS.get(call[0])
        fine = code == 0 or (reason is not None and code in (1, 2) and reason in said)
        lines.append(f"{code} {' '.join(call)}: {said[-200:]}")
        if not fine or "Traceback" in said:
            wrong.append(f"starter.py {' '.join(call)}: {code}: {said}")

    print(*lines, sep="\n")
    assert wrong == []
    assert NEEDS_AN_ACCOUNT
    assert json.loads(run("list", "--json")[1])
