"""The environment of a worker: what Lambda gives a function, and nothing of this machine's."""

from pathlib import Path

from infra.local.front_door.model import FunctionVersion
from infra.local.settings import CREDENTIAL


def worker_environment(
    version: FunctionVersion,
    *,
    code: Path,
    runtime_api: str,
    log_stream: str,
    host: dict[str, str],
    given: dict[str, str],
) -> dict[str, str]:
    """The whole environment of one worker.

    AWS_EXECUTION_ENV is left out on purpose: for python3.12 and newer the runtime client then
    starts a thread per invocation, three times the cost.

    Args:
        host: region and credentials of the laptop cloud.
        given: variables of this data plane (`--worker-env`); they win over the configured ones.
    """
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        **version.variables,
        "PYTHONDONTWRITEBYTECODE": "1",  # /var/task is read-only: every cold start compiles
        "LAMBDA_TASK_ROOT": str(code),
        "_HANDLER": version.handler,
        "AWS_LAMBDA_RUNTIME_API": runtime_api,
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_FUNCTION_NAME": version.function,
        "AWS_LAMBDA_FUNCTION_VERSION": version.version,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(version.memory_mb),
        "AWS_LAMBDA_LOG_GROUP_NAME": version.log_group,
        "AWS_LAMBDA_LOG_STREAM_NAME": log_stream,
        "AWS_REGION": host["AWS_REGION"],
        "AWS_DEFAULT_REGION": host["AWS_REGION"],
        "AWS_ACCESS_KEY_ID": host["AWS_ACCESS_KEY_ID"],
        "AWS_SECRET_ACCESS_KEY": host["AWS_SECRET_ACCESS_KEY"],
        "AWS_SESSION_TOKEN": CREDENTIAL,
        "AWS_EC2_METADATA_DISABLED": "true",
        **given,
    }
