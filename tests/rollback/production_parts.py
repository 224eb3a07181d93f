"""Production in a control plane that checks `RevisionId`, for tests of going back."""

import contextlib
import io
import zipfile
from typing import Any

from tests.local import front_door_parts as parts

BUCKET = "crypto-watch-artifacts"
FUNCTIONS = ("crypto-watch-api-prod", "crypto-watch-fetcher-prod")
API, FETCHER = FUNCTIONS
STAGING = ("crypto-watch-api-staging", "crypto-watch-fetcher-staging")


class Production:
    """Releases are published by hand; what the aliases serve is read back."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.endpoint = f"http://127.0.0.1:{port}"
        self.lambda_ = self.client("lambda")
        with contextlib.suppress(self.client("s3").exceptions.BucketAlreadyOwnedByYou):
            self.client("s3").create_bucket(
                Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
            )

    def client(self, service: str) -> Any:
        """A client of its own."""
        return parts.client(service, self.port)

    def create(self, release: str, sha: str, functions: tuple[str, ...] = FUNCTIONS) -> None:
        """The functions exist, and their aliases serve this release as version 1."""
        for function in functions:
            self.lambda_.create_function(
                FunctionName=function,
                Runtime="python3.13",
                Handler="app.handler",
                Role="arn:aws:iam::000000000000:role/r",
                Code={"ZipFile": _zip("first")},
                Environment={"Variables": {"RELEASE_VERSION": release, "GIT_SHA": sha}},
            )
            version = self._publish(function, f"{release} {sha}")
            self.lambda_.create_alias(
                FunctionName=function, Name="live", FunctionVersion=version, Description=""
            )

    def publish(self, release: str, sha: str, functions: tuple[str, ...] = FUNCTIONS) -> None:
        """The release is there as the next version of each function; no alias moves."""
        for function in functions:
            self.lambda_.update_function_code(FunctionName=function, ZipFile=_zip(release))
            self.lambda_.update_function_configuration(
                FunctionName=function,
                Environment={"Variables": {"RELEASE_VERSION": release, "GIT_SHA": sha}},
            )
            self._publish(function, f"{release} {sha}")

    def point(
        self,
        function: str,
        version: str,
        weights: dict[str, float] | None = None,
        description: str = "",
    ) -> None:
        """The alias serves this, whatever it served."""
        self.lambda_.update_alias(
            FunctionName=function,
            Name="live",
            FunctionVersion=version,
            RoutingConfig={"AdditionalVersionWeights": weights or {}},
            Description=description,
        )

    def serve(self, version: str) -> None:
        """Both aliases serve this version, whole."""
        for function in FUNCTIONS:
            self.point(function, version)

    def prune(self, version: str, functions: tuple[str, ...] = FUNCTIONS) -> None:
        """Lambda no longer has the version."""
        for function in functions:
            self.lambda_.delete_function(FunctionName=function, Qualifier=version)

    def serves(self, function: str = API) -> dict[str, float]:
        """Version → share of the alias's traffic."""
        alias = self.alias(function)
        weights = dict((alias.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {})
        return {alias["FunctionVersion"]: 1 - sum(weights.values())} | weights

    def alias(self, function: str = API) -> dict[str, Any]:
        """The alias as Lambda has it."""
        return dict(self.lambda_.get_alias(FunctionName=function, Name="live"))

    def descriptions(self, function: str = API) -> dict[str, str]:
        """Published version → its description."""
        found = self.lambda_.list_versions_by_function(FunctionName=function)["Versions"]
        return {v["Version"]: v["Description"] for v in found if v["Version"] != "$LATEST"}

    def forget(self) -> None:
        """No function exists."""
        for function in (*FUNCTIONS, *STAGING):
            with contextlib.suppress(self.lambda_.exceptions.ResourceNotFoundException):
                self.lambda_.delete_function(FunctionName=function)

    def _publish(self, function: str, description: str) -> str:
        done = self.lambda_.publish_version(FunctionName=function, Description=description)
        return str(done["Version"])


def _zip(text: str) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("app.py", f"# {text}")
    return data.getvalue()
