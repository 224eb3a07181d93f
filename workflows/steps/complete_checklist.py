"""Both checklists: measured where a machine can, signed off where not, waived where neither can."""

from collections.abc import Coroutine
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import FailureError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.checks.staging_checks import StagingChecks
    from activities.github import GitHub
    from activities.inputs import CheckRunsInput, ChecksInput, ProjectChecksInput
    from activities.project_checks import ProjectChecks
    from release.check_runs import judge_check
    from release.checklist import BENCHMARKS, DONE, STAGING_VALIDATION, Answer
    from release.policy import alarm_period_seconds
    from release.promotion import Outcome, Stage
    from release.verdict import CheckResult, Verdict

from workflows import options
from workflows.state import Ended, PromotionState
from workflows.steps.announce import ANNOUNCEMENT, announce

# Each try costs a dozen events of history; the waits double, so that they span some hours.
MOST_RETRIES = 6


async def complete_checklist(state: PromotionState) -> None:
    """Every item that is not an approval is passed, not applicable or waived.

    Raises:
        Ended: needs fix, with the items that failed; expired, if it was not completed in time.
    """
    checklist = state.policy.checklist
    deadline = workflow.now() + checklist.timeout
    state.enter(Stage.CHECKLIST, "measure staging, then wait for the manual sign-offs", deadline)
    names = dict.fromkeys(item.auto for item in checklist.items() if item.auto)
    await _measure(state, [name for name in names if name not in state.answers.results])
    state.show(next="sign-offs and waivers, then the question whether it may go to production")
    retries = 0
    while not _is_decided(state):
        left = deadline - workflow.now()
        again = _inconclusive(state) if retries < MOST_RETRIES else []
        pause = min(left, checklist.retry_every * 2**retries) if again else left
        try:
            await state.wait(lambda: _is_decided(state), pause, "sign-offs and waivers are due")
        except TimeoutError:
            if workflow.now() >= deadline:
                raise Ended(Outcome.EXPIRED, _open_items(state, checklist.timeout)) from None
            retries += 1
            await _measure(state, again)
    state.end_if_over()
    failed = [item for item in state.gating_items() if item.answer is Answer.FAILED]
    if failed:
        reasons = "; ".join(f"{item.text}: {item.evidence}" for item in failed)
        raise Ended(Outcome.NEEDS_FIX, f"checklist failed: {reasons}")


async def _measure(state: PromotionState, names: list[str]) -> None:
    """The named checks have results, in the order in which they come."""
    ci = state.policy.ci
    project = [name for name in names if name in {*ci.commands, *ci.check_runs, "coverage"}]
    own = {*project, STAGING_VALIDATION, BENCHMARKS, ANNOUNCEMENT}
    staging = [name for name in names if name not in own]
    parts = [_or_inconclusive(staging, _staging(state, staging))] if staging else []
    parts += [_or_inconclusive(project, _project(state, project))] if project else []
    parts += [announce(state)] if ANNOUNCEMENT in names else []
    for part in workflow.as_completed(parts):
        new = {result.id: result for result in await part}
        results = {**state.answers.results, **new}
        state.answers = state.answers.model_copy(update={"results": results})
        state.refresh()
    state.stop_if_aborted()
    state.end_if_over()


async def _or_inconclusive(
    names: list[str], part: Coroutine[Any, Any, list[CheckResult]]
) -> list[CheckResult]:
    """What could not be measured at all neither passes nor fails; it is tried again."""
    try:
        return await part
    except FailureError as failure:
        if is_cancelled_exception(failure):
            raise
        why = f"could not be measured: {failure.cause or failure}"[:300]
        return [
            CheckResult(id=name, text=name, verdict=Verdict.INCONCLUSIVE, evidence=why)
            for name in names
        ]


async def _staging(state: PromotionState, names: list[str]) -> list[CheckResult]:
    policy, request = state.policy, state.request
    return await workflow.execute_activity_method(
        StagingChecks.check_staging,
        ChecksInput(
            service=policy.service,
            environment="staging",
            sha=request.sha,
            version=request.version,
            checks=tuple(names),
            functions=policy.function_names("staging"),
            api=policy.api,
            alias=policy.alias,
            table=policy.table_name("staging"),
            limits=policy.checklist.limits,
            alarm_period_seconds=alarm_period_seconds(request.clock_factor),
        ),
        summary=f"measure {len(names)} checklist items against staging",
        **options.CHECKS,
    )


async def _project(state: PromotionState, names: list[str]) -> list[CheckResult]:
    ci = state.policy.ci
    if ci.repository:
        found = await workflow.execute_activity_method(
            GitHub.read_check_runs,
            CheckRunsInput(repository=ci.repository, sha=state.request.sha),
            summary=f"read GitHub's check runs: {', '.join(names)}",
            **options.CHECKS,
        )
        return [judge_check(name, name, ci.check_runs.get(name, name), found) for name in names]
    return await workflow.execute_activity_method(
        ProjectChecks.run_project_checks,
        ProjectChecksInput(
            sha=state.request.sha,
            checks=tuple(names),
            ci=state.policy.ci,
            coverage_percent=state.policy.checklist.limits.coverage_percent,
        ),
        summary=f"the commit's own checks: {', '.join(names)}",
        **options.project_checks(state.policy.ci.timeout),
    )


def _inconclusive(state: PromotionState) -> list[str]:
    return [
        name
        for name, result in state.answers.results.items()
        if result.verdict is Verdict.INCONCLUSIVE
    ]


def _is_decided(state: PromotionState) -> bool:
    answers = [item.answer for item in state.gating_items()]
    return Answer.FAILED in answers or all(answer in DONE for answer in answers)


def _open_items(state: PromotionState, timeout: timedelta) -> str:
    waiting = ", ".join(item.id for item in state.gating_items() if item.answer not in DONE)
    return f"the checklist was not completed within {timeout}: {waiting}"
