"""The deployed API is held to its own OpenAPI document by generated requests over real HTTP."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from tests.service.deployed import Deployed
from tests.service.service_parts import KEY, ROOT

DOCUMENT = json.loads((ROOT / "api_lambda/openapi.json").read_text())
# Fixed, so that a change is judged by what it changed; without a seed the tool looks elsewhere.
SEED = "20250131"


@pytest.fixture(scope="module")
def deployed(stage: Callable[..., Deployed]) -> Deployed:
    """The API with a limit that fuzzing does not reach."""
    return stage(RATE_LIMIT_PER_MINUTE="1000000").with_prices()


def test_generated_requests_find_no_answer_that_is_not_promised(
    deployed: Deployed, tmp_path: Path
) -> None:
    """schemathesis: examples, edge cases, fuzzing and links from answer to answer, no failure."""
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "run", f"{deployed.url}/openapi.json"),
        *("--header", f"X-API-Key: {KEY}", "--checks", "all", "--max-examples", "100"),
        *("--phases", "examples,coverage,fuzzing,stateful", "--generation-database", "none"),
        *("--seed", SEED, "--no-color"),
    ]

    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-2000:]
    assert "API Links:    2 covered / 2 selected / 2 total" in run.stdout
    passed = re.search(r"(\d+) generated, (\d+) passed", run.stdout)
    assert passed
    assert passed[1] == passed[2]
    assert int(passed[1]) > 300


def test_served_document_is_the_one_in_the_repository(deployed: Deployed) -> None:
    """The single statement of the API is what clients read, but for the version that answers."""
    served = httpx.get(f"{deployed.url}/openapi.json").json()

    assert served == {**DOCUMENT, "info": {**DOCUMENT["info"], "version": "1.2.3"}}


def _examples(node: Any, path: str = "#") -> Iterator[tuple[str, Any, Any]]:
    """Every (place, schema, example) of a media type."""
    if isinstance(node, dict):
        if "schema" in node and "examples" in node:
            for name, example in node["examples"].items():
                yield f"{path}/{name}", node["schema"], example["value"]
        for key, value in node.items():
            yield from _examples(value, f"{path}/{key}")


@pytest.mark.parametrize(
    ("place", "schema", "example"),
    [pytest.param(*found, id=found[0]) for found in _examples(DOCUMENT)],
)
def test_examples_keep_to_their_schema(place: str, schema: Any, example: Any) -> None:
    """What the document shows is what it promises."""
    Draft202012Validator({**schema, "components": DOCUMENT["components"]}).validate(example)
