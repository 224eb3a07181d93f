"""What a judgement concluded, and on what it rests."""

from enum import StrEnum

from release.message import Message


class Verdict(StrEnum):
    """What a judgement concluded; inconclusive means that it could not measure.

    Not applicable: there is nothing to measure here, and the evidence says why.
    """

    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"
    NOT_APPLICABLE = "n/a"


class CheckResult(Message):
    """One checked statement, with the figures it rests on."""

    id: str
    text: str
    verdict: Verdict
    evidence: str = ""
