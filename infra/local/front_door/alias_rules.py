"""What Lambda refuses in CreateAlias and UpdateAlias and the control plane would take."""

import json
from typing import Any

from infra.local.front_door.control_plane import ControlPlane
from infra.local.front_door.model import LATEST, LambdaError, invalid, not_found


async def check_alias(
    control_plane: ControlPlane, function: str, alias: str | None, body: bytes
) -> None:
    """The wanted routing is one that Lambda would accept.

    Args:
        alias: the alias that is updated; None when one is created. A field that the request
            leaves out stays what it was, so the two are judged together.

    Raises:
        LambdaError: a weight outside 0..1, more than one additional version, `$LATEST` with
            weights (400), or a version that does not exist (404).
    """
    try:
        wanted = json.loads(body or b"{}")
    except ValueError as error:
        raise LambdaError(400, "SerializationException", str(error)) from error
    current = await _current(control_plane, function, alias) if alias else {}
    primary = wanted.get("FunctionVersion") or current.get("FunctionVersion")
    routing = wanted.get("RoutingConfig")
    if routing is None:
        routing = current.get("RoutingConfig")
    weights = (routing or {}).get("AdditionalVersionWeights") or {}
    _check_weights(primary, weights)
    for version in {primary, *weights} - {None, LATEST}:
        await _check_exists(control_plane, function, version)


def _check_weights(primary: str | None, weights: dict[str, Any]) -> None:
    if len(weights) > 1:
        raise invalid("Number of items in AdditionalVersionWeights cannot be greater than 1")
    if weights and LATEST in {primary, *weights}:
        raise invalid("$LATEST is not supported for an alias pointing to more than 1 version")
    for version, weight in weights.items():
        number = isinstance(weight, int | float) and not isinstance(weight, bool)
        if not number or not 0 <= weight <= 1:
            raise invalid(f"The weight of version {version} must be between 0.0 and 1.0: {weight}")


async def _current(control_plane: ControlPlane, function: str, alias: str) -> dict[str, Any]:
    found = [a for a in await control_plane.aliases(function) if a["Name"] == alias]
    return found[0] if found else {}


async def _check_exists(control_plane: ControlPlane, function: str, version: str) -> None:
    try:
        found = await control_plane.configuration(function, version)
    except LambdaError as error:
        if error.status == 404:
            raise not_found(f"{function}:{version}") from error
        raise
    if found["Version"] != version:  # an alias's name stood where a version number must
        raise invalid(f"Function version {version} is not a published version")
