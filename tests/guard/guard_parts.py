"""A Lambda and a CloudWatch that the guard's tests can see into, and the guard as deployed."""

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError, EndpointConnectionError

from release.lease import Lease, Note
from tests.service.service_parts import load_lambda

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
API, FETCHER = "crypto-watch-api-prod", "crypto-watch-fetcher-prod"
ERRORS = "crypto-watch-backend-prod-lambda-errors"
THROTTLES = "crypto-watch-backend-prod-lambda-throttles"
GUARD = "crypto-watch-guard-prod"

guard_lambda = load_lambda("guard")


def lease(expires: datetime = NOW + timedelta(minutes=1), *ignored: str) -> str:
    """A release's description of an alias, as the release itself writes it."""
    return Lease(
        holder="promotion/crypto-watch/0123456789ab",
        run="1b4e28ba-2fa1-11d2-883f-0016d3cca427",
        baseline="1",
        expires=expires,
        ignored=ignored,
    ).to_description()


FRESH, STALE = lease(), lease(NOW)


class Aliases:
    """Lambda's GetAlias and UpdateAlias, with revisions that are compared as Lambda does.

    Every write that was taken is in `written`. `before_write` runs between a read and its write.
    """

    def __init__(self) -> None:
        self._revisions = itertools.count(1)
        self._aliases: dict[str, dict[str, Any]] = {}
        self.broken: set[str] = set()
        self.reads: list[str] = []
        self.written: list[str] = []
        self.lose_answers = False
        self.before_write = lambda function: None

    def put(self, function: str, description: str, version: str = "1", **weights: float) -> None:
        """The alias is so, whoever did it; `v2=0.1` is a tenth for version 2."""
        routing = {name.removeprefix("v"): weight for name, weight in weights.items()}
        self._aliases[function] = {
            "FunctionVersion": version,
            "Description": description,
            "RevisionId": f"revision-{next(self._revisions)}",
        } | ({"RoutingConfig": {"AdditionalVersionWeights": routing}} if routing else {})

    def serves(self, function: str) -> tuple[str, dict[str, float]]:
        """The version and the weights beside it."""
        alias = self._aliases[function]
        routing = alias.get("RoutingConfig") or {}
        return alias["FunctionVersion"], routing.get("AdditionalVersionWeights", {})

    def description(self, function: str) -> str:
        """What stands beside the weights."""
        return str(self._aliases[function]["Description"])

    def note(self, function: str) -> Note:
        """The note there, as a promotion reads it."""
        note = Note.from_description(self.description(function))
        assert note, f"no note: {self.description(function)}"
        return note

    def get_alias(self, FunctionName: str, Name: str) -> dict[str, Any]:
        self.reads.append(FunctionName)
        if FunctionName in self.broken:
            raise error("ServiceException", "GetAlias")
        assert Name == "live"
        return dict(self._aliases[FunctionName])

    def update_alias(
        self,
        FunctionName: str,
        Name: str,
        FunctionVersion: str,
        RoutingConfig: dict[str, dict[str, float]],
        Description: str,
        RevisionId: str,
    ) -> dict[str, Any]:
        assert Name == "live"
        self.before_write(FunctionName)
        if RevisionId != self._aliases[FunctionName]["RevisionId"]:
            raise error("PreconditionFailedException", "UpdateAlias")
        weights = RoutingConfig["AdditionalVersionWeights"]
        self.put(FunctionName, Description, FunctionVersion, **weights)
        self.written.append(FunctionName)
        if self.lose_answers:  # the SDK's own second attempt then meets the new revision
            raise error("PreconditionFailedException", "UpdateAlias")
        return dict(self._aliases[FunctionName])


class CloudWatch:
    """DescribeAlarms, counted."""

    def __init__(self) -> None:
        self.states = {ERRORS: "OK", THROTTLES: "OK"}
        self.down = False
        self.asked = 0

    def describe_alarms(self, AlarmNames: list[str], AlarmTypes: list[str]) -> dict[str, Any]:
        self.asked += 1
        if self.down:
            raise EndpointConnectionError(endpoint_url="https://monitoring")
        found = [
            {"AlarmName": name, "StateValue": state}
            for name, state in self.states.items()
            if name in AlarmNames
        ]
        return {"MetricAlarms": found, "CompositeAlarms": []}


class World:
    """Production's aliases and alarms, the clock, and the guard that looks after them."""

    def __init__(self) -> None:
        self.aliases, self.cloudwatch, self.now = Aliases(), CloudWatch(), NOW
        config = guard_lambda.app.Config.from_environment(
            {
                "FUNCTIONS": f"{API},{FETCHER}",
                "ALIAS": "live",
                "ALARMS": f"{ERRORS},{THROTTLES}",
                "AWS_LAMBDA_FUNCTION_NAME": GUARD,
            }
        )
        self._guard = guard_lambda.app.Guard(
            config, self.aliases, self.cloudwatch, lambda: self.now
        )

    def shift(self, description: str) -> None:
        """A release has version 2 at a tenth of the API, and has the fetcher on version 2 whole."""
        self.aliases.put(API, description, "1", v2=0.1)
        self.aliases.put(FETCHER, description, "2")

    def run(self, **event: Any) -> Any:
        """One minute's look."""
        return self._guard.run(event)

    @property
    def error(self) -> type[Exception]:
        """What the guard raises when it could not look after a function."""
        found: type[Exception] = guard_lambda.app.GuardError
        return found


def error(code: str, operation: str) -> ClientError:
    """A refusal of AWS."""
    return ClientError({"Error": {"Code": code, "Message": "as the test wants it"}}, operation)
