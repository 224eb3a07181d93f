"""The cells as tables, with the targets and the distance to the bound."""

import math
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.rollout.policies import POLICIES
from bench.rollout.world import SCENARIOS

_ALPHA = 0.01
_PLANNED_SECONDS = 540


def wald_bound(errors: float, extra: float) -> float:
    """Failed requests that no test of this level can do without, whatever its plan (Wald, 1945)."""
    new = errors + (1 - errors) * extra
    if new >= 1:
        return 1.0
    divergence = new * math.log(new / errors) + (1 - new) * math.log((1 - new) / (1 - errors))
    return max(1.0, new * math.log(1 / _ALPHA) / divergence)


def show(cells: list[Any]) -> None:
    """Everything measured, for people."""
    console = Console(width=160, highlight=False)
    rates = sorted({cell.rate for cell in cells})
    bad = [name for name, s in SCENARIOS.items() if not s.harmless and s.slower == 1]
    for rate in rates:
        _table(
            console,
            f"failed requests before recovery, {rate:g} requests/s",
            cells,
            rate,
            bad,
            _failed,
        )
    slow = [name for name, s in SCENARIOS.items() if s.slower > 1.5]
    for rate in rates:
        title = f"added request-seconds, {rate:g} requests/s"
        _table(
            console, title, cells, rate, slow, lambda cell: _with_missed(cell.slow_seconds, cell)
        )
    for rate in rates:
        title = f"seconds until the decision, {rate:g} requests/s"
        _table(console, title, cells, rate, bad + slow, _delay)
    _harmless(console, cells)
    _targets(console, cells)


def _table(
    console: Console, title: str, cells: list[Any], rate: float, names: list[str], text: Any
) -> None:
    table = Table(title=title, title_justify="left")
    table.add_column("policy", no_wrap=True)
    for name in names:
        table.add_column(name, justify="right")
    for policy in POLICIES:
        found = {c.scenario: c for c in cells if c.policy == policy and c.rate == rate}
        if found:
            table.add_row(policy, *(text(found[name]) for name in names))
    if text is _failed:
        extras = {"total failure": 1.0, "+50 points": 0.5, "+5 points": 0.05, "+1 point": 0.01}
        bounds = [f"{wald_bound(0.001, extras[n]):.1f}" if n in extras else "" for n in names]
        table.add_row("bound (Wald)", *bounds, style="dim")
    console.print(table)


def _failed(cell: Any) -> str:
    return _with_missed(cell.failed, cell)


def _with_missed(value: float, cell: Any) -> str:
    missed = 1 - cell.back
    number = f"{value:,.0f}" if value >= 100 else f"{value:.1f}"
    return f"{number} ({missed:.0%} missed)" if missed >= 0.005 else number


def _delay(cell: Any) -> str:
    return "never" if cell.delay is None else f"{cell.delay:.0f}"


def _harmless(console: Console, cells: list[Any]) -> None:
    names = [name for name, s in SCENARIOS.items() if s.harmless]
    table = Table(
        title="harmless releases rolled back, % (worst over rates and error levels)",
        title_justify="left",
    )
    table.add_column("policy", no_wrap=True)
    for name in (*names, "seconds to 100 %"):
        table.add_column(name, justify="right")
    for policy in POLICIES:
        own = [cell for cell in cells if cell.policy == policy]
        worst = [100 * max(c.back for c in own if c.scenario == name) for name in names]
        lengths = [c.length for c in own if c.scenario == "A/A" and c.rate >= 10 and c.length]
        length = f"{sum(lengths) / len(lengths):.0f}" if lengths else ""
        table.add_row(policy, *(f"{value:.1f}" for value in worst), length)
    console.print(table)


def _targets(console: Console, cells: list[Any]) -> None:
    table = Table(title="targets", title_justify="left")
    for name in ("what", "target", "ours linear", "target", "ours adaptive"):
        table.add_column(name, justify="right" if name != "what" else "left")
    rows = (
        ("failed, 100/s, total failure", "total failure", 100.0, "failed", 9, 8),
        ("failed, 100/s, +5 points", "+5 points", 100.0, "failed", 4, 3.5),
        ("failed, 10/s, +5 points", "+5 points", 10.0, "failed", 5, 4),
        ("added request-seconds, 100/s, latency x 2", "latency x 2", 100.0, "slow_seconds", 5, 5),
    )
    for text, scenario, rate, field, linear, adaptive in rows:
        found = [
            [
                getattr(c, field)
                for c in cells
                if (c.policy, c.scenario, c.rate) == (p, scenario, rate)
            ]
            for p in ("ours linear", "ours adaptive")
        ]
        if all(found):
            table.add_row(
                text,
                f"<= {linear}",
                _met(found[0][0], linear),
                f"<= {adaptive}",
                _met(found[1][0], adaptive),
            )
    worst, lengths = [], []
    for policy in ("ours linear", "ours adaptive"):
        own = [c for c in cells if c.policy == policy and SCENARIOS[c.scenario].harmless]
        worst.append(100 * max(c.back for c in own))
        full = [c.length for c in own if c.scenario == "A/A" and c.rate >= 10 and c.length]
        lengths.append(sum(full) / len(full) / _PLANNED_SECONDS if full else math.nan)
    table.add_row(
        "harmless rolled back, worst cell, %", "<= 1", _met(worst[0], 1), "<= 1", _met(worst[1], 1)
    )
    table.add_row(
        "good release, times 540 s",
        "<= 1.02",
        _met(lengths[0], 1.02),
        "<= 1.02",
        _met(lengths[1], 1.02),
    )
    console.print(table)


def _met(value: float, limit: float) -> str:
    return f"{value:.3g} {'met' if value <= limit else 'MISSED'}"
