"""The token: fresh at every request, sent to GitHub only, and seen nowhere else."""

import json
import logging

import pytest
from github_parts import TOKEN, answers, api_at, read_review, review_answer, run_answer
from temporalio.api.failure.v1 import Failure
from temporalio.converter import DefaultFailureConverter, DefaultPayloadConverter
from temporalio.exceptions import ApplicationError

from activities.github_api import API_URL, GitHubApi, github_client
from release.github import GitHubProblem
from tests.service.service_parts import Listener, Reply


def test_documented_headers_are_sent(listener):
    """Media type, API version, a name, and the token: what GitHub's documentation asks for."""
    read_review(answers(listener, run_answer(), [review_answer()]))

    for request in listener.requests:
        assert request.headers["accept"] == "application/vnd.github+json"
        assert request.headers["x-github-api-version"] == "2022-11-28"
        assert request.headers["user-agent"] == "crypto-watch-release"
        assert request.headers["authorization"] == f"Bearer {TOKEN}"


def test_renewed_token_is_used_at_once(listener):
    """An installation token lives for an hour; the worker lives longer."""
    tokens = iter(["first", " second\n"])
    listener.replies = [
        Reply(200, json.dumps(run_answer()).encode()),
        Reply(200, json.dumps([review_answer()]).encode()),
    ]

    read_review(GitHubApi(github_client(listener.url, lambda: next(tokens))))

    sent = [request.headers["authorization"] for request in listener.requests]
    assert sent == ["Bearer first", "Bearer second"]


@pytest.mark.parametrize("secret", ["", "  \n", f"{TOKEN}\nX-Evil: 1", f"{TOKEN} {TOKEN}", "tökén"])
def test_secret_that_is_no_token_is_refused_without_showing_it(listener, secret):
    """httpx would repeat an illegal header in its error, which Temporal keeps."""
    with pytest.raises(ApplicationError) as caught:
        read_review(GitHubApi(github_client(listener.url, lambda: secret)))

    assert (caught.value.type, caught.value.non_retryable) == (GitHubProblem.UNAUTHORIZED, True)
    assert "tökén" not in str(caught.value)
    assert TOKEN not in repr(caught.value)
    assert listener.requests == []


@pytest.mark.parametrize(
    "reply", [Reply(401), Reply(403), Reply(404), Reply(500), Reply(0), Reply(200, b"x")]
)
def test_no_failure_carries_the_token_into_the_history(listener, reply):
    """What Temporal stores of an error, with its causes and stack, does not hold it."""
    listener.replies = [reply]
    with pytest.raises(ApplicationError) as caught:
        read_review(api_at(listener.url))

    stored = Failure()
    DefaultFailureConverter().to_failure(caught.value, DefaultPayloadConverter(), stored)

    assert stored.message
    assert TOKEN not in str(stored)


def test_nothing_that_is_printed_or_logged_holds_the_token(listener, caplog):
    """Not even with every library's logging at its loudest."""
    caplog.set_level(logging.DEBUG)
    client = github_client(listener.url, lambda: TOKEN)
    listener.replies = [Reply(500)]
    with pytest.raises(ApplicationError):
        read_review(GitHubApi(client))

    shown = [repr(client), repr(client.auth), repr(client.headers), repr(GitHubApi(client))]

    assert TOKEN not in caplog.text + "".join(shown)
    assert "HTTP Request: GET" in caplog.text


def test_renamed_repository_is_followed_with_the_token(listener):
    """GitHub answers for an old name with a redirect on its own host."""
    listener.replies = [
        Reply(301, b"", (("Location", "/repositories/7/actions/runs/5"),)),
        Reply(200, json.dumps(run_answer()).encode()),
        Reply(200, json.dumps([review_answer()]).encode()),
    ]

    read_review(api_at(listener.url))

    assert listener.requests[1].path == "/repositories/7/actions/runs/5"
    assert listener.requests[1].headers["authorization"] == f"Bearer {TOKEN}"


def test_redirect_to_another_host_loses_the_token(listener):
    """An answer cannot send the token elsewhere."""
    with Listener() as elsewhere:
        elsewhere.replies = [Reply(404)]
        listener.replies = [Reply(302, b"", (("Location", f"{elsewhere.url}/steal"),))]
        with pytest.raises(ApplicationError):
            read_review(api_at(listener.url))

        assert [request.path for request in elsewhere.requests] == ["/steal"]
        assert "authorization" not in elsewhere.requests[0].headers


@pytest.mark.parametrize(
    "url", ["http://api.github.com", "http://10.0.0.1", "api.github.com", "ftp://127.0.0.2", ""]
)
def test_address_in_clear_is_refused(url):
    """The token is never sent over a network in clear."""
    with pytest.raises(ValueError, match="https only"):
        github_client(url, lambda: TOKEN)


@pytest.mark.parametrize("base", [API_URL, "https://ghe.example/api/v3", "http://127.0.0.1:1/a/"])
def test_path_is_put_below_the_configured_address(base):
    """An Enterprise Server's API lies below a path."""
    request = github_client(base, lambda: TOKEN).build_request("GET", "/repos/o/r")

    assert str(request.url) == f"{base.rstrip('/')}/repos/o/r"
