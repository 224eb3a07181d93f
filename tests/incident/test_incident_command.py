"""`starter.py incident`: what happened, with Temporal down."""

import json

import pytest

from tests.incident.incident_parts import facts
from tests.rollback.production_parts import BUCKET


@pytest.fixture
def run(starter, production):
    """Runs `starter.py incident …`; AWS answers, Temporal does not."""
    return lambda *given: starter("incident", *given, AWS_ENDPOINT_URL=production.endpoint)


def put(production, sha: str, run: str, text: str) -> None:
    """A packet lies in the bucket."""
    key = facts(sha=sha, run=run).key
    for ending, body in (("md", f"# {text}\n"), ("json", json.dumps({"said": text}))):
        production.client("s3").put_object(Bucket=BUCKET, Key=f"{key}.{ending}", Body=body.encode())


def test_packet_is_printed_by_commit_and_by_id(run, production, repository):
    """The newest of a commit that went back twice, as Markdown; for programs as JSON."""
    sha = repository.commit()
    put(production, sha, "ffffffff", "the first time")
    put(production, sha, "00000000", "the second time")

    by_commit = run("main")
    by_id = run(f"promotion/crypto-watch/{sha[:12]}", "--json")

    assert (by_commit.returncode, by_commit.stdout) == (0, "# the second time\n"), by_commit.stderr
    assert json.loads(by_id.stdout) == {"said": "the second time"}


def test_release_that_never_went_back_has_none(run, repository):
    """One line that says so."""
    repository.commit()

    done = run("main")

    assert (done.returncode, done.stdout) == (2, "")
    assert "there is no incident packet of promotion/crypto-watch/" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_aws_that_does_not_answer_is_said(starter, repository):
    """Not the same as no packet."""
    repository.commit()

    done = starter("incident", "main")

    assert done.returncode == 3
    assert done.stderr.startswith("error: AWS does not answer")
