"""`starter.py audit`: the whole story of a promotion, and whether its export can be trusted."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from cli import audit_text
from cli.audit_page import page
from cli.audit_source import Source, load
from cli.audit_verify import verify
from cli.errors import NOT_COMPLETED, OK, CliError
from cli.replay import replay
from release.audit import Audit
from release.audit_events import closing, handed_over
from release.audit_story import NotAPromotion, tell


def run(arguments: Any) -> int:
    """Shows the audit, or verifies it."""
    if arguments.verify:
        return asyncio.run(_verify(arguments))
    _write(arguments, asyncio.run(_audit(arguments)))
    return OK


async def _audit(arguments: Any) -> Audit:
    source = await load(arguments.promotion, arguments.run, both=False)
    try:
        return tell(source.events, source.workflow_id, await _status(source))
    except NotAPromotion as error:
        raise CliError(str(error)) from error
    except (KeyError, TypeError, ValueError) as error:
        do = "look at it with `--verify`"
        raise CliError(
            f"the history of {source.workflow_id} cannot be read ({error!r}); {do}"
        ) from error


async def _status(source: Source) -> dict[str, Any] | None:
    """What one that runs has decided so far: its history is run once more, here."""
    if closing(source.events) or handed_over(source.events):
        return None
    status, _ = await replay(source.events, source.workflow_id)
    return status


async def _verify(arguments: Any) -> int:
    source = await load(arguments.promotion, arguments.run, both=True)
    findings = await verify(source)
    holds = all(finding.holds for finding in findings)
    if arguments.json or arguments.format == "json":
        found = [finding.model_dump() for finding in findings]
        facts = {"promotion": source.workflow_id, "run": source.run_id}
        print(json.dumps({**facts, "holds": holds, "findings": found}))
    else:
        audit_text.print_findings(source, findings)
    return OK if holds else NOT_COMPLETED


def _write(arguments: Any, audit: Audit) -> None:
    form = "json" if arguments.json else arguments.format
    if arguments.output is None:
        if form == "text":
            audit_text.print_audit(audit)
        else:
            sys.stdout.write(_text(form, audit))
        return
    file = Path(arguments.output)
    try:
        file.write_text(_text(form, audit), encoding="utf-8")
    except OSError as error:
        raise CliError(f"cannot write {file}: {error.strerror}") from error
    print(f"written: {file}", file=sys.stderr)


def _text(form: str, audit: Audit) -> str:
    if form == "json":
        return f"{audit.model_dump_json()}\n"
    return page(audit) if form == "html" else audit_text.as_text(audit)
