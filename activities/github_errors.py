"""What went wrong between GitHub and us: GitHub's answers as errors that Temporal understands.

The rules are those of "Rate limits", "Troubleshooting" and "Best practices" in GitHub's REST
documentation. No text here holds a request header, so none can hold the token.
"""

import json
from datetime import timedelta

import httpx
from temporalio.exceptions import ApplicationError

from release.github import GitHubProblem

_MINUTE = 60
_HOUR = 3600
_LONGEST_MESSAGE = 200


def error_of(answer: httpx.Response, needs: str, now: float) -> ApplicationError:
    """The error that an answer with an unexpected status is.

    Args:
        needs: the permission that the call needs, for a token that lacks it.
        now: seconds since the epoch, to which GitHub's reset time is compared.
    """
    status, said = answer.status_code, _said(answer)
    if _is_rate_limit(answer, said):
        wait = _wait_seconds(answer, now)
        return problem(
            GitHubProblem.RATE_LIMITED, f"GitHub's rate limit is reached ({said})", wait=wait
        )
    if status >= 500:
        return problem(GitHubProblem.UNAVAILABLE, f"GitHub answered {status} ({said})")
    if status == 401:
        text = f"GitHub does not accept the token ({said}); renew the secret"
        return problem(GitHubProblem.UNAUTHORIZED, text, final=True)
    if status == 403:
        wanted = answer.headers.get("x-accepted-github-permissions") or needs
        text = f"GitHub forbids it ({said}); the token needs {wanted}"
        return problem(GitHubProblem.FORBIDDEN, text, final=True)
    path = answer.request.url.path
    if status == 404:
        # GitHub answers 404, not 403, for what a token may not know to exist
        text = f"GitHub has no {path} or hides it from the token ({said}); it needs {needs}"
        return problem(GitHubProblem.NOT_FOUND, text, final=True)
    text = f"GitHub answered {status} to {path} ({said})"
    return problem(GitHubProblem.REFUSED, text, final=True)


def problem(
    kind: GitHubProblem, text: str, *, final: bool = False, wait: int | None = None
) -> ApplicationError:
    """An error of this kind: final, or to be tried again after `wait` seconds if given."""
    delay = None if wait is None else timedelta(seconds=wait)
    return ApplicationError(text, type=kind, non_retryable=final, next_retry_delay=delay)


def _is_rate_limit(answer: httpx.Response, said: str) -> bool:
    if answer.status_code == 403:
        spent = answer.headers.get("x-ratelimit-remaining") == "0"
        return spent or "retry-after" in answer.headers or "rate limit" in said.lower()
    return answer.status_code == 429


def _wait_seconds(answer: httpx.Response, now: float) -> int:
    """Between 1 s and the hour after which GitHub's windows end; a minute if it does not say."""
    after = _whole(answer.headers.get("retry-after"))
    if after is None and answer.headers.get("x-ratelimit-remaining") == "0":
        reset = _whole(answer.headers.get("x-ratelimit-reset"))
        after = None if reset is None else int(reset - now) + 1
    return min(max(_MINUTE if after is None else after, 1), _HOUR)


def _whole(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() and len(text) < 16 else None


def _said(answer: httpx.Response) -> str:
    try:
        body = json.loads(answer.content)
    except ValueError:
        body = None
    message = body.get("message") if isinstance(body, dict) else None
    details = _details(body.get("errors")) if isinstance(body, dict) else ""
    text = f"{message or answer.reason_phrase or 'no text'}{details}"
    return " ".join(text.split())[:_LONGEST_MESSAGE]


def _details(errors: object) -> str:
    """What a refused request (422) says beside "Validation Failed"."""
    if not isinstance(errors, list):
        return ""
    said = [error.get("message") if isinstance(error, dict) else error for error in errors]
    texts = [text for text in said if isinstance(text, str)]
    return f": {'; '.join(texts)}" if texts else ""
