"""The rollback drill on the laptop cloud: real routing, a real alarm, the step of a release."""

import json
import os
import subprocess
import sys
from pathlib import Path

import boto3
import pytest

ROOT = Path(__file__).parents[2]
FUNCTION, SERVICE = "crypto-watch-api-staging", "crypto-watch"


@pytest.fixture
def starter(laptop):
    """Runs `starter.py` at the laptop cloud."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        places = {
            "RELEASE_STATE_DIR": str(laptop.repository.parent / "state"),
            "RELEASE_REPOSITORY": str(laptop.repository),
        }
        return subprocess.run(
            [sys.executable, str(ROOT / "starter.py"), *arguments],
            cwd=laptop.repository,
            env=os.environ | places,
            capture_output=True,
            text=True,
            timeout=150,
            check=False,
        )

    return run


def test_drill_in_staging_says_how_long_it_took_and_leaves_nothing(starter):
    """Exit code 0 and a figure; the alias is whole, and the canary's alarm is gone."""
    before = boto3.client("lambda").get_alias(FunctionName=FUNCTION, Name="live")

    done = starter("drill", "--json")

    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(done.stdout)
    print(f"{result['seconds']} s from alarm to 100 % baseline")
    assert result["passed"]
    assert 0 < result["seconds"] < 60
    assert (result["environment"], result["baseline"]) == ("staging", before["FunctionVersion"])
    after = boto3.client("lambda").get_alias(FunctionName=FUNCTION, Name="live")
    assert after["FunctionVersion"] == before["FunctionVersion"]
    assert not (after.get("RoutingConfig") or {}).get("AdditionalVersionWeights")
    alarms = boto3.client("cloudwatch").describe_alarms(
        AlarmNames=[f"{SERVICE}-backend-staging-canary-errors"]
    )
    assert alarms["MetricAlarms"] == []
    latest = boto3.client("lambda").get_function_configuration(FunctionName=FUNCTION)
    assert "DRILL" not in latest["Environment"]["Variables"]


def test_drill_for_people_says_what_it_does(starter):
    """Its verdict with its time; a second drill finds the first one's traces gone."""
    done = starter("drill", "--environment", "staging")

    assert done.returncode == 0, done.stdout + done.stderr
    print(done.stdout)
    assert "s from alarm to 100 % baseline" in done.stdout.splitlines()[-1]
    assert done.stdout.splitlines()[-1].startswith("passed: ")


def test_schedule_is_made_changed_and_removed(starter):
    """Made twice there is still one; it says when it drills next."""
    first, second = (starter("drill", "--schedule", "--json") for _ in range(2))
    assert first.returncode == 0, first.stderr
    assert json.loads(first.stdout)["schedule"] == "drill/crypto-watch/staging"
    assert json.loads(first.stdout)["next"]
    assert json.loads(second.stdout) == json.loads(first.stdout)

    assert starter("drill", "--unschedule").stdout.endswith("is no longer scheduled\n")
    assert starter("drill", "--unschedule").stdout.endswith("was not scheduled\n")
