"""The environment variables of the parts: nothing by which the person's own cloud could be met."""

import os

from infra.local.settings import CREDENTIAL, REGION

_PLAIN = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "USER")
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


def plain() -> dict[str, str]:
    """The least a program needs, and the laptop cloud's credentials."""
    kept = {name: os.environ[name] for name in _PLAIN if name in os.environ}
    nowhere = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    credentials = {
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": CREDENTIAL,
        "AWS_SECRET_ACCESS_KEY": CREDENTIAL,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    return kept | nowhere | credentials | {"PYTHONUNBUFFERED": "1"}


def without_cloud_settings() -> dict[str, str]:
    """What the worker keeps of the person's environment: a token for GitHub or Slack, say."""
    return {
        name: value
        for name, value in os.environ.items()
        if name.upper() not in _PROXIES and not name.startswith(("AWS_", "TEMPORAL_"))
    }
