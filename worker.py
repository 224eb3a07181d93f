"""The worker: settings → clients → activities → Worker. Run it as `python worker.py`."""

import asyncio
import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import httpx
import structlog
from botocore.exceptions import BotoCoreError
from temporalio.client import Client
from temporalio.service import RPCError
from temporalio.worker import Worker

from activities.admission import Admission
from activities.audit import Audits
from activities.aws import AwsClients
from activities.aws_faults import fault_of
from activities.aws_retries import AwsFaults
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
from activities.infrastructure import Infrastructure
from activities.integration_tests import IntegrationTests
from activities.lane import Lanes
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
from connection.connect import client_options, enter_namespace
from connection.problems import in_words
from connection.telemetry import runtime, tracing
from connection.worker_options import ACTIVITY_SLOTS, worker_options
from settings import Settings, TemporalSettings
from workflows.deployment_record import DeploymentRecordWorkflow
from workflows.drill import RollbackDrillWorkflow
from workflows.incident import IncidentWorkflow
from workflows.post_deploy import PostDeployWorkflow
from workflows.production_lane import ProductionLaneWorkflow
from workflows.promotion import PromotionWorkflow
from workflows.record import RecordWorkflow
from workflows.rollback import RollbackWorkflow

WORKFLOWS = [
    PromotionWorkflow,
    ProductionLaneWorkflow,
    RecordWorkflow,
    PostDeployWorkflow,
    DeploymentRecordWorkflow,
    RollbackWorkflow,
    IncidentWorkflow,
    RollbackDrillWorkflow,
]


def activities(settings: Settings, aws: AwsClients, temporal: Client) -> list[Any]:
    """Every activity, with its clients."""
    staging = Staging(aws.ssm, aws.secrets)
    traffic, watch = Traffic(aws.lambda_), Watch(aws.cloudwatch)
    codedeploy = CodeDeploy(aws.codedeploy, traffic, aws.cloudwatch)
    quarantine = Quarantine(aws.dynamodb, settings.repository, aws.lambda_)
    drills, records = Drills(aws.lambda_, aws.cloudwatch), DrillRecords(temporal)
    infrastructure = Infrastructure(settings.repository, aws.cloudformation)
    lanes = Lanes(temporal, settings.repository)
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
        Preflight(aws.lambda_, aws.cloudwatch, settings.repository).preflight,
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
        lanes.join_lane,
        lanes.compare_commits,
        lanes.find_gone,
        lanes.find_moving,
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
        infrastructure.plan_infrastructure,
        infrastructure.execute_infrastructure,
        infrastructure.discard_infrastructure,
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


async def main(temporal: TemporalSettings) -> None:
    """Runs until SIGTERM or Ctrl-C; activities under way get some seconds to end."""
    with tracing(temporal) as interceptors:
        config = client_options(temporal)
        telling: dict[str, Any] = {"interceptors": interceptors, "runtime": runtime(temporal)}
        try:
            client = await Client.connect(**config, **telling)
            await enter_namespace(client)
            await work(client, worker_options(temporal))
        except (RuntimeError, RPCError) as error:
            raise RuntimeError(in_words(error, config)) from error


async def work(client: Client, options: dict[str, Any]) -> None:
    """Releases are worked on until somebody stops this process."""
    target = client.service_client.config.target_host
    settings = Settings.from_environment()
    if settings.accepts_claims and not _is_loopback(target):
        # a laptop's worker at a shared server would let names alone into production
        settings = replace(settings, accepts_claims=False)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    with ThreadPoolExecutor(max_workers=ACTIVITY_SLOTS) as executor:
        async with Worker(
            client,
            workflows=WORKFLOWS,
            activities=activities(settings, AwsClients.from_environment(), client),
            activity_executor=executor,
            interceptors=[AwsFaults(), Pulse()],
            **options,
        ):
            print("worker ready", flush=True)
            structlog.get_logger().info("worker ready", target=target)
            await stop.wait()


if __name__ == "__main__":
    code = 0
    try:
        asyncio.run(main(TemporalSettings.from_environment()))
    except (RuntimeError, OSError, ValueError, BotoCoreError) as error:
        fault = fault_of(error) if isinstance(error, BotoCoreError) else None
        why = f"{fault.kind}: {fault.text}" if fault else str(error)
        print(f"the worker cannot work: {why}", file=sys.stderr)
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    # the SDK can crash in interpreter teardown, after the work is done (temporalio/sdk-python#300)
    os._exit(code)
