"""Whatever AWS or Temporal says no with, the person gets one line that says what to do.

Every fault is made for real: an HTTP server with AWS's own error shapes, an expired certificate, a
closed port, a port that never answers. Nothing is started, and AWS gets no write.
"""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from aws_faults_parts import Refusal, listening, refusing_aws, tls

ROLE = "arn:aws:sts::123456789012:assumed-role/crypto-watch-release-starter/carol"
FUNCTION = "arn:aws:lambda:eu-west-1:123456789012:function:crypto-watch-api-prod"
DENIED = f"User: {ROLE} is not authorized to perform: lambda:GetAlias on resource: {FUNCTION}"

EXPIRED = Refusal(
    403,
    "ExpiredTokenException",
    "The security token included in the request is expired",
    "ExpiredToken",
)
UNKNOWN = Refusal(
    403,
    "UnrecognizedClientException",
    "The security token included in the request is invalid.",
    "InvalidAccessKeyId",
)
BAD_SIGNATURE = Refusal(
    403,
    "InvalidSignatureException",
    "The request signature we calculated does not match the signature you provided.",
    "SignatureDoesNotMatch",
)
SKEWED = Refusal(
    403,
    "InvalidSignatureException",
    "Signature expired: 20260101T000000Z is now earlier than 20260101T005500Z",
    "RequestTimeTooSkewed",
)
NOT_ALLOWED = Refusal(
    403,
    "AccessDeniedException",
    f"{DENIED} because no identity-based policy allows the lambda:GetAlias action",
    "AccessDenied",
)
DENIED_ELSEWHERE = Refusal(
    403,
    "AccessDeniedException",
    f"{DENIED} with an explicit deny in a service control policy",
    "AccessDenied",
)
THROTTLED = Refusal(429, "TooManyRequestsException", "Rate exceeded", "SlowDown")
BROKEN = Refusal(503, "ServiceUnavailableException", "try later", "InternalError")

# the fault, how its line begins, and what it tells the person to do
FAULTS = [
    pytest.param(EXPIRED, "AWS credentials: they have expired", "`aws sso login`", id="expired"),
    pytest.param(
        UNKNOWN, "AWS credentials: AWS does not know", "look at AWS_PROFILE", id="unknown"
    ),
    pytest.param(
        BAD_SIGNATURE,
        "AWS credentials: AWS does not know",
        "look at AWS_PROFILE",
        id="wrong-secret",
    ),
    pytest.param(
        SKEWED, "AWS credentials: signed at a time", "set this machine's clock", id="clock"
    ),
    pytest.param(
        NOT_ALLOWED, "AWS refused: ", "grant it in infra/account.yaml", id="missing-permission"
    ),
    pytest.param(
        DENIED_ELSEWHERE, "AWS refused: ", "explicit deny in a service control policy", id="denied"
    ),
    pytest.param(
        THROTTLED, "AWS throttles: too many calls", "try again in a minute", id="throttled"
    ),
    pytest.param(
        BROKEN, "AWS does not answer: its own fault", "try again in a minute", id="broken"
    ),
]
# by the first service that each asks
OF_DYNAMODB, OF_SECRETS = ("history",), ("approvers", "list")
OF_S3 = ("incident", "promotion/crypto-watch/" + "a" * 12)


def the_line(done, code: int = 3) -> str:
    """The one line of a command that could not do it."""
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    [line] = done.stderr.splitlines()
    assert line.startswith("error: ")
    return line.removeprefix("error: ")


@pytest.mark.parametrize(("refusal", "begins", "says"), FAULTS)
def test_aws_says_no_in_one_line_that_says_what_to_do(
    repository, starter, refusal: Refusal, begins: str, says: str
) -> None:
    """Each of AWS's refusals ends a promotion before it starts; nothing was written."""
    repository.commit()

    with refusing_aws(refusal) as aws:
        line = the_line(starter("promote", "main", AWS_ENDPOINT_URL=aws.url))

    assert line.startswith(begins)
    assert says in line
    assert {method for method, _ in aws.calls} == {"GET"}


@pytest.mark.parametrize("command", [OF_DYNAMODB, OF_SECRETS, OF_S3], ids=lambda c: c[0])
@pytest.mark.parametrize(
    ("refusal", "begins"),
    [
        (EXPIRED, "AWS credentials: they have expired"),
        (NOT_ALLOWED, "AWS refused: "),
        (THROTTLED, "AWS throttles: "),
    ],
    ids=["expired", "missing-permission", "throttled"],
)
def test_every_protocol_of_aws_is_understood(
    repository, starter, command: tuple[str, ...], refusal: Refusal, begins: str
) -> None:
    """DynamoDB, Secrets Manager and S3 each have their own names and shapes for the same thing."""
    repository.commit()

    with refusing_aws(refusal) as aws:
        line = the_line(starter(*command, AWS_ENDPOINT_URL=aws.url))

    assert line.startswith(begins)
    assert aws.calls


def test_missing_permission_names_who_may_not_do_what(repository, starter) -> None:
    """The line is what the account's administrator needs: role, action, resource, where."""
    repository.commit()

    with refusing_aws(NOT_ALLOWED) as aws:
        line = the_line(starter("promote", "main", AWS_ENDPOINT_URL=aws.url))

    assert line.startswith(f"AWS refused: {ROLE} may not lambda:GetAlias on {FUNCTION}; grant it")


def test_break_glass_says_the_same(repository, starter) -> None:
    """At 3 a.m. too: expired credentials are named, for each function, and nothing is back."""
    repository.commit()

    with refusing_aws(EXPIRED) as aws:
        done = starter(
            "rollback", "--break-glass", "--reason", "customers call", AWS_ENDPOINT_URL=aws.url
        )

    assert done.returncode == 1
    assert done.stdout.count("is NOT back: AWS credentials: they have expired") == 2
    assert "PUT" not in {method for method, _ in aws.calls}


def test_programs_get_an_object(repository, starter) -> None:
    """With --json the line is an object on stdout, with the exit code."""
    repository.commit()

    with refusing_aws(EXPIRED) as aws:
        done = starter("promote", "main", "--json", AWS_ENDPOINT_URL=aws.url)

    answer = json.loads(done.stdout)
    assert answer["error"].startswith("AWS credentials: they have expired")
    assert answer["exit_code"] == done.returncode == 3
    assert done.stderr == f"error: {answer['error']}\n"


def test_no_credentials_at_all(repository, starter) -> None:
    """Nothing was set up: what to set is said, without asking anybody."""
    repository.commit()

    line = the_line(
        starter(
            "promote",
            "main",
            AWS_ACCESS_KEY_ID="",
            AWS_SECRET_ACCESS_KEY="",
            AWS_EC2_METADATA_DISABLED="true",
        )
    )

    assert line.startswith("AWS credentials: ")
    assert "set AWS_PROFILE or a role" in line


def test_profile_that_is_not_there(repository, starter) -> None:
    """A slip in the profile's name is named."""
    repository.commit()

    line = the_line(starter("promote", "main", AWS_PROFILE="prodution"))

    assert "(prodution)" in line
    assert "profile" in line


def test_region_that_does_not_exist(repository, starter) -> None:
    """Its endpoint has no address: the line shows it and asks for the region."""
    repository.commit()

    line = the_line(
        starter("promote", "main", AWS_DEFAULT_REGION="eu-nowhere-1", AWS_ENDPOINT_URL="")
    )

    assert line.startswith("AWS does not answer: ")
    assert "eu-nowhere-1" in line
    assert "is AWS_REGION right" in line


@pytest.mark.parametrize(
    ("expired", "says"),
    [(True, "its certificate has expired"), (False, "its certificate is not trusted")],
)
def test_certificate_before_aws(
    repository, starter, tmp_path: Path, expired: bool, says: str
) -> None:
    """A proxy's expired or unknown certificate is told apart from a silent network."""
    repository.commit()
    context, trusted = tls(tmp_path, expired=expired)
    trusts = {"AWS_CA_BUNDLE": trusted} if expired else {}

    with listening(context) as port:
        where = f"https://127.0.0.1:{port}"
        line = the_line(starter("promote", "main", AWS_ENDPOINT_URL=where, **trusts))

    assert line.startswith("AWS does not answer: https://127.0.0.1:")
    assert says in line
    assert "AWS_CA_BUNDLE" in line


# a command that asks Temporal alone
STATUS = ("status", "promotion/crypto-watch/" + "a" * 12)
Settings = Callable[[Path, int], dict[str, str]]


def _trusting(folder: Path, port: int) -> dict[str, str]:
    return {
        "TEMPORAL_ADDRESS": f"127.0.0.1:{port}",
        "TEMPORAL_TLS": "true",
        "TEMPORAL_TLS_SERVER_CA_CERT_PATH": str(folder / "authority.pem"),
    }


def _not_trusting(folder: Path, port: int) -> dict[str, str]:
    return {"TEMPORAL_ADDRESS": f"127.0.0.1:{port}", "TEMPORAL_TLS": "true"}


@pytest.mark.parametrize(
    ("expired", "settings", "says"),
    [
        (True, _trusting, "the server's certificate has expired"),
        (False, _not_trusting, "the server's certificate is signed by none that is trusted"),
    ],
)
def test_certificate_of_temporal(
    starter, tmp_path: Path, expired: bool, settings: Settings, says: str
) -> None:
    """An expired certificate is not "does not answer"; the line says whose matter it is."""
    context, _ = tls(tmp_path, expired=expired)

    with listening(context) as port:
        line = the_line(starter(*STATUS, **settings(tmp_path, port)))

    assert line.startswith(f"Temporal at 127.0.0.1:{port}: {says}")


def test_closed_port_of_temporal(starter) -> None:
    """Nobody listens."""
    line = the_line(starter(*STATUS, TEMPORAL_ADDRESS="127.0.0.1:9"))

    assert line == (
        "Temporal at 127.0.0.1:9: nothing listens there: is the server up, is TEMPORAL_ADDRESS "
        "right?; on a laptop start it with `starter.py up`"
    )


def test_port_of_temporal_that_never_answers(starter) -> None:
    """Somebody listens and says nothing: the command ends all the same, in ten seconds."""
    with listening() as port:
        line = the_line(starter(*STATUS, TEMPORAL_ADDRESS=f"127.0.0.1:{port}"))

    assert line.startswith(f"Temporal at 127.0.0.1:{port}: it does not answer")


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"TEMPORAL_ADDRESS": "not an address"}, "that is no address; write host:port"),
        ({"TEMPORAL_PROFILE": "prodution"}, "Profile 'prodution' not found"),
        ({"TEMPORAL_CONFIG_FILE": "{folder}/broken.toml"}, "TOML parse error"),
        (
            {"TEMPORAL_TLS_CLIENT_CERT_PATH": "{folder}/gone.pem", "TEMPORAL_TLS": "true"},
            "No such file or directory",
        ),
    ],
    ids=["address", "profile", "file", "certificate"],
)
def test_settings_of_temporal_that_cannot_be_used(
    starter, tmp_path: Path, variables: dict[str, str], says: str
) -> None:
    """A slip in the settings is a line that names them, not a traceback."""
    (tmp_path / "broken.toml").write_text("[profile")
    named = {name: value.format(folder=tmp_path) for name, value in variables.items()}

    line = the_line(starter(*STATUS, **named))

    assert says in line


def test_good_commit_with_temporal_down_starts_nothing(repository, starter) -> None:
    """What AWS refuses is said before Temporal is asked: a promotion is never half started."""
    repository.commit()

    with refusing_aws(NOT_ALLOWED) as aws, listening() as port:
        line = the_line(
            starter(
                "promote", "main", AWS_ENDPOINT_URL=aws.url, TEMPORAL_ADDRESS=f"127.0.0.1:{port}"
            )
        )

    assert line.startswith("AWS refused: ")
