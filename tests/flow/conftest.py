"""The workflow against the real Temporal server, with time that can be skipped.

AWS is a recording stand-in below the real traffic and deploy activities; what is measured
(build, checks, watching) is scripted by each test.
"""

import sysconfig
import uuid
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest_asyncio
from temporalio.common import SearchAttributeKey
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import TimeSkippingConfig, WorkflowEnvironment
from temporalio.worker import Worker

from activities.aws_retries import AwsFaults
from activities.deploy import Deploy
from activities.drill import Drills
from activities.drill_records import DrillRecords
from activities.lane import Lanes
from activities.pulse import Pulse
from activities.traffic import Traffic
from release.search_attributes import SEARCH_ATTRIBUTES
from tests.flow.release_system import ReleaseSystem
from workflows.deployment_record import DeploymentRecordWorkflow
from workflows.drill import RollbackDrillWorkflow
from workflows.incident import IncidentWorkflow
from workflows.post_deploy import PostDeployWorkflow
from workflows.production_lane import ProductionLaneWorkflow
from workflows.promotion import PromotionWorkflow
from workflows.record import RecordWorkflow
from workflows.rollback import RollbackWorkflow


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def temporal() -> AsyncIterator[WorkflowEnvironment]:
    environment = await WorkflowEnvironment.start_time_skipping_v2(
        ts_config=TimeSkippingConfig(enabled=False, max_session_skip_count=100_000),
        dev_server_existing_path=str(Path(sysconfig.get_path("scripts")) / "temporal"),
        dev_server_log_level="error",
        data_converter=pydantic_data_converter,
        identity="release-system",  # and not pid@host: recorded histories say nothing of a machine
        search_attributes=[SearchAttributeKey.for_keyword(name) for name in SEARCH_ATTRIBUTES],
        dev_server_extra_args=[
            *("--dynamic-config-value", "frontend.WorkflowTimeSkippingEnabled=true"),
            *("--dynamic-config-value", 'history.timerProcessorMaxTimeShift="10ms"'),
            # low enough for the lane's tests to see it go on as a new run, again and again
            *("--dynamic-config-value", "limit.historyCount.suggestContinueAsNew=120"),
        ],
    )
    yield environment
    await environment.shutdown()


@pytest_asyncio.fixture(loop_scope="session")
async def release_system(temporal: WorkflowEnvironment) -> AsyncIterator[ReleaseSystem]:
    """A worker of its own, on a queue of its own."""
    system = ReleaseSystem(temporal, queue=uuid.uuid4().hex)
    traffic, script = Traffic(system.aws), system.script
    drills = Drills(system.aws, system.alarms)
    lanes = Lanes(temporal.client, Path("no repository"))
    with ThreadPoolExecutor(8) as threads:
        async with Worker(
            temporal.client,
            task_queue=system.queue,
            workflows=[
                PromotionWorkflow,
                ProductionLaneWorkflow,
                RecordWorkflow,
                PostDeployWorkflow,
                RollbackWorkflow,
                IncidentWorkflow,
                DeploymentRecordWorkflow,
                RollbackDrillWorkflow,
            ],
            activities=[
                traffic.record_baseline,
                traffic.shift_traffic,
                traffic.roll_back,
                traffic.point_alias,
                Deploy(system.aws).publish_version,
                script.build_artifacts,
                script.plan_infrastructure,
                script.execute_infrastructure,
                script.discard_infrastructure,
                script.run_integration_tests,
                script.admit_request,
                script.check_staging,
                script.run_project_checks,
                script.read_check_runs,
                script.check_code,
                script.read_environment_review,
                script.notify,
                script.write_incident,
                script.open_issue,
                script.supersede_older,
                lanes.join_lane,
                lanes.find_gone,
                script.find_moving,
                script.compare_commits,
                script.preflight,
                script.smoke,
                script.record_deployments,
                script.quarantine,
                script.refuse_quarantined,
                script.reconcile,
                script.watch_production,
                script.arm_alarms,
                script.disarm_alarms,
                script.shift_step,
                script.shift_by_codedeploy,
                script.end_deployment,
                script.tag_release,
                script.write_changelog,
                script.find_last_drill,
                script.export_audit,
                drills.publish_noop,
                drills.raise_alarm,
                drills.alias_is_anothers,
                drills.confirm_baseline,
                DrillRecords(temporal.client).find_promotion_moving,
            ],
            activity_executor=threads,
            interceptors=[AwsFaults(), Pulse()],
            max_heartbeat_throttle_interval=timedelta(milliseconds=100),
            # a mistake in workflow code fails at once here; in the real worker it is retried
            workflow_failure_exception_types=[Exception],
        ) as worker:
            system.worker_options = worker.config()
            await system.open_lane()
            yield system
