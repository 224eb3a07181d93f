"""What happens in one run: a release, the people, and what goes wrong; a plain value, printable."""

from dataclasses import dataclass

from tests.simulation.cloud import Trouble

STAGES = (
    "build",
    "checklist",
    "approval",
    "production lane",
    "production deploy",
    "traffic shift",
    "monitor",
    "rollback",
    "done",
)


@dataclass(frozen=True)
class Say:
    """A message of a person to the promotion, as a signal or as an update with an answer."""

    name: str
    payloads: tuple[object, ...]
    is_update: bool = False


@dataclass(frozen=True)
class WorkerDies:
    """SIGKILL; another worker comes after that long."""

    seconds: float


@dataclass(frozen=True)
class WorkerFreezes:
    """What it runs stands still and wakes up later; another worker takes over meanwhile."""

    seconds: float


@dataclass(frozen=True)
class Bad:
    """A service is in trouble."""

    service: str
    trouble: Trouble
    seconds: float


@dataclass(frozen=True)
class AlarmRed:
    """The API's alarm is red, for whatever reason."""

    seconds: float


@dataclass(frozen=True)
class Incident:
    """Both versions fail alike."""

    seconds: float


@dataclass(frozen=True)
class ForeignWrite:
    """Somebody edits an alias by hand: to a third version, a split, or the same again."""

    kind: str
    function: str = "api"


@dataclass(frozen=True)
class BreakGlass:
    """The baseline put back past Temporal, with a note."""


@dataclass(frozen=True)
class Cancel:
    """Temporal's own cancellation."""


@dataclass(frozen=True)
class Terminate:
    """Temporal's own termination: no code of the workflow runs any more."""


What = (
    Say
    | WorkerDies
    | WorkerFreezes
    | Bad
    | AlarmRed
    | Incident
    | ForeignWrite
    | BreakGlass
    | Cancel
    | Terminate
)


ACTIVITIES = (
    "admit_request",
    "preflight",
    "record_baseline",
    "join_lane",
    "publish_version",
    "smoke",
    "arm_alarms",
    "shift_step",
    "shift_traffic",
    "disarm_alarms",
    "roll_back",
    "quarantine",
    "check_code",
)


@dataclass(frozen=True)
class Happening:
    """It happens so many seconds after the promotion has reached the stage, or first scheduled an
    activity of that name.
    """

    stage: str
    after: float
    what: What


@dataclass(frozen=True)
class Plan:
    """One run; the order of what happens at one time, and every delay, follow from the seed."""

    seed: int = 0
    quality: str = "good"  # bad, crashes, unclear
    requests_per_second: float = 20.0
    shift: str = "linear"
    needs_codes: bool = False
    people_decide: bool = True
    sign_off_after: float = 30.0
    approve_after: float = 60.0
    inconclusive: tuple[str, ...] = ()  # checks that cannot be measured at first
    failed: tuple[str, ...] = ()
    smoke: str = "passed"
    happenings: tuple[Happening, ...] = ()


# a good one never fails: where it fails as rarely as the old one, chance alone rolls back one of a
# hundred, as the judgement is made to (bench/rollout)
QUALITIES = {"good": 0.0, "bad": 0.5, "crashes": 0.5, "unclear": 0.012}

SHIFTS = {
    "linear": 'strategy = "linear"\nstep = 0.25\nevery = "30s"\nbake = "4m"\n',
    "canary": 'strategy = "canary"\nstep = 0.2\nhold = "40s"\nevery = "30s"\nbake = "4m"\n',
    "adaptive": 'strategy = "adaptive"\ntotal = "90s"\nbake = "4m"\n',
    "all_at_once": 'strategy = "all_at_once"\nbake = "4m"\n',
}
SHIFT_REST = """
min_requests = 20
max_wait = "90s"
low_traffic = "proceed"
max_blind = "60s"
max_pause = "3m"
routes = ["/prices"]
"""
