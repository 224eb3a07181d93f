"""What is made sure of before any user meets the new version: preflight, and smoke at weight 0."""

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.inputs import PreflightInput, SmokeInput
    from activities.preflight import AHEAD, ALIAS_CLEAN, Preflight
    from activities.smoke import Smoke
    from release.policy import alarm_period_seconds
    from release.promotion import Outcome
    from release.verdict import CheckResult, Verdict

from workflows import options
from workflows.state import Busy, Ended, PromotionState

_PATIENCE, _LOOK_EVERY = timedelta(minutes=3), timedelta(seconds=10)


async def preflight(state: PromotionState, *, patient: bool = False) -> None:
    """A rollback has all that it will need; seen before approval, and again before traffic moves.

    What could not be measured (a quiet production gives its alarms no data) is shown to the
    approvers, who decide.

    `patient`: an alias that is somebody's is looked at again, for the guard may put it back soon.

    Raises:
        Busy: an alias is somebody's.
        Ended: something is missing; or superseded, as production contains the commit already.
    """
    until = workflow.now() + _PATIENCE
    while True:
        try:
            return await _pass_preflight(state)
        except Busy as busy:
            if not patient or workflow.now() >= until:
                raise
            state.show(next=f"{busy.reason}; looked at again until {until:%H:%M:%S} UTC")
        await workflow.sleep(_LOOK_EVERY, summary="production is somebody's: look again")


async def _pass_preflight(state: PromotionState) -> None:
    worst = await _preflight(state)
    behind = next((r for r in state.status.preflight if r.id == AHEAD), None)
    if behind is not None and behind.verdict is Verdict.FAILED:
        raise Ended(Outcome.SUPERSEDED, behind.evidence)
    if worst is None or worst.verdict is not Verdict.FAILED:
        return
    reason = f"preflight: {worst.text}: {worst.evidence}"
    raise Busy(reason) if worst.id.startswith(ALIAS_CLEAN) else Ended(Outcome.NEEDS_FIX, reason)


async def smoke(state: PromotionState, versions: dict[str, str]) -> None:
    """The new version answers as it should, asked by its number: no user has met it yet.

    Raises:
        Ended: it does not, or that could not be measured.
    """
    policy = state.policy
    results = await workflow.execute_activity_method(
        Smoke.smoke,
        SmokeInput(
            service=policy.service,
            environment="prod",
            functions=policy.function_names("prod"),
            versions=versions,
            api=policy.api,
            sha=state.request.sha,
            cases=policy.contract,
            dry_runs=policy.dry_runs(),
        ),
        summary="smoke: the new versions by their numbers, at weight 0",
        **options.CHECKS,
    )
    state.show(smoke=tuple(results))
    state.stop_if_aborted()
    worst = _worst(results)
    if worst is not None:
        raise Ended(Outcome.ROLLED_BACK, f"smoke at weight 0: {worst.text}: {worst.evidence}")


async def _preflight(state: PromotionState) -> CheckResult | None:
    """What stands against it most, if anything does."""
    policy = state.policy
    results = await workflow.execute_activity_method(
        Preflight.preflight,
        PreflightInput(
            service=policy.service,
            environment="prod",
            functions=policy.function_names("prod"),
            api=policy.api,
            alias=policy.alias,
            alarm_period_seconds=alarm_period_seconds(state.request.clock_factor),
            sha=state.request.sha,
            dry_runs=policy.dry_runs(),
        ),
        summary="preflight: what a rollback will need",
        **options.CHECKS,
    )
    state.show(preflight=tuple(results))
    state.stop_if_aborted()
    return _worst(results)


def _worst(results: list[CheckResult]) -> CheckResult | None:
    order = (Verdict.FAILED, Verdict.INCONCLUSIVE)
    found = [result for verdict in order for result in results if result.verdict is verdict]
    return found[0] if found else None
