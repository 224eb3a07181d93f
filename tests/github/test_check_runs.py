"""GitHub's checks as answers to checklist items: failed, passed, or not known."""

from typing import Any

import pytest
from github_parts import SHA, answers, api_at, check_answer, read_check_runs
from temporalio.exceptions import ApplicationError

from activities.github_api import MAX_PAGES
from release.check_runs import CheckRuns, judge_check
from release.github import GitHubProblem
from release.verdict import Verdict
from tests.service.service_parts import Listener, Reply


def page(*checks: Any) -> dict[str, Any]:
    """One page of check runs."""
    return {"total_count": len(checks), "check_runs": checks}


def verdict(found: CheckRuns, name: str) -> Verdict:
    """What the check of this name says."""
    return judge_check("item", "It is so", name, found).verdict


def say_there_is_more(listener: Listener, *numbers: int) -> None:
    """The header that GitHub gives when another page follows; its address leads elsewhere."""
    for number in numbers:
        reply = listener.replies[number]
        link = ("Link", '<http://127.0.0.1:1/elsewhere>; rel="next"')
        listener.replies[number] = Reply(reply.status, reply.body, (link,))


def test_failed_check_fails_its_item(listener):
    """A failure is a verdict, with the address of its evidence."""
    found = read_check_runs(answers(listener, page(check_answer(1, "lint", "failure"))))

    result = judge_check("no-lint", "No linting errors", "lint", found)

    assert (result.id, result.verdict) == ("no-lint", Verdict.FAILED)
    assert result.evidence == "lint: failure (github-actions), https://github.com/o/r/runs/1"


@pytest.mark.parametrize(
    "conclusion",
    ["neutral", "cancelled", "skipped", "timed_out", "action_required", "stale", "invented"],
)
def test_check_that_concluded_nothing_is_inconclusive(listener, conclusion):
    """A scan that was skipped is no clean scan, and no dirty one."""
    found = read_check_runs(answers(listener, page(check_answer(1, "scan", conclusion))))

    assert verdict(found, "scan") is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("status", ["queued", "in_progress", "waiting", "requested", "pending"])
def test_unfinished_check_is_inconclusive_whatever_it_claims(listener, status):
    """Only a completed check counts."""
    check = check_answer(1, "tests", "success", status=status)
    found = read_check_runs(answers(listener, page(check)))

    result = judge_check("tests", "Tests pass", "tests", found)

    assert result.verdict is Verdict.INCONCLUSIVE
    assert status in result.evidence


def test_missing_check_is_inconclusive_and_the_known_names_are_told(listener):
    """A misspelt name never passes, and is easily found."""
    api = answers(listener, page(check_answer(1, "types"), check_answer(2, "lint")))

    result = judge_check("tests", "Tests pass", "test", read_check_runs(api))

    assert result.verdict is Verdict.INCONCLUSIVE
    assert result.evidence == f"GitHub has no check 'test' of {SHA[:12]}; there is: lint, types"


def test_commit_without_checks_passes_nothing(listener):
    """No news is no good news."""
    found = read_check_runs(answers(listener, page()))

    assert found.runs == ()
    assert verdict(found, "tests") is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("order", [1, -1])
def test_newest_attempt_counts(listener, order):
    """A repeated check is judged by its last run, wherever that stands in the list."""
    checks = [check_answer(1, "tests", "failure"), check_answer(2, "tests")]
    found = read_check_runs(answers(listener, page(*checks[::order])))

    assert [run.id for run in found.runs] == [2]
    assert verdict(found, "tests") is Verdict.PASSED


def test_repetition_under_way_takes_back_the_old_success(listener):
    """Who runs a check again waits for it."""
    api = answers(listener, page(check_answer(1, "tests"), check_answer(2, "tests", None)))

    assert verdict(read_check_runs(api), "tests") is Verdict.INCONCLUSIVE


def test_check_of_another_commit_is_no_evidence(listener):
    """What GitHub attributes to another commit is left out."""
    api = answers(listener, page(check_answer(1, "tests", head_sha="d" * 40)))

    assert read_check_runs(api).runs == ()


def test_check_without_page_or_app_is_read(listener):
    """Both may be null."""
    api = answers(listener, page(check_answer(1, "tests", html_url=None, app=None)))

    (run,) = read_check_runs(api).runs

    assert (run.url, run.app) == ("", "unknown app")


def test_every_page_is_read_from_where_we_were_told_to_ask(listener):
    """A failure on the last page is found, and the token follows no address of an answer."""
    api = answers(
        listener, page(check_answer(1, "lint")), page(), page(check_answer(2, "types", "failure"))
    )
    say_there_is_more(listener, 0, 1)

    found = read_check_runs(api)

    assert [run.name for run in found.runs] == ["lint", "types"]
    assert [request.path for request in listener.requests] == [
        f"/repos/o/r/commits/{SHA}/check-runs?filter=latest&per_page=100&page={number}"
        for number in (1, 2, 3)
    ]


def test_endless_pages_are_an_error_not_a_verdict(listener):
    """A check that may stand on an unread page is neither missing nor passed."""
    api = answers(listener, page(check_answer(1, "lint")))
    say_there_is_more(listener, 0)

    with pytest.raises(ApplicationError, match="not all read") as caught:
        read_check_runs(api)

    assert (caught.value.type, caught.value.non_retryable) == (GitHubProblem.REFUSED, True)
    assert len(listener.requests) == MAX_PAGES


def test_error_on_a_later_page_is_an_error(listener):
    """Half a list is no list."""
    api = api_at(listener.url)
    listener.replies = [Reply(200, b'{"check_runs": []}'), Reply(502)]
    say_there_is_more(listener, 0)

    with pytest.raises(ApplicationError) as caught:
        read_check_runs(api)

    assert caught.value.type == GitHubProblem.UNAVAILABLE


def test_answer_survives_the_way_through_temporal(listener):
    """What the activity answers is what the workflow reads."""
    found = read_check_runs(answers(listener, page(check_answer(1, "tests"))))

    assert CheckRuns.model_validate_json(found.model_dump_json()) == found
