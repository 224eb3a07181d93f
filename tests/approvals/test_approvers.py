"""`starter.py approvers`: a secret is shown once, proves its owner, and is not lost by accident."""

import contextlib
import json
from argparse import Namespace

import pyotp
import pytest

from cli import approvers
from cli.errors import CliError, Refused
from release.proof import secret_name
from tests.commands.conftest import POLICY, Repository

SERVICE = "crypto-watch"


@pytest.fixture
def run(endpoint, secrets, tmp_path, monkeypatch, capsys):
    """Runs one action in a repository with the project's own policy; the text that it prints."""
    for name in ("alice", "bob"):
        with contextlib.suppress(secrets.exceptions.ResourceNotFoundException):
            secrets.delete_secret(
                SecretId=secret_name(SERVICE, name), ForceDeleteWithoutRecovery=True
            )
    folder = tmp_path / "repository"
    folder.mkdir()
    Repository(folder).commit(policy=POLICY)
    for variable, value in {
        "RELEASE_REPOSITORY": str(folder),
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
    }.items():
        monkeypatch.setenv(variable, value)

    def run(action: str, approver: str = "", **options: bool) -> str:
        known = {"json": False, "replace": False, "name": "dora"}
        given = Namespace(action=action, approver=approver, **{**known, **options})
        assert approvers.run(given) == 0
        return capsys.readouterr().out

    return run


def stored(secrets, name: str) -> str:
    """The secret that Secrets Manager has."""
    text: str = secrets.get_secret_value(SecretId=secret_name(SERVICE, name))["SecretString"]
    return text


def test_enrolled_approver_has_a_secret_of_160_bits(run, secrets):
    """The address is what authenticator apps take; it holds the secret that is stored."""
    address = run("enrol", "alice").splitlines()[0]

    totp = pyotp.parse_uri(address)
    assert totp.secret == stored(secrets, "alice")
    assert (totp.name, totp.issuer, len(totp.byte_secret())) == ("alice", SERVICE, 20)


def test_second_enrolment_is_refused(run, secrets):
    """A working secret is not lost by a slip."""
    run("enrol", "alice")
    before = stored(secrets, "alice")

    with pytest.raises(Refused, match="--replace"):
        run("enrol", "alice")
    assert stored(secrets, "alice") == before


def test_replace_makes_a_new_secret(run, secrets):
    """A lost phone: the old secret is worth nothing from now on."""
    run("enrol", "alice")
    before = stored(secrets, "alice")

    run("enrol", "alice", replace=True)

    assert stored(secrets, "alice") != before


def test_list_says_who_has_one_and_shows_none(run, secrets):
    """Names, roles and whether there is a secret."""
    run("enrol", "bob")

    text = run("list")

    assert [line.split() for line in text.splitlines()] == [
        ["alice", "no", "secret", "technical_lead"],
        ["bob", "enrolled", "operations_lead"],
        ["paula", "no", "secret", "product_owner"],
    ]
    assert json.loads(run("list", json=True)) == [
        {"name": "alice", "roles": ["technical_lead"], "enrolled": False},
        {"name": "bob", "roles": ["operations_lead"], "enrolled": True},
        {"name": "paula", "roles": ["product_owner"], "enrolled": False},
    ]
    assert stored(secrets, "bob") not in text


def test_somebody_who_is_no_approver_is_not_enrolled(run):
    """A typing slip makes no secret; the line says who there is."""
    with pytest.raises(CliError, match=r"'alicia' is no approver .* there is: alice, bob, paula"):
        run("enrol", "alicia")


def test_enrolment_for_programs(run, secrets):
    """`--json` gives the address, once."""
    shown = json.loads(run("enrol", "alice", json=True))

    assert shown["name"] == "alice"
    assert pyotp.parse_uri(shown["uri"]).secret == stored(secrets, "alice")
