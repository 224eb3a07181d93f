"""What an environment runs, read from Lambda: alias → version → release and commit."""

from dataclasses import dataclass
from typing import Any

from cli import aws
from cli.errors import CliError
from release.drill import NOOP
from release.lease import Lease, Note
from release.policy import Policy
from release.way_back import after, before, named


class AlreadyServed(CliError):
    """Production serves what a rollback was asked for."""


@dataclass(frozen=True)
class Live:
    """One environment's API as its alias serves it."""

    function: str
    version: str
    release: str
    sha: str
    canary: str | None = None
    weight: float = 0.0
    baseline: str | None = None
    note: Note | None = None


def live(policy: Policy, environment: str, client: Any | None = None) -> Live | None:
    """What the environment's API serves; None before its first release."""
    function = policy.function_name(policy.api, environment)
    client = client or aws.client("lambda")
    with aws.asking(f"say what {environment} runs"):
        try:
            alias = client.get_alias(FunctionName=function, Name=policy.alias)
            found = client.get_function_configuration(
                FunctionName=function, Qualifier=alias["FunctionVersion"]
            )
        except client.exceptions.ResourceNotFoundException:
            return None
    weights = (alias.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
    canary, weight = next(iter(weights.items()), (None, 0.0))
    variables = found.get("Environment", {}).get("Variables", {})
    description = alias.get("Description", "")
    lease = Lease.from_description(description)
    return Live(
        function=function,
        version=alias["FunctionVersion"],
        release=variables.get("RELEASE_VERSION", "?"),
        sha=variables.get("GIT_SHA", "?"),
        canary=canary,
        weight=weight,
        baseline=lease.baseline if lease else None,
        note=Note.from_description(description),
    )


def released_versions(function: str, client: Any) -> dict[str, str]:
    """Published version -> "<release> <sha>", oldest first."""
    pages = client.get_paginator("list_versions_by_function").paginate(FunctionName=function)
    versions = [version for page in pages for version in page["Versions"]]
    numbered = [
        version
        for version in versions
        if version["Version"] != "$LATEST"
        and not version.get("Description", "").startswith(NOOP)  # a drill's: no release
    ]
    numbered.sort(key=lambda version: int(version["Version"]))
    return {version["Version"]: version.get("Description", "") for version in numbered}


def rollback_target(now: Live, versions: dict[str, str], wanted: str | None) -> str:
    """The version to go back to: the one before, or the newest that `wanted` names.

    An alias left split (a promotion was terminated) goes back to its old version, whole, and one
    that a promotion left with its lease to the lease's baseline. Asked for the one before a second
    time it refuses: one command undoes one release.
    """
    if wanted is None:
        return _one_before(now, versions)
    number = named(versions, wanted)
    if number is None:
        raise CliError(f"no release {wanted!r}; there is: {', '.join(versions.values())}")
    if number == now.version and now.canary is None:
        raise AlreadyServed(f"production serves {wanted} already")
    return number


def _one_before(now: Live, versions: dict[str, str]) -> str:
    if now.baseline is not None:
        return now.baseline
    if now.canary is not None:
        return now.version
    older, newer = before(versions, now.version), after(versions, now.version)
    if not older:
        raise CliError(f"{now.function} has no version before {now.version}")
    if newer:
        raise CliError(
            f"production serves {versions[now.version]}, and {versions[newer[-1]]} is out of "
            "service already; to go further back name the release with --to"
        )
    return older[-1]
