"""Traffic: who gets an alias's requests. Every write is a compare-and-set on its `RevisionId`."""

from typing import Any

from botocore.exceptions import ClientError
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.aws import error_code
from activities.inputs import AliasInput, RollbackInput, ShiftInput
from release.lease import Lease, Note
from release.promotion import AliasState
from release.rollback import AliasTarget
from release.text import percent

INTERVENED = "Intervened"
_RACES = 3  # lost to an earlier attempt of one's own; more is somebody who means it
_LOST_RACE = {"PreconditionFailedException", "ResourceConflictException"}


class Traffic:
    """Reads and writes aliases; never overwrites what somebody else wrote."""

    def __init__(self, lambda_: Any) -> None:
        self._lambda = lambda_

    @activity.defn
    def record_baseline(self, order: AliasInput) -> AliasState:
        """The alias, serving one version alone: what a rollback returns to.

        Raises:
            ApplicationError: not retryable when the alias is split between two versions.
        """
        alias = self.read(order.function, order.alias)
        if alias.canary is not None:
            raise ApplicationError(
                f"{order.function} is being shifted by another release "
                f"({percent(alias.weight)} on version {alias.canary}); promote again when it "
                "has ended",
                type="AliasBusy",
                non_retryable=True,
            )
        return alias

    @activity.defn
    def shift_traffic(self, order: ShiftInput) -> AliasState:
        """As `move`."""
        return self.move(order)

    def move(self, order: ShiftInput) -> AliasState:
        """The alias sends `weight` to the canary; the alias as it then is.

        A retry whose first attempt was applied writes nothing. Anything else than the expected
        state, or than what our own lease stands beside, is somebody else's write.

        Raises:
            ApplicationError: not retryable: `Intervened` where the guard or a person put the
                baseline back, `ForeignChange` for any other write, with both states.
        """
        for _ in range(_RACES):
            alias = self.read(order.expected.function, order.expected.alias)
            target = _target(order)
            ours = _is_ours(alias, order.lease)
            done = ours if order.lease else not alias.description
            if done and _serves(alias) == _serves(target):
                return alias  # our own write, whose answer was lost
            left_by_us = ours and _serves(alias) == _serves(order.expected)
            if alias.revision_id != order.expected.revision_id and not left_by_us:
                break
            found = self._try(target.model_copy(update={"revision_id": alias.revision_id}))
            if found is not None:
                return found
        raise not_ours(order.expected, alias)

    def renew(self, expected: AliasState, lease: Lease) -> AliasState:
        """The lease beside the weight is new; the alias as it then is.

        Raises:
            ApplicationError: as `move`.
        """
        for _ in range(_RACES):
            alias = self.read(expected.function, expected.alias)
            if not _is_ours(alias, lease) or _serves(alias) != _serves(expected):
                break
            mine = {"description": lease.to_description()}
            found = self._try(alias.model_copy(update=mine))
            if found is not None:
                return found
        raise not_ours(expected, alias)

    def _try(self, target: AliasState) -> AliasState | None:
        """The alias as written; None if somebody was faster, who may be an attempt of our own."""
        try:
            return self._write(target)
        except ClientError as error:
            if error_code(error) not in _LOST_RACE:
                raise
            return None

    @activity.defn
    def roll_back(self, order: RollbackInput) -> AliasState:
        """The alias serves the baseline alone.

        It writes even when the alias looks right already: the write changes the `RevisionId`, so a
        shift that is still in flight from a lost worker can no longer land after it. A third
        version at the alias is a person's decision and stays, said in the log; but without a
        person's note it is CodeDeploy's, where that has rolled back as well.
        """
        alias = self.read(order.function, order.alias)
        is_third = bool({alias.version, alias.canary} - {order.baseline, order.canary, None})
        is_codedeploys = order.past_codedeploy and not Note.from_description(alias.description)
        if is_third and not is_codedeploys:
            activity.logger.error(
                "%s serves %s, which is not of this release: left alone",
                order.function,
                _text(alias),
            )
            return alias
        # a lost race raises and is retried at once with a fresh RevisionId, without limit
        return self._write(_whole(alias, order.baseline))

    @activity.defn
    def point_alias(self, order: AliasTarget) -> AliasState:
        """The alias serves the given version alone, whatever it served before.

        Raises:
            ApplicationError: not retryable when Lambda no longer has the version.
        """
        try:
            self._lambda.get_function_configuration(
                FunctionName=order.function, Qualifier=order.version
            )
        except ClientError as error:
            if error_code(error) == "ResourceNotFoundException":
                raise ApplicationError(
                    f"{order.function} has no version {order.version} any more",
                    type="NoVersion",
                    non_retryable=True,
                ) from error
            raise
        alias = self.read(order.function, order.alias)
        return self._write(_whole(alias, order.version))

    def read(self, function: str, alias: str) -> AliasState:
        """The alias as AWS holds it now."""
        answer = self._lambda.get_alias(FunctionName=function, Name=alias)
        return _state(function, alias, answer)

    def _write(self, state: AliasState) -> AliasState:
        weights = {state.canary: state.weight} if state.canary else {}
        answer = self._lambda.update_alias(
            FunctionName=state.function,
            Name=state.alias,
            FunctionVersion=state.version,
            RoutingConfig={"AdditionalVersionWeights": weights},
            Description=state.description,
            RevisionId=state.revision_id,
        )
        return _state(state.function, state.alias, answer)


def _target(order: ShiftInput) -> AliasState:
    description = order.lease.to_description() if order.lease else ""
    moved = order.expected.serving(order.baseline, order.canary, order.weight)
    return moved.model_copy(update={"description": description})


def _whole(alias: AliasState, version: str) -> AliasState:
    return alias.serving(version, version, 1).model_copy(update={"description": ""})


def _is_ours(alias: AliasState, lease: Lease | None) -> bool:
    found = Lease.from_description(alias.description)
    return lease is not None and found is not None and found.is_held_by(lease.holder, lease.run)


def _serves(alias: AliasState) -> tuple[str, str | None, float]:
    return alias.version, alias.canary, round(alias.weight, 6)


def _state(function: str, alias: str, answer: dict[str, Any]) -> AliasState:
    weights = (answer.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
    canary, weight = next(iter(weights.items()), (None, 0.0))
    return AliasState(
        function=function,
        alias=alias,
        version=answer["FunctionVersion"],
        canary=canary,
        weight=weight,
        revision_id=answer["RevisionId"],
        description=answer.get("Description", ""),
    )


def not_ours(expected: AliasState, found: AliasState) -> ApplicationError:
    """The error that says who was at the alias; not retryable."""
    note = Note.from_description(found.description)
    if note is not None:
        return ApplicationError(
            f"put back past the release by {note.hand.value} ({note.by}): {note.reason}",
            type=INTERVENED,
            non_retryable=True,
        )
    return ApplicationError(
        f"somebody else changed {expected.function}:{expected.alias}: we left "
        f"{_text(expected)}, found {_text(found)}",
        type="ForeignChange",
        non_retryable=True,
    )


def _text(alias: AliasState) -> str:
    split = f" with {percent(alias.weight)} on version {alias.canary}" if alias.canary else ""
    return f"version {alias.version}{split}"
