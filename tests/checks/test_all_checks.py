"""The whole set, measured against the real service on the laptop cloud."""

import time

from activities.checks.registry import AFTERWARDS, CHECKS, LONG_WAIT
from release.verdict import Verdict
from tests.checks.staging_parts import Cloud


def test_healthy_staging_passes_every_check(cloud: Cloud) -> None:
    """All checks pass on a healthy staging, with figures, in little more than a minute."""
    begin = time.monotonic()

    results = cloud.check(*CHECKS, limits={"requests": 200})

    for result in results.values():
        print(f"{result.verdict.value:12} {result.id}: {result.text}\n    {result.evidence}")
    print(f"{time.monotonic() - begin:.1f} s")
    assert list(results) == list(CHECKS)
    assert {r.id: r.evidence for r in results.values() if r.verdict is not Verdict.PASSED} == {
        "https": f"{cloud.url} is plain HTTP on this machine's loopback"
    }
    assert all(result.evidence for result in results.values())


def test_lanes_name_checks_there_are() -> None:
    """A check that is renamed keeps its place in the order of things."""
    assert not (LONG_WAIT | AFTERWARDS) - set(CHECKS)
