"""Security: keys are asked for, wrong ones refused, none stands in a log; HTTPS only."""

import ipaddress
import re
from collections.abc import Mapping
from datetime import timedelta

import httpx

from activities.checks.context import CheckContext
from activities.checks.contract import error_deviations
from activities.checks.logs import Window
from activities.staging import KEY_HEADER, Check, TestKeys
from release.api_keys import masked, new_key

_PATHS = ("/prices?symbols=BTC", "/prices/BTC")
_FULL_KEY = re.compile(r"cw_(live|test)_[A-Za-z0-9_-]{20,}")
_MASKED_KEY = re.compile(r"cw_(live|test)_\*{4}[A-Za-z0-9_-]{4}")
_TIMEOUT = timedelta(seconds=5)


def invalid_key(context: CheckContext, check: Check) -> None:
    """Invalid API keys are refused with 401."""
    http = context.http()
    good = http.keys.ordinary[0]
    kinds = {
        "unknown": new_key(context.order.environment),
        "a good key without its last character": good[:-1],
        "a good key in capitals": good.upper(),
        "no key of ours": "hello",
        "too long": good * 20,
    }
    _expect_refused(context, check, kinds)


def missing_key(context: CheckContext, check: Check) -> None:
    """Requests without an API key are refused with 401."""
    _expect_refused(context, check, {"no key": None, "an empty key": ""})


def _expect_refused(context: CheckContext, check: Check, kinds: Mapping[str, str | None]) -> None:
    for kind, key in kinds.items():
        headers = {} if key is None else {KEY_HEADER: key}
        for path in _PATHS:
            answer = context.http().send(path, key=None, headers=headers)
            wrong = error_deviations(answer, 401, "UNAUTHORIZED")
            check.expect(not wrong, f"GET {path} with {kind}: {', '.join(wrong)}")
    check.saw(f"401 UNAUTHORIZED on {len(_PATHS)} routes for: {', '.join(kinds)}")


def masked_keys(context: CheckContext, check: Check) -> None:
    """No API key stands in full in staging's logs."""
    judge_masking(check, context.log_window(), context.http().keys)


def judge_masking(check: Check, window: Window, keys: TestKeys) -> None:
    """No line has a full key, be it one of the checks' own or of that form."""
    full: dict[str, int] = {}
    seen_masked = 0
    for line in window.lines:
        found = [key for key in keys.all() if key in line.text]
        found += [match[0] for match in _FULL_KEY.finditer(line.text) if match[0] not in found]
        for key in found:
            where = f"{masked(key)} in full in {line.group} {line.stream}"
            full[where] = full.get(where, 0) + 1
        seen_masked += bool(_MASKED_KEY.search(line.text))
    for where, times in full.items():
        check.expect(False, f"{where} ({times} lines): rotate the key, delete the stream")
    check.saw(f"no full key in {window}; {seen_masked:,} lines have a masked one")


def https(context: CheckContext, check: Check) -> None:
    """Staging is reached by HTTPS only."""
    url = httpx.URL(context.http().url)
    if url.scheme == "http":
        if _is_loopback(url.host):
            check.not_applicable(f"{url} is plain HTTP on this machine's loopback")
        check.expect(_is_loopback(url.host), f"staging's address is {url}, plain HTTP")
        return
    plain = url.copy_with(scheme="http", path="/health")
    try:
        answer = httpx.get(plain, timeout=_TIMEOUT.total_seconds(), follow_redirects=False)
    except httpx.TransportError as error:
        check.saw(f"plain HTTP is not answered ({type(error).__name__})")
    else:
        target = answer.headers.get("location", "")
        redirected = answer.is_redirect and target.startswith("https://")
        refused = redirected or answer.status_code in (400, 403, 426)
        check.expect(refused, f"{plain} is answered with {answer.status_code}")
        check.saw(f"plain HTTP: {answer.status_code} {target}".rstrip())
    if not check.is_wrong:
        secure = context.http().send("/health", key=None)
        hsts = secure.headers.get("strict-transport-security", "none")
        check.saw(f"HTTPS: {secure.status_code}, Strict-Transport-Security {hsts}")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
