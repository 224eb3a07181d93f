"""The deployment record: every version of an environment, and which one is active."""

from typing import Any

from botocore.exceptions import ClientError
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.aws import error_code
from activities.deployment_table import DeploymentTable
from activities.inputs import DeploymentsInput
from release.deployment import Deployment


class Deployments:
    """The record lies in the environment's own table."""

    def __init__(self, dynamodb: Any) -> None:
        self._dynamodb = dynamodb

    @activity.defn
    def record_deployments(self, order: DeploymentsInput) -> list[Deployment]:
        """What was told stands in the record, as returned; told again it changes nothing.

        Raises:
            ApplicationError: not retryable, `NotRecorded`: DynamoDB takes no such item.
        """
        table = DeploymentTable(self._dynamodb, order.table, order.environment)
        try:
            return table.record(order.deployments)
        except ClientError as error:
            if error_code(error) != "ValidationException":
                raise  # also a table that is missing: it may be on its way from a backup
            raise ApplicationError(
                f"DynamoDB refuses the item: {error}", type="NotRecorded", non_retryable=True
            ) from error
