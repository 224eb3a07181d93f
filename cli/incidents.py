"""`starter.py incident`: the packet of a release that went back, read from S3 alone."""

from typing import Any

from cli import aws
from cli.commits import Commits
from cli.errors import OK, CliError
from release.incident import folder
from release.promotion import promotion_id
from settings import Settings


def run(arguments: Any) -> int:
    """Print the newest packet of the promotion."""
    settings = Settings.from_environment()
    repository = Commits(settings.repository, settings.branch)
    policy = repository.policy(repository.resolve(settings.branch))
    reference = arguments.promotion
    if not reference.startswith("promotion/"):
        reference = promotion_id(policy.service, repository.resolve(reference))
    _, service, commit = (*reference.split("/"), "", "")[:3]
    text = _newest(policy.artifact_bucket, f"{folder(service)}{commit[:12]}-", arguments.json)
    if text is None:
        raise CliError(
            f"there is no incident packet of {reference}: it never went back, or not yet"
        )
    print(text.rstrip())
    return OK


def _newest(bucket: str, prefix: str, as_json: bool) -> str | None:
    ending = ".json" if as_json else ".md"
    s3 = aws.client("s3")
    with aws.asking(f"read the incident packets in the bucket {bucket}"):
        try:
            pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
            found = [entry for page in pages for entry in page.get("Contents", ())]
        except s3.exceptions.NoSuchBucket:
            raise CliError(f"there is no bucket {bucket}; create the environment first") from None
        found = [entry for entry in found if entry["Key"].endswith(ending)]
        if not found:
            return None
        newest = max(found, key=lambda entry: entry["LastModified"])
        body = s3.get_object(Bucket=bucket, Key=newest["Key"])["Body"]
        return str(body.read().decode())
