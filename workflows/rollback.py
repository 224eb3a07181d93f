"""A manual rollback of production; what Lambda no longer has is built and published again."""

import asyncio
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    import release.channels
    import release.deployment
    import release.incident
    import release.lane
    import release.policy
    import release.records
    import release.windows  # noqa: F401
    from activities.build import Build
    from activities.deploy import Deploy
    from activities.inputs import BuildInput, PublishInput, QuarantineInput
    from activities.quarantine import Quarantine
    from activities.traffic import Traffic
    from release.lane import Priority
    from release.promotion import AliasState
    from release.rollback import AliasTarget, RollbackRequest, RollbackResult, Source, Undone

from workflows import options
from workflows.deployment_record import record_rollback
from workflows.incident import leave_incident
from workflows.lane_seat import LaneSeat
from workflows.metrics import time_rollback

_WITHOUT_LIMIT = {"retry_policy": options.ROLLBACK["retry_policy"]}
# pip says nothing while it installs: a build that is slow today must not fail for ever
_BUILD: dict[str, Any] = options.BUILD | _WITHOUT_LIMIT | {"heartbeat_timeout": None}
_PUBLISH: dict[str, Any] = options.AWS_CALL | _WITHOUT_LIMIT


@workflow.defn
class RollbackWorkflow:
    """Points every function of the service at the version of a release that ran before."""

    @workflow.init
    def __init__(self, request: RollbackRequest) -> None:
        self._request = request
        self._lane = LaneSeat(request.service)
        self._progress = {target.function: "on its way" for target in request.targets}

    @workflow.run
    async def run(self, request: RollbackRequest) -> RollbackResult:
        """Production serves the chosen versions, all of its traffic; tried without limit."""
        self._show()
        telling = asyncio.create_task(self._tell_lane())  # told, and never waited for
        try:
            return await self._roll_back(request)
        finally:
            telling.cancel()
            await self._lane.leave()

    async def _tell_lane(self) -> None:
        """Best effort: no promotion begins to move traffic meanwhile."""
        self._lane.take(f"rollback to {self._request.release}", Priority.ROLLBACK)
        try:
            await self._lane.ask(**options.NOTICE)
        except ActivityError as failure:
            workflow.logger.warning("the lane was not told: %s", failure.cause or failure)

    async def _roll_back(self, request: RollbackRequest) -> RollbackResult:
        # side by side: one that cannot be moved does not hold up the others
        ends = await asyncio.gather(*(self._bring_back(target) for target in request.targets))
        aliases = tuple(end for end in ends if isinstance(end, AliasState))
        undone = request.undone if aliases else ()
        warnings = await asyncio.gather(*(_quarantine(release) for release in undone))
        if aliases:
            await leave_incident(request, aliases)
        return RollbackResult(
            aliases=aliases,
            failures=tuple(end for end in ends if isinstance(end, str)),
            quarantined=tuple(
                u.sha for u, warning in zip(undone, warnings, strict=True) if not warning
            ),
            warnings=tuple(warning for warning in warnings if warning),
        )

    async def _bring_back(self, target: AliasTarget) -> AliasState | str:
        """The alias as it is now, or why it never can be."""
        try:
            alias = await self._point(target)
        except (ActivityError, ApplicationError) as failure:
            if is_cancelled_exception(failure):
                raise
            reason = f"{target.function}: {getattr(failure, 'cause', None) or failure}"
            self._show(target.function, f"**not back**: {reason}")
            return reason
        self._show(target.function, f"serves version {alias.version}, all of its traffic")
        if target is self._request.targets[0]:  # the API: another that hangs holds up no record
            time_rollback(self._request.service, "request", workflow.info().start_time)
            await record_rollback(self._request)
        return alias

    async def _point(self, target: AliasTarget) -> AliasState:
        source = self._request.source
        if target.version:
            try:
                return await _point_alias(target)
            except ActivityError as failure:
                if source is None or getattr(failure.cause, "type", "") != "NoVersion":
                    raise  # it was there a moment ago: pruned in between
        if source is None or target.function not in source.folders:
            raise ApplicationError(f"Lambda and git have nothing of {self._request.release}")
        self._show(target.function, "built and published again, for Lambda has it no more")
        version = await _publish_again(target.function, source)
        return await _point_alias(target.model_copy(update={"version": version}))

    def _show(self, function: str = "", text: str = "") -> None:
        if function:
            self._progress[function] = text
        request = self._request
        workflow.set_current_details(
            f"### {request.service} → `{request.release}`\n\n"
            f"asked for by {request.requested_by}: {request.reason}\n\n"
            + "".join(f"- {name}: {known}\n" for name, known in self._progress.items())
            + "\nTried without limit; nothing blocks it. Without Temporal: "
            "`starter.py rollback --break-glass --reason …`"
        )


async def _point_alias(target: AliasTarget) -> AliasState:
    return await workflow.execute_activity_method(
        Traffic.point_alias,
        target,
        summary=f"{target.function}: 100 % to version {target.version}",
        **options.ROLLBACK,
    )


async def _publish_again(function: str, source: Source) -> str:
    """The number of a version with the release's own bytes and name."""
    [artifact] = await workflow.execute_activity_method(
        Build.build_artifacts,
        BuildInput(
            sha=source.sha, bucket=source.bucket, sources={function: source.folders[function]}
        ),
        summary=f"build {function} from {source.sha[:7]}",
        **_BUILD,
    )
    return await workflow.execute_activity_method(
        Deploy.publish_version,
        PublishInput(
            function=function,
            bucket=source.bucket,
            sha256=artifact.sha256,
            release_version=source.version,
            git_sha=source.sha,
        ),
        summary=f"publish {function} {source.version} again",
        **_PUBLISH,
    )


async def _quarantine(undone: Undone) -> str:
    """The commit stays out, or why not: a table that does not answer fails no rollback."""
    order = QuarantineInput(
        table=undone.table,
        sha=undone.sha,
        version=undone.version,
        promotion=workflow.info().workflow_id,
        reason=undone.reason,
        at=undone.at or workflow.now(),
    )
    try:
        await workflow.execute_activity_method(
            Quarantine.quarantine,
            order,
            summary=f"quarantine {undone.sha[:12]}",
            **options.AWS_CALL,
        )
    except ActivityError as failure:
        if is_cancelled_exception(failure):
            raise
        return f"{undone.sha[:12]} is not quarantined: {failure.cause or failure}"
    return ""
