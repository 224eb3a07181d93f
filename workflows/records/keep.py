"""One part of the record, tried until it is kept or cannot ever be."""

from collections.abc import Callable
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from release.records import Kept

from workflows import options
from workflows.failures import root_cause


async def keep(what: str, activity: Callable[[Any, Any], str], order: Any) -> Kept:
    """What the activity says of the place; or why there is none, in its own words."""
    try:
        text = await workflow.execute_activity_method(
            activity, order, summary=what, **options.RECORD
        )
    except ActivityError as failure:
        if is_cancelled_exception(failure):
            raise
        cause = failure.cause
        # its `str` begins with the error's type, which says nothing to people
        words = cause.message if isinstance(cause, ApplicationError) else root_cause(failure)
        return Kept(what=what, done=False, text=words)
    return Kept(what=what, done=True, text=text)
