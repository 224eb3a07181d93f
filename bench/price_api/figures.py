"""The figures of a run: medians over its rounds, ratios to this handler, targets."""

from collections.abc import Callable
from statistics import median, quantiles
from typing import Any, NamedTuple

from bench.price_api.builds import FASTAPI, FLOOR, OURS, POWERTOOLS
from bench.price_api.child import Result


class Figure(NamedTuple):
    """One thing that is measured in every round."""

    key: str
    title: str
    show: Callable[[float], str]


FIGURES = (
    Figure("cold_ms", "cold ms", "{:.0f}".format),
    Figure("cold_no_bytecode_ms", "cold ms, no bytecode", "{:.0f}".format),
    Figure("second_ms", "second ms", "{:.2f}".format),
    Figure("warm_p50_ms", "warm p50 ms", "{:.2f}".format),
    Figure("warm_p99_ms", "warm p99 ms", "{:.2f}".format),
    Figure("requests_per_core_second", "requests/s a core", "{:,.0f}".format),
    Figure("peak_mb", "peak MB", "{:.1f}".format),
    Figure("zip_kb", "zip KB", "{:,.1f}".format),
)
# (figure, other variant, most that this handler may have of the other's)
TARGETS = (
    ("cold_ms", POWERTOOLS, 0.30),
    ("cold_ms", FASTAPI, 0.15),
    ("warm_p50_ms", POWERTOOLS, 0.45),
)

Sample = dict[str, float]


def sample(compiled: Result, bare: Result, zip_bytes: int) -> Sample:
    """The figures of one variant in one round."""
    ordered = sorted(compiled.warm_ms)
    return {
        "cold_ms": compiled.first_ms,
        "cold_no_bytecode_ms": bare.first_ms,
        "second_ms": compiled.warm_ms[0],
        "warm_p50_ms": median(ordered),
        "warm_p99_ms": ordered[round(0.99 * (len(ordered) - 1))],
        "requests_per_core_second": len(ordered) / compiled.warm_cpu_s,
        "peak_mb": compiled.peak_kb / 1024,
        "zip_kb": zip_bytes / 1024,
    }


class Figures:
    """All samples of a run, by variant."""

    def __init__(self, names: list[str]) -> None:
        self.samples: dict[str, list[Sample]] = {name: [] for name in names}

    def median(self, name: str, key: str) -> float:
        """The median over all rounds so far."""
        return median(sample[key] for sample in self.samples[name])

    def ratio(self, name: str, key: str) -> float:
        """This handler's median by the other's."""
        return self.median(OURS, key) / self.median(name, key)

    def spread(self, name: str, key: str) -> tuple[float, float]:
        """The quartiles of that ratio over single rounds: how far one may trust the median."""
        pairs = zip(self.samples[OURS], self.samples[name], strict=True)
        ratios = [ours[key] / theirs[key] for ours, theirs in pairs]
        low, _, high = quantiles(ratios, n=4, method="inclusive") if len(ratios) > 1 else ratios * 3
        return low, high

    def to_floor(self, name: str, key: str) -> float:
        """How far a variant's median lies above the floor's."""
        return self.median(name, key) - self.median(FLOOR, key)

    def targets(self) -> list[dict[str, Any]]:
        """Each target, what was measured, and whether it is met."""
        return [
            {
                "figure": key,
                "other": other,
                "limit": limit,
                "ratio": round(self.ratio(other, key), 3),
                "quartiles": [round(quartile, 3) for quartile in self.spread(other, key)],
                "met": self.ratio(other, key) <= limit,
            }
            for key, other, limit in TARGETS
        ]

    def as_json(self) -> dict[str, Any]:
        """Everything, for programs."""
        keys = [figure.key for figure in FIGURES]
        return {
            "variants": {
                name: {
                    "median": {key: round(self.median(name, key), 3) for key in keys},
                    "ratio": {key: round(self.ratio(name, key), 6) for key in keys},
                    "to_floor": {key: round(self.to_floor(name, key), 3) for key in keys},
                    "samples": [{k: round(v, 3) for k, v in s.items()} for s in samples],
                }
                for name, samples in self.samples.items()
            },
            "targets": self.targets(),
        }
