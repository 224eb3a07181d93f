"""What a cold start of the price API loads: the standard library, and of it no more than needed."""

import json
import subprocess

from tests.local.front_door_parts import ENVIRONMENTS
from tests.service.service_parts import ROOT

PYTHON = ENVIRONMENTS / "lambda-runtime/bin/python"
LIST = """
import json, sys
before = set(sys.modules)
import app
loaded = {name: getattr(sys.modules[name], "__file__", None) for name in set(sys.modules) - before}
print(json.dumps(loaded))
"""
# Each was measured at 4 to 190 ms of a cold start, and no good answer needs it.
DEAR = {"botocore", "boto3", "pydantic", "structlog", "httpx", "urllib3"}
DEAR |= {
    "http.client",
    "email",
    "logging",
    "asyncio",
    "inspect",
    "pathlib",
    "traceback",
    "dataclasses",
    "zipfile",
}


def test_import_loads_the_standard_library_alone() -> None:
    """Where boto3 is at hand, as in Lambda, nothing of it is loaded; nor is what is dear."""
    run = subprocess.run(
        [PYTHON, "-c", LIST],
        cwd=ROOT / "api_lambda/prices",
        capture_output=True,
        check=True,
    )

    loaded = json.loads(run.stdout)

    assert "ssl" in loaded
    assert not [name for name, file in loaded.items() if file and "site-packages" in file]
    assert not DEAR & set(loaded)
