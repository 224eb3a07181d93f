"""A Temporal server made ready for releases, and the descriptions of servers that are there."""

import asyncio
import os
import re
import subprocess
import sys
import sysconfig
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
import yaml
from temporalio.client import Client
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes
from temporalio.envconfig import ClientConfig
from temporalio.testing import WorkflowEnvironment

from infra.temporal.setup import SetupError, set_up
from release.search_attributes import SEARCH_ATTRIBUTES
from tests.commands.conftest import repository
from tests.local import front_door_parts as parts
from tests.rollback.production_parts import STAGING, Production
from workflows import state

__all__ = ["repository"]
pytestmark = pytest.mark.asyncio(loop_scope="session")
ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "infra" / "temporal"


async def server(**options) -> WorkflowEnvironment:
    """A server as it comes: it knows nothing of releases."""
    return await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(Path(sysconfig.get_path("scripts")) / "temporal"),
        dev_server_log_level="error",
        **options,
    )


@pytest_asyncio.fixture(loop_scope="session")
async def bare() -> AsyncIterator[Client]:
    """A connection to a server that knows nothing of releases."""
    async with await server() as environment:
        yield environment.client


@pytest.fixture
def production(tmp_path: Path) -> Iterator[Production]:
    """An AWS without any function of ours."""
    folder = tmp_path / "ministack"
    folder.mkdir()
    with parts.ministack(folder) as (port, _):
        yield Production(port)


async def setup(
    client: Client, *arguments: str, namespace: str = "default", **environment: str
) -> list[str]:
    """What the command said."""
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "infra.temporal.setup", *arguments],
        cwd=ROOT,
        env={
            "PATH": os.environ["PATH"],
            "TEMPORAL_ADDRESS": client.service_client.config.target_host,
            "TEMPORAL_NAMESPACE": namespace,
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


async def test_setup_makes_what_is_missing_and_then_nothing(bare):
    """The first run makes all of it; the second finds it, and a release can be searched for."""
    first = await setup(bare)
    second = await setup(bare)

    assert first[0] == "namespace default: is there, kept histories for 1 days, now for 30 days"
    assert [line.rpartition(": ")[2] for line in first[1:]] == ["made"] * len(SEARCH_ATTRIBUTES)
    assert second[0] == "namespace default: is there, keeps histories for 30 days"
    assert [line.rpartition(": ")[2] for line in second[1:]] == ["is there"] * 5
    attributes = [
        SearchAttributePair(SearchAttributeKey.for_keyword(name), "x") for name in SEARCH_ATTRIBUTES
    ]
    await bare.start_workflow(
        "Any", id="any", task_queue="any", search_attributes=TypedSearchAttributes(attributes)
    )


async def test_setup_makes_a_namespace(bare):
    """A team's own namespace, on a server that has none but its first."""
    first = await setup(bare, "--retention-days=45", namespace="releases")
    second = await setup(bare, namespace="releases")

    assert first[0] == "namespace releases: made, keeps histories for 45 days"
    assert second[0] == "namespace releases: is there, keeps histories for 45 days"  # no shorter


async def test_drill_is_scheduled_once(bare, production, repository):
    """With `--drill` the rollback is drilled regularly; twice asked for, it is one schedule."""
    repository.commit("fix: a price")
    production.create("1.2.2", "c" * 40, STAGING)
    cloud = {
        "AWS_ENDPOINT_URL": production.endpoint,
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "RELEASE_REPOSITORY": str(repository.folder),
        "HOME": str(repository.folder.parent),
    }

    said = [(await setup(bare, "--drill", **cloud))[-1] for _ in range(2)]

    assert [line.partition(": ")[0] for line in said] == ["schedule drill/crypto-watch/staging"] * 2
    async with asyncio.timeout(20):
        while not (found := [one.id async for one in await bare.list_schedules()]):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    assert found == ["drill/crypto-watch/staging"]


async def test_attribute_of_another_type_is_not_overwritten():
    """Somebody's `ReleaseSha` that is a number stays theirs; the setup says so."""
    attribute = SearchAttributeKey.for_int("ReleaseSha")
    async with await server(search_attributes=[attribute]) as environment:
        with pytest.raises(SetupError, match="ReleaseSha: there is one of another type"):
            await set_up(environment.client, 30, print)


async def test_attributes_are_those_that_promotions_set():
    """One list makes every server ready; the workflows use no other."""
    used = {value.name for value in vars(state).values() if isinstance(value, SearchAttributeKey)}

    assert used == set(SEARCH_ATTRIBUTES)


@pytest.mark.parametrize("profile", ["laptop", "cluster", "cloud"])
async def test_each_connection_profile_is_read(profile, tmp_path):
    """The SDK takes every line of the file; no profile is without TLS but the laptop's."""
    text = (FOLDER / "temporal.toml").read_text()
    for name in ("ca.pem", "worker.pem", "worker.key"):
        (tmp_path / name).write_text("a certificate")
    (tmp_path / "temporal.toml").write_text(text.replace("/etc/temporal", str(tmp_path)))
    config = ClientConfig.load_client_connect_config(
        profile=profile,
        config_file=str(tmp_path / "temporal.toml"),
        override_env_vars={"TEMPORAL_API_KEY": "secret"} if profile == "cloud" else {},
        config_file_strict=True,
    )

    assert config["target_host"].endswith(":7233")
    assert bool(config.get("tls")) is (profile != "laptop")
    assert (config.get("api_key") == "secret") is (profile == "cloud")


async def test_team_servers_keep_histories_as_long_and_listen_to_this_machine_alone():
    """What the descriptions of servers promise; they are YAML, and were not run."""
    chart = yaml.safe_load((FOLDER / "values.yaml").read_text())
    compose = yaml.safe_load((FOLDER / "compose.yaml").read_text())

    assert chart["server"]["config"]["namespaces"]["namespace"][0]["retention"] == "30d"
    ports = [port for one in compose["services"].values() for port in one.get("ports", [])]
    assert len(ports) == 2
    assert all(port.startswith("127.0.0.1:") for port in ports)
    passwords = re.findall(r"(?:PASSWORD|PWD): (.+)", (FOLDER / "compose.yaml").read_text())
    assert set(passwords) == {"${POSTGRES_PASSWORD:?}"}
