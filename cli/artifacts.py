"""The zips of a first version, for an environment that no promotion has reached yet."""

import json
from pathlib import Path
from typing import Any

from cli import aws
from cli.commits import Commits
from cli.errors import OK
from infra.local.settings import PROJECT_ROOT
from release.policy import Policy
from release.promotion import Artifact, artifact_parameter
from settings import Settings


def run(arguments: Any) -> int:
    """The commit's zips lie in the bucket; printed are the template's parameters for them."""
    settings = Settings.from_environment()
    repository = Commits(settings.repository, settings.branch)
    sha = repository.resolve(arguments.revision)
    repository.check_on_branch(sha)
    policy = repository.policy(sha)
    with aws.asking(f"take the zips into {policy.artifact_bucket}"):
        digests = store(policy, build(settings.repository, policy, sha) | build_guard())
    parameters = {
        **{artifact_parameter(name): digest for name, digest in digests.items()},
        "ArtifactBucket": policy.artifact_bucket,
        "FirstVersion": repository.version(sha),
        "FirstCommit": sha,
    }
    if arguments.json:
        print(json.dumps(parameters))
    else:
        print(" ".join(f"{name}={value}" for name, value in parameters.items()))
    return OK


def build(repository: Path, policy: Policy, sha: str) -> dict[str, bytes]:
    """Function → its zip, as a promotion of the commit would build it."""
    from activities.build import Build

    builder = Build(repository, None)
    return {name: builder.build(sha, of.source) for name, of in policy.functions.items()}


def build_guard() -> dict[str, bytes]:
    """The guard's zip.

    Not from the commit: the guard belongs to the release system that writes the leases it reads,
    and the service's commits may be older than it, or know nothing of it.
    """
    from activities.build import zip_folder

    return {"guard": zip_folder(PROJECT_ROOT / "api_lambda" / "guard")}


def store(policy: Policy, zips: dict[str, bytes]) -> dict[str, str]:
    """The zips lie in the artifact bucket under their digests; function → digest."""
    import boto3

    s3 = boto3.client("s3")
    digests = {}
    for name, data in zips.items():
        artifact = Artifact.of(name, data)
        s3.put_object(Bucket=policy.artifact_bucket, Key=artifact.key, Body=data)
        digests[name] = artifact.sha256
    return digests
