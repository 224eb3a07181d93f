"""The deployed API over real HTTP: many clients at once, odd requests, and what it logs."""

import json
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.local.front_door_parts import until
from tests.service.deployed import Deployed
from tests.service.service_parts import KEY, put_key

CLIENTS = 50
SENT_BY_EACH = 6
ERROR_FIELDS = {"error", "code", "timestamp", "requestId"}


@pytest.fixture(scope="module")
def deployed(stage: Callable[..., Deployed]) -> Deployed:
    """The API with a limit that no test here reaches."""
    return stage(RATE_LIMIT_PER_MINUTE="100000").with_prices()


def test_fifty_clients_share_exactly_one_hundred_answers(stage: Callable[..., Deployed]) -> None:
    """300 requests of 50 clients on one key, 100 allowed: exactly 100 answers, each counted."""
    deployed = stage().with_prices()
    # A window one minute ahead keeps the test's requests in one minute.
    put_key(deployed.table, rateWindow=int(time.time() // 60) + 1, rateCount=0)

    def client(_: int) -> list[tuple[int, str]]:
        with httpx.Client(base_url=deployed.url, headers={"X-API-Key": KEY}, timeout=60) as http:
            answers = [until(lambda: _answered(http)) for _ in range(SENT_BY_EACH)]
        return [(answer.status_code, answer.headers["ratelimit-remaining"]) for answer in answers]

    with ThreadPoolExecutor(CLIENTS) as clients:
        seen = [answer for part in clients.map(client, range(CLIENTS)) for answer in part]

    statuses = Counter(status for status, _ in seen)
    assert statuses == {200: 100, 429: CLIENTS * SENT_BY_EACH - 100}
    left = sorted(int(remaining) for status, remaining in seen if status == 200)
    assert left == list(range(100))


def _answered(http: httpx.Client) -> httpx.Response | None:
    """The function's own answer; None when the laptop's platform had no worker free (503)."""
    answer = http.get("/prices/BTC")
    return answer if "x-request-id" in answer.headers else None


BAD_SYMBOLS = {
    "none": "",
    "of no length": "?symbols=",
    "an empty one among others": "?symbols=BTC,,ETH",
    "51 of them": "?symbols=" + ",".join(f"A{n}" for n in range(51)),
    "unicode": "?symbols=B%E2%82%BFC",
    "not UTF-8": "?symbols=%FF%FE",
    "10 kB": "?symbols=" + "A" * 10_000,
    "10 kB of something else": "?other=" + "A" * 10_000,
}


@pytest.mark.parametrize("query", BAD_SYMBOLS.values(), ids=BAD_SYMBOLS.keys())
def test_bad_symbols_are_refused_in_few_words(deployed: Deployed, query: str) -> None:
    """400 in the format of every error, and nothing of a long request comes back."""
    answer = httpx.get(f"{deployed.url}/prices{query}", headers={"X-API-Key": KEY})

    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_REQUEST")
    assert set(answer.json()) - {"details"} == ERROR_FIELDS
    assert len(answer.content) < 400


@pytest.mark.parametrize(
    ("path", "symbols"),
    [
        ("/prices?symbols=btc", ["BTC"]),
        ("/prices?symbols=ETH,eth,BTC,ETH", ["ETH", "BTC"]),
        ("/prices?symbols=BTC&symbols=ETH", ["BTC", "ETH"]),
        ("/prices?symbols=%20BTC%20,+ETH", ["BTC", "ETH"]),
        ("/prices?symbols=" + ",".join(["BTC"] * 60), ["BTC"]),
        ("/prices?symbols=BTC&other=1#part", ["BTC"]),
    ],
)
def test_forgivable_symbols_are_understood(
    deployed: Deployed, path: str, symbols: list[str]
) -> None:
    """Case, blanks, repetition and unknown parameters do not matter."""
    answer = httpx.get(f"{deployed.url}{path}", headers={"X-API-Key": KEY})

    assert answer.status_code == 200
    assert [item["symbol"] for item in answer.json()["data"]] == symbols


def test_encoded_symbol_in_the_path_is_the_symbol(deployed: Deployed) -> None:
    """%42TC is BTC, by RFC 3986."""
    answer = httpx.get(f"{deployed.url}/prices/%42TC", headers={"X-API-Key": KEY})

    assert answer.json()["data"]["symbol"] == "BTC"


@pytest.mark.parametrize("key", ["k" * 10_000, f"{KEY} x", "cw_test_" + "A" * 32, "\xe9" * 20])
def test_key_that_nobody_has_is_refused(deployed: Deployed, key: str) -> None:
    """10 kB of key, or one of another form: the one 401."""
    headers = [(b"x-api-key", key.encode("latin-1"))]

    answer = httpx.get(f"{deployed.url}/prices/BTC", headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHORIZED")


def test_two_keys_are_no_key(deployed: Deployed) -> None:
    """Two X-API-Key headers arrive as one text, which is nobody's key, even if both are good."""
    answer = httpx.get(
        f"{deployed.url}/prices/BTC", headers=[("X-API-Key", KEY), ("X-API-Key", KEY)]
    )

    assert answer.status_code == 401


def test_body_of_a_get_is_ignored(deployed: Deployed) -> None:
    """A body on GET changes nothing, text or bytes."""
    for content in (b'{"symbols":"ETH"}', b"\xff\x00" * 1000):
        answer = httpx.request(
            "GET", f"{deployed.url}/prices/BTC", headers={"X-API-Key": KEY}, content=content
        )
        assert answer.json()["data"]["symbol"] == "BTC"


@pytest.mark.parametrize("path", ["/prices/BTC", "/prices?symbols=BTC", "/health", "/openapi.json"])
def test_head_tells_what_get_would(deployed: Deployed, path: str) -> None:
    """HEAD: the same status and kind, no body."""
    with httpx.Client(base_url=deployed.url, headers={"X-API-Key": KEY}) as http:
        got, head = http.get(path), http.head(path)

    assert head.status_code == got.status_code == 200
    assert head.content == b""
    assert head.headers["content-type"] == got.headers["content-type"]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "TRACE"])
def test_other_methods_are_told_which_there_are(deployed: Deployed, method: str) -> None:
    """405, in the format of every error."""
    answer = httpx.request(method, f"{deployed.url}/prices/BTC", headers={"X-API-Key": KEY})

    assert (answer.status_code, answer.json()["code"]) == (405, "METHOD_NOT_ALLOWED")
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS"


def test_options_needs_no_key(deployed: Deployed) -> None:
    """OPTIONS is answered for everyone on every route, and on no other path."""
    assert httpx.options(f"{deployed.url}/prices").status_code == 204
    assert httpx.options(f"{deployed.url}/nothing").status_code == 404


@pytest.mark.parametrize("sent", ['"unclosed', "W/", ",,,", "*abc", "%", '""', "W/*"])
def test_malformed_entity_tag_matches_nothing(deployed: Deployed, sent: str) -> None:
    """An If-None-Match that is no entity tag is as good as none."""
    headers = {"X-API-Key": KEY, "If-None-Match": sent}

    assert httpx.get(f"{deployed.url}/prices/BTC", headers=headers).status_code == 200


def test_no_log_holds_a_key(deployed: Deployed) -> None:
    """Wherever clients put keys, no log of the run has one; each request left its one line."""
    keys = [f"cw_live_{mark}{'k' * 27}9876" for mark in "abcde"]
    for key in keys:
        put_key(deployed.table, key)
    a, b, c, d, e = keys
    with httpx.Client(base_url=deployed.url) as http:
        good = [http.get("/prices/BTC", headers={"X-API-Key": key}) for key in keys]
        http.get("/prices/BTC", headers=[("X-API-Key", a), ("X-API-Key", b)])
        http.get("/prices", params={"symbols": c, "key": d}, headers={"X-API-Key": e})
        http.get(f"/prices/{a}", headers={"X-API-Key": b, "User-Agent": c})
        http.get(f"/{d}", headers={"Authorization": f"Bearer {e}", "X-API-Key": "not ours: " + a})
        http.post("/prices", json={"key": b}, headers={"X-API-Key": c})
        last = http.get("/prices/NOPE", headers={"X-API-Key": d, "X-Request-Id": e})
    assert [answer.status_code for answer in good] == [200] * 5
    seen_id = last.headers["x-request-id"]

    lines = until(
        lambda: (
            [line for line in deployed.log_lines() if line.startswith("{")]
            if any(seen_id in line for line in deployed.log_lines())
            else []
        )
    )

    everything = "\n".join(deployed.log_lines()) + deployed.own_log()
    assert not [key for key in keys if key in everything]
    requests = [json.loads(line) for line in lines]
    ours = [r for r in requests if r.get("requestId") == seen_id]
    assert [(r["status"], r["route"], r["apiKey"]) for r in ours] == [
        (404, "/prices/{symbol}", "cw_live_****9876")
    ]
