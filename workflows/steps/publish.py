"""Publish the artifacts as Lambda versions of one environment; no alias moves here."""

import asyncio
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.deploy import Deploy
    from activities.inputs import AliasInput, PublishInput, ShiftInput
    from activities.traffic import Traffic
    from release.promotion import AliasState, Artifact

from workflows import options
from workflows.failures import failed_as
from workflows.state import Busy, PromotionState

_LONGEST_DRILL, _LOOK_EVERY = timedelta(minutes=3), timedelta(seconds=10)


async def publish_versions(
    state: PromotionState, environment: str, artifacts: dict[str, Artifact]
) -> dict[str, str]:
    """Every function has a version made of its artifact; keyed by function."""
    request, policy = state.request, state.policy

    async def publish(name: str, artifact: Artifact) -> str:
        function = policy.function_name(name, environment)
        return await workflow.execute_activity_method(
            Deploy.publish_version,
            PublishInput(
                function=function,
                bucket=policy.artifact_bucket,
                sha256=artifact.sha256,
                release_version=request.version,
                git_sha=request.sha,
            ),
            summary=f"publish {function} {request.version}",
            **options.AWS_CALL,
        )

    versions = await asyncio.gather(*(publish(name, a) for name, a in artifacts.items()))
    return dict(zip(artifacts, versions, strict=True))


async def read_aliases(
    state: PromotionState, environment: str, *, patient: bool = True
) -> dict[str, AliasState]:
    """The aliases as they stand, keyed by function; each serves exactly one version.

    Its own activity, before anything moves: read inside a retried deploy it would return the new
    version, and a rollback would do nothing.

    An alias that is split may be in a rollback drill, which is soon over: it is looked at again,
    if `patient`.

    Raises:
        Busy: it is split, and that was not to be waited for.
    """
    policy = state.policy

    async def read(name: str) -> AliasState:
        function = policy.function_name(name, environment)
        until = workflow.now() + _LONGEST_DRILL
        while True:
            try:
                return await workflow.execute_activity_method(
                    Traffic.record_baseline,
                    AliasInput(function=function, alias=policy.alias),
                    summary=f"record what {function} serves now",
                    **options.AWS_CALL,
                )
            except ActivityError as error:
                if not failed_as(error, "AliasBusy") or workflow.now() >= until:
                    raise
                if not patient:
                    raise Busy(str(error.cause)) from error
                state.show(
                    next=f"{error.cause}; looked at again until {until:%H:%M:%S} UTC, for it may "
                    "be a rollback drill"
                )
            await workflow.sleep(_LOOK_EVERY, summary=f"{function} is split: look again")

    aliases = await asyncio.gather(*(read(name) for name in policy.functions))
    return dict(zip(policy.functions, aliases, strict=True))


async def shift(
    alias: AliasState, baseline: str, canary: str, weight: float, summary: str
) -> AliasState:
    """The alias sends `weight` to `canary`; the alias as it is now."""
    return await workflow.execute_activity_method(
        Traffic.shift_traffic,
        ShiftInput(baseline=baseline, canary=canary, weight=weight, expected=alias),
        summary=summary,
        **options.ALIAS_WRITE,
    )
