"""The ladder: which weights a release climbs, and when it may climb on. Pure rules.

The plan matters more than the test: evidence per failed request is log(1/weight), and what the
delay of the measurements costs is proportional to the weight. So every ladder but `all_at_once`
begins with a weight that sends five canary requests in ten seconds, and grows by a constant factor.
"""

from datetime import timedelta

from release.policy import LowTraffic, Shift, ShiftStep, Strategy

PRE_RAMP_STEPS = 6
ADAPTIVE_STEPS = 36
LARGEST_START = 0.02
COMPARABLE = 0.5
"""Above this weight too little of the old version is left to compare the versions."""
_FIRST_REQUESTS_PER_SECOND = 0.5
_GATES = ((0.1, 1), (0.5, 3))  # (weight, times min_requests)


def first_weight(shift: Shift, requests_per_second: float | None) -> float:
    """Where a ladder begins; without a known rate at its largest."""
    if not requests_per_second:
        return LARGEST_START
    wanted = _FIRST_REQUESTS_PER_SECOND / requests_per_second
    return min(LARGEST_START, max(shift.min_weight, wanted))


def rungs(
    shift: Shift,
    requests_per_second: float | None = None,
    bucket: timedelta = timedelta(0),
) -> tuple[ShiftStep, ...]:
    """The whole ladder; its last rung is 100 %, held for the bake.

    The steps of a pre-ramp and of `adaptive` are as many as fit, each at least a `bucket` long: a
    weight that nothing is measured at teaches nothing.
    """
    first = first_weight(shift, requests_per_second)
    match shift.strategy:
        case Strategy.LINEAR:
            below = _approach(shift, first, bucket)
            count = round(1 / shift.step)
            above = [
                (min(1.0, number * shift.step), shift.every)
                for number in range(2 if below else 1, count + 1)
            ]
            climb = [*below, *((w, d) for w, d in above if w < 1)]
        case Strategy.CANARY:
            climb = [*_approach(shift, first, bucket), (shift.step, shift.hold)]
        case Strategy.ADAPTIVE:
            steps = _fitting(ADAPTIVE_STEPS, shift.total, bucket)
            climb = [
                (first ** (1 - number / steps), shift.total / steps) for number in range(steps)
            ]
        case _:
            climb = []
    return tuple(
        ShiftStep(canary_weight=_rounded(weight), min_duration=time)
        for weight, time in (*climb, (1.0, shift.bake))
    )


def next_rung(index: int, *, step_back: bool) -> int:
    """Up one; or down one, but never off the ladder."""
    return max(0, index - 1) if step_back else index + 1


def comparable_rung(ladder: tuple[ShiftStep, ...]) -> int | None:
    """The highest rung where both versions can be compared; None on a ladder without one."""
    low = [n for n, rung in enumerate(ladder) if rung.canary_weight <= COMPARABLE]
    return low[-1] if low else None


def again(rung: ShiftStep, bucket: timedelta) -> ShiftStep:
    """A rung whose time was served before a step back: one bucket is enough."""
    return rung.model_copy(update={"min_duration": min(rung.min_duration, bucket)})


def wanted_requests(shift: Shift, next_weight: float) -> int:
    """Canary requests to have judged, since the release began, before `next_weight`."""
    return max(
        (shift.min_requests * times for weight, times in _GATES if next_weight >= weight), default=0
    )


def low_traffic_text(shift: Shift, judged: int, wanted: int) -> str:
    """What the low-traffic rule did, for the record."""
    rule = "proceed" if shift.low_traffic is LowTraffic.PROCEED else "roll back"
    return f"low traffic: {judged} canary requests judged, {wanted} wanted; rule: {rule}"


def time_to_full(shift: Shift) -> timedelta:
    """The least time from the first weight to 100 %."""
    return sum((rung.min_duration for rung in rungs(shift)[:-1]), timedelta(0))


def _approach(shift: Shift, first: float, bucket: timedelta) -> list[tuple[float, timedelta]]:
    """From `first` to just below the first step, in the time that one step takes."""
    if not shift.pre_ramp or first >= shift.step:
        return []
    growth, steps = shift.step / first, _fitting(PRE_RAMP_STEPS, shift.every, bucket)
    return [(first * growth ** (number / steps), shift.every / steps) for number in range(steps)]


def _fitting(most: int, time: timedelta, bucket: timedelta) -> int:
    return most if not bucket else max(1, min(most, time // bucket))


def _rounded(weight: float) -> float:
    """Lambda takes a weight to so many digits; people read it."""
    return round(weight, 4)
