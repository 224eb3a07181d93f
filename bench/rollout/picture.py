"""The comparison as a picture: failed requests by scenario, and harmless releases rolled back."""

from typing import Any

from bench.rollout.policies import POLICIES
from bench.rollout.world import SCENARIOS

_RATE = 100.0
_SHOWN = ("total failure", "+50 points", "+5 points", "one route, 10 %", "leak 2 points/min")


def draw_picture(cells: list[Any], path: str) -> None:
    """A PNG stands at the path."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(13, 5.5), width_ratios=(3, 1))
    policies = [p for p in POLICIES if p != "ours linear, no alarms"]
    height = 0.8 / len(_SHOWN)
    for number, scenario in enumerate(_SHOWN):
        values = [_cell(cells, policy, scenario).failed for policy in policies]
        places = [place + number * height for place in range(len(policies))]
        left.barh(places, values, height, label=scenario)
    left.set_xscale("log")
    left.set_yticks([place + 0.4 for place in range(len(policies))], policies)
    left.invert_yaxis()
    left.set_xlabel(f"failed requests before the old version is back ({_RATE:g} requests/s)")
    left.legend()
    worst = [100 * max(c.back for c in cells if _harmless(c, policy)) for policy in policies]
    right.barh(policies, worst, color=["tab:green" if value <= 1 else "tab:red" for value in worst])
    right.invert_yaxis()
    right.set_yticks([])
    right.set_xlabel("harmless releases rolled back, %, worst cell")
    for place, value in enumerate(worst):
        right.text(value + 1, place, f"{value:.1f}", va="center")
    right.set_xlim(0, 118)
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def _harmless(cell: Any, policy: str) -> bool:
    return cell.policy == policy and SCENARIOS[cell.scenario].harmless


def _cell(cells: list[Any], policy: str, scenario: str) -> Any:
    place = (policy, scenario, _RATE)
    return next(c for c in cells if (c.policy, c.scenario, c.rate) == place)
