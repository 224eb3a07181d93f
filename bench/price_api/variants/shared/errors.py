"""The service's error format, for every variant but this project's own."""

import time
from typing import Any


class ApiError(Exception):
    """A request that ends in an error answer."""

    def __init__(self, status: int, code: str, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.code = code


def unauthorized() -> ApiError:
    """One text for every reason."""
    return ApiError(401, "UNAUTHORIZED", "A valid API key is required in the X-API-Key header.")


def not_found(text: str = "There is nothing at this path.") -> ApiError:
    """An unknown route or symbol."""
    return ApiError(404, "NOT_FOUND", text)


def internal_error() -> ApiError:
    """The service's own mistake."""
    return ApiError(500, "INTERNAL_ERROR", "Something went wrong on our side.")


def error_body(error: ApiError, request_id: str) -> dict[str, Any]:
    """The body of an error answer."""
    return {
        "error": str(error),
        "code": error.code,
        "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "requestId": request_id,
    }
