"""What is kept of the samples of one period, and the statistics read from it."""

import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

_NUMBER = r"(\d{1,15}(?:\.\d{0,10})?)"
_RANGE = re.compile(rf"(TC|PR)\({_NUMBER}?:{_NUMBER}?\)")
_PERCENTILE = re.compile(r"p(\d{1,2}(?:\.\d{0,10})?|100(?:\.0{0,10})?)")


@dataclass(frozen=True)
class Aggregate:
    """`distribution` (value to count) is None once a statistic set hid the single values."""

    sample_count: float
    total: float
    minimum: float
    maximum: float
    distribution: Mapping[float, float] | None

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

    @classmethod
    def of_all(cls, parts: list["Aggregate"]) -> "Aggregate":
        """All together, as CloudWatch merges what was put for one period; there is at least one."""
        return cls(
            sum(part.sample_count for part in parts),
            sum(part.total for part in parts),
            min(part.minimum for part in parts),
            max(part.maximum for part in parts),
            _merged([part.distribution for part in parts]),
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

    def count_between(self, above: float, at_most: float) -> float | None:
        """The samples in a range without its lower bound, with its upper one, as the user guide
        says: TC(80:500) is of values "between 80 (exclusive) and 500 (inclusive)"."""
        if self.distribution is None:
            return None
        counts = self.distribution.items()
        return sum(count for value, count in counts if above < value <= at_most)

    def rank_between(self, above: float, at_most: float) -> float | None:
        """The percentage of the samples in the same range."""
        count = self.count_between(above, at_most)
        return None if count is None or not self.sample_count else 100 * count / self.sample_count


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


def is_extended(name: str) -> bool:
    """Of the statistics that need the single samples: p0 to p100, TC(x:y), PR(x:y)."""
    return name not in _NAMED and statistic(name) is not None


def statistic(name: str) -> Statistic | None:
    """The reader of a statistic by its API name; None for one that is not known here.

    Of the trimmed count's bounds only fixed values are known, no percentages. One may be left out.
    """
    if _PERCENTILE.fullmatch(name):
        percent = float(name[1:])
        return lambda samples: samples.percentile(percent)
    if found := _RANGE.fullmatch(name):
        return _of_range(*found.groups())
    return _NAMED.get(name)


def _of_range(kind: str, lower: str | None, upper: str | None) -> Statistic | None:
    above = -math.inf if lower is None else float(lower)
    at_most = math.inf if upper is None else float(upper)
    if above >= at_most or (lower is None and upper is None):
        return None
    if kind == "TC":
        return lambda samples: samples.count_between(above, at_most)
    return lambda samples: samples.rank_between(above, at_most)


def merge(samples: Iterable[tuple[int, Aggregate]]) -> dict[int, Aggregate]:
    """One aggregate for each key."""
    parts: defaultdict[int, list[Aggregate]] = defaultdict(list)
    for key, aggregate in samples:
        parts[key].append(aggregate)
    return {key: Aggregate.of_all(found) for key, found in parts.items()}


def _merged(distributions: list[Mapping[float, float] | None]) -> dict[float, float] | None:
    merged: dict[float, float] = {}
    for distribution in distributions:
        if distribution is None:
            return None
        both = {v: merged[v] + distribution[v] for v in merged.keys() & distribution.keys()}
        merged.update(distribution)
        merged.update(both)
    return merged
