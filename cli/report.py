"""`starter.py report`: how this service is delivered, by DORA's four figures."""

from datetime import UTC, datetime, timedelta
from typing import Any

from cli.errors import OK, CliError
from cli.history import deployments
from cli.promotions import commits
from release.deployment import PRODUCTION
from release.dora import Dora, dora
from release.policy import parse_duration
from release.text import duration, percent

_LONGEST = timedelta(days=3660)


def run(arguments: Any) -> int:
    """Print the four figures of the service on the release branch."""
    now = datetime.now(UTC)
    since = now - _stretch(arguments.since)
    repository = commits()
    policy = repository.policy(repository.resolve(repository.branch))
    found = deployments(policy, PRODUCTION)
    committed = repository.committed({one.git_commit for one in found})
    report = dora(policy.service, found, committed, since, now)
    print(report.model_dump_json() if arguments.json else _text(report))
    return OK


def _stretch(given: str) -> timedelta:
    try:
        found = parse_duration(given, _LONGEST)
    except ValueError as error:
        raise CliError(f"--since {error}") from error
    if not isinstance(found, timedelta) or found <= timedelta(0):
        raise CliError(f"--since {given!r} is no time: write 90d, 24h or 30m")
    return found


def _text(report: Dora) -> str:
    days = (report.until - report.since) / timedelta(days=1)
    served = round(report.per_day * days)
    rows = [
        (
            "deployment frequency",
            f"{report.per_day * 7:.3g} a week" if served else "none",
            f"{served} came to serve all traffic",
        ),
        ("lead time for changes", _time(report.lead_time), "median, commit to all traffic"),
        (
            "change failure rate",
            "-" if report.failure_rate is None else percent(report.failure_rate),
            f"{report.failed} of {report.deployments} that met users went back",
        ),
        ("time to restore", _time(report.restore_time), "median, first bad weight to old version"),
    ]
    head = f"{report.service}, {report.since:%Y-%m-%d %H:%M} to {report.until:%Y-%m-%d %H:%M} UTC"
    lines = [f"  {name:<23}{figure:<17}{what}" for name, figure, what in rows]
    return "\n".join([head, *lines, *(f"  note: {text}" for text in report.unknown)])


def _time(value: timedelta | None) -> str:
    return "-" if value is None else duration(value)
