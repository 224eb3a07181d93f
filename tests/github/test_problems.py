"""When GitHub cannot be read: what is said, and whether and when to try again."""

import socket
import time
from datetime import timedelta

import httpx
import pytest
from github_parts import (
    TOKEN,
    answers,
    api_at,
    read_check_runs,
    read_review,
    review_answer,
    run_answer,
)
from temporalio.exceptions import ApplicationError

from activities.github_api import GitHubApi, github_client
from release.github import GitHubProblem
from tests.service.service_parts import HANG_UP, Listener, Reply

MESSAGE = b'{"message": "Something\\n  is wrong"}'


def failure(listener: Listener, status: int, body: bytes = MESSAGE, **headers: str):
    """The error that such an answer becomes."""
    sent = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    listener.replies = [Reply(status, body, sent)]
    with pytest.raises(ApplicationError) as caught:
        read_review(api_at(listener.url))
    return caught.value


def test_missing_permission_is_named_as_github_names_it(listener):
    """Who has to mend the token is told which permission is missing."""
    error = failure(listener, 403, x_accepted_github_permissions="actions=read,metadata=read")

    assert (error.type, error.non_retryable) == (GitHubProblem.FORBIDDEN, True)
    assert error.message == (
        "GitHub forbids it (Something is wrong); the token needs actions=read,metadata=read"
    )


def test_missing_permission_is_named_where_github_names_none(listener):
    """The call itself knows what it needs."""
    listener.replies = [Reply(403)]

    with pytest.raises(ApplicationError, match="the token needs checks=read"):
        read_check_runs(api_at(listener.url))


def test_not_found_says_that_it_may_be_hidden(listener):
    """GitHub answers 404 for what a token may not see: the text leaves both open."""
    error = failure(listener, 404)

    assert (error.type, error.non_retryable) == (GitHubProblem.NOT_FOUND, True)
    assert error.message == (
        "GitHub has no /repos/o/r/actions/runs/5 or hides it from the token "
        "(Something is wrong); it needs actions=read"
    )


def test_worn_out_token_is_not_tried_again(listener):
    """401: somebody has to renew the secret."""
    error = failure(listener, 401, b'{"message": "Bad credentials"}')

    assert (error.type, error.non_retryable) == (GitHubProblem.UNAUTHORIZED, True)
    assert error.message == ("GitHub does not accept the token (Bad credentials); renew the secret")


@pytest.mark.parametrize("status", [400, 410, 418, 422])
def test_refused_request_is_not_tried_again(listener, status):
    """410 is the API version's end: no repetition helps."""
    error = failure(listener, status)

    assert (error.type, error.non_retryable) == (GitHubProblem.REFUSED, True)
    assert f"answered {status} to /repos/o/r/actions/runs/5 (Something is wrong)" in error.message


@pytest.mark.parametrize("status", [500, 502, 503, 504])
@pytest.mark.parametrize("body", [b"", b"<html>unicorn</html>", b"[1]", b'{"message": null}'])
def test_server_error_is_tried_again(listener, status, body):
    """GitHub's bad minute says nothing of the commit, whatever page comes with it."""
    error = failure(listener, status, body)

    assert (error.type, error.non_retryable) == (GitHubProblem.UNAVAILABLE, False)
    assert f"GitHub answered {status}" in error.message


@pytest.mark.parametrize(
    ("status", "headers", "seconds"),
    [
        (429, {"retry_after": "17"}, 17),
        (403, {"retry_after": "17"}, 17),
        (403, {"retry_after": "17", "x_ratelimit_remaining": "0", "x_ratelimit_reset": "1"}, 17),
        (429, {}, 60),
        (429, {"retry_after": "soon"}, 60),
        (429, {"retry_after": "-5"}, 60),
        (429, {"retry_after": "0"}, 1),
        (429, {"retry_after": "9" * 15}, 3600),
        (429, {"retry_after": "9" * 400}, 60),
        (403, {"x_ratelimit_remaining": "0"}, 60),
        (403, {"x_ratelimit_remaining": "0", "x_ratelimit_reset": "1"}, 1),
        (403, {"x_ratelimit_remaining": "0", "x_ratelimit_reset": "x"}, 60),
    ],
)
def test_rate_limit_says_when_to_come_back(listener, status, headers, seconds):
    """GitHub's own wait is kept, between a second and its hour; a minute where it names none."""
    error = failure(listener, status, **headers)

    assert (error.type, error.non_retryable) == (GitHubProblem.RATE_LIMITED, False)
    assert error.next_retry_delay == timedelta(seconds=seconds)


def test_spent_limit_is_waited_out_until_its_reset(listener):
    """The reset is a time; the wait ends after it, never before."""
    reset = int(time.time()) + 600

    error = failure(listener, 403, x_ratelimit_remaining="0", x_ratelimit_reset=str(reset))

    assert error.next_retry_delay is not None
    assert 590 <= error.next_retry_delay.total_seconds() <= 601


def test_secondary_limit_is_known_by_its_words(listener):
    """Without any header, GitHub's message is all there is; it is no missing permission."""
    error = failure(listener, 403, b'{"message": "You have exceeded a secondary rate limit."}')

    assert error.type == GitHubProblem.RATE_LIMITED
    assert error.next_retry_delay == timedelta(seconds=60)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>please log in</html>",
        b'{"id": 5',
        b"[]",
        b"null",
        b'{"id": 5, "head_sha": null}',
        b'{"id": "five"}',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
def test_unreadable_answer_is_an_error_not_a_verdict(listener, body):
    """200 with something else in it, from a proxy or a new GitHub, decides nothing."""
    error = failure(listener, 200, body)

    assert (error.type, error.non_retryable) == (GitHubProblem.UNREADABLE, False)
    assert "GitHub's answer to /repos/o/r/actions/runs/5 is unreadable" in error.message


def test_unreadable_answer_is_not_repeated(listener):
    """What a stranger answered does not go into the history."""
    error = failure(listener, 200, b'{"id": "their private page"}')

    assert "private" not in str(error) + repr(error.__cause__)


def test_unknown_review_state_is_an_error_not_a_yes(listener):
    """A word that we do not know is not read as one that we know."""
    api = answers(listener, run_answer(), [review_answer("waived")])

    with pytest.raises(ApplicationError, match=r"unreadable: 0\.state") as caught:
        read_review(api)

    assert caught.value.type == GitHubProblem.UNREADABLE


def test_long_message_is_cut(listener):
    """An error stands in the history for good: it is short."""
    error = failure(listener, 404, b'{"message": "%s"}' % (b"x" * 100_000))

    assert len(error.message) < 500


def test_closed_connection_is_tried_again(listener):
    """No answer is no verdict."""
    listener.replies = [HANG_UP]

    with pytest.raises(ApplicationError, match="GitHub did not answer") as caught:
        read_review(api_at(listener.url))

    assert (caught.value.type, caught.value.non_retryable) == (GitHubProblem.UNAVAILABLE, False)


def test_nobody_listening_is_tried_again():
    """A refused connection is no verdict."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"

    with pytest.raises(ApplicationError, match="ConnectError") as caught:
        read_review(api_at(url))

    assert caught.value.type == GitHubProblem.UNAVAILABLE


def test_silent_server_is_given_up():
    """A call ends long before its activity does; then it is tried again."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = github_client(f"http://127.0.0.1:{silent.getsockname()[1]}", lambda: TOKEN)
        assert max(value or 99 for value in client.timeout.as_dict().values()) <= 15
        client.timeout = httpx.Timeout(0.1)

        with pytest.raises(ApplicationError, match="ReadTimeout") as caught:
            read_review(GitHubApi(client))

    assert (caught.value.type, caught.value.non_retryable) == (GitHubProblem.UNAVAILABLE, False)


def test_endless_redirect_is_given_up(listener):
    """A redirect to itself ends as an error."""
    listener.replies = [Reply(301, b"", (("Location", "/repos/o/r/actions/runs/5"),))]

    with pytest.raises(ApplicationError, match="TooManyRedirects") as caught:
        read_review(api_at(listener.url))

    assert caught.value.type == GitHubProblem.UNAVAILABLE
    assert len(listener.requests) == 4
