"""Help, typing slips, and a laptop cloud that cannot start."""

import socket
import sys

import pytest

from infra.local import laptop
from tests.local_supervisor.laptop_processes import processes_of


def test_help_names_every_command_and_the_exit_codes(starter):
    """`--help` is where everybody starts."""
    done = starter("--help")

    assert done.returncode == 0
    assert done.stderr == ""
    for command in ("promote", "status", "approve", "sign-off", "abort", "rollback", "up", "down"):
        assert f"\n    {command} " in done.stdout
    assert "exit codes:" in done.stdout


@pytest.mark.parametrize("arguments", [[], ["promotee"], ["promote"], ["up", "--clock", "fast"]])
def test_typing_slip_is_bad_input(starter, arguments):
    """argparse's own refusals end like ours."""
    done = starter(*arguments)

    assert done.returncode == 2
    assert done.stdout == ""
    assert "starter.py" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("factor", ["0", "0.5", "-1", "nan", "inf"])
def test_clock_slower_than_the_wall_is_bad_input(starter, factor):
    """A release can only be made to pass faster."""
    done = starter("up", f"--clock={factor}")

    assert done.returncode == 2
    assert done.stderr == "error: --clock must lie between 1 and 600\n"


@pytest.mark.parametrize(
    "choice", ["nonsense", "aws=", "aws=x", "aws=65536", "aws=-1", "aws=²", "mars=1"]
)
def test_port_that_is_none_is_bad_input(starter, state_dir, choice):
    """The line repeats what was written and lists the names there are."""
    done = starter("up", "--port", choice)

    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(
        f"error: --port {choice}: write NAME=NUMBER, NAME one of temporal"
    )
    assert len(done.stderr.splitlines()) == 1
    assert not state_dir.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="processes are counted in /proc")
@pytest.mark.parametrize("name", ["aws", "lambda", "prod"])
def test_taken_port_stops_up_before_anything_runs(repository, starter, state_dir, name):
    """One line names the port, whose it is and the way out; nothing is left running."""
    repository.commit()
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        # an empty TEMPORAL_ADDRESS: the laptop cloud is to bring its own
        done = starter("up", "--port=all=0", f"--port={name}={port}", TEMPORAL_ADDRESS="")

    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == (
        f"error: port {port} ({name}) is taken; choose another with --port {name}=N\n"
    )
    assert laptop.running(state_dir) is None
    assert processes_of(state_dir) == []


def test_status_where_nothing_is_up_says_how_to_start(starter):
    """The first command a newcomer tries tells the second."""
    done = starter("status")

    assert done.returncode == 3
    assert done.stderr == (
        "error: nothing is up here; start the laptop cloud with `starter.py up`\n"
    )


def test_down_where_nothing_is_up_is_done(starter):
    """Stopping twice is no mistake."""
    done = starter("down")

    assert (done.returncode, done.stdout) == (0, "nothing is up here\n")
