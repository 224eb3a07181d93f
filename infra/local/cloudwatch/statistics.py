"""What is kept of the samples of one period, and the statistics read from it."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

_PERCENTILE = re.compile(r"p(\d{1,2}(?:\.\d{0,10})?|100(?:\.0{0,10})?)")


@dataclass(frozen=True)
class Aggregate:
    """`distribution` (value to count) is None once a statistic set hid the single values."""

    sample_count: float
    total: float
    minimum: float
    maximum: float
    distribution: dict[float, float] | None

    @classmethod
    def of_values(cls, values: list[float], counts: list[float]) -> "Aggregate":
        """One datum with `Value`, or `Values` and `Counts`; a count of zero adds nothing."""
        distribution: dict[float, float] = {}
        for value, count in zip(values, counts, strict=True):
            distribution[value] = distribution.get(value, 0.0) + count
        total = sum(value * count for value, count in distribution.items())
        return cls(sum(counts), total, min(values), max(values), distribution)

    @classmethod
    def of_set(cls, count: float, total: float, minimum: float, maximum: float) -> "Aggregate":
        """One datum with `StatisticValues`.

        Its percentiles exist only where all samples must be equal, as the user guide says.
        """
        equal = minimum == maximum and total == minimum * count
        return cls(count, total, minimum, maximum, {minimum: count} if equal else None)

    def plus(self, other: "Aggregate") -> "Aggregate":
        """Both together, as CloudWatch merges what was put for one period."""
        merged = None
        if self.distribution is not None and other.distribution is not None:
            merged = dict(self.distribution)
            for value, count in other.distribution.items():
                merged[value] = merged.get(value, 0.0) + count
        return Aggregate(
            self.sample_count + other.sample_count,
            self.total + other.total,
            min(self.minimum, other.minimum),
            max(self.maximum, other.maximum),
            merged,
        )

    def percentile(self, percent: float) -> float | None:
        """Nearest rank: the least value with at least that share of the samples at or below it."""
        if not self.distribution or self.sample_count <= 0:
            return None
        rank, seen = self.sample_count * percent / 100, 0.0
        for value in sorted(self.distribution):
            seen += self.distribution[value]
            if seen > 0 and seen >= rank * (1 - 1e-12):
                return value
        return self.maximum


Statistic = Callable[[Aggregate], float | None]

_NAMED: dict[str, Statistic] = {
    "Sum": lambda samples: samples.total,
    "SampleCount": lambda samples: samples.sample_count,
    "Minimum": lambda samples: samples.minimum,
    "Maximum": lambda samples: samples.maximum,
    "Average": lambda samples: (
        samples.total / samples.sample_count if samples.sample_count else None
    ),
}


def is_percentile(name: str) -> bool:
    """p0 to p100, with decimals."""
    return _PERCENTILE.fullmatch(name) is not None


def statistic(name: str) -> Statistic | None:
    """The reader of a statistic by its API name; None for one that is not known here."""
    if is_percentile(name):
        percent = float(name[1:])
        return lambda samples: samples.percentile(percent)
    return _NAMED.get(name)


def merge(samples: Iterable[tuple[int, Aggregate]]) -> dict[int, Aggregate]:
    """One aggregate for each key."""
    merged: dict[int, Aggregate] = {}
    for key, aggregate in samples:
        merged[key] = merged[key].plus(aggregate) if key in merged else aggregate
    return merged
