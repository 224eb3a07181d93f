"""A check that raises could not measure, whatever it raised; and no evidence holds a key."""

import re
from collections.abc import Callable

from activities.staging import Check
from release.verdict import CheckResult

_MOST_EVIDENCE = 1000  # characters of one result: it stands in the workflow's history
_FULL_KEY = re.compile(r"(cw_(?:live|test)_)[A-Za-z0-9_-]{16,}([A-Za-z0-9_-]{4})")


def guarded(check_id: str, text: str, measure: Callable[[Check], None]) -> CheckResult:
    """The check's result."""
    check = Check(check_id, text)
    try:
        measure(check)
        result = check.result()
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        result = check.interrupted(f"could not be measured: {type(error).__name__}: {reason}")
    # an error's text may quote anything; evidence is shown, and kept in the workflow's history
    evidence = _FULL_KEY.sub(r"\1****\2", result.evidence)
    if len(evidence) > _MOST_EVIDENCE:
        evidence = f"{evidence[:_MOST_EVIDENCE]}…"
    return result.model_copy(update={"evidence": evidence})
