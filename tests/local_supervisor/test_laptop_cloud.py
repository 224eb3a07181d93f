"""The laptop cloud with its real parts: one is started, filled, hurt, stopped and started again."""

import json
import os
import signal
from pathlib import Path

import httpx
import pytest
from temporalio.client import Client

from infra.local import laptop
from infra.local.clients import Clients
from infra.local.environment import create_api_keys
from infra.local.laptop import LaptopState
from tests.local_supervisor.laptop_parts import GIT_SHA, environment, up
from tests.local_supervisor.laptop_processes import listens, pid_of, processes_of, wait_until


@pytest.fixture
def cloud(state_dir: Path) -> LaptopState:
    return up(state_dir)


async def connect(state: LaptopState) -> Client:
    return await Client.connect(state.environment()["TEMPORAL_ADDRESS"])


async def test_started_workflow_outlives_a_restart(cloud: LaptopState) -> None:
    """A promotion that runs at `down` is still running after the next `up`."""
    client = await connect(cloud)
    await client.start_workflow("Promotion", id="promotion/x", task_queue="nobody")

    assert laptop.stop(cloud.state_dir, print)
    assert processes_of(cloud.state_dir) == []
    client = await connect(up(cloud.state_dir))

    assert [run.id async for run in client.list_workflows("ExecutionStatus='Running'")] == [
        "promotion/x"
    ]


async def test_killed_temporal_heals(cloud: LaptopState) -> None:
    """kill -9 of the Temporal server loses no workflow; the server is back at its address."""
    client = await connect(cloud)
    await client.start_workflow("Promotion", id="promotion/x", task_queue="nobody")
    before = pid_of(cloud.state_dir, b"start-dev")
    assert before

    os.kill(before, signal.SIGKILL)

    wait_until(lambda: pid_of(cloud.state_dir, b"start-dev") not in (None, before), "a new server")
    port = int(cloud.addresses.temporal.rpartition(":")[2])
    wait_until(lambda: listens(port), "its port answers")
    description = await (await connect(cloud)).get_workflow_handle("promotion/x").describe()
    assert description.id == "promotion/x"


async def test_default_namespace_keeps_closed_promotions_for_a_month(cloud: LaptopState) -> None:
    """A closed promotion's history is there for 30 days; the search attributes are registered."""
    from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
    from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest

    client = await connect(cloud)
    namespace = await client.workflow_service.describe_namespace(
        DescribeNamespaceRequest(namespace="default")
    )
    attributes = await client.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace="default")
    )

    assert namespace.config.workflow_execution_retention_ttl.seconds == 30 * 24 * 3600
    assert {"ReleaseService", "ReleaseSha", "ReleaseVersion", "ReleaseStage", "ReleaseOutcome"} <= (
        set(attributes.custom_attributes)
    )


def test_parts_see_nothing_of_the_persons_own_cloud(
    state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No part inherits a proxy, an AWS profile or a Temporal key; the worker keeps the rest."""
    foreign = ("https_proxy", "AWS_PROFILE", "AWS_ENDPOINT_URL_S3", "TEMPORAL_API_KEY")
    for name in (*foreign, "CHAT_TOKEN"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")

    state = up(state_dir)

    for pid in set(processes_of(state_dir)) - {state.pid}:
        inherited = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        assert not {name for name in foreign if f"{name}=http://127.0.0.1:1".encode() in inherited}
    worker = pid_of(state_dir, b"worker ready")
    assert b"CHAT_TOKEN=http://127.0.0.1:1" in Path(f"/proc/{worker}/environ").read_bytes()


async def test_environment_serves_prices_before_and_after_a_restart(
    cloud: LaptopState, tmp_path: Path
) -> None:
    """A new environment answers over HTTP with prices, and so it does after down and up."""
    report = environment(cloud, tmp_path / "fetcher")
    keys = create_api_keys("crypto-watch", "prod", ["one", "two"], cloud.environment())
    assert len(set(keys)) == 2
    assert report.alarms == [
        f"crypto-watch-backend-prod-{name}"
        for name in ("api-5xx", "lambda-errors", "lambda-throttles")
    ]
    check_service(cloud, keys[0])

    assert laptop.stop(cloud.state_dir, print)
    again = up(cloud.state_dir)

    check_service(again, keys[1])
    alarms = Clients(again.environment()).client("cloudwatch").describe_alarms()["MetricAlarms"]
    assert {alarm["AlarmName"] for alarm in alarms} == set(report.alarms)
    assert laptop.stop(cloud.state_dir, print)
    assert processes_of(cloud.state_dir) == []
    assert not any(listens(int(url.rpartition(":")[2])) for url in addresses(again))


def addresses(state: LaptopState) -> list[str]:
    return list(state.addresses.model_dump().values())


def check_service(state: LaptopState, key: str) -> None:
    health = httpx.get(f"{state.addresses.prod}/health", timeout=20)
    assert health.status_code == 200, health.text
    assert health.json()["version"] == "0.1.0"
    assert health.json()["gitSha"] == GIT_SHA
    assert symbols_served(state, key) == {"BTC", "ETH"}
    secret = Clients(state.environment()).client("secretsmanager")
    found = secret.get_secret_value(SecretId="crypto-watch/prod/test-api-keys")["SecretString"]
    test_keys = json.loads(found)
    assert len(set(test_keys)) == 8
    assert all(symbols_served(state, test_key) == {"BTC", "ETH"} for test_key in test_keys)


def symbols_served(state: LaptopState, key: str) -> set[str]:
    url = f"{state.addresses.prod}/prices?symbols=BTC,ETH"
    answer = httpx.get(url, headers={"X-API-Key": key}, timeout=20)
    assert answer.status_code == 200, answer.text
    return {price["symbol"] for price in answer.json()["data"]}
