"""Real parts for the audit: Temporal's server, moto's S3 and DynamoDB over HTTP, Chromium."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import boto3
import pytest
from moto.server import ThreadedMotoServer

from activities.audit_store import AuditStore
from tests.flow.conftest import release_system, temporal
from tests.service.service_parts import new_table

__all__ = ["release_system", "temporal"]


class Cloud(NamedTuple):
    """S3 and DynamoDB of one test, with the project's bucket and table."""

    endpoint: str
    s3: Any
    dynamodb: Any
    bucket: str
    table: str

    @property
    def store(self) -> AuditStore:
        return AuditStore(self.s3, self.dynamodb, self.bucket, self.table)


@pytest.fixture(scope="session")
def moto() -> Iterator[str]:
    """The address of an AWS."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def cloud(moto: str) -> Iterator[Cloud]:
    """An empty bucket that locks what is put into it, and an empty table."""

    def client(name: str) -> Any:
        return boto3.client(
            name,
            endpoint_url=moto,
            region_name="eu-west-1",
            aws_access_key_id="local",
            aws_secret_access_key="local",
        )

    s3, bucket = client("s3"), "crypto-watch-artifacts"
    s3.create_bucket(
        Bucket=bucket,
        ObjectLockEnabledForBucket=True,
        CreateBucketConfiguration={"LocationConstraint": "eu-west-1"},
    )
    s3.put_object_lock_configuration(
        Bucket=bucket,
        ObjectLockConfiguration={
            "ObjectLockEnabled": "Enabled",
            "Rule": {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 365}},
        },
    )
    table = new_table(moto, "crypto-watch-prod")
    yield Cloud(moto, s3, client("dynamodb"), bucket, table.name)
    import httpx

    httpx.post(f"{moto}/moto-api/reset")
