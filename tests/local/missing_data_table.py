"""The user guide's two tables of "How alarm state is evaluated when data is missing", as printed.

Oldest datapoint first: 0 is within the threshold, X breaches it, - is missing. RETAIN is "retain
current state".
"""

from typing import NamedTuple

TABLE = """
of    points   missing            ignore   breaching  notBreaching
3of3  0-X-X    OK                 OK       OK         OK
3of3  0----    OK                 OK       OK         OK
3of3  -----    INSUFFICIENT_DATA  RETAIN   ALARM      OK
3of3  0XX-X    ALARM              ALARM    ALARM      ALARM
3of3  ----X    INSUFFICIENT_DATA  RETAIN   ALARM      OK
3of3  X----    ALARM              RETAIN   ALARM      OK
2of3  0-X-X    ALARM              ALARM    ALARM      ALARM
2of3  00X0X    ALARM              ALARM    ALARM      ALARM
2of3  0-X--    OK                 OK       ALARM      OK
2of3  ----0    OK                 OK       ALARM      OK
2of3  ----X    INSUFFICIENT_DATA  RETAIN   ALARM      OK
"""
RETAIN = "RETAIN"


class Cell(NamedTuple):
    """One printed state."""

    m: int
    n: int
    points: str
    treatment: str
    state: str

    def __str__(self) -> str:
        return f"{self.m}of{self.n} {self.points} {self.treatment}"


def _cells() -> list[Cell]:
    (_, _, *treatments), *rows = (line.split() for line in TABLE.strip().splitlines())
    return [
        Cell(int(of[0]), int(of[-1]), points, treatment, state)
        for of, points, *states in rows
        for treatment, state in zip(treatments, states, strict=True)
    ]


CELLS = _cells()
