"""Starting, ending and outages: nothing is left behind, and serving goes on."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import front_door_parts as parts
import pytest


def alive(pid: int) -> bool:
    """The process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture
def own_door(
    control_plane: int, recorder: parts.Recorder, tmp_path: Path
) -> Iterator[parts.FrontDoor]:
    """A front door that a test may end."""
    door = parts.FrontDoor(control_plane, recorder, tmp_path)
    yield door
    parts.stop(door.process, signal.SIGKILL)


def worker_of(door: parts.FrontDoor, function: str) -> int:
    """The process that has run an invocation."""
    answer = door.aws.invoke(FunctionName=function, Payload=json.dumps({"do": "context"}))
    pid: int = json.loads(answer["Payload"].read())["pid"]
    assert alive(pid)
    return pid


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes in /proc")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_end_leaves_no_worker(own_door: parts.FrontDoor, number: signal.Signals) -> None:
    """However the front door ends, its workers end, and SIGTERM takes less than 3 s."""
    name = f"ending-by-{number.name.lower()}"
    own_door.deploy(name)
    pid = worker_of(own_door, name)
    began = time.monotonic()

    own_door.process.send_signal(number)
    code = own_door.process.wait(10)

    assert time.monotonic() - began < 3
    assert code == (0 if number is signal.SIGTERM else -9)
    parts.until(lambda: not alive(pid))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux kills a child with its parent")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_busy_worker_ends_with_its_front_door(
    own_door: parts.FrontDoor, number: signal.Signals
) -> None:
    """A handler that runs on does not outlive a killed front door, nor hold up a clean end."""
    own_door.deploy("busy")
    pid = worker_of(own_door, "busy")
    request = b"POST /2015-03-31/functions/busy/invocations HTTP/1.1\r\nHost: h\r\n"
    body = json.dumps({"do": "sleep", "seconds": 9}).encode()
    with socket.create_connection(("127.0.0.1", own_door.port)) as connection:
        connection.sendall(request + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        time.sleep(0.2)  # nothing outside tells that the handler has the event
        began = time.monotonic()

        own_door.process.send_signal(number)
        own_door.process.wait(10)

    assert time.monotonic() - began < 3
    parts.until(lambda: not alive(pid), seconds=3)


def test_last_metrics_are_sent_at_the_end(
    control_plane: int, recorder: parts.Recorder, tmp_path: Path
) -> None:
    """What was measured just before SIGTERM arrives."""
    door = parts.FrontDoor(control_plane, recorder, tmp_path)
    try:
        door.deploy("last-words")
        door.aws.invoke(FunctionName="last-words", Payload="{}")
    finally:
        parts.stop(door.process)

    assert recorder.total("AWS/Lambda", "Invocations", FunctionName="last-words") == 1


def test_killed_idle_worker_is_replaced_unseen(front_door: parts.FrontDoor) -> None:
    """A worker that dies between two events costs a cold start and no error."""
    front_door.deploy("mortal")
    for _ in range(5):
        pid = worker_of(front_door, "mortal")
        os.kill(pid, signal.SIGKILL)
        parts.until(lambda pid=pid: not alive(pid))  # type: ignore[misc]


def test_requests_are_served_while_the_control_plane_is_away(
    recorder: parts.Recorder, tmp_path: Path
) -> None:
    """Known routing is served from the cache; calls for the control plane get a clear 500."""
    with parts.ministack(tmp_path / "ministack") as (port, process):
        door = parts.FrontDoor(port, recorder, tmp_path / "door")
        try:
            name, http_port = door.stage()
            door.live(name, door.deploy(name, LABEL="cached"))
            assert parts.get(http_port).status == 200

            parts.stop(process)

            parts.until(lambda: "control plane is away" in door.log_file.read_text())
            for _ in range(20):
                assert parts.get(http_port).body == b"cached"
            gone = parts.get(door.port, f"/2015-03-31/functions/{name}/aliases")
            assert gone.status == 500
            assert gone.headers["x-amzn-errortype"] == "ServiceException"
        finally:
            parts.stop(door.process)


def test_schedule_of_the_control_plane_reaches_a_worker(
    recorder: parts.Recorder, tmp_path: Path
) -> None:
    """ministack's proxy mode runs a function's events on our workers, by the alias."""
    [door_port] = parts.free_ports(1)
    url = f"http://127.0.0.1:{door_port}/_proxy/nightly/live"
    given = {"MINISTACK_LAMBDA_PROXY_nightly": url}
    with parts.ministack(tmp_path / "ministack", given) as (port, _):
        door = parts.FrontDoor(port, recorder, tmp_path / "door", port=door_port)
        try:
            door.live("nightly", door.deploy("nightly"))
            answer = parts.client("lambda", port).invoke(
                FunctionName="nightly", Payload=json.dumps({"do": "context"})
            )
            assert json.loads(answer["Payload"].read())["arn"].endswith(":nightly:live")
        finally:
            parts.stop(door.process)


def test_taken_port_ends_the_start(front_door: parts.FrontDoor) -> None:
    """A second front door on the same ports does not start."""
    result = subprocess.run(
        front_door.command,
        cwd=parts.ROOT,
        env={"PATH": os.environ["PATH"], **parts.ACCESS},
        capture_output=True,
        timeout=30,
    )

    assert result.returncode != 0
    assert b"ddress already in use" in result.stderr


def test_idle_worker_is_ended(control_plane: int, recorder: parts.Recorder, tmp_path: Path) -> None:
    """A worker that nobody needs goes, and the next event starts another."""
    door = parts.FrontDoor(control_plane, recorder, tmp_path, idle_seconds=0.3)
    try:
        door.deploy("idle")
        pid = worker_of(door, "idle")
        parts.until(lambda: not alive(pid))

        assert worker_of(door, "idle") != pid
    finally:
        parts.stop(door.process)
