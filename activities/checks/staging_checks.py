"""The measured items of the checklists: every named check runs, whatever becomes of the others."""

import time
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path

from temporalio import activity

from activities.aws import AwsClients
from activities.checks.context import CheckContext, Patience
from activities.checks.guarded import guarded
from activities.checks.registry import AFTERWARDS, CHECKS, LONG_WAIT
from activities.inputs import ChecksInput
from activities.staging import Check, Staging
from release.verdict import CheckResult, Verdict

_THREADS = 4
_HEARTBEAT_SECONDS = 1.0


class StagingChecks:
    """Measures staging; each result carries the figures it rests on.

    Nothing of a run outlasts it but requests, their log lines and their metrics, so it may run
    again, or twice at once.
    """

    def __init__(
        self,
        staging: Staging,
        aws: AwsClients,
        repository: Path,
        patience: Patience | None = None,
    ) -> None:
        self._staging = staging
        self._aws = aws
        self._repository = repository
        self._patience = patience or Patience()

    @activity.defn
    def check_staging(self, order: ChecksInput) -> list[CheckResult]:
        """One result per named check, in the order asked.

        What could not be measured is inconclusive with its reason; nothing of that is raised.
        """
        run = _Run(CheckContext(order, self._staging, self._aws, self._repository, self._patience))
        return run.results()


class _Run:
    """One run: a thread for the long wait, one for the requests, then some for what they left.

    The requests go one after the other, so that no check slows what another one times.
    """

    def __init__(self, context: CheckContext) -> None:
        self._context = context
        self._names = list(dict.fromkeys(context.order.checks))
        self._results: dict[str, CheckResult] = {}
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="check")

    def results(self) -> list[CheckResult]:
        """Every check's result; heartbeats until then."""
        long_wait = [name for name in self._names if name in LONG_WAIT]
        afterwards = [name for name in self._names if name in AFTERWARDS]
        requests = [name for name in self._names if name not in LONG_WAIT | AFTERWARDS]
        deadline = time.monotonic() + self._context.patience.all_checks.total_seconds()
        try:
            waiting = self._start(long_wait)
            self._beat_until_done([self._pool.submit(self._run_all, requests)], deadline)
            self._beat_until_done([*self._start(afterwards), *waiting], deadline)
        finally:
            self._context.stop()
            self._pool.shutdown(cancel_futures=True)
            self._context.close()
        return [self._results.get(name) or _unfinished(name) for name in self._names]

    def _start(self, names: list[str]) -> list[Future[None]]:
        return [self._pool.submit(self._run_all, [name]) for name in names]

    def _beat_until_done(self, futures: Iterable[Future[None]], deadline: float) -> None:
        pending = set(futures)
        while pending and time.monotonic() < deadline:
            activity.heartbeat(f"{len(self._results)} of {len(self._names)} checks done")
            pending = wait(pending, _HEARTBEAT_SECONDS).not_done

    def _run_all(self, names: list[str]) -> None:
        for name in names:
            self._results[name] = _guarded(self._context, name)


def _guarded(context: CheckContext, name: str) -> CheckResult:
    """The check's result. A check that raises could not measure, whatever it raised."""
    function = CHECKS.get(name)
    if function is None:
        check = Check(name, f"There is no check {name!r}")
        check.could_not(f"there is no check {name!r}; there are {', '.join(sorted(CHECKS))}")
        return check.result()
    return guarded(name, _text(name), lambda check: function(context, check))


def _text(name: str) -> str:
    return (CHECKS[name].__doc__ or name).splitlines()[0].rstrip(".")


def _unfinished(name: str) -> CheckResult:
    return CheckResult(
        id=name,
        text=_text(name) if name in CHECKS else name,
        verdict=Verdict.INCONCLUSIVE,
        evidence="was not done when the time of all checks was over",
    )
