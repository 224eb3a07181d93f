"""What a new build of the worker means for a workflow that runs: it stays, or it goes over."""

from dataclasses import replace

from temporalio.common import VersioningBehavior
from temporalio.worker import UnsandboxedWorkflowRunner, WorkflowInstance, WorkflowInstanceDetails

AUTO_UPGRADE = frozenset(
    {
        # tried without limit: a worker that is gone must not hold them up, and a repaired
        # activity has to reach them
        "RollbackWorkflow",
        "RecordWorkflow",
        "DeploymentRecordWorkflow",
        "IncidentWorkflow",
        # lives as long as its service does
        "ProductionLaneWorkflow",
    }
)
"""They go on with the next build at their next step: what is changed in them is changed by
`workflow.patched`. All others are pinned and end on the build that they began on, so that a change
of the flow meets no promotion under way; the old build's worker is needed for some days more.
"""


class VersionedRunner(UnsandboxedWorkflowRunner):
    """Runs a workflow, inside the sandbox, of a worker that is a build.

    Said in `@workflow.defn` instead, Temporal would refuse every task of a worker that is none.
    """

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        """The workflow, with what it does about a newer build."""
        if det.defn.name in AUTO_UPGRADE:
            upgrading = VersioningBehavior.AUTO_UPGRADE
            det = replace(det, defn=replace(det.defn, versioning_behavior=upgrading))
        return super().create_instance(det)
