"""Draws what one promotion costs at each size: `python -m bench.orchestration.picture FILE.svg`.

Reads the bench's `--json` from standard input; runs in the environment of bench-rollout, which
has matplotlib.
"""

import json
import sys

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt

_COLORS = {"server": "#4269d0", "workers": "#efb118"}


def main() -> None:
    rows = json.load(sys.stdin)
    sizes = [row["promotions"] for row in rows]
    plt.rcParams["svg.hashsalt"] = "bench"  # the same picture for the same figures
    figure, axes = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
    below = [0.0] * len(rows)
    places = [str(f"{size:,}") for size in sizes]
    for part, color in _COLORS.items():
        values = [row["cpu_seconds"][part] for row in rows]
        axes.bar(places, values, 0.5, bottom=below, color=color, label=f"Temporal {part}")
        below = [low + value for low, value in zip(below, values, strict=True)]
    for place, total in zip(places, below, strict=True):
        axes.text(place, total, f"{total:.2f} s", ha="center", va="bottom")
    axes.set(xlabel="promotions that wait at once", ylabel="CPU seconds for one promotion")
    axes.set_ylim(0, max(below) * 1.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, ncols=2)
    figure.savefig(sys.argv[1], metadata={"Date": None})


if __name__ == "__main__":
    main()
