"""The calls to AWS CodeDeploy that a release needs, of one deployment group."""

import hashlib
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError
from temporalio.exceptions import ApplicationError

from activities.aws import error_code
from release.codedeploy import LONGEST, Deployment, group_name

GROUP_IS_BUSY = "DeploymentLimitExceededException"
REFUSED = "CodeDeployRefused"
_LOOK_BACK = LONGEST + timedelta(hours=10)
_MOST_IN_A_BATCH = 25  # BatchGetDeployments' own limit
_MISSING = {"ApplicationDoesNotExistException", "DeploymentGroupDoesNotExistException"}
# nothing that passes by itself: a permission, a role, a name in the policy
_FOR_GOOD = re.compile(r"AccessDenied(Exception)?|Invalid\w+|\w+DoesNotExistException")


class Deployments:
    """A deployment group: made, asked, stopped."""

    def __init__(self, codedeploy: Any, service: str, environment: str) -> None:
        self._codedeploy = codedeploy
        self._application, self._group = service, group_name(service, environment)

    def recent(self) -> list[Deployment]:
        """Every deployment that may still run, and those that have ended since; [] without a group.

        One that has ended counts as well: a retry must not begin anew what is over already.
        """
        try:
            identities = list(self._identities())
        except ClientError as error:
            if error_code(error) in _MISSING:
                return []
            raise
        starts = range(0, len(identities), _MOST_IN_A_BATCH)
        batches = [identities[start : start + _MOST_IN_A_BATCH] for start in starts]
        return [
            Deployment.of(info)
            for batch in batches
            for info in self._codedeploy.batch_get_deployments(deploymentIds=batch)[
                "deploymentsInfo"
            ]
        ]

    def _identities(self) -> Iterator[str]:
        pages = self._codedeploy.get_paginator("list_deployments").paginate(
            applicationName=self._application,
            deploymentGroupName=self._group,
            createTimeRange={"start": datetime.now(UTC) - _LOOK_BACK},
        )
        for page in pages:
            yield from page["deployments"]

    def make_group(self, settings: dict[str, Any]) -> None:
        """Application and group exist, and the group is as the settings say."""
        try:
            self._codedeploy.create_application(
                applicationName=self._application, computePlatform="Lambda"
            )
        except ClientError as error:
            _only(error, "ApplicationAlreadyExistsException")
        try:
            self._codedeploy.create_deployment_group(
                applicationName=self._application, deploymentGroupName=self._group, **settings
            )
        except ClientError as error:
            _only(error, "DeploymentGroupAlreadyExistsException")
            self._codedeploy.update_deployment_group(
                applicationName=self._application,
                currentDeploymentGroupName=self._group,
                **settings,
            )

    def create(self, app_spec: str, description: str) -> str:
        """The id of a new deployment.

        Raises:
            ClientError: `GROUP_IS_BUSY` among others, when one is under way in the group.
        """
        digest = hashlib.sha256(app_spec.encode()).hexdigest()
        answer = self._codedeploy.create_deployment(
            applicationName=self._application,
            deploymentGroupName=self._group,
            description=description,
            revision={
                "revisionType": "AppSpecContent",
                "appSpecContent": {"content": app_spec, "sha256": digest},
            },
        )
        return str(answer["deploymentId"])

    def read(self, identity: str) -> Deployment:
        """One deployment as it is now."""
        answer = self._codedeploy.get_deployment(deploymentId=identity)
        return Deployment.of(answer["deploymentInfo"])

    def stop(self, identity: str) -> None:
        """CodeDeploy was told to stop it and to roll it back, unless it is over already."""
        try:
            self._codedeploy.stop_deployment(deploymentId=identity, autoRollbackEnabled=True)
        except ClientError as error:
            _only(error, "DeploymentAlreadyCompletedException")


def translated(error: ClientError) -> BaseException:
    """The error, as one that is not retried if no retry can help."""
    code = error_code(error)
    if not _FOR_GOOD.fullmatch(code):
        untranslated: BaseException = error
        return untranslated
    message = error.response.get("Error", {}).get("Message", "")
    text = f"CodeDeploy refused {error.operation_name}: {code}: {message}"
    return ApplicationError(text, type=REFUSED, non_retryable=True)


def _only(error: ClientError, code: str) -> None:
    if error_code(error) != code:
        raise error
