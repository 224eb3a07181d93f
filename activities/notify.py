"""Tells the channels: each by itself, all at once, and none can hold a release up."""

import hashlib
import hmac
import ipaddress
import json
import re
import ssl
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from threading import Thread
from typing import Any, NamedTuple

import httpx
from botocore.exceptions import BotoCoreError, ClientError
from temporalio import activity

from activities.aws import error_code
from activities.inputs import NoticeInput
from activities.secrets import read_secret, unlogged
from release.channels import Channel, ChannelKind, Delivery, DeliveryOutcome
from release.slack import slack_message

SIGNATURE_HEADER = "X-Release-Signature"
IDEMPOTENCY_HEADER = "Idempotency-Key"
MAX_MARKDOWN = 50_000
_MAX_PORT = 65_535
_AGENT = "crypto-watch-release"
# what Slack answers in words; of any other body nothing is repeated: it may hold the address
_SLACK_WORDS = {
    *("action_prohibited", "channel_is_archived", "channel_not_found", "invalid_blocks"),
    *("invalid_payload", "invalid_token", "msg_blocks_too_long", "no_service", "no_team"),
    *("no_text", "posting_to_general_channel_denied", "team_disabled", "user_not_found"),
}


class Patience(NamedTuple):
    """How long a channel is waited for; the whole lies well below the activity's 60 s."""

    tries: int = 3
    connect_seconds: float = 3
    answer_seconds: float = 8
    pause_seconds: float = 1
    whole_seconds: float = 40


def notice_client() -> httpx.Client:
    """The client that threads may share; addresses, limits and time are each request's own."""
    return httpx.Client(follow_redirects=False)


class Notify:
    """Speaks to webhooks; where they are, and what signs for us, stands in Secrets Manager."""

    def __init__(self, secrets: Any, http: httpx.Client, patience: Patience | None = None) -> None:
        self._secrets = secrets
        self._http = http
        self._patience = patience or Patience()

    @activity.defn
    def notify(self, order: NoticeInput) -> list[Delivery]:
        """What became of the notice in each channel, in their order; never raises for one.

        A retry sends it again, under the same idempotency key. Slack knows no such key and may
        show a notice twice.
        """
        until = time.monotonic() + self._patience.whole_seconds
        found: dict[int, Delivery] = {}

        def tell(number: int, channel: Channel) -> None:
            found[number] = self._tell(channel, order, until)

        # not a pool: its end would wait for a slow name server, or an answer that drips for ever
        threads = [
            Thread(target=tell, args=(number, channel), daemon=True, name=f"notify {channel.name}")
            for number, channel in enumerate(order.channels)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))
        late = f"no answer within {self._patience.whole_seconds:g} s"
        return [
            found.get(number) or _unreachable(channel, late)
            for number, channel in enumerate(order.channels)
        ]

    def _tell(self, channel: Channel, order: NoticeInput, until: float) -> Delivery:
        try:
            request = self._request(channel, order)
            if isinstance(request, Delivery):
                return request
            return self._send(channel, request, until)
        except (ClientError, BotoCoreError) as error:
            code = error_code(error) if isinstance(error, ClientError) else type(error).__name__
            return _unreachable(channel, f"Secrets Manager did not give its secrets: {code}")
        except Exception as error:  # whatever it is, the other channels and the release go on
            return _unreachable(channel, f"could not be told: {type(error).__name__}")

    def _request(self, channel: Channel, order: NoticeInput) -> httpx.Request | Delivery:
        """The request; or why there is none, which no retry changes."""
        address = read_secret(self._secrets, channel.url_secret)
        if address is None:
            return _refused(channel, f"there is no secret {channel.url_secret}")
        url = _url(address.strip())
        if url is None:
            return _refused(
                channel,
                f"the secret {channel.url_secret} holds no https address (http: loopback only)",
            )
        content = _BODIES[channel.kind](order)
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": _AGENT,
            IDEMPOTENCY_HEADER: _idempotency_key(order),
        }
        if channel.signing_secret is not None:
            key = read_secret(self._secrets, channel.signing_secret)
            if not key:
                return _refused(channel, f"there is no signing secret {channel.signing_secret}")
            headers[SIGNATURE_HEADER] = signature(key, content)
        timeout = httpx.Timeout(
            self._patience.answer_seconds, connect=self._patience.connect_seconds
        )
        # not built by the client, which would add cookies that another channel had set
        return httpx.Request(
            "POST",
            url,
            headers=headers,
            content=content,
            extensions={"timeout": timeout.as_dict()},
        )

    def _send(self, channel: Channel, request: httpx.Request, until: float) -> Delivery:
        result = _unreachable(channel, "was not tried")
        for number in range(1, self._patience.tries + 1):
            result, pause = self._try(channel, request, self._patience.pause_seconds * number)
            if pause is None or number == self._patience.tries:
                break
            if time.monotonic() + pause + self._patience.connect_seconds > until:
                break
            time.sleep(pause)
        return result

    def _try(
        self, channel: Channel, request: httpx.Request, pause: float
    ) -> tuple[Delivery, float | None]:
        """The result, and after how many seconds to try again; None if that would change nothing.

        What httpx raises is told by its kind alone: its text can hold the address.
        """
        try:
            with unlogged():
                answer = self._http.send(request, stream=True, follow_redirects=False)
                try:
                    return _judge(channel, answer, pause)
                finally:
                    answer.close()  # unread: however much there is of it
        except httpx.ConnectError as error:
            if _is_tls(error):
                return _unreachable(channel, "its TLS certificate is not accepted"), None
            return _unreachable(channel, "no connection"), pause
        except httpx.ConnectTimeout:
            text = f"no connection within {self._patience.connect_seconds:g} s"
            return _unreachable(channel, text), pause
        except httpx.TimeoutException:
            text = f"no answer within {self._patience.answer_seconds:g} s"
            return _unreachable(channel, text), pause
        except httpx.HTTPError as error:
            return _unreachable(channel, f"no answer: {type(error).__name__}"), pause


def signature(key: str, content: bytes) -> str:
    """What the signature header holds: HMAC-SHA256 over the body, in hex."""
    return "sha256=" + hmac.new(key.encode(), content, hashlib.sha256).hexdigest()


def _judge(channel: Channel, answer: httpx.Response, pause: float) -> tuple[Delivery, float | None]:
    status = answer.status_code
    if answer.is_success:
        return Delivery(channel=channel.name, outcome=DeliveryOutcome.DELIVERED), None
    if answer.has_redirect_location or answer.is_redirect:
        return _refused(channel, f"answered {status}: redirects are not followed"), None
    said = _words(answer) if channel.kind is ChannelKind.SLACK else ""
    text = f"answered {status}{said}"
    if status == httpx.codes.TOO_MANY_REQUESTS or answer.is_server_error:
        asked = _retry_after(answer.headers.get("Retry-After", ""), time.time())
        if asked is not None:
            return _unreachable(channel, f"{text}, asks to wait {asked:.0f} s"), asked
        return _unreachable(channel, text), pause
    return _refused(channel, text), None


def _words(answer: httpx.Response) -> str:
    start = next(answer.iter_raw(200), b"")
    word = start.decode("ascii", "replace").strip()
    return f" ({word})" if word in _SLACK_WORDS else ""


def _retry_after(header: str, now: float) -> float | None:
    """Seconds to wait; None if the header says nothing (RFC 9110, 10.2.3: seconds or a date)."""
    if re.fullmatch(r"[0-9]{1,9}", header):
        return float(header)
    try:
        moment = parsedate_to_datetime(header)
    except (ValueError, TypeError):
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, aware.timestamp() - now)


def _url(text: str) -> httpx.URL | None:
    """The address, if it may be written to: what is told there is nobody else's to read."""
    try:
        url = httpx.URL(text)
    except (httpx.InvalidURL, ValueError):
        return None
    secure = url.scheme == "https" or (url.scheme == "http" and _is_here(url.host))
    return url if secure and url.host and (url.port or 443) <= _MAX_PORT else None


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_tls(error: BaseException) -> bool:
    return any(isinstance(cause, ssl.SSLError) for cause in _causes(error))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _webhook_body(order: NoticeInput) -> bytes:
    fields = order.model_dump(mode="json", exclude={"channels"})
    return json.dumps(fields | {"markdown": _bounded(order.markdown)}).encode()


def _slack_body(order: NoticeInput) -> bytes:
    return json.dumps(slack_message(order.title, _bounded(order.markdown), order.url)).encode()


_BODIES = {ChannelKind.WEBHOOK: _webhook_body, ChannelKind.SLACK: _slack_body}


def _bounded(markdown: str) -> str:
    return markdown if len(markdown) <= MAX_MARKDOWN else markdown[: MAX_MARKDOWN - 1] + "…"


def _idempotency_key(order: NoticeInput) -> str:
    """One for each notice of each promotion, the same in every try."""
    at: datetime = order.at
    return hashlib.sha256(
        f"{order.promotion}\n{order.event}\n{at.isoformat()}".encode()
    ).hexdigest()


def _refused(channel: Channel, reason: str) -> Delivery:
    return Delivery(channel=channel.name, outcome=DeliveryOutcome.REFUSED, reason=reason)


def _unreachable(channel: Channel, reason: str) -> Delivery:
    return Delivery(channel=channel.name, outcome=DeliveryOutcome.UNREACHABLE, reason=reason)
