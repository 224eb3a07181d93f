"""`starter.py approvers`: give an approver a secret for one-time codes; see who has one."""

import json
import sys
from typing import Any

import pyotp
import segno

from activities.secrets import unlogged
from cli import aws, promotions
from cli.errors import OK, CliError, Refused
from release.policy import Policy
from release.proof import secret_name


def enrol(secrets: Any, service: str, name: str, *, replace: bool = False) -> str:
    """The otpauth:// address of the approver's new secret; it is shown nowhere else again.

    Raises:
        CliError: no secret can have that name.
        Refused: there is a secret, and it is not to be replaced.
    """
    secret_id = secret_name(service, name)
    if secret_id is None:
        raise CliError(f"{name!r}: a name with a secret has letters, digits and _+=.@- only")
    secret = pyotp.random_base32()
    with unlogged():
        try:
            secrets.create_secret(
                Name=secret_id, SecretString=secret, Description="one-time codes of an approver"
            )
        except secrets.exceptions.ResourceExistsException:
            if not replace:
                raise Refused(f"{name} has a secret; a new one needs --replace") from None
            secrets.put_secret_value(SecretId=secret_id, SecretString=secret)
    return pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=service)


def run(arguments: Any) -> int:
    """Enrol one approver, or list all."""
    repository = promotions.commits()
    policy = repository.policy(repository.resolve(repository.branch))
    secrets = aws.client("secretsmanager")
    with aws.asking("work on the approvers' secrets"):
        if arguments.action == "enrol":
            return _enrol(secrets, policy, arguments)
        return _list(secrets, policy, arguments)


def _enrol(secrets: Any, policy: Policy, arguments: Any) -> int:
    name = arguments.approver
    known = _roles_of_people(policy)
    if name not in known:
        raise CliError(f"{name!r} is no approver in release.toml; there is: {', '.join(known)}")
    address = enrol(secrets, policy.service, name, replace=arguments.replace)
    if arguments.json:
        print(json.dumps({"name": name, "roles": known[name], "uri": address}))
        return OK
    if sys.stdout.isatty():
        segno.make(address).terminal(compact=True)
    print(address)
    print(
        f"\nThis is shown this once. Let {name} scan it with an authenticator app, or type it there"
        "; whoever has it can approve as them."
    )
    return OK


def _list(secrets: Any, policy: Policy, arguments: Any) -> int:
    rows = [
        (name, roles, _has_secret(secrets, policy.service, name))
        for name, roles in _roles_of_people(policy).items()
    ]
    if arguments.json:
        print(json.dumps([dict(zip(("name", "roles", "enrolled"), r, strict=True)) for r in rows]))
        return OK
    for name, roles, enrolled in rows:
        print(f"{name:<20}  {'enrolled' if enrolled else 'no secret':<9}  {', '.join(roles)}")
    return OK


def _has_secret(secrets: Any, service: str, name: str) -> bool:
    """Whether there is one; it is not read."""
    secret_id = secret_name(service, name)
    if secret_id is None:
        return False
    try:
        return "DeletedDate" not in secrets.describe_secret(SecretId=secret_id)
    except secrets.exceptions.ResourceNotFoundException:
        return False


def _roles_of_people(policy: Policy) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for role, entry in policy.approval.roles.items():
        for name in entry.people:
            found.setdefault(name, []).append(role)
    return found
