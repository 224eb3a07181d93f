"""The soak of `make soak-price-api`, short: the same code, a load that any machine bears."""

from collections import Counter
from pathlib import Path

from bench.soak_price_api.faults import FAULTS, Fate
from bench.soak_price_api.load import Answers
from bench.soak_price_api.show import text
from bench.soak_price_api.soak import Plan, Soaked, soak


def test_api_under_load_answers_everything_while_its_store_fails(tmp_path: Path) -> None:
    """One call to DynamoDB in five fails, in four ways: no 5xx, and no request is lost."""
    plan = Plan(seconds=15, rate=20, share_of_limit=1, failing=0.2, seed=7)

    soaked = soak(plan, tmp_path, progress=print)

    assert soaked.problems == [], text(soaked)
    assert soaked.answers.sent == soaked.answers.statuses[200] > 200
    assert all(soaked.fates[fate] > 0 for fate in FAULTS), soaked.fates
    assert soaked.fates[Fate.ANSWERED] > 200


def test_known_keys_and_prices_outlast_a_store_that_is_down(tmp_path: Path) -> None:
    """With every call failing the same load is answered from memory."""
    plan = Plan(seconds=2, rate=5, share_of_limit=1, failing=1, seed=7)

    soaked = soak(plan, tmp_path, progress=print)

    assert soaked.problems == [], text(soaked)
    assert soaked.fates[Fate.ANSWERED] == 0
    assert sum(soaked.fates.values()) > 0


def test_what_breaks_the_promise_is_told() -> None:
    """A 503, a lost request and a status that nobody expects each end the soak with a word."""
    answers = Answers(sent=4, statuses=Counter({200: 1, 503: 1, 429: 1}), lost=Counter(Closed=1))
    plan = Plan(seconds=1, rate=4, share_of_limit=1, failing=0, seed=1)

    assert Soaked(plan, limit=0, rate=4, answers=answers, fates=Counter()).problems == [
        "1 answers of 5xx",
        "1 requests without an answer",
        "answers that were not asked for: [429]",
    ]
