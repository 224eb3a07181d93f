"""Real parts for going back: ministack, Temporal's server, a repository."""

from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from activities.build import Build
from activities.deploy import Deploy
from activities.deployments import Deployments
from activities.lane import Lanes
from activities.pulse import Pulse
from activities.quarantine import Quarantine
from activities.traffic import Traffic
from settings import task_queue
from tests.commands.conftest import Repository, repository, starter, state_dir
from tests.flow.conftest import temporal
from tests.flow.release_system import ReleaseSystem
from tests.local import front_door_parts as parts
from tests.rollback.production_parts import Production
from tests.service.service_parts import new_table
from workflows.deployment_record import DeploymentRecordWorkflow
from workflows.incident import IncidentWorkflow
from workflows.production_lane import ProductionLaneWorkflow
from workflows.promotion import PromotionWorkflow
from workflows.record import RecordWorkflow
from workflows.rollback import RollbackWorkflow

__all__ = ["repository", "starter", "state_dir", "temporal"]


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a ministack of this run."""
    with parts.ministack(tmp_path_factory.mktemp("ministack")) as (port, _):
        yield port


@pytest.fixture
def production(control_plane: int) -> Iterator[Production]:
    """Production without functions."""
    production = Production(control_plane)
    yield production
    production.forget()


@pytest.fixture
def table(production: Production) -> Iterator[Any]:
    """Production's table, empty."""
    table = new_table(production.endpoint, "crypto-watch-prod")
    yield table
    table.delete()


@pytest_asyncio.fixture(loop_scope="session")
async def release_system(
    temporal: WorkflowEnvironment,
    production: Production,
    repository: Repository,
    table: Any,
) -> AsyncIterator[ReleaseSystem]:
    """A worker that builds, publishes, shifts and rolls back for real; the rest is scripted."""
    system = ReleaseSystem(temporal, queue=task_queue())
    script = system.script
    s3, dynamodb = production.client("s3"), production.client("dynamodb")
    traffic = script.traffic = Traffic(production.lambda_)
    quarantine = Quarantine(dynamodb, repository.folder, production.lambda_)
    lanes = Lanes(temporal.client, repository.folder)
    with ThreadPoolExecutor(8) as threads:
        async with Worker(
            temporal.client,
            task_queue=task_queue(),
            workflows=[
                PromotionWorkflow,
                RecordWorkflow,
                DeploymentRecordWorkflow,
                RollbackWorkflow,
                IncidentWorkflow,
                ProductionLaneWorkflow,
            ],
            activities=[
                Build(repository.folder, s3).build_artifacts,
                Deploy(production.lambda_).publish_version,
                traffic.record_baseline,
                traffic.shift_traffic,
                traffic.roll_back,
                traffic.point_alias,
                Deployments(dynamodb).record_deployments,
                quarantine.quarantine,
                quarantine.refuse_quarantined,
                quarantine.reconcile,
                script.plan_infrastructure,
                script.preflight,
                script.smoke,
                script.admit_request,
                script.run_integration_tests,
                script.check_staging,
                script.run_project_checks,
                script.read_check_runs,
                script.notify,
                script.write_incident,
                script.supersede_older,
                script.arm_alarms,
                script.disarm_alarms,
                script.shift_step,
                script.export_audit,
                lanes.join_lane,
                lanes.find_gone,
                script.find_moving,
                script.compare_commits,
            ],
            activity_executor=threads,
            interceptors=[Pulse()],
            max_heartbeat_throttle_interval=timedelta(milliseconds=100),
            workflow_failure_exception_types=[Exception],
        ):
            await system.open_lane()
            yield system
    await end_records(temporal)


async def end_records(temporal: WorkflowEnvironment) -> None:
    """No record of this test is written to the next one's table."""
    query = "WorkflowId STARTS_WITH 'record/' AND ExecutionStatus = 'Running'"
    async for run in temporal.client.list_workflows(query):
        with suppress(RPCError):  # it has ended meanwhile
            await temporal.client.get_workflow_handle(run.id, run_id=run.run_id).terminate()
