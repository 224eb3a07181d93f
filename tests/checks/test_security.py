"""The security checks fail where a key is not asked for, or stands in a log."""

import re
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from release.api_keys import new_key
from release.verdict import Verdict
from tests.checks.staging_parts import Answer, Cloud, bent, plain


@contextmanager
def logged(cloud: Cloud, *lines: str, function: str = "api", version: str = "1") -> Iterator[str]:
    """The lines stand in the log of a function's version for as long as it is needed."""
    group = f"/aws/lambda/{cloud.order.functions[function]}"
    stream = f"2025/01/31/[{version}]{uuid.uuid4().hex}"
    cloud.aws.logs.create_log_stream(logGroupName=group, logStreamName=stream)
    events = [{"timestamp": int(time.time() * 1000), "message": line} for line in lines]
    cloud.aws.logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)
    yield stream
    cloud.aws.logs.delete_log_stream(logGroupName=group, logStreamName=stream)


@pytest.mark.parametrize("name", ["invalid-key", "missing-key"])
def test_key_that_is_not_asked_for_fails(cloud: Cloud, name: str) -> None:
    """A route that lets in without a good key is named."""

    def bend(path: str, answer: httpx.Response) -> Answer | None:
        is_it = answer.status_code == 401 and path == "/prices/BTC"
        return (200, {}, b"{}") if is_it else None

    with bent(cloud.url, bend) as url:
        evidence = cloud.failed(name, url=url)

    assert evidence.startswith("GET /prices/BTC with ")
    assert "/prices?" not in evidence


def test_refusal_with_another_status_fails(cloud: Cloud) -> None:
    """The status of a refused key is 401, not 403."""

    def bend(path: str, answer: httpx.Response) -> Answer | None:
        return (403, *plain(answer)[1:]) if answer.status_code == 401 else None

    with bent(cloud.url, bend) as url:
        assert "with no key: status 403, not 401" in cloud.failed("missing-key", url=url)


def test_full_key_in_a_log_line_fails_masked_keys(cloud: Cloud) -> None:
    """Any full key is found, in either function's log, and never repeated in the evidence."""
    key = new_key("prod")

    with logged(cloud, "started", f'{{"headers": "x-api-key: {key}"}}', function="fetcher") as at:
        evidence = cloud.failed("masked-keys")

    assert key not in evidence
    assert evidence == (
        f"cw_live_****{key[-4:]} in full in /aws/lambda/crypto-watch-fetcher-staging {at} "
        "(1 lines): rotate the key, delete the stream"
    )


def test_masked_keys_pass(cloud: Cloud) -> None:
    """The form in which the service logs a key is fine, and is seen."""
    with logged(cloud, '{"apiKey": "cw_test_****abcd"}'):
        evidence = cloud.passed("masked-keys")

    assert re.search(
        r"no full key in [\d,]+ lines of 2 log groups since .*; [\d,]+ lines", evidence
    )


def test_plain_http_beyond_loopback_fails_https(cloud: Cloud) -> None:
    """An address that is not HTTPS is wrong by itself; nothing is sent."""
    evidence = cloud.failed("https", url="http://staging.example.com")

    assert evidence == "staging's address is http://staging.example.com, plain HTTP"


def test_plain_http_beside_https_fails_https(cloud: Cloud) -> None:
    """HTTPS is enforced only where plain HTTP gets no answer."""
    with bent(cloud.url, lambda path, answer: None) as url:
        evidence = cloud.failed("https", url=url.replace("http://", "https://"))

    assert evidence == f"{url}/health is answered with 200"


def test_plain_http_on_loopback_is_not_applicable(cloud: Cloud) -> None:
    """The laptop's staging has no certificate, and the result says why that is no failure."""
    result = cloud.check("https")["https"]

    assert result.verdict is Verdict.NOT_APPLICABLE
    assert result.evidence == f"{cloud.url} is plain HTTP on this machine's loopback"
