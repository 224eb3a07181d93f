"""What a failure says, found under what Temporal wraps around it."""

from temporalio.exceptions import ActivityError, ApplicationError


def failed_as(error: ActivityError, kind: str) -> bool:
    """Whether the activity said so itself, by an error of this type."""
    return isinstance(error.cause, ApplicationError) and error.cause.type == kind


def root_cause(failure: BaseException) -> str:
    """The words of the error that began it."""
    while failure.__cause__ is not None:
        failure = failure.__cause__
    return str(failure)
