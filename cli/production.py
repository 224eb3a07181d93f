"""What an environment runs, read from Lambda: alias → version → release and commit."""

from dataclasses import dataclass
from typing import Any

from cli import aws
from cli.errors import CliError
from release.drill import NOOP
from release.policy import Policy


@dataclass(frozen=True)
class Live:
    """One environment's API as its alias serves it."""

    function: str
    version: str
    release: str
    sha: str
    canary: str | None = None
    weight: float = 0.0


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
    return Live(
        function=function,
        version=alias["FunctionVersion"],
        release=variables.get("RELEASE_VERSION", "?"),
        sha=variables.get("GIT_SHA", "?"),
        canary=canary,
        weight=weight,
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

    An alias left split (a promotion was terminated) goes back to its old version, whole.
    """
    older = [number for number in versions if int(number) < int(now.version)]
    if wanted is None:
        if now.canary is not None:
            return now.version
        if not older:
            raise CliError(f"{now.function} has no version before {now.version}")
        return older[-1]
    for number, description in reversed(versions.items()):
        release, _, sha = description.partition(" ")
        names = (release, release.partition("+")[0], f"v{release.partition('+')[0]}", number)
        if wanted in names or (len(wanted) >= 7 and sha.startswith(wanted)):
            if number == now.version and now.canary is None:
                raise CliError(f"production serves {wanted} already")
            return number
    raise CliError(f"no release {wanted!r}; there is: {', '.join(versions.values())}")
