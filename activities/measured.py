"""A check that AWS does not let measure concludes all the same, and so do the others."""

from collections.abc import Callable

from botocore.exceptions import BotoCoreError, ClientError

from activities.aws import error_code
from activities.staging import Check
from release.verdict import CheckResult

_MOST_REASON = 300  # characters: it stands in the workflow's history


def measured(check_id: str, text: str, measure: Callable[[Check], None]) -> CheckResult:
    """The result of a check that `measure` has filled.

    What AWS does not have is judged: failed. Any other error of AWS is inconclusive.
    """
    check = Check(check_id, text)
    try:
        measure(check)
    except (ClientError, BotoCoreError) as error:
        reason = " ".join(str(error).split())[:_MOST_REASON]
        if not (isinstance(error, ClientError) and _is_missing(error)):
            return check.interrupted(f"could not be measured: {reason}")
        check.expect(False, reason)
    return check.result()


def _is_missing(error: ClientError) -> bool:
    return error_code(error) == "ResourceNotFoundException"
