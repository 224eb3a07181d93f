"""Plans that once broke a promise, or that see the product when it is broken on purpose."""

from tests.simulation.cloud import Trouble
from tests.simulation.plan import (
    AlarmRed,
    Bad,
    Cancel,
    ForeignWrite,
    Happening,
    Plan,
    Say,
    Terminate,
    WorkerDies,
    WorkerFreezes,
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
            Happening("shift_step", 0.0, WorkerDies(400.0)),
            Happening(
                "monitor", 0.2, Say("reject", ({"comment": "no", "approver": ""},), is_update=True)
            ),
        ),
    ),
    # an abort was accepted, and the release completed: it met the last activity's result
    Plan(
        shift="all_at_once",
        sign_off_after=0.0,
        approve_after=0.0,
        happenings=(
            Happening("disarm_alarms", 0.2, Say("abort", ({"by": "alice"},), is_update=True)),
        ),
    ),
    # cancelled while a one-time code was checked: its sender was never answered
    Plan(
        seed=1,
        needs_codes=True,
        sign_off_after=0.0,
        approve_after=40.0,
        happenings=(
            Happening("check_code", 0.1, Cancel()),
            Happening("check_code", 0.0, Say("approve", ({"approver": "bob", "code": "x"},), True)),
        ),
    ),
    # withdrawn while its one-time code was checked, an approval counted all the same
    Plan(
        seed=10969989,
        needs_codes=True,
        happenings=(Happening("check_code", 2.0, Say("withdraw", ({"by": "alice"},))),),
    ),
    # sixteen seconds before the weight was there counted as time of the bake
    Plan(
        seed=24687388,
        shift="all_at_once",
        sign_off_after=20.0,
        approve_after=0.0,
        happenings=(Happening("monitor", 0.1, WorkerFreezes(100.0)),),
    ),
    # an announcement whose answer was lost was made again as another one
    Plan(
        seed=22136945,
        sign_off_after=0.0,
        approve_after=40.0,
        happenings=(
            Happening("checklist", 0.0, Say("approve", ({"approver": "dora"},), is_update=True)),
            Happening("admit_request", 0.1, Bad("slack", Trouble.SLOW, 100.0)),
        ),
    ),
)
"""Each was found by a search, and what it found was mended."""

SEES: dict[str, Plan] = {
    "an alias is written over whatever somebody else put there": Plan(
        happenings=(Happening("traffic shift", 0.0, ForeignWrite("split")),)
    ),
    "a rung passes whatever is seen": Plan(quality="crashes"),
    "a rung is decided without a look at the alarms": Plan(),
    "a step that comes late climbs without a look": FOUND[1],
    "an outage counts as the time of a step": FOUND[2],
    "one vote is enough": Plan(approve_after=60.0),
    "a vote that was withdrawn counts": Plan(
        happenings=(
            Happening("approval", 0.0, Say("approve", ({"approver": "alice"},))),
            Happening("approval", 5.0, Say("withdraw", ({"by": "alice"},))),
            Happening("approval", 10.0, Say("approve", ({"approver": "bob"},))),
        ),
        approve_after=90000.0,
    ),
    "an abort puts nothing back": Plan(
        happenings=(Happening("traffic shift", 60.0, Say("abort", ({"by": "alice"},))),)
    ),
    "an abort while it bakes is forgotten": Plan(
        happenings=(Happening("monitor", 60.0, Say("abort", ({"by": "alice"},))),)
    ),
    "a rejection is forgotten": Plan(
        happenings=(Happening("build", 0.0, Say("reject", ({"approver": "alice"},))),)
    ),
    "only the API is rolled back": Plan(
        happenings=(Happening("disarm_alarms", 0.0, Say("abort", ({"by": "alice"},))),)
    ),
    "a rollback gives up": Plan(
        happenings=(
            Happening("traffic shift", 60.0, Say("abort", ({"by": "alice"},))),
            Happening("roll_back", 0.0, Bad("lambda", Trouble.DOWN, 60.0)),
        ),
    ),
    "a refusal leaves no trace": Plan(happenings=(Happening("build", 0.0, Say("waive", (5,))),)),
    "the lease stays at the end": Plan(),
    "the guard never looks at a stale lease": Plan(
        happenings=(Happening("monitor", 0.0, Terminate()),)
    ),
    "the workflow is not deterministic": Plan(),
}
"""By mutation: a plan that does not keep every promise with it, and keeps all without."""
