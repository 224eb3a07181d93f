"""A history, run once more through today's workflow: what did it decide?"""

import logging
import re
from typing import Any

from temporalio import workflow
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.runtime import LoggingConfig, Runtime, TelemetryConfig, TelemetryFilter
from temporalio.worker import (
    ExecuteWorkflowInput,
    Interceptor,
    Replayer,
    UnsandboxedWorkflowRunner,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)

from release.audit_events import Event
from workflows.promotion import PromotionWorkflow


async def replay(events: list[Event], workflow_id: str) -> tuple[dict[str, Any] | None, str]:
    """The promotion's status at the end of the history, or why today's code does not get there."""
    seen: list[PromotionWorkflow] = []
    # what it has to say comes back as the answer; in the log it would stand among the output
    logging.getLogger("temporalio").setLevel(logging.CRITICAL)
    replayer = Replayer(
        workflows=[PromotionWorkflow],
        data_converter=pydantic_data_converter,
        interceptors=[_Watching(seen)],
        # in the sandbox the workflow would be another class, out of reach
        workflow_runner=UnsandboxedWorkflowRunner(),
        runtime=_silent(),
    )
    history = WorkflowHistory.from_json(workflow_id, {"events": events})
    result = await replayer.replay_workflow(history, raise_on_replay_failure=False)
    if result.replay_failure is not None:
        return None, _said(result.replay_failure)
    if not seen:
        return None, "the history does not begin a promotion"
    return seen[-1].status().model_dump(mode="json"), ""


def _silent() -> Runtime:
    logs = LoggingConfig(filter=TelemetryFilter(core_level="ERROR", other_level="ERROR"))
    return Runtime(telemetry=TelemetryConfig(logging=logs))


def _said(failure: BaseException) -> str:
    """The one sentence in it that says what differs."""
    found = re.search(r"Nondeterminism error: (.+?)(: HistoryEvent|\", source)", str(failure))
    return found[1] if found else str(failure).partition("\n")[0]


class _Watching(Interceptor):
    """Hands out the workflow that runs."""

    def __init__(self, seen: list[PromotionWorkflow]) -> None:
        self._seen = seen

    def workflow_interceptor_class(
        self, _: WorkflowInterceptorClassInput
    ) -> type[WorkflowInboundInterceptor]:
        seen = self._seen

        class Inbound(WorkflowInboundInterceptor):
            async def execute_workflow(self, order: ExecuteWorkflowInput) -> Any:
                seen.append(workflow.instance())
                return await super().execute_workflow(order)

        return Inbound
