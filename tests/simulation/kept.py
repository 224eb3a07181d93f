"""Plans that once broke a promise, or that see the product when it is broken on purpose."""

from tests.simulation.cloud import Trouble
from tests.simulation.plan import (
    Bad,
    Happening,
    Plan,
)

FOUND: tuple[Plan, ...] = (
    # a weight grew on a judgement of 94 s before: Lambda throttled between two rungs
    Plan(
        seed=5251743,
        quality="bad",
        requests_per_second=2.0,
        shift="canary",
        needs_codes=True,
        sign_off_after=20.0,
        approve_after=0.0,
        happenings=(
            Happening("approval", 100.0, Bad("lambda", Trouble.THROTTLED, 100.0)),
            Happening("approval", 100.0, Bad("lambda", Trouble.THROTTLED, 100.0)),
        ),
    ),
    Plan(
        seed=1,
        approve_after=40.0,
        happenings=(Happening("build", 61.5, Bad("lambda", Trouble.DOWN, 400.0)),),
    ),
    # an outage before the weight was there counted as the step's time: no bake at all
    Plan(
        seed=3597220,
        quality="bad",
        shift="all_at_once",
        sign_off_after=20.0,
        happenings=(
            Happening("checklist", 0.6, AlarmRed(60.0)),
            Happening("production deploy", 81.6, Say("resume", ({"by": "bob"},))),
            Happening("monitor", 0.3, WorkerDies(400.0)),
            Happening(
                "monitor", 0.2, Say("reject", ({"comment": "no", "approver": ""},), is_update=True)
            ),
        ),
    ),
)
"""Each was found by a search, and what it found was mended."""
