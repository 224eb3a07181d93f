"""Notices over real loopback listeners: what arrives, what does not, and nothing is held up."""

import contextlib
import hashlib
import hmac
import json
import logging
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest
import trustme
from temporalio.testing import ActivityEnvironment

from activities.inputs import NoticeInput
from activities.notify import MAX_MARKDOWN, Notify, Patience
from release.channels import Channel, ChannelKind, Delivery, DeliveryOutcome
from tests.local import front_door_parts as parts
from tests.service.service_parts import HANG_UP, Listener, Reply

PATIENCE = Patience(connect_seconds=0.5, answer_seconds=0.4, pause_seconds=0.05, whole_seconds=5)
PATH = "/services/T0SECRET/B0SECRET/x0SECRET"
OK = Reply(200, b"ok")


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    """One client for all: it loads the certificates once, as the worker does."""
    with httpx.Client(trust_env=False) as client:
        yield client


@pytest.fixture
def listener() -> Iterator[Listener]:
    """A receiver that takes everything."""
    with Listener() as listener:
        listener.replies = [OK]
        yield listener


@pytest.fixture
def channel(secret):
    """A channel whose address lies in a secret."""

    def make(url: str, kind: str = "webhook", name: str = "team", **fields: Any) -> Channel:
        return Channel(kind=ChannelKind(kind), name=name, url_secret=secret(url), **fields)

    return make


@pytest.fixture
def tell(secrets, http):
    """Sends one notice; what became of it in each channel."""

    def send(*channels: Channel, patience: Patience = PATIENCE, **fields: Any) -> list[Delivery]:
        activity = Notify(secrets, http, patience)
        found: list[Delivery] = ActivityEnvironment().run(
            activity.notify, notice(channels, **fields)
        )
        return found

    return send


def notice(channels: tuple[Channel, ...], **fields: Any) -> NoticeInput:
    """A request for approval."""
    known = {
        "event": "approval_requested",
        "service": "shop",
        "sha": "c0ffee" * 6 + "beef",
        "version": "1.2.3",
        "promotion": "promotion/shop/c0ffeec0ffee",
        "title": "Approve shop 1.2.3 for production?",
        "markdown": "## Request\n\n- [x] done",
        "url": "https://temporal.example.org/w/1",
        "at": datetime(2024, 1, 15, 9, 30, tzinfo=UTC),
    }
    return NoticeInput(channels=channels, **{**known, **fields})


def outcome(deliveries: list[Delivery]) -> tuple[str, str]:
    """Of the one channel."""
    [delivery] = deliveries
    return delivery.outcome.value, delivery.reason


@contextlib.contextmanager
def accepting(answer: bytes = b"", every_seconds: float = 0) -> Iterator[str]:
    """A server that accepts connections, and drips an answer or gives none at all."""
    done = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken: list[socket.socket] = []

        def serve() -> None:
            with contextlib.suppress(OSError):
                while not done.is_set():
                    connection, _ = server.accept()
                    taken.append(connection)
                    threading.Thread(target=drip, args=(connection,), daemon=True).start()

        def drip(connection: socket.socket) -> None:
            with contextlib.suppress(OSError):
                for byte in answer:
                    connection.sendall(bytes([byte]))
                    if done.wait(every_seconds):
                        return

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}{PATH}"
        done.set()
        for connection in taken:
            connection.close()


def test_webhook_gets_the_notice_as_json(tell, channel, listener):
    """Everything that a program needs, and nothing of other channels."""
    assert outcome(tell(channel(listener.url + PATH))) == ("delivered", "")

    [request] = listener.requests
    assert request.path == PATH
    assert request.headers["content-type"] == "application/json; charset=utf-8"
    assert json.loads(request.body) == {
        "event": "approval_requested",
        "service": "shop",
        "sha": "c0ffee" * 6 + "beef",
        "version": "1.2.3",
        "promotion": "promotion/shop/c0ffeec0ffee",
        "title": "Approve shop 1.2.3 for production?",
        "markdown": "## Request\n\n- [x] done",
        "url": "https://temporal.example.org/w/1",
        "at": "2024-01-15T09:30:00Z",
    }


def test_signature_is_of_the_body_as_it_was_sent(tell, channel, listener, secret):
    """The receiver, who has the key, can tell that the notice is ours and whole."""
    tell(channel(listener.url, signing_secret=secret("s1gn1ng")), markdown="naïve — ✓")

    [request] = listener.requests
    mac = hmac.new(b"s1gn1ng", request.body, hashlib.sha256).hexdigest()
    assert request.headers["x-release-signature"] == f"sha256={mac}"


def test_webhook_without_a_key_is_not_signed(tell, channel, listener):
    """No header is better than one that proves nothing."""
    tell(channel(listener.url))

    assert "x-release-signature" not in listener.requests[0].headers


def test_configured_signature_that_cannot_be_made_sends_nothing(tell, channel, listener):
    """A receiver that checks signatures would drop it; one that does not must not be fooled."""
    told = tell(channel(listener.url, signing_secret="no/such/secret"))

    assert outcome(told) == ("refused", "there is no signing secret no/such/secret")
    assert listener.requests == []


def test_retries_carry_one_idempotency_key(tell, channel, listener):
    """A receiver that took the first try can drop the second; another notice has another key."""
    listener.replies = [Reply(500), OK]
    to = channel(listener.url)

    assert outcome(tell(to)) == ("delivered", "")
    tell(to)
    tell(to, event="reminder")

    first, second, again, other = [r.headers["idempotency-key"] for r in listener.requests]
    assert first == second == again != other


def test_too_many_requests_waits_as_asked(tell, channel, listener):
    """Retry-After in seconds is waited out."""
    listener.replies = [Reply(429, headers=(("Retry-After", "1"),)), OK]
    begin = time.monotonic()

    assert outcome(tell(channel(listener.url, "slack"))) == ("delivered", "")
    assert time.monotonic() - begin >= 1


def test_retry_after_may_be_a_date(tell, channel, listener):
    """A date that is over already asks for no wait."""
    past = format_datetime(datetime.now(UTC) - timedelta(minutes=1), usegmt=True)
    listener.replies = [Reply(503, headers=(("Retry-After", past),)), OK]

    assert outcome(tell(channel(listener.url))) == ("delivered", "")


@pytest.mark.parametrize("wait", ["3600", "999999999", format_datetime(datetime(2999, 1, 1))])
def test_longer_wait_than_there_is_time_gives_up_at_once(tell, channel, listener, wait):
    """An activity does not sit out an hour; the record says what was asked."""
    listener.replies = [Reply(429, headers=(("Retry-After", wait),))]
    begin = time.monotonic()
    said, reason = outcome(tell(channel(listener.url)))

    assert (said, len(listener.requests)) == ("unreachable", 1)
    assert reason.startswith("answered 429, asks to wait ")
    assert time.monotonic() - begin < 2


@pytest.mark.parametrize("header", ["soon", "-5", "1.5", "", "9" * 5000])
def test_nonsense_in_retry_after_is_no_wait(tell, channel, listener, header):
    """The usual pause is taken instead."""
    listener.replies = [Reply(503, headers=(("Retry-After", header),)), OK]

    assert outcome(tell(channel(listener.url))) == ("delivered", "")


def test_failing_channel_is_tried_three_times(tell, channel, listener):
    """Then it is said, and the release goes on."""
    listener.replies = [Reply(500)]

    assert outcome(tell(channel(listener.url))) == ("unreachable", "answered 500")
    assert len(listener.requests) == 3


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_refusal_is_not_tried_again(tell, channel, listener, status):
    """What was refused would be refused again."""
    listener.replies = [Reply(status, b"why: " + PATH.encode())]

    assert outcome(tell(channel(listener.url))) == ("refused", f"answered {status}")
    assert len(listener.requests) == 1


def test_slacks_own_word_is_repeated_and_no_other(tell, channel, listener):
    """`no_service` tells the operator what to do; a body can also hold the address."""
    listener.replies = [Reply(404, b"no_service"), Reply(404, b"x0secret")]
    to = channel(listener.url, "slack")

    assert outcome(tell(to)) == ("refused", "answered 404 (no_service)")
    assert outcome(tell(to)) == ("refused", "answered 404")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_is_not_followed(tell, channel, listener, status):
    """The notice goes where it was configured to go."""
    with Listener() as elsewhere:
        elsewhere.replies = [OK]
        listener.replies = [Reply(status, headers=(("Location", elsewhere.url),))]
        told = outcome(tell(channel(listener.url)))

    assert told == ("refused", f"answered {status}: redirects are not followed")
    assert elsewhere.requests == []


def test_nobody_listening_is_unreachable(tell, channel):
    """Connection refused, three times."""
    [port] = parts.free_ports(1)

    assert outcome(tell(channel(f"http://127.0.0.1:{port}"))) == ("unreachable", "no connection")


def test_hung_up_is_unreachable(tell, channel, listener):
    """The connection ends without an answer."""
    listener.replies = [HANG_UP]

    assert outcome(tell(channel(listener.url)))[0] == "unreachable"
    assert len(listener.requests) == 3


def test_silence_is_unreachable_within_the_time(tell, channel):
    """A server that takes the notice and never answers."""
    begin = time.monotonic()
    with accepting() as url:
        told = outcome(tell(channel(url)))

    assert told == ("unreachable", "no answer within 0.4 s")
    assert time.monotonic() - begin < 4


def test_dripped_answer_cannot_hold_the_notice_up(tell, channel, listener):
    """Every byte comes in time and the answer never: the whole has an end of its own."""
    begin = time.monotonic()
    with accepting(b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 500, every_seconds=0.2) as url:
        [dripping, good] = tell(
            channel(url), channel(listener.url), patience=PATIENCE._replace(whole_seconds=1)
        )

    assert (dripping.outcome.value, dripping.reason) == ("unreachable", "no answer within 1 s")
    assert good.delivered
    assert time.monotonic() - begin < 2


def test_endless_answer_is_not_read(tell, channel):
    """The status is all that is wanted."""
    with accepting(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1000, every_seconds=0.001) as url:
        assert outcome(tell(channel(url))) == ("delivered", "")


def test_certificate_of_a_stranger_is_refused(tell, channel):
    """The address is a secret: it is not told to whoever answers."""
    with Listener(trustme.CA().issue_cert("127.0.0.1")) as listener:
        listener.replies = [OK]
        told = outcome(tell(channel(listener.url)))

    assert told == ("unreachable", "its TLS certificate is not accepted")
    assert listener.requests == []


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/hook",
        "http://127.0.0.1.example.org/hook",
        "http://10.0.0.1/hook",
        "ftp://127.0.0.1/hook",
        "file:///etc/passwd",
        "//127.0.0.1/hook",
        "https://",
        "https://[::1",
        "hooks.slack.com/services/T0",
        "nonsense",
        "http://127.0.0.1:99999/",
    ],
)
def test_address_in_clear_or_none_at_all_is_refused(tell, channel, url):
    """Only https, and http to this machine; the answer does not repeat the address."""
    to = channel(url)
    said, reason = outcome(tell(to))

    assert said == "refused"
    assert reason == (f"the secret {to.url_secret} holds no https address (http: loopback only)")


def test_missing_secret_is_named(tell):
    """The operator reads which secret to make."""
    to = Channel(kind=ChannelKind.SLACK, name="team", url_secret="shop/slack")

    assert outcome(tell(to)) == ("refused", "there is no secret shop/slack")


def test_secrets_manager_that_is_down_blocks_nothing(http):
    """Not even the place of the addresses can hold a release up."""
    [port] = parts.free_ports(1)
    activity = Notify(parts.client("secretsmanager", port), http, PATIENCE)
    to = Channel(kind=ChannelKind.SLACK, name="team", url_secret="shop/slack")

    told = ActivityEnvironment().run(activity.notify, notice((to,)))

    assert outcome(told) == (
        "unreachable",
        "Secrets Manager did not give its secrets: EndpointConnectionError",
    )


def test_channels_are_told_at_one_time_and_each_by_itself(tell, channel, listener):
    """Five that hang, one that is good: as slow as one, and the good one has it at once."""
    begin = time.monotonic()
    with accepting() as url:
        hanging = [channel(url, name=f"silent-{number}") for number in range(5)]
        told = tell(*hanging, channel(listener.url, name="good"))

    assert [delivery.channel for delivery in told] == [*(c.name for c in hanging), "good"]
    assert [delivery.delivered for delivery in told] == [False] * 5 + [True]
    assert time.monotonic() - begin < 4


def test_no_channel_is_no_delivery(tell):
    """Nothing configured, nothing done."""
    assert tell() == []


def test_one_channels_cookie_is_sent_to_no_other(tell, channel, listener):
    """Channels know nothing of each other."""
    listener.replies = [Reply(200, headers=(("Set-Cookie", "who=first; Path=/"),))]
    tell(channel(listener.url, name="first"))
    tell(channel(listener.url, name="second"))

    assert "cookie" not in listener.requests[1].headers


def test_huge_text_is_cut(tell, channel, listener):
    """A receiver gets 50,000 characters, Slack what it takes."""
    text = "é" * 1_000_000

    assert all(
        delivery.delivered
        for delivery in tell(channel(listener.url), channel(listener.url, "slack"), markdown=text)
    )
    bodies = [json.loads(request.body) for request in listener.requests]
    [webhook] = [body for body in bodies if "markdown" in body]
    [slack] = [body for body in bodies if "blocks" in body]
    assert len(webhook["markdown"]) == MAX_MARKDOWN
    assert "… shortened" in json.dumps(slack, ensure_ascii=False)


def test_addresses_and_secrets_are_told_to_nobody(tell, channel, listener, secret, caplog, capfd):
    """Neither results nor logs at any level hold the address or the signing key."""
    [port] = parts.free_ports(1)
    channels = [
        channel(listener.url + PATH, signing_secret=secret("s1gn1ng")),
        channel(f"http://127.0.0.1:{port}{PATH}"),
        channel(f"http://x0SECRET@127.0.0.1:{port}x{PATH}"),
        channel(f"https://x0secret.invalid{PATH}"),
    ]
    listener.replies = [Reply(500, PATH.encode()), Reply(404, PATH.encode())]
    loggers = [logging.getLogger(name) for name in ("", "botocore", "httpx", "httpcore")]
    before = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.DEBUG)
        told = tell(*channels)
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
    everything = f"{told} {caplog.text} {capfd.readouterr()}"

    assert [delivery.outcome for delivery in told] == [
        DeliveryOutcome.REFUSED,
        DeliveryOutcome.UNREACHABLE,
        DeliveryOutcome.REFUSED,
        DeliveryOutcome.UNREACHABLE,
    ]
    for word in ("SECRET", "x0secret", "s1gn1ng"):
        assert word not in everything
