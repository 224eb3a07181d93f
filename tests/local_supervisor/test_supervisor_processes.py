"""The supervisor's promises about processes, with stand-ins for the real parts."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from infra.local import free_ports, laptop, state_lock
from infra.local.laptop import AlreadyRunning, LaptopError, LaptopSettings, LaptopState, Ports
from tests.local_supervisor.laptop_processes import listens, pid_of, processes_of, wait_until

STAND_IN = Path(__file__).with_name("stand_in.py")


def free_port() -> int:
    return free_ports.settle(Ports(aws=0), frozenset(set(Ports.model_fields) - {"aws"})).aws


def up(
    state_dir: Path, port: int, kind: str = "steady", lines: list[str] | None = None
) -> LaptopState:
    shown: list[str] = [] if lines is None else lines
    command = [sys.executable, str(STAND_IN), str(state_dir), str(port), kind]
    return laptop.launch(command, state_dir, attached=False, progress=shown.append)


def starter(state_dir: Path, port: int, kind: str, *, attached: bool) -> subprocess.Popen[bytes]:
    """A process of its own that starts the stand-ins and then stays."""
    command = [sys.executable, str(STAND_IN), str(state_dir), str(port), kind]
    code = (
        "import signal\nfrom pathlib import Path\nfrom infra.local import laptop\n"
        f"laptop.launch({[*command, *(['--attached'] if attached else [])]!r}, "
        f"Path({str(state_dir)!r}), attached={attached}, progress=print)\nsignal.pause()\n"
    )
    return subprocess.Popen([sys.executable, "-c", code])


def test_down_leaves_no_process_and_no_port(state_dir: Path) -> None:
    """After `stop` nothing of the laptop cloud runs or listens."""
    port = free_port()
    lines: list[str] = []
    up(state_dir, port, lines=lines)
    assert [line.split(" in ")[0] for line in lines] == ["server ready", "worker ready"]
    assert listens(port)
    assert len(processes_of(state_dir)) == 4  # supervisor, server, worker, the worker's own

    assert laptop.stop(state_dir, lines.append) is True

    assert processes_of(state_dir) == []
    assert not listens(port)
    assert laptop.running(state_dir) is None
    assert not state_lock.state_file(state_dir).exists()


def test_stop_when_nothing_runs_says_so(state_dir: Path) -> None:
    """A stale state file does not make `stop` signal a stranger."""
    state_lock.state_file(state_dir).write_text(f'{{"pid": {os.getpid()}}}')
    (state_dir / "laptop.lock").write_text(str(os.getpid()))

    assert laptop.stop(state_dir, print) is False
    assert laptop.running(state_dir) is None


def test_killed_supervisor_leaves_no_child(state_dir: Path) -> None:
    """kill -9 of the supervisor takes all parts with it, and the next start works."""
    state = up(state_dir, free_port())
    server, worker = pid_of(state_dir, b"HTTPServer"), pid_of(state_dir, b"worker ready")
    assert server
    assert worker

    os.kill(state.pid, signal.SIGKILL)

    wait_until(
        lambda: not {server, worker} & set(processes_of(state_dir)), "the parts of it are gone"
    )
    # the parts die with the supervisor's thread that started them; the lock goes with its last one
    wait_until(lambda: laptop.running(state_dir) is None, "the lock is free")
    assert up(state_dir, free_port()).pid != state.pid


def test_starter_dies_while_starting_and_all_is_gone(state_dir: Path) -> None:
    """A terminal closed, or Ctrl-C, before the cloud is ready leaves nothing behind."""
    process = starter(state_dir, free_port(), "stuck", attached=False)
    wait_until(lambda: pid_of(state_dir, b"signal.pause()"), "the stuck worker runs")

    process.kill()
    process.wait()

    wait_until(lambda: not processes_of(state_dir), "everything is gone")


def test_interrupted_starter_leaves_nothing(state_dir: Path) -> None:
    """Ctrl-C while starting returns only once everything is gone."""
    process = starter(state_dir, free_port(), "stuck", attached=False)
    wait_until(lambda: pid_of(state_dir, b"signal.pause()"), "the stuck worker runs")

    process.send_signal(signal.SIGINT)
    process.wait()

    assert processes_of(state_dir) == []


def test_attached_starter_dies_later_and_all_is_gone(state_dir: Path) -> None:
    """A demo that crashes takes its laptop cloud with it."""
    process = starter(state_dir, free_port(), "steady", attached=True)
    wait_until(lambda: laptop.running(state_dir), "the cloud is ready")

    process.kill()
    process.wait()

    wait_until(lambda: not processes_of(state_dir), "everything is gone")


def test_detached_starter_dies_later_and_the_cloud_stays(state_dir: Path) -> None:
    """`up` may end, and its terminal close: the laptop cloud goes on."""
    port = free_port()
    process = starter(state_dir, port, "steady", attached=False)
    wait_until(lambda: laptop.running(state_dir), "the cloud is ready")

    process.kill()
    process.wait()

    assert laptop.running(state_dir)
    assert listens(port)


@pytest.mark.parametrize("needle", [b"HTTPServer", b"worker ready"])
def test_killed_part_comes_back(state_dir: Path, needle: bytes) -> None:
    """A part that dies is started again."""
    port = free_port()
    up(state_dir, port)
    before = pid_of(state_dir, needle)
    assert before

    os.kill(before, signal.SIGKILL)

    wait_until(lambda: pid_of(state_dir, needle) not in (None, before), "it runs again")
    wait_until(lambda: listens(port), "the port answers")
    wait_until(lambda: len(processes_of(state_dir)) == 4, "nothing is left of the first one")


def test_second_start_is_refused_with_the_addresses_of_the_first(state_dir: Path) -> None:
    """Two laptop clouds never share a state directory."""
    state = up(state_dir, free_port())

    with pytest.raises(AlreadyRunning, match=state.addresses.prod) as refusal:
        laptop.start(LaptopSettings(state_dir=state_dir), attached=False, progress=print)
    with pytest.raises(LaptopError, match="another laptop cloud runs in"):
        up(state_dir, free_port())

    assert refusal.value.state == state
    assert laptop.running(state_dir) == state


def test_failed_part_is_named_with_its_log(state_dir: Path) -> None:
    """A start that fails says which part, where its log is, and how that ends."""
    with pytest.raises(LaptopError) as failure:
        up(state_dir, free_port(), "broken")

    text = str(failure.value)
    assert "worker ended while starting (exit code 1)" in text
    assert str(state_dir / "logs" / "worker.log") in text
    assert "no such task queue" in text
    assert processes_of(state_dir) == []


def test_taken_port_is_named_before_anything_starts(state_dir: Path) -> None:
    """A port in use is told with the option that changes it, and nothing was started."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        ports = Ports(**dict.fromkeys(Ports.model_fields, 0) | {"temporal_ui": port})

        with pytest.raises(LaptopError) as failure:
            laptop.start(
                LaptopSettings(state_dir=state_dir, ports=ports), attached=False, progress=print
            )

    assert str(failure.value) == (
        f"port {port} (temporal_ui) is taken; choose another with --port temporal_ui=N"
    )
    assert processes_of(state_dir) == []
    assert list(state_dir.iterdir()) == []


def test_unreachable_own_temporal_is_refused(state_dir: Path) -> None:
    """A Temporal address where nothing answers is told before anything starts."""
    settings = LaptopSettings(state_dir=state_dir, temporal_address=f"127.0.0.1:{free_port()}")

    with pytest.raises(LaptopError, match="no Temporal server answers at"):
        laptop.start(settings, attached=False, progress=print)

    assert list(state_dir.iterdir()) == []
