"""GitHub's published description, cut to the calls that are used, and a server that answers by it.

The description is in the npm package `@octokit/openapi`; Prism reads the whole of it in 12 s and
360 MB, the cut in 2 s and 160 MB.
"""

import copy
import json
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import httpx
from temporalio.testing import ActivityEnvironment

from activities.github import GitHub
from activities.github_api import GitHubApi, github_client
from activities.inputs import CheckRunsInput, ReviewInput
from tests.service.service_parts import ROOT, Listener, Reply, wait_for_port

NODE_ENVIRONMENT = ROOT / ".venv/envs/github-api"
DESCRIPTION = NODE_ENVIRONMENT / "node_modules/@octokit/openapi/generated/api.github.com.json"
PRISM = NODE_ENVIRONMENT / "node_modules/@stoplight/prism-cli/dist/index.js"
TOKEN = "ghs_0123456789abcdefghijklmnopqrstuvwxyz"
SHA = "c0ffee" * 6 + "beef"
RUN = "/repos/{owner}/{repo}/actions/runs/{run_id}"
APPROVALS = f"{RUN}/approvals"
CHECK_RUNS = "/repos/{owner}/{repo}/commits/{ref}/check-runs"
READINGS = {RUN: ("get",), APPROVALS: ("get",), CHECK_RUNS: ("get",)}
# the description gives these calls no error answers at all; these are its own for the others
ERRORS = {"401": "requires_authentication", "403": "forbidden", "404": "not_found"}


def review_input(**fields: Any) -> ReviewInput:
    """Was production reviewed on run 5 of o/r?"""
    known = {"repository": "o/r", "run_id": 5, "environment": "production", "sha": SHA}
    return ReviewInput(**{**known, **fields})


def read_review(api: GitHubApi, **fields: Any) -> Any:
    """The activity's answer."""
    return ActivityEnvironment().run(GitHub(api).read_environment_review, review_input(**fields))


def read_check_runs(api: GitHubApi, sha: str = SHA) -> Any:
    """The activity's answer."""
    order = CheckRunsInput(repository="o/r", sha=sha)
    return ActivityEnvironment().run(GitHub(api).read_check_runs, order)


@cache
def _client() -> httpx.Client:
    return github_client("http://127.0.0.1", lambda: TOKEN)


def api_at(url: str) -> GitHubApi:
    """Our client, speaking to a server of the test's; one for all, as it loads certificates."""
    _client().base_url = url
    return GitHubApi(_client())


def answers(listener: Listener, *bodies: Any) -> GitHubApi:
    """Our client of a listener that gives these JSON bodies, one per request."""
    listener.replies = [Reply(200, json.dumps(body).encode()) for body in bodies]
    return api_at(listener.url)


def run_answer(**fields: Any) -> dict[str, Any]:
    """The run that the tests ask for, with the fields that GitHub always gives of it."""
    url = "https://github.com/o/r/actions/runs/5"
    path = ".github/workflows/promote.yml@main"
    known = {"id": 5, "head_sha": SHA, "html_url": url, "path": path, "event": "push"}
    return {**known, "status": "in_progress", "actor": {"login": "alice"}, **fields}


def review_answer(state: str = "approved", name: str = "production", **fields: Any) -> Any:
    """One entry of a review history."""
    known = {"user": {"login": "bob"}, "comment": "fine", "environments": [{"name": name}]}
    return {"state": state, **known, **fields}


def check_answer(number: int, name: str, conclusion: str | None = "success", **fields: Any) -> Any:
    """One check run, completed if it has a conclusion."""
    known = {"id": number, "name": name, "head_sha": SHA, "app": {"slug": "github-actions"}}
    url = f"https://github.com/o/r/runs/{number}"
    status = "in_progress" if conclusion is None else "completed"
    return {**known, "status": status, "conclusion": conclusion, "html_url": url, **fields}


def cut_description(
    sparse: bool, calls: Mapping[str, tuple[str, ...]] = READINGS
) -> dict[str, Any]:
    """The description of these calls; sparse: nothing that it does not promise is answered."""
    whole = json.loads(DESCRIPTION.read_text())
    paths = {
        path: {method: whole["paths"][path][method] for method in methods}
        for path, methods in calls.items()
    }
    for call in (call for methods in paths.values() for call in methods.values()):
        responses = call["responses"]
        # its one example of the Link header says for ever that there is a next page
        responses.get("200", {}).pop("headers", None)
        responses.update({s: {"$ref": f"#/components/responses/{n}"} for s, n in ERRORS.items()})
    cut = {"openapi": whole["openapi"], "info": whole["info"], "paths": paths, "components": {}}
    _add_referenced(cut, whole["components"])
    for content in _all_of(cut, "content"):
        # GitHub's documentation asks for this media type, its description names the other one
        if "application/json" in content:  # and no field of an answer that is called so
            content["application/vnd.github+json"] = copy.deepcopy(content["application/json"])
    if sparse:
        for schema in [*_all_of(cut, "schema"), *cut["components"]["schemas"].values()]:
            _keep_required(schema)
    return cut


def _add_referenced(cut: dict[str, Any], components: dict[str, Any]) -> None:
    waiting = list(_all_of(cut, "$ref"))
    while waiting:
        _, _, kind, name = waiting.pop().split("/")
        known = cut["components"].setdefault(kind, {})
        if name not in known:
            known[name] = components[kind][name]
            waiting += _all_of(known[name], "$ref")


def _keep_required(schema: dict[str, Any]) -> None:
    if "properties" in schema:
        required = set(schema.get("required", ()))
        schema["properties"] = {k: v for k, v in schema["properties"].items() if k in required}
    for value in schema.get("properties", {}).values():
        _keep_required(value)
    if "items" in schema:
        _keep_required(schema["items"])


def _all_of(node: Any, key: str) -> Iterator[Any]:
    if isinstance(node, dict):
        for name, value in node.items():
            if name == key:
                yield value
            yield from _all_of(value, key)
    elif isinstance(node, list):
        for value in node:
            yield from _all_of(value, key)


@contextmanager
def prism(folder: Path, description: dict[str, Any]) -> Iterator[str]:
    """The address of a mock server of the description, which refuses requests that break it."""
    assert PRISM.exists(), "run `make .venv/envs/github-api/.installed`"
    document = folder / "github.json"
    document.write_text(json.dumps(description))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = ["-h", "127.0.0.1", "-p", str(port), "--errors", "-v", "warn"]
    with (folder / "prism.log").open("wb") as log:
        process = subprocess.Popen(
            ["node", str(PRISM), "mock", str(document), *options], stdout=log, stderr=log
        )
    try:
        wait_for_port(port, process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def hold_to_description(answer: httpx.Response) -> None:
    """A response hook: where Prism itself complains of the request, the test fails."""
    kind = answer.headers.get("content-type", "")
    assert "problem+json" not in kind, answer.read().decode()
