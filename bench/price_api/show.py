"""The figures in words: a table to read or to paste, the distance to the floor, the targets."""

from bench.price_api.builds import FLOOR, OURS
from bench.price_api.figures import FIGURES, Figure, Figures

_TO_FLOOR = ("cold_ms", "cold_no_bytecode_ms", "warm_p50_ms", "peak_mb")


def text(figures: Figures) -> str:
    """The whole report."""
    parts = [
        "Medians; in brackets this handler / that one (requests a second: more is better).",
        _table(figures),
        "Distance to the floor:\n" + _distances(figures),
        "Targets:\n" + _targets(figures),
    ]
    return "\n\n".join(parts)


def _table(figures: Figures) -> str:
    rows = [
        ["", *(figure.title for figure in FIGURES)],
        *([name, *(_cell(figures, name, one) for one in FIGURES)] for name in figures.samples),
    ]
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = [
        f"| {row[0]:<{widths[0]}} | "
        + " | ".join(f"{cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True))
        + " |"
        for row in rows
    ]
    rule = "|".join(["-" * (widths[0] + 2), *("-" * (width + 1) + ":" for width in widths[1:])])
    return "\n".join([lines[0], f"|{rule}|", *lines[1:]])


def _cell(figures: Figures, name: str, figure: Figure) -> str:
    value = figure.show(figures.median(name, figure.key))
    return value if name in (OURS, FLOOR) else f"{value} ({figures.ratio(name, figure.key):.2f})"


def _distances(figures: Figures) -> str:
    shown = {figure.key: figure for figure in FIGURES}
    return "\n".join(
        f"- {name}: "
        + ", ".join(
            f"{shown[key].title} +{shown[key].show(figures.to_floor(name, key))}"
            for key in _TO_FLOOR
        )
        for name in figures.samples
        if name != FLOOR
    )


def _targets(figures: Figures) -> str:
    titles = {figure.key: figure.title for figure in FIGURES}
    return "\n".join(
        f"- {'met' if target['met'] else 'MISSED'}: {titles[target['figure']]}"
        f" {target['ratio']:.3f} x {target['other']}, at most {target['limit']:.2f}"
        f" (half of the rounds: {target['quartiles'][0]:.2f} to {target['quartiles'][1]:.2f})"
        for target in figures.targets()
    )
