"""What must outlive the process, in one SQLite file: metrics, alarms and their history.

WAL with synchronous=NORMAL: what was answered survives a kill -9 of this process.
"""

import json
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from infra.local.cloudwatch.statistics import Aggregate, merge

Dimensions = tuple[tuple[str, str], ...]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS metric (
    id INTEGER PRIMARY KEY, namespace TEXT, name TEXT, dimensions TEXT,
    UNIQUE (namespace, name, dimensions));
CREATE TABLE IF NOT EXISTS datum (
    metric_id INTEGER, time INTEGER, unit TEXT,
    sample_count REAL, total REAL, minimum REAL, maximum REAL, distribution TEXT);
CREATE INDEX IF NOT EXISTS datum_of_metric ON datum (metric_id, time);
CREATE INDEX IF NOT EXISTS datum_by_time ON datum (time);
CREATE TABLE IF NOT EXISTS alarm (name TEXT PRIMARY KEY, record TEXT);
CREATE TABLE IF NOT EXISTS history (
    id INTEGER PRIMARY KEY, alarm TEXT, alarm_type TEXT, time REAL,
    item_type TEXT, summary TEXT, data TEXT);
"""


@dataclass(frozen=True)
class Metric:
    """A metric's identity: the exact set of its dimensions, in any order."""

    namespace: str
    name: str
    dimensions: Dimensions

    @classmethod
    def of(cls, namespace: str, name: str, dimensions: list[dict[str, str]]) -> "Metric":
        """From the API's form."""
        pairs = sorted((pair["Name"], pair["Value"]) for pair in dimensions)
        return cls(namespace, name, tuple(pairs))

    def api(self) -> dict[str, Any]:
        """In the API's form."""
        dimensions = [{"Name": name, "Value": value} for name, value in self.dimensions]
        return {"Namespace": self.namespace, "MetricName": self.name, "Dimensions": dimensions}


@dataclass(frozen=True)
class Datum:
    """One put, at an epoch second already rounded down to its storage resolution."""

    metric: Metric
    time: int
    unit: str
    samples: Aggregate


class Store:
    """A write outside `transaction` is committed when its method returns."""

    def __init__(self, path: str) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        """Nothing is lost without it; it only tidies the WAL file away."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All writes inside are kept, or none."""
        with self._db:
            self._db.execute("BEGIN")
            yield

    def put(self, data: list[Datum]) -> None:
        """All or none of them are kept."""
        with self.transaction():
            self._db.executemany(
                "INSERT INTO datum VALUES (?,?,?,?,?,?,?,?)", [self._row(datum) for datum in data]
            )

    def _row(self, datum: Datum) -> tuple[Any, ...]:
        samples = datum.samples
        pairs = None if samples.distribution is None else [*samples.distribution.items()]
        return (
            self._metric_id(datum.metric),
            datum.time,
            datum.unit,
            samples.sample_count,
            samples.total,
            samples.minimum,
            samples.maximum,
            None if pairs is None else json.dumps(pairs),
        )

    def _metric_id(self, metric: Metric) -> int:
        key = (metric.namespace, metric.name, json.dumps(metric.dimensions))
        found = self._db.execute(
            "SELECT id FROM metric WHERE namespace=? AND name=? AND dimensions=?", key
        ).fetchone()
        if found:
            return int(found[0])
        insert = "INSERT INTO metric (namespace, name, dimensions) VALUES (?,?,?)"
        return self._db.execute(insert, key).lastrowid or 0

    def aggregates(
        self, metric: Metric, start: int, end: int, period: int, unit: str | None = None
    ) -> dict[int, Aggregate]:
        """By the start of each period that has samples; `start` counts, `end` does not."""
        rows = self._db.execute(
            "SELECT d.time, sample_count, total, minimum, maximum, distribution"
            " FROM datum d JOIN metric m ON m.id = d.metric_id"
            " WHERE m.namespace=? AND m.name=? AND m.dimensions=? AND d.time>=? AND d.time<?"
            " AND (? IS NULL OR d.unit=?)",
            (metric.namespace, metric.name, json.dumps(metric.dimensions), start, end, unit, unit),
        )
        return merge(
            (at - at % period, Aggregate(count, total, least, most, _distribution(pairs)))
            for at, count, total, least, most, pairs in rows
        )

    def unit_of(self, metric: Metric) -> str:
        """The unit last put; `None`, CloudWatch's word for no unit, when there is no datum."""
        row = self._db.execute(
            "SELECT d.unit FROM datum d JOIN metric m ON m.id = d.metric_id WHERE m.namespace=?"
            " AND m.name=? AND m.dimensions=? ORDER BY d.time DESC LIMIT 1",
            (metric.namespace, metric.name, json.dumps(metric.dimensions)),
        ).fetchone()
        return row[0] if row else "None"

    def metrics(self, after: int, active_since: float | None) -> Iterator[tuple[int, Metric]]:
        """Every metric ever put, with its number, from the one after `after`."""
        rows = self._db.execute(
            "SELECT id, namespace, name, dimensions FROM metric WHERE id>? AND (? IS NULL OR EXISTS"
            " (SELECT 1 FROM datum WHERE metric_id=metric.id AND time>=?)) ORDER BY id",
            (after, active_since, active_since),
        )
        for number, namespace, name, dimensions in rows:
            pairs = tuple((key, value) for key, value in json.loads(dimensions))
            yield number, Metric(namespace, name, pairs)

    def save_alarm(self, name: str, record: dict[str, Any]) -> None:
        """Replaces what stood under this name."""
        self._db.execute("INSERT OR REPLACE INTO alarm VALUES (?,?)", (name, json.dumps(record)))

    def delete_alarm(self, name: str) -> None:
        """Its history stays."""
        self._db.execute("DELETE FROM alarm WHERE name=?", (name,))

    def alarms(self) -> dict[str, dict[str, Any]]:
        """By name, in the order of names."""
        rows = self._db.execute("SELECT name, record FROM alarm ORDER BY name")
        return {name: json.loads(record) for name, record in rows}

    def add_history(
        self,
        alarm: str,
        alarm_type: str,
        item_type: str,
        summary: str,
        data: Any,
        at: float | None = None,
    ) -> None:
        """One line of an alarm's history."""
        self._db.execute(
            "INSERT INTO history (alarm, alarm_type, time, item_type, summary, data)"
            " VALUES (?,?,?,?,?,?)",
            (alarm, alarm_type, at or time.time(), item_type, summary, json.dumps(data)),
        )

    def history(self, alarm: str | None = None) -> list[dict[str, Any]]:
        """The lines of one alarm, or all, oldest first."""
        cursor = self._db.execute(
            "SELECT * FROM history WHERE ? IS NULL OR alarm=? ORDER BY id", (alarm, alarm)
        )
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor]

    def prune(self, data_before: float, history_before: float) -> None:
        """Forgets older samples and history lines."""
        self._db.execute("DELETE FROM datum WHERE time<?", (data_before,))
        self._db.execute("DELETE FROM history WHERE time<?", (history_before,))


@lru_cache(1024)  # whoever watches a release reads the last minutes every few seconds
def _distribution(pairs: str | None) -> Mapping[float, float] | None:
    return None if pairs is None else dict(json.loads(pairs))
