"""Documentation, and what a release needs beside its code: notes, a way back, a whole deploy."""

import json
from typing import Any

from activities.checks.context import PRODUCTION, CheckContext
from activities.http_event import http_answer, http_event
from activities.invoke import invoke
from activities.staging import Check, body
from release.changelog import FILE, entries


def openapi(context: CheckContext, check: Check) -> None:
    """The API documentation served is that of the commit."""
    file = f"{context.source(context.order.api)}/openapi.json"
    text = context.file_of_commit(file)
    if text is None:
        check.expect(False, f"the commit has no {file}")
        return
    committed: dict[str, Any] = json.loads(text)
    served = body(context.http().get("/openapi.json", key=None))
    version = served.get("info", {}).get("version")
    ours = {**committed, "info": {**committed.get("info", {}), "version": version}}
    difference = _first_difference(ours, served)
    check.expect(difference is None, f"served and committed document differ at {difference}")
    paths = len(served.get("paths", {}))
    check.saw(f"the document served equals the commit's: {paths} paths, version {version}")


def _first_difference(ours: Any, served: Any, path: str = "$") -> str | None:
    if isinstance(ours, dict) and isinstance(served, dict):
        for key in [*ours, *(key for key in served if key not in ours)]:
            if key not in ours or key not in served:
                where = "served only" if key in served else "committed only"
                return f"{path}.{key} ({where})"
            if found := _first_difference(ours[key], served[key], f"{path}.{key}"):
                return found
        return None
    return None if ours == served else f"{path}: {str(served)[:60]!r}, committed {str(ours)[:60]!r}"


def changelog(context: CheckContext, check: Check) -> None:
    """The commit's changelog has an entry for this release."""
    _expect_entries(context, check, "entries")


def deployment_notes(context: CheckContext, check: Check) -> None:
    """The deployment notes of the request are written."""
    _expect_entries(context, check, "notes")


def _expect_entries(context: CheckContext, check: Check, what: str) -> None:
    text = context.file_of_commit(FILE)
    if text is None:
        check.expect(False, f"the commit has no {FILE}")
        return
    heading, found = entries(text, context.order.version)
    count = sum(len(bullets) for bullets in found.values())
    check.expect(count > 0, f"{FILE} has no entry under {heading or 'Unreleased'}")
    groups = ", ".join(f"{len(bullets)} {group}" for group, bullets in found.items() if bullets)
    check.saw(f"{count} {what} under {heading!r} of {FILE} ({groups})")


def rollback_plan(context: CheckContext, check: Check) -> None:
    """The versions that production runs now can take all traffic back."""
    order = context.order
    for name in order.functions:
        function = f"{order.service}-{name}-{PRODUCTION}"
        try:
            version = str(context.alias(function)["FunctionVersion"])
        except context.aws.lambda_.exceptions.ResourceNotFoundException:
            check.not_applicable(f"production has no version of {function} to go back to")
            continue
        # asked before its state is read: an idle version is woken by being invoked
        said = _expect_healthy(context, check, function, version) if name == order.api else ""
        try:
            found = context.configuration(function, version)
        except context.aws.lambda_.exceptions.ResourceNotFoundException:
            check.expect(False, f"{function} has no version {version} any more")
            continue
        state = found.get("State")
        check.expect(state == "Active", f"{function} version {version} is {state}")
        check.saw(f"{function} version {version} {str(state).lower()}{said}")


def _expect_healthy(context: CheckContext, check: Check, function: str, version: str) -> str:
    """Part of the evidence: what the version answers when it is invoked by its number."""
    try:
        invoked = invoke(context.aws.lambda_, function, version, http_event("GET", "/health"))
    except context.aws.lambda_.exceptions.ResourceNotFoundException:
        return ""
    if invoked.failed:
        what = f"{function} version {version} failed GET /health: {invoked.payload[:200]}"
        check.expect(False, what)
        return ""
    answer = http_answer(invoked.payload)
    status = answer.status_code
    check.expect(status == 200, f"{function} version {version} answers GET /health with {status}")
    return f", answers GET /health with {status} as release {body(answer).get('version')}"


def deployed(context: CheckContext, check: Check) -> None:
    """Staging's aliases serve this commit, whole."""
    for name in context.order.functions:
        function = context.function(name)
        alias = context.alias(function)
        weights = (alias.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
        check.expect(not weights, f"{function} is split: {weights}")
        version = str(alias["FunctionVersion"])
        variables = context.configuration(function, version).get("Environment", {})
        sha = variables.get("Variables", {}).get("GIT_SHA")
        right = sha == context.order.sha
        check.expect(right, f"{function} version {version} is of {sha}, not {context.order.sha}")
        check.saw(f"{function} version {version}, all traffic")
    check.saw(f"commit {context.order.sha[:12]}")
