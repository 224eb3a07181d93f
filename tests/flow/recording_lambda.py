"""AWS as far as a promotion writes it, below the real traffic and deploy activities."""

import base64
import threading
import uuid
from typing import Any

from botocore.exceptions import ClientError


class RecordingLambda:
    """A Lambda control plane in memory: versions, aliases with real `RevisionId` checks."""

    def __init__(self) -> None:
        self.versions: dict[str, list[dict[str, Any]]] = {}
        self.aliases: dict[str, dict[str, Any]] = {}
        self.writes: list[tuple[str, str, dict[str, float]]] = []
        self.fail_updates_with: list[Exception] = []
        self.reading, self.go_on = threading.Event(), threading.Event()
        self.go_on.set()
        for environment in ("staging", "prod"):
            for name in ("api", "fetcher"):
                function = f"crypto-watch-{name}-{environment}"
                self.versions[function] = [self._version("$LATEST"), self._version("1")]
                self.aliases[function] = {
                    "FunctionVersion": "1",
                    "RoutingConfig": {},
                    "RevisionId": uuid.uuid4().hex,
                }

    def serves(self, name: str = "api", environment: str = "prod") -> dict[str, float]:
        """Version -> share of the alias's traffic."""
        alias = self.aliases[f"crypto-watch-{name}-{environment}"]
        weights = dict(alias["RoutingConfig"].get("AdditionalVersionWeights", {}))
        return {alias["FunctionVersion"]: 1 - sum(weights.values())} | weights

    def weights(self, function: str = "crypto-watch-api-prod") -> list[float]:
        """The canary's share after each write to a function's alias."""
        return [sum(w.values()) for f, _, w in self.writes if f == function]

    def get_alias(self, FunctionName: str, Name: str) -> dict[str, Any]:
        self.reading.set()
        assert self.go_on.wait(20)
        return dict(self.aliases[FunctionName])

    def update_alias(self, FunctionName: str, RevisionId: str, **new: Any) -> dict[str, Any]:
        if self.fail_updates_with:
            raise self.fail_updates_with.pop(0)
        alias = self.aliases[FunctionName]
        if RevisionId != alias["RevisionId"]:
            raise ClientError({"Error": {"Code": "PreconditionFailedException"}}, "UpdateAlias")
        alias |= {
            "FunctionVersion": new["FunctionVersion"],
            "RoutingConfig": new["RoutingConfig"],
            "Description": new["Description"],
            "RevisionId": uuid.uuid4().hex,
        }
        weights = dict(new["RoutingConfig"]["AdditionalVersionWeights"])
        self.writes.append((FunctionName, new["FunctionVersion"], weights))
        return dict(alias)

    def get_function_configuration(self, FunctionName: str, **_: Any) -> dict[str, Any]:
        return self.versions[FunctionName][0]

    def update_function_configuration(self, FunctionName: str, **new: Any) -> None:
        self.versions[FunctionName][0] |= {"Environment": new["Environment"]}

    def update_function_code(self, FunctionName: str, S3Bucket: str, S3Key: str) -> None:
        digest = bytes.fromhex(S3Key.removeprefix("lambda/").removesuffix(".zip"))
        self.versions[FunctionName][0]["CodeSha256"] = base64.b64encode(digest).decode()

    def publish_version(self, FunctionName: str, **new: Any) -> dict[str, Any]:
        number = str(len(self.versions[FunctionName]))
        version = self._version(number) | new
        self.versions[FunctionName].append(version)
        return version

    def get_paginator(self, _: str) -> "RecordingLambda":
        return self

    def paginate(self, FunctionName: str) -> list[dict[str, Any]]:
        return [{"Versions": self.versions[FunctionName][1:]}]

    def delete_function(self, FunctionName: str, Qualifier: str) -> None:
        kept = [v for v in self.versions[FunctionName] if v["Version"] != Qualifier]
        self.versions[FunctionName] = kept

    @staticmethod
    def _version(number: str) -> dict[str, Any]:
        return {"Version": number, "CodeSha256": "", "Description": "", "RevisionId": "r"}


class RecordingAlarms:
    """The canary's alarm as CloudWatch holds it: who raised it, and whether it is red."""

    def __init__(self) -> None:
        self.raised: list[dict[str, str]] = []
        self.is_red = threading.Event()

    def set_alarm_state(self, **new: str) -> None:
        self.raised.append(new)
        self.is_red.set()
