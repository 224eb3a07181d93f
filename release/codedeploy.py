"""AWS CodeDeploy's part of a release, as CodeDeploy wants it and as it answers. Pure rules.

One application per service, one deployment group per environment; CodeDeploy allows a group one
deployment at a time.
"""

import json
import re
from datetime import timedelta
from typing import Any, Self

from release.alarms import canary_alarm_name, rollback_alarm_names
from release.message import Message
from release.policy import ShiftStep

LONGEST = timedelta(hours=50)
"""CodeDeploy's own limit of a deployment on Lambda: "CodeDeploy limits" in its user guide."""

SUCCEEDED = "Succeeded"
_OVER = {SUCCEEDED, "Failed", "Stopped"}
_PLAN = re.compile(
    r"CodeDeployDefault\.Lambda(?:Linear(\d+)PercentEvery|Canary(\d+)Percent)(\d+)Minutes?"
)


class Deployment(Message):
    """One deployment as CodeDeploy has it."""

    id: str
    status: str
    description: str = ""
    error: str = ""
    rollback: str = ""
    rolled_back_by: str = ""
    rolls_back: str = ""

    @classmethod
    def of(cls, info: dict[str, Any]) -> Self:
        """The deployment of a `DeploymentInfo`."""
        error, back = info.get("errorInformation") or {}, info.get("rollbackInfo") or {}
        return cls(
            id=info["deploymentId"],
            status=info["status"],
            description=info.get("description", ""),
            error=": ".join(filter(None, (error.get("code"), error.get("message")))),
            rollback=back.get("rollbackMessage", ""),
            rolled_back_by=back.get("rollbackDeploymentId", ""),
            rolls_back=back.get("rollbackTriggeringDeploymentId", ""),
        )

    @property
    def is_over(self) -> bool:
        """Whether it writes the alias no more."""
        return self.status in _OVER

    def is_of(self, promotion: str) -> bool:
        """Whether this run of this promotion made it; CodeDeploy's rollback of it is another."""
        return self.description == promotion and not self.rolls_back

    @property
    def ending(self) -> str:
        """Why it did not succeed, in CodeDeploy's own words."""
        because = self.error or "CodeDeploy gave no reason"
        said = self.rollback.rstrip(".")
        by = f"rolled back by {self.rolled_back_by}" if self.rolled_back_by else ""
        back = ": ".join(filter(None, (by, said)))
        return f"CodeDeploy deployment {self.id} {self.status.lower()}: {because}" + (
            f"; {back}" if back else ""
        )


def group_name(service: str, environment: str) -> str:
    """The deployment group of an environment; the application is called like the service."""
    return f"{service}-{environment}"


def deployment_group(
    service: str, environment: str, config: str, role: str, already_red: tuple[str, ...]
) -> dict[str, Any]:
    """What a deployment group is made of, but for the names.

    An alarm that was red before the release began is left out: CodeDeploy would stop at once, and
    the release that mends what is red could never be deployed.
    """
    watched = [*rollback_alarm_names(service, environment), canary_alarm_name(service, environment)]
    alarms = [{"name": name} for name in watched if name not in already_red]
    return {
        "deploymentConfigName": config,
        "serviceRoleArn": role,
        "deploymentStyle": {
            "deploymentType": "BLUE_GREEN",
            "deploymentOption": "WITH_TRAFFIC_CONTROL",
        },
        "alarmConfiguration": {
            "enabled": bool(alarms),
            "ignorePollAlarmFailure": False,
            "alarms": alarms,
        },
        "autoRollbackConfiguration": {
            "enabled": True,
            "events": [
                "DEPLOYMENT_FAILURE",
                "DEPLOYMENT_STOP_ON_ALARM",
                "DEPLOYMENT_STOP_ON_REQUEST",
            ],
        },
    }


def app_spec(function: str, alias: str, current: str, target: str) -> str:
    """The AppSpec of one alias's way from one version to another."""
    properties = {
        "Name": function,
        "Alias": alias,
        "CurrentVersion": current,
        "TargetVersion": target,
    }
    resource = {"Type": "AWS::Lambda::Function", "Properties": properties}
    return json.dumps({"version": 0.0, "Resources": [{function: resource}]})


def planned_steps(config: str) -> tuple[ShiftStep, ...]:
    """The weights below 100 % of one of CodeDeploy's own plans.

    Nothing for all at once, and for a plan of the account's own, of which the name says nothing.
    """
    found = _PLAN.fullmatch(config)
    if found is None:
        return ()
    linear, canary, minutes = found.groups()
    percents = range(int(linear), 100, int(linear)) if linear else (int(canary),)
    return tuple(
        ShiftStep(canary_weight=percent / 100, min_duration=timedelta(minutes=int(minutes)))
        for percent in percents
    )
