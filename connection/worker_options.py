"""How a worker works: its slots, its time limits, the build that it is."""

from datetime import timedelta
from typing import Any

from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.worker import WorkerDeploymentConfig
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from settings import TemporalSettings, task_queue
from workflows.versioning import VersionedRunner

# An activity is a thread that mostly waits for AWS. A promotion in production holds one slot for
# as long as traffic moves; a dozen beside it is builds and checks. boto3's pool has 32.
ACTIVITY_SLOTS = 20
# A workflow task is some milliseconds of Python under one interpreter lock: more at a time only
# wait for each other, and a task that waits longer than 2 s counts as a deadlock.
_WORKFLOW_SLOTS = 16
# A waiting promotion is 1.6 MB of a worker, most of it its sandbox's modules: 3 GB at the most.
# Beyond these each is read again from its history at every message: bench/orchestration.
_CACHED_WORKFLOWS = 2000
GRACEFUL_SHUTDOWN = timedelta(seconds=8)
"""What an activity under way gets to end by itself, after SIGTERM. The alias writes take one; a
rung or a check is cancelled then, and goes on elsewhere. Give the process 10 s before SIGKILL."""


def worker_options(settings: TemporalSettings) -> dict[str, Any]:
    """Arguments of `Worker`, but for its client, its workflows and its activities."""
    return {
        "task_queue": task_queue(),
        "max_concurrent_activities": ACTIVITY_SLOTS,
        "max_concurrent_workflow_tasks": _WORKFLOW_SLOTS,
        "max_cached_workflows": _CACHED_WORKFLOWS,
        # a dead worker's workflows move to a live one after this, instead of after 10 s
        "sticky_queue_schedule_to_start_timeout": timedelta(seconds=3),
        # a cancellation reaches an activity with its next heartbeat
        "max_heartbeat_throttle_interval": timedelta(seconds=1),
        "default_heartbeat_throttle_interval": timedelta(seconds=1),
        "graceful_shutdown_timeout": GRACEFUL_SHUTDOWN,
        **_build(settings),
    }


def _build(settings: TemporalSettings) -> dict[str, Any]:
    """The build by which Temporal tells this worker from others; without one it is any worker."""
    if not settings.build_id:
        return {}
    version = WorkerDeploymentVersion(
        deployment_name=settings.deployment, build_id=settings.build_id
    )
    return {
        "deployment_config": WorkerDeploymentConfig(
            version=version,
            use_worker_versioning=True,
            default_versioning_behavior=VersioningBehavior.PINNED,
        ),
        "workflow_runner": SandboxedWorkflowRunner(runner_class=VersionedRunner),
    }
