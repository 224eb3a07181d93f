"""The worker: settings → clients → activities → Worker. Run it as `python worker.py`."""

import asyncio
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import structlog
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Worker

from activities.admission import Admission
from activities.audit import Audits
from activities.aws import AwsClients
from activities.build import Build
from activities.checks.staging_checks import StagingChecks
from activities.codedeploy import CodeDeploy
from activities.deploy import Deploy
from activities.deployments import Deployments
from activities.drill import Drills
from activities.drill_records import DrillRecords
from activities.git_release import GitRelease
from activities.github import GitHub
from activities.github_api import GitHubApi, github_client
from activities.github_call import GitHubCalls
from activities.github_deployment import GitHubDeployments
from activities.github_issues import GitHubIssues
from activities.github_release import GitHubRelease
from activities.incident import Incidents
from activities.integration_tests import IntegrationTests
from activities.notify import Notify, notice_client
from activities.one_time_code import OneTimeCodes
from activities.post_deploy import PostDeploy
from activities.preflight import Preflight
from activities.project_checks import ProjectChecks
from activities.pulse import Pulse
from activities.quarantine import Quarantine
from activities.secrets import read_secret
from activities.shift_step import ShiftSteps
from activities.smoke import Smoke
from activities.staging import Staging
from activities.supersede import Supersede
from activities.traffic import Traffic
from activities.watch import Watch
from settings import TASK_QUEUE, Settings, connect_to_temporal_config
from workflows.deployment_record import DeploymentRecordWorkflow
from workflows.drill import RollbackDrillWorkflow
from workflows.incident import IncidentWorkflow
from workflows.post_deploy import PostDeployWorkflow
from workflows.promotion import PromotionWorkflow
from workflows.record import RecordWorkflow
from workflows.rollback import RollbackWorkflow

WORKFLOWS = [
    PromotionWorkflow,
    RecordWorkflow,
    PostDeployWorkflow,
    DeploymentRecordWorkflow,
    RollbackWorkflow,
    IncidentWorkflow,
    RollbackDrillWorkflow,
]
_MAX_ACTIVITIES = 20


def activities(settings: Settings, aws: AwsClients, temporal: Client) -> list[Any]:
    """Every activity, with its clients."""
    staging = Staging(aws.ssm, aws.secrets)
    traffic, watch = Traffic(aws.lambda_), Watch(aws.cloudwatch)
    codedeploy = CodeDeploy(aws.codedeploy, traffic, aws.cloudwatch)
    quarantine = Quarantine(aws.dynamodb, settings.repository, aws.lambda_)
    drills, records = Drills(aws.lambda_, aws.cloudwatch), DrillRecords(temporal)
    github_http = _github(settings, aws)
    github = GitHub(GitHubApi(github_http))
    admission = Admission(
        settings.repository,
        settings.branch,
        accepts_claims=settings.accepts_claims,
        temporal_ui=settings.temporal_ui,
    )
    return [
        admission.admit_request,
        Build(settings.repository, aws.s3).build_artifacts,
        Deploy(aws.lambda_).publish_version,
        traffic.record_baseline,
        traffic.shift_traffic,
        traffic.roll_back,
        traffic.point_alias,
        watch.arm_alarms,
        watch.disarm_alarms,
        ShiftSteps(traffic, aws.cloudwatch).shift_step,
        Preflight(aws.lambda_, aws.cloudwatch).preflight,
        Smoke(aws.lambda_, staging).smoke,
        PostDeploy(staging, aws, traffic, settings.repository).watch_production,
        codedeploy.shift_by_codedeploy,
        codedeploy.end_deployment,
        IntegrationTests(staging).run_integration_tests,
        StagingChecks(staging, aws, settings.repository).check_staging,
        ProjectChecks(settings.repository).run_project_checks,
        OneTimeCodes(aws.secrets, aws.dynamodb).check_code,
        github.read_environment_review,
        github.read_check_runs,
        Notify(aws.secrets, notice_client()).notify,
        Incidents(aws).write_incident,
        Supersede(temporal, settings.repository).supersede_older,
        Deployments(aws.dynamodb).record_deployments,
        quarantine.quarantine,
        quarantine.refuse_quarantined,
        quarantine.reconcile,
        drills.publish_noop,
        drills.raise_alarm,
        drills.alias_is_anothers,
        drills.confirm_baseline,
        records.find_last_drill,
        records.find_promotion_moving,
        Audits(temporal, aws.s3, aws.dynamodb).export_audit,
        *_record(settings, github_http),
    ]


def _record(settings: Settings, github: httpx.Client) -> list[Any]:
    """What the record is kept by in git and on GitHub."""
    repository, calls = GitRelease(settings.repository, settings.branch), GitHubCalls(github)
    on_github = GitHubRelease(calls, settings.branch)
    return [
        repository.tag_release,
        repository.write_changelog,
        on_github.tag_on_github,
        on_github.propose_changelog,
        GitHubDeployments(calls).show_deployment_on_github,
        GitHubIssues(calls).open_issue,
    ]


def _is_loopback(target: str) -> bool:
    return target.rpartition(":")[0].strip("[]") in {"127.0.0.1", "localhost", "::1"}


def _github(settings: Settings, aws: AwsClients) -> httpx.Client:
    def token() -> str:
        return read_secret(aws.secrets, settings.github_token_secret) or ""

    return github_client(settings.github_api, token)


async def main() -> None:
    """Runs until SIGTERM or Ctrl-C; activities under way get 10 s to end."""
    log = structlog.get_logger()
    config: Any = connect_to_temporal_config()
    client = await Client.connect(**config, data_converter=pydantic_data_converter)
    settings = Settings.from_environment()
    if settings.accepts_claims and not _is_loopback(config["target_host"]):
        # a laptop's worker at a shared server would let names alone into production
        settings = replace(settings, accepts_claims=False)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    with ThreadPoolExecutor(max_workers=_MAX_ACTIVITIES) as executor:
        async with Worker(
            client,
            task_queue=TASK_QUEUE,
            workflows=WORKFLOWS,
            activities=activities(settings, AwsClients.from_environment(), client),
            activity_executor=executor,
            interceptors=[Pulse()],
            max_concurrent_activities=_MAX_ACTIVITIES,
            # a dead worker's workflows move to a live one after this, instead of after 10 s
            sticky_queue_schedule_to_start_timeout=timedelta(seconds=3),
            max_heartbeat_throttle_interval=timedelta(seconds=1),
            default_heartbeat_throttle_interval=timedelta(seconds=1),
            graceful_shutdown_timeout=timedelta(seconds=8),
        ):
            print("worker ready", flush=True)
            log.info("worker ready", task_queue=TASK_QUEUE, target=config["target_host"])
            await stop.wait()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except RuntimeError as error:
        print(f"the worker cannot start: {error}", file=sys.stderr)
        sys.exit(1)
