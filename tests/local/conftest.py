"""One control plane, one metrics recorder and one front door for all tests of a run."""

from collections.abc import Iterator

import front_door_parts as parts
import pytest


@pytest.fixture(scope="session")
def recorder() -> Iterator[parts.Recorder]:
    """Where the shared front door's metrics arrive."""
    recorder = parts.Recorder()
    yield recorder
    recorder.close()


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a ministack with the artifact bucket."""
    with parts.ministack(tmp_path_factory.mktemp("ministack")) as (port, _):
        yield port


@pytest.fixture(scope="session")
def front_door(
    control_plane: int, recorder: parts.Recorder, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[parts.FrontDoor]:
    """A running front door."""
    door = parts.FrontDoor(control_plane, recorder, tmp_path_factory.mktemp("front_door"))
    yield door
    parts.stop(door.process)


@pytest.fixture
def function(front_door: parts.FrontDoor) -> str:
    """An API function with a published version 1 and its alias; it answers with its label."""
    name, _ = front_door.stage()
    front_door.live(name, front_door.deploy(name, LABEL="one"))
    return name


@pytest.fixture
def url_port(front_door: parts.FrontDoor, function: str) -> int:
    """The HTTP port behind which `function` stands."""
    return front_door.http[function.rpartition("-")[2]]
