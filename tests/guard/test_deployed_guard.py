"""The guard's zip as the laptop cloud runs it: real leases, real alarms, real HTTP after them."""

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.local.clients import Clients
from infra.local.environment import create_environment
from infra.local.settings import LaptopState
from release.alarms import rollback_alarm_names
from release.lease import Lease, Note
from tests.guard.guard_parts import API, FETCHER, GUARD
from tests.local_supervisor.laptop_parts import production_spec, up
from tests.local_supervisor.laptop_processes import wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are read in /proc")
ALARM = rollback_alarm_names("crypto-watch", "prod")[0]


class Production:
    """Production on a laptop cloud, with a second version of the API beside the first."""

    def __init__(self, state: LaptopState) -> None:
        self.state = state
        self.clients = Clients(state.environment())
        self.aws = self.clients.client("lambda")
        settings = self.aws.get_function_configuration(FunctionName=API)
        variables = settings["Environment"]["Variables"] | {"RELEASE_VERSION": "0.2.0"}
        self.aws.update_function_configuration(
            FunctionName=API, Environment={"Variables": variables}
        )
        self.canary = self.aws.publish_version(FunctionName=API)["Version"]

    def shift(self, expires: datetime) -> None:
        """The canary serves nearly all traffic, under a lease that ends then."""
        lease = Lease(holder="promotion/x", run="r", baseline="1", expires=expires)
        self.aws.update_alias(
            FunctionName=API,
            Name="live",
            FunctionVersion="1",
            RoutingConfig={"AdditionalVersionWeights": {self.canary: 1.0}},
            Description=lease.to_description(),
        )
        assert self.versions_served() == {"0.2.0"}

    def versions_served(self) -> set[str]:
        """The releases that answer 20 requests over HTTP."""
        with httpx.Client(base_url=self.state.addresses.prod, timeout=20) as http:
            return {http.get("/health").json()["version"] for _ in range(20)}

    def note(self) -> Note:
        """What the guard left behind."""
        alias = self.aws.get_alias(FunctionName=API, Name="live")
        assert "RoutingConfig" not in alias
        note = Note.from_description(alias["Description"])
        assert note, alias
        return note

    def guard(self, **event: Any) -> dict[str, Any]:
        """What the guard answers through the front door."""
        return self._invoke(self.aws, event)

    def guard_by_schedule(self) -> dict[str, Any]:
        """What it answers on the way that EventBridge takes: from ministack, by its proxy."""
        variables = self.state.environment() | {"AWS_ENDPOINT_URL_LAMBDA": ""}
        return self._invoke(Clients(variables).client("lambda"), {"source": "aws.events"})

    def _invoke(self, lambda_: Any, event: dict[str, Any]) -> dict[str, Any]:
        answer = lambda_.invoke(FunctionName=GUARD, Payload=json.dumps(event))
        payload: dict[str, Any] = json.loads(answer["Payload"].read())
        assert "FunctionError" not in answer, payload
        return payload


@pytest.fixture
def production(state_dir: Path, tmp_path: Path) -> Production:
    """Production, whose guard the test alone invokes."""
    state = up(state_dir)
    spec = production_spec(state, tmp_path / "fetcher")
    create_environment(spec, state.environment())
    production = Production(state)
    events = production.clients.client("events")
    rule = events.describe_rule(Name=f"{GUARD}-schedule")
    assert (rule["ScheduleExpression"], rule["State"]) == ("rate(1 minute)", "ENABLED")
    events.disable_rule(Name=f"{GUARD}-schedule")
    return production


def test_deployed_guard_puts_real_traffic_back(production: Production) -> None:
    """Stale lease or red alarm: once the guard has answered, every request is the baseline's.

    One cloud for the whole story, since each takes ten seconds to start.
    """
    soon = datetime.now(UTC) + timedelta(hours=1)
    production.shift(soon)
    assert production.guard_by_schedule()["left"] == {
        API: f"leased to promotion/x until {soon:%Y-%m-%dT%H:%M:%SZ}",
        FETCHER: "no lease",
    }

    past = datetime.now(UTC) - timedelta(seconds=1)
    production.shift(past)
    assert set(production.guard(dryRun=True)["restored"]) == {API}
    assert production.versions_served() == {"0.2.0"}
    assert production.guard_by_schedule()["restored"][API]["version"] == "1"
    assert production.versions_served() == {"0.1.0"}
    assert production.note().reason.startswith("no sign of life from promotion/x since ")
    assert (production.note().by, production.note().undone) == (GUARD, production.canary)
    assert production.guard()["restored"] == {}

    production.shift(soon)
    # the next evaluation may have it green again before the guard looks
    wait_until(lambda: reddened(production), "the guard saw the alarm red")
    assert production.versions_served() == {"0.1.0"}
    assert production.note().reason == f"alarm {ALARM} is red"


def reddened(production: Production) -> bool:
    """The guard, asked just after the alarm was set red, has put the API back."""
    production.clients.client("cloudwatch").set_alarm_state(
        AlarmName=ALARM, StateValue="ALARM", StateReason="the test"
    )
    return API in production.guard()["restored"]
