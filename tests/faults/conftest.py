"""A lane per pytest process, the options of the harness, and its table."""

import os
import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.faults.lane import Lane

Noted = Callable[..., None]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seed", type=int, default=None, help="of the faults that are drawn")


@pytest.fixture(scope="session")
def lane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lane]:
    """One laptop cloud for all tests of this process, one after the other."""
    before = dict(os.environ)
    one = Lane(tmp_path_factory.mktemp("lane"))
    try:
        one.up()
        yield one
    finally:
        one.down()
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """Printed, so that a run can be had again: `make test-faults ARGS="--seed N -k …"`."""
    given = request.config.getoption("--seed")
    chosen = random.SystemRandom().randrange(10**6) if given is None else given
    print(f'again: make test-faults LANES=1 ARGS="-k {request.node.originalname} --seed {chosen}"')
    return int(chosen)


@pytest.fixture
def noted(record_property: Callable[[str, object], None]) -> Noted:
    """A line's worth of the table: the fault, how often it happened, what did not hold."""

    def note(fault: str, faults: int, violations: list[str], seconds: float) -> None:
        record_property("fault", fault)
        record_property("faults", faults)
        record_property("violations", violations)
        record_property("seconds", round(seconds, 1))
        assert not violations, "\n".join(violations)

    return note


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """fault, promotions, faults made, violations, seconds."""
    rows: dict[str, list[float]] = defaultdict(lambda: [0, 0, 0, 0.0])
    for reports in terminalreporter.stats.values():
        for report in reports:
            if getattr(report, "when", "") != "call":
                continue
            known = dict(getattr(report, "user_properties", ()))
            row = rows[known.get("fault", f"(no result) {report.nodeid.rpartition('::')[2]}")]
            row[0] += 1
            row[1] += known.get("faults", 0)
            row[2] += len(known.get("violations", ())) or (report.failed and 1)
            row[3] += known.get("seconds", report.duration)
    if not rows:
        return
    line = "{:<52} {:>6} {:>7} {:>11} {:>9}".format
    terminalreporter.section("faults")
    terminalreporter.line(line("fault", "runs", "faults", "violations", "seconds"))
    for fault, (runs, faults, bad, seconds) in sorted(rows.items()):
        terminalreporter.line(line(fault[:52], runs, faults, bad, f"{seconds:.0f}"))
    runs, faults, bad, seconds = (sum(row[n] for row in rows.values()) for n in range(4))
    terminalreporter.line(line("all", runs, faults, bad, f"{seconds:.0f}"))
