"""The signed DynamoDB client: its signature, and what it does when DynamoDB fails."""

import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import botocore
import pytest
import trustme
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.service.service_parts import HANG_UP, Listener, Reply, settings_of

OK = Reply(200, b'{"Item":{}}')
THROTTLED = Reply(400, b'{"__type":"com.amazon.coral#ThrottlingException","message":"slow"}')
BROKEN = Reply(500, b"{}")


@pytest.mark.parametrize(
    ("method", "signature"),
    [
        ("GET", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        ("POST", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
    ],
)
def test_signature_is_the_published_one(
    price_lambda: SimpleNamespace, method: str, signature: str
) -> None:
    """AWS's test suite for Signature Version 4, cases get-vanilla and post-vanilla."""
    credentials = price_lambda.variables.Credentials(
        "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
    )
    signer = price_lambda.sigv4.Signer(credentials, "us-east-1", "service")
    headers = {"host": "example.amazonaws.com", "x-amz-date": "20150830T123600Z"}

    assert signer.authorization(method, "/", headers, b"") == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        f"SignedHeaders=host;x-amz-date, Signature={signature}"
    )


words = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40)


@settings(max_examples=50, deadline=None)
@given(payload=st.binary(max_size=200), secret=words, token=words, region=words)
def test_signature_is_botocores(
    price_lambda: SimpleNamespace, payload: bytes, secret: str, token: str, region: str
) -> None:
    """For any payload, secret, token and region, botocore signs the same."""
    reference = AWSRequest("POST", "https://dynamodb.example.com/", data=payload)
    reference.headers["X-Amz-Target"] = "DynamoDB_20120810.GetItem"
    SigV4Auth(Credentials("AKID", secret, token), "dynamodb", region).add_auth(reference)
    headers = {
        "host": "dynamodb.example.com",
        "x-amz-date": reference.headers["X-Amz-Date"],
        "x-amz-security-token": token,
        "x-amz-target": "DynamoDB_20120810.GetItem",
    }
    credentials = price_lambda.variables.Credentials("AKID", secret, token)
    signer = price_lambda.sigv4.Signer(credentials, region, "dynamodb")

    assert signer.authorization("POST", "/", headers, payload) == reference.headers["Authorization"]


def client_of(lambda_: SimpleNamespace, endpoint: str) -> Any:
    return lambda_.dynamodb.DynamoDB(
        settings_of(lambda_, endpoint, "t", AWS_SESSION_TOKEN="session")
    )


@pytest.mark.parametrize("failure", [BROKEN, THROTTLED, Reply(200, b"not json"), HANG_UP])
def test_passing_failure_is_tried_again(
    price_lambda: SimpleNamespace, listener: Listener, failure: Reply
) -> None:
    """5xx, throttling, nonsense and a broken connection: three more tries."""
    listener.replies = [failure, failure, failure, OK]

    assert client_of(price_lambda, listener.url).call("GetItem", {}) == {"Item": {}}


def test_patience_ends_after_three_retries(
    price_lambda: SimpleNamespace, listener: Listener
) -> None:
    """The fourth failure is the last."""
    listener.replies = [BROKEN] * 4 + [OK]

    with pytest.raises(price_lambda.dynamodb.UnavailableError, match="HTTP 500"):
        client_of(price_lambda, listener.url).call("GetItem", {})
    assert len(listener.requests) == 4


def test_refusal_is_not_tried_again(price_lambda: SimpleNamespace, listener: Listener) -> None:
    """What DynamoDB refuses, it would refuse again."""
    listener.replies = [Reply(400, b'{"__type":"x#ValidationException","message":"no"}')]

    with pytest.raises(price_lambda.dynamodb.DynamoDBError, match="ValidationException: no"):
        client_of(price_lambda, listener.url).call("GetItem", {})
    assert len(listener.requests) == 1


def test_silent_server_is_given_up(price_lambda: SimpleNamespace) -> None:
    """A server that accepts and says nothing costs the timeout, not the request's whole time."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = client_of(price_lambda, f"http://127.0.0.1:{silent.getsockname()[1]}")
        started = time.monotonic()

        with pytest.raises(price_lambda.dynamodb.UnavailableError):
            client.call("GetItem", {}, price_lambda.dynamodb.Patience(0.1, 1))
    assert 0.2 <= time.monotonic() - started < 2


def test_connection_is_kept_and_replaced_when_lost(
    price_lambda: SimpleNamespace, listener: Listener
) -> None:
    """Calls share a connection; one that the server closed in between costs no retry."""
    client = client_of(price_lambda, listener.url)
    once = price_lambda.dynamodb.Patience(3, 0)
    listener.replies = [OK, OK, HANG_UP, OK]

    for _ in range(3):
        client.call("GetItem", {}, once)

    assert [request.connection for request in listener.requests] == [0, 0, 0, 1]


def test_request_is_signed_with_the_session_token(
    price_lambda: SimpleNamespace, listener: Listener
) -> None:
    """Operation, token and signature are in the headers, the body is as given."""
    listener.replies = [OK]
    client_of(price_lambda, listener.url).call("GetItem", {"TableName": "t"})

    request = listener.requests[0]
    assert request.headers["x-amz-target"] == "DynamoDB_20120810.GetItem"
    assert request.headers["x-amz-security-token"] == "session"
    assert "x-amz-security-token" in request.headers["authorization"]
    assert json.loads(request.body) == {"TableName": "t"}


@pytest.mark.parametrize(
    ("environment", "endpoint"),
    [
        ({}, "https://dynamodb.eu-west-1.amazonaws.com"),
        ({"AWS_ENDPOINT_URL": "http://a:1"}, "http://a:1"),
        (
            {"AWS_ENDPOINT_URL": "http://a:1", "AWS_ENDPOINT_URL_DYNAMODB": "http://b:2"},
            "http://b:2",
        ),
    ],
)
def test_endpoint_is_aws_unless_told(
    price_lambda: SimpleNamespace, environment: dict[str, str], endpoint: str
) -> None:
    """The service's own endpoint variable wins over the general one, as in every AWS SDK."""
    base = {"TABLE_NAME": "t", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}

    assert price_lambda.variables.Settings.from_environment({**base, **environment}).endpoint == (
        endpoint
    )


def test_roots_are_amazons_and_known_to_botocore(price_lambda: SimpleNamespace) -> None:
    """Each root that the client trusts on AWS stands, to the byte, in botocore's own bundle."""
    roots = Path(price_lambda.variables.AMAZON_ROOTS).read_text()
    known = (Path(botocore.__file__).parent / "cacert.pem").read_text()
    certificates = re.findall(r"-----BEGIN.*?-----END CERTIFICATE-----", roots, re.S)

    names: list[str] = re.findall(r"^# (.*), until", roots, re.M)
    assert [name.split()[0] for name in names] == ["Amazon"] * 4 + ["Starfield"]
    assert len(certificates) == 5
    assert all(_bytes_of(one) in _bytes_of(known) for one in certificates)


def _bytes_of(pem: str) -> str:
    return re.sub(r"-----[A-Z ]+-----|\s", "", pem)


@pytest.mark.parametrize(
    ("environment", "bundle"),
    [
        ({}, "amazon_roots.pem"),
        ({"AWS_CA_BUNDLE": "/etc/own.pem"}, "own.pem"),
        ({"AWS_ENDPOINT_URL": "https://a:1"}, None),
    ],
)
def test_bundle_of_the_person_wins(
    price_lambda: SimpleNamespace, environment: dict[str, str], bundle: str | None
) -> None:
    """AWS's roots for AWS, the system's for an endpoint of one's own, AWS_CA_BUNDLE for both."""
    base = {"TABLE_NAME": "t", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}

    found = price_lambda.variables.Settings.from_environment({**base, **environment}).ca_bundle

    assert (found and Path(found).name) == bundle


def test_server_of_another_root_is_not_trusted(
    price_lambda: SimpleNamespace, tmp_path: Path
) -> None:
    """Over TLS the server's certificate must come from a root of the bundle, and be its own."""
    ours, another = trustme.CA(), trustme.CA()
    ours.cert_pem.write_to_path(str(tmp_path / "ours.pem"))
    another.cert_pem.write_to_path(str(tmp_path / "another.pem"))
    with Listener(tls=ours.issue_cert("127.0.0.1")) as listener:
        listener.replies = [OK]

        def call(bundle: str, host: str = "127.0.0.1") -> Any:
            url = listener.url.replace("127.0.0.1", host)
            settings = settings_of(price_lambda, url, "t", AWS_CA_BUNDLE=str(tmp_path / bundle))
            patience = price_lambda.dynamodb.Patience(3, 0)
            return price_lambda.dynamodb.DynamoDB(settings).call("GetItem", {}, patience)

        assert call("ours.pem") == {"Item": {}}
        with pytest.raises(price_lambda.dynamodb.UnavailableError, match="CERTIFICATE_VERIFY"):
            call("another.pem")
        with pytest.raises(price_lambda.dynamodb.UnavailableError, match="CERTIFICATE_VERIFY"):
            call("ours.pem", host="localhost")


NO_HTTP = [
    b"",
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\n{}",
    b"SSH-2.0-OpenSSH\r\n\r\n",
    b"HTTP/1.1 abc\r\ncontent-length: 2\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\ncontent-length: -2\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\nx: " + b"y" * 70_000,
]


@contextmanager
def saying(*answers: bytes) -> Iterator[str]:
    """A server that says these bytes, one after each request, and hangs up after the last."""

    def serve() -> None:
        connection, _ = server.accept()
        with connection:
            for answer in answers:
                connection.recv(65_536)
                connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        thread.join()


@pytest.mark.parametrize("answer", NO_HTTP, ids=lambda answer: repr(answer[:40]))
def test_answer_that_is_no_http_is_as_good_as_none(
    price_lambda: SimpleNamespace, answer: bytes
) -> None:
    """Cut short, of another protocol, without a length: a failed try, never a wrong answer."""
    with saying(answer) as url, pytest.raises(price_lambda.dynamodb.UnavailableError):
        client_of(price_lambda, url).call("GetItem", {}, price_lambda.dynamodb.Patience(3, 0))


def test_answer_is_read_whatever_way_it_is_written(price_lambda: SimpleNamespace) -> None:
    """An interim answer, other cases of names, blanks, and a body that comes apart."""
    interim = b"HTTP/1.1 100 Continue\r\n\r\n"
    first = interim + b"HTTP/1.1 200 \r\nCONTENT-Length:   11 \r\nX-A: b:c\r\n\r\n" + b'{"Item":{}}'
    last = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: Close\r\n\r\n{}"
    with saying(first, last) as url:
        client = client_of(price_lambda, url)
        once = price_lambda.dynamodb.Patience(3, 0)

        assert client.call("GetItem", {}, once) == {"Item": {}}
        assert client.call("GetItem", {}, once) == {}
    assert client._connection is None  # the server said that it closes
