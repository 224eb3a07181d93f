"""The checklists of the flow as data: what has to be true, and how each item is answered."""

from datetime import datetime
from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator

from release.message import Message
from release.verdict import CheckResult


class Part(StrEnum):
    """The two checklists of the flow."""

    STAGING = "staging validation"
    PRE_PRODUCTION = "pre-production"


class Item(Message):
    """One line of a checklist. Answered by several ways, it needs all of them."""

    id: str = Field(pattern=r"^[a-z0-9-]+$")
    text: str = Field(min_length=1)
    auto: str | None = Field(None, description="the named check that measures it")
    manual: tuple[str, ...] = Field((), description="roles that may sign it off")
    approval: str | None = Field(None, description="the role whose approval answers it")

    @model_validator(mode="after")
    def _can_be_answered(self) -> Self:
        if self.approval and (self.auto or self.manual):
            raise ValueError(f"item {self.id!r}: what an approval answers has no other way")
        if not (self.auto or self.manual or self.approval):
            raise ValueError(f"item {self.id!r} needs `auto`, `manual` or `approval`")
        return self


Groups = dict[str, tuple[Item, ...]]
"""Heading → its items, in the order of the flow."""


class ContractCase(StrEnum):
    """What a new version can be asked before users meet it: activities/contract_cases.py."""

    RUNS_THE_COMMIT = "runs-the-commit"
    DOCUMENTED_EXAMPLES = "documented-examples"
    # the price API's own
    LISTS_PRICES = "lists-prices"
    ONE_PRICE = "one-price"
    MISSING_KEY = "missing-key"
    UNKNOWN_KEY = "unknown-key"
    UNKNOWN_SYMBOL = "unknown-symbol"
    NO_SYMBOLS = "no-symbols"
    OPENAPI = "openapi"


ANY_SERVICE = (ContractCase.RUNS_THE_COMMIT, ContractCase.DOCUMENTED_EXAMPLES)


class ProductionCheck(StrEnum):
    """What can be measured of production after a release: activities/checks/production.py."""

    HEALTH = "health"
    ENDPOINTS = "endpoints"
    ALARMS = "alarms"
    TRAFFIC = "traffic"
    ERROR_RATE = "error-rate"
    LATENCY = "latency"
    PRICE_UPDATES = "price-updates"
    LOGS = "logs"
    ANOMALIES = "anomalies"
    RATE_LIMIT = "rate-limit"
    CACHE = "cache"
    METRICS = "metrics"


class WatchItem(Message):
    """One line of the flow's post-deployment verification, and the check that answers it."""

    id: str = Field(pattern=r"^[a-z0-9-]+$")
    text: str = Field(min_length=1)
    auto: ProductionCheck


class Limits(Message):
    """What the measured items are held to; sources: the promotion flow and the price service."""

    price_p99_ms: int = Field(2000, gt=0)
    health_p99_ms: int = Field(500, gt=0)
    requests: int = Field(200, ge=20, description="requests behind each p99")
    dynamodb_p99_ms: int = Field(100, gt=0, description="server-side latency of reads and writes")
    memory_growth_mb: int = Field(10, gt=0, description="of one Lambda instance over the run")
    price_age_minutes: int = Field(5, gt=0)
    log_window_hours: float = Field(24, gt=0, description="in which no unexpected error is logged")
    coverage_percent: int = Field(80, ge=0, le=100)


class Answer(StrEnum):
    """Where an item stands."""

    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"
    NOT_APPLICABLE = "n/a"
    WAIVED = "waived"
    WAITING = "waiting"


DONE = frozenset({Answer.PASSED, Answer.NOT_APPLICABLE, Answer.WAIVED})
"""Answers with which an item holds nothing up."""


class Signature(Message):
    """A person's answer to one item."""

    by: str
    at: datetime
    passed: bool
    note: str = ""
    link: str = ""


class Waiver(Message):
    """A person's word that an item which could not be measured may be left open."""

    by: str
    at: datetime
    reason: str


class ItemState(Message):
    """One item with its answer, and what the answer rests on."""

    part: Part
    group: str
    id: str
    text: str
    answer: Answer
    evidence: str = ""
    needs: str = Field("", description="what a waiting item waits for")


class Answers(Message):
    """All that is known of the items so far."""

    results: dict[str, CheckResult] = Field({}, description="named check → its last result")
    signatures: dict[str, Signature] = Field({}, description="item id → the sign-off that counts")
    waivers: dict[str, Waiver] = Field({}, description="item id → its waiver")


STAGING_VALIDATION, BENCHMARKS = "staging-validation", "benchmarks"
"""Named checks that follow from other answers."""
