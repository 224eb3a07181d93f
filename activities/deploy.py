"""Deploy: an artifact in S3 becomes a published Lambda version. No alias moves here."""

import base64
import time
from typing import Any

from botocore.exceptions import ClientError
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.aws import error_code
from activities.inputs import PublishInput

_READY_SECONDS = 40


class Deploy:
    """Publishes versions; asked twice for the same release it publishes once."""

    def __init__(self, lambda_: Any) -> None:
        self._lambda = lambda_

    @activity.defn
    def publish_version(self, order: PublishInput) -> str:
        """The number of the version that runs exactly this artifact under this release's name."""
        description = f"{order.release_version} {order.git_sha}"
        code_sha256 = base64.b64encode(bytes.fromhex(order.sha256)).decode()
        published = self._find(order.function, description, code_sha256)
        if published is not None:
            return published  # an earlier attempt got this far and its answer was lost
        self._configure(order)
        self.ready(order.function)
        self._lambda.update_function_code(
            FunctionName=order.function, S3Bucket=order.bucket, S3Key=f"lambda/{order.sha256}.zip"
        )
        latest = self.ready(order.function)
        if latest["CodeSha256"] != code_sha256:
            # retryable: somebody else deployed to $LATEST in between, the next attempt is ours
            raise RuntimeError(f"{order.function}: $LATEST is not the artifact {order.sha256[:12]}")
        version = self._lambda.publish_version(
            FunctionName=order.function, CodeSha256=code_sha256, Description=description
        )
        return str(version["Version"])

    def _find(self, function: str, description: str, code_sha256: str) -> str | None:
        pages = self._lambda.get_paginator("list_versions_by_function").paginate(
            FunctionName=function
        )
        try:
            for page in pages:
                for version in page["Versions"]:
                    same = version["CodeSha256"] == code_sha256
                    if same and version.get("Description") == description:
                        return str(version["Version"])
        except ClientError as error:
            if error_code(error) == "ResourceNotFoundException":
                raise ApplicationError(
                    f"the function {function} does not exist: create the environment first",
                    type="NoFunction",
                    non_retryable=True,
                ) from error
            raise
        return None

    def _configure(self, order: PublishInput) -> None:
        latest = self.ready(order.function)
        variables = dict(latest.get("Environment", {}).get("Variables", {}))
        variables |= {"RELEASE_VERSION": order.release_version, "GIT_SHA": order.git_sha}
        self._lambda.update_function_configuration(
            FunctionName=order.function,
            Environment={"Variables": variables},
            RevisionId=latest["RevisionId"],
        )

    def ready(self, function: str) -> Any:
        """The configuration once the last update is through."""
        deadline = time.monotonic() + _READY_SECONDS
        while True:
            configuration = self._lambda.get_function_configuration(FunctionName=function)
            pending = "InProgress" in configuration.get("LastUpdateStatus", "")
            if not pending and configuration.get("State", "Active") != "Pending":
                return configuration
            if time.monotonic() > deadline:
                raise TimeoutError(f"{function} is still updating after {_READY_SECONDS} s")
            time.sleep(0.2)
