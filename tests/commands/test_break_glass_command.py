"""`starter.py rollback --break-glass` as a person types it, with Temporal down."""

import json
from collections.abc import Callable, Iterator

import pytest

from tests.commands.conftest import Completed
from tests.local import front_door_parts as parts
from tests.rollback.production_parts import API, FETCHER, Production


@pytest.fixture(scope="module")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with parts.ministack(tmp_path_factory.mktemp("ministack")) as (port, _):
        yield port


@pytest.fixture
def production(control_plane: int, repository) -> Iterator[Production]:
    """Two releases of two commits, the second served; a promotion has brought half of a third."""
    production = Production(control_plane)
    production.create("1.0.0", repository.commit())
    production.publish("1.1.0", repository.commit())
    production.publish("1.2.0", repository.commit("feat: more"))
    production.serve("2")
    production.point(API, "2", {"3": 0.5})
    yield production
    production.forget()


@pytest.fixture
def rollback(starter, production) -> Callable[..., Completed]:
    """Runs `starter.py rollback …`; AWS answers, Temporal does not."""
    return lambda *arguments: starter("rollback", *arguments, AWS_ENDPOINT_URL=production.endpoint)


def test_glass_is_broken_with_temporal_down(rollback, production):
    """Every function is back on the baseline; it says what serves and what happens next."""
    done = rollback("--break-glass", "--reason", "customers call", "--as", "alice")

    assert done.returncode == 0, done.stderr
    assert f"{API} serves version 2 (1.1.0 " in done.stdout
    assert "all traffic; out of service: version 3" in done.stdout
    assert "The next promotion reads these notes" in done.stdout
    assert production.serves(API) == {"2": 1}
    assert production.serves(FETCHER) == {"2": 1}
    assert '"by":"alice"' in production.alias()["Description"]


def test_json_names_each_function_once(rollback):
    """For programs: what each alias serves, and what was taken out."""
    done = rollback("--break-glass", "--reason", "customers call", "--to", "1.0.0", "--json")

    functions = json.loads(done.stdout)["functions"]
    assert [(f["function"], f["version"], f["undone"]) for f in functions] == [
        (API, "1", "3"),
        (FETCHER, "1", "2"),
    ]


@pytest.mark.parametrize("reason", [(), ("--reason", ""), ("--reason", "  ")])
def test_reason_is_required(rollback, production, reason):
    """Whoever comes after has nothing else to go by; nothing was moved without it."""
    done = rollback("--break-glass", *reason)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: --break-glass needs --reason")
    assert production.serves(API) == {"2": 0.5, "3": 0.5}


def test_one_function_that_is_not_back_is_no_success(rollback, production):
    """The exit code is 0 only if all are back; the line says which is not."""
    production.lambda_.delete_alias(FunctionName=FETCHER, Name="live")

    done = rollback("--break-glass", "--reason", "customers call")

    assert done.returncode == 1
    assert f"{API} serves version 2" in done.stdout
    assert f"{FETCHER} is NOT back: " in done.stdout
    assert production.serves(API) == {"2": 1}


def test_version_built_again_later_is_no_newer_release(rollback, production):
    """Releases are ordered by their commits: the rebuilt 1.0.0 is not the one before 1.2.0."""
    description = production.descriptions()["1"]
    production.publish("1.0.0", description.partition(" ")[2])
    production.serve("3")

    assert rollback("--break-glass", "--reason", "customers call").returncode == 0

    assert production.serves(API) == {"2": 1}


def test_rollback_without_temporal_names_the_way_that_needs_none(rollback, production):
    """Exit code 3, and the command that works now."""
    done = rollback("--to", "1.0.0")

    assert done.returncode == 3
    assert "rollback --break-glass --reason" in done.stderr
    assert production.serves(API) == {"2": 0.5, "3": 0.5}
