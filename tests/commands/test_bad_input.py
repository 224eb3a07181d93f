"""Bad input is one clear line, exit code 2, and nothing started.

Temporal answers in none of these tests, and AWS only where a test says so: what is wrong was
known before either was asked.
"""

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import boto3
import httpx
import pytest
from moto.server import ThreadedMotoServer

POLICY = (Path(__file__).resolve().parents[2] / "release.toml").read_text()


def the_line(done) -> str:
    """The one line of a command that refused its input."""
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("error: ")
    assert done.returncode == 2
    return lines[0].removeprefix("error: ")


def test_sha_that_does_not_exist_is_refused(repository, starter):
    """A commit nobody has is not released."""
    repository.commit()

    assert the_line(starter("promote", "0" * 40)).startswith("no commit '000000")


@pytest.mark.parametrize("revision", ["no-such-branch", "", "HEAD:release.toml", "main..main"])
def test_revision_that_is_no_commit_is_refused(repository, starter, revision):
    """A branch that is not there, nothing, a file and a range are no commits."""
    repository.commit()

    assert the_line(starter("promote", revision)).startswith("no commit ")


def test_revision_that_looks_like_an_option_is_refused(repository, starter):
    """git never gets an option from a person's revision."""
    repository.commit()

    assert "is not a revision" in the_line(starter("promote", "--", "--output=/tmp/x"))


def test_commit_that_is_not_on_main_is_refused(repository, starter):
    """Work that was not merged does not reach production."""
    repository.commit()
    repository.git("switch", "--quiet", "--create", "feature")
    sha = repository.commit("feat: not merged")

    assert the_line(starter("promote", sha)) == f"{sha[:12]} is not on main; merge it first"


def test_release_branch_that_does_not_exist_is_refused(repository, starter):
    """A repository without that branch is a wrong setting, and the line names it."""
    repository.commit()

    line = the_line(starter("promote", "HEAD", RELEASE_BRANCH="trunk"))

    assert line.startswith("no branch 'trunk'")
    assert line.endswith("set RELEASE_BRANCH")


def test_folder_that_is_no_repository_is_refused(tmp_path, starter):
    """The line names the folder and the setting."""
    folder = tmp_path / "empty"
    folder.mkdir()

    line = the_line(starter("promote", "main", RELEASE_REPOSITORY=str(folder)))

    assert line == f"{folder} is not a git repository; set RELEASE_REPOSITORY"


def test_commit_without_release_toml_has_no_build(repository, starter):
    """A commit from before the release system cannot be built by it."""
    sha = repository.commit(policy=None)

    assert the_line(starter("promote", "main")) == (
        f"{sha[:12]} has no build: there is no release.toml in it"
    )


def test_commit_without_a_functions_folder_has_no_build(repository, starter):
    """The line names the function and the folder it should have."""
    repository.commit(api=None)

    line = the_line(starter("promote", "main"))

    assert "has no build: [functions.api] names api_lambda/prices" in line


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ('low_traffic = "proceed"', 'low_trafic = "proceed"', "shift.low_trafic: "),
        ("step = 0.1", "step = 1.5", "shift.step: "),
        ("[checklist]", "[checklist", "not valid TOML"),
    ],
)
def test_wrong_policy_is_refused(repository, starter, old, new, place):
    """The policy of the commit is checked whole before anything starts."""
    repository.commit(policy=POLICY.replace(old, new))

    line = the_line(starter("promote", "main"))

    assert line.startswith("release.toml")
    assert place in line


def test_policy_is_read_at_the_commit_not_in_the_folder(repository, starter):
    """A mistake that was not committed does not count, nor does a repair."""
    repository.commit(policy=POLICY.replace("min_requests", "min_request"))
    (repository.folder / "release.toml").write_text(POLICY)

    assert "shift.min_request: " in the_line(starter("promote", "main"))


@pytest.fixture
def aws() -> Iterator[str]:
    """The address of an AWS that has nothing in it."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    forget = f"{address}/moto-api/reset"  # moto's state belongs to the process, not to the server
    httpx.post(forget).raise_for_status()
    yield address
    httpx.post(forget).raise_for_status()
    server.stop()


def production_runs(sha: str, aws: str) -> None:
    """Production's API function exists and its alias serves this commit."""
    where = {
        "endpoint_url": aws,
        "region_name": "eu-west-1",
        "aws_access_key_id": "local",
        "aws_secret_access_key": "local",
    }
    role = boto3.client("iam", **where).create_role(RoleName="r", AssumeRolePolicyDocument="{}")
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("app.py", "")
    functions = boto3.client("lambda", **where)
    functions.create_function(
        FunctionName="crypto-watch-api-prod",
        Role=role["Role"]["Arn"],
        Runtime="python3.12",
        Handler="app.handler",
        Code={"ZipFile": code.getvalue()},
        Environment={"Variables": {"GIT_SHA": sha, "RELEASE_VERSION": "1.0.0"}},
        Publish=True,
    )
    functions.create_alias(FunctionName="crypto-watch-api-prod", Name="live", FunctionVersion="1")


def test_commit_behind_production_is_refused(repository, starter, aws):
    """Going back is a rollback, never a promotion; the line says so."""
    old, new = repository.commit(), repository.commit()
    production_runs(new, aws)

    line = the_line(starter("promote", old, AWS_ENDPOINT_URL=aws))

    assert line.startswith(f"{old[:12]} is behind what production runs ({new[:12]})")
    assert "starter.py rollback" in line


def test_commit_that_production_runs_is_refused(repository, starter, aws):
    """There is nothing to promote."""
    sha = repository.commit()
    production_runs(sha, aws)

    line = the_line(starter("promote", sha, AWS_ENDPOINT_URL=aws))

    assert line == f"production runs {sha[:12]} already"


def test_production_without_a_first_release_is_refused(repository, starter, aws):
    """A promotion moves traffic from something: there has to be one."""
    repository.commit()

    line = the_line(starter("promote", "main", AWS_ENDPOINT_URL=aws))

    assert line.startswith("production has no first release")


def test_good_commit_without_aws_is_unreachable_not_bad_input(repository, starter):
    """Exit code 3 says that the input is fine and that somebody does not answer."""
    repository.commit()

    done = starter("promote", "main")

    assert done.returncode == 3
    assert done.stdout == ""
    assert done.stderr.startswith("error: AWS does not answer")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("command", [("promote", "main"), ("history",), ("diff", "1.0.0", "1.0.1")])
@pytest.mark.parametrize("region", ["", "nowhere at all"])
def test_wrong_region_is_one_clear_line(repository, starter, command, region):
    """Nothing was asked yet; what to set is said."""
    repository.commit()

    done = starter(*command, AWS_DEFAULT_REGION=region, AWS_ENDPOINT_URL="")

    assert done.returncode == 3
    [line] = done.stderr.splitlines()
    assert line.startswith("error: AWS cannot be asked: ")
    assert "Set AWS_REGION" in line


@pytest.mark.parametrize("name", ["alice", "bob"])
def test_release_that_nobody_could_approve_is_refused(repository, starter, aws, name):
    """Who requests it does not count; the only lead cannot request. Said now, not after a day."""
    live = repository.commit()
    production_runs(live, aws)
    repository.commit("feat: more")

    line = the_line(starter("promote", "main", "--as", name, AWS_ENDPOINT_URL=aws))

    assert line.startswith("nobody can approve as ")
    assert line.endswith(f"requester and authors do not count ({name})")
