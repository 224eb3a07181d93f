"""One-time codes against a table and Secrets Manager over HTTP: right, wrong, replayed, guessed."""

import itertools
import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pyotp
import pytest
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st
from temporalio.testing import ActivityEnvironment

from activities.inputs import CodeInput
from activities.one_time_code import OneTimeCodes
from release.proof import (
    MAX_WRONG,
    WINDOW,
    CodeResult,
    CodeState,
    CodeVerdict,
    answer_known,
    judge_code,
    steps_around,
)

NOW = datetime(2024, 1, 15, 9, 30, 15, tzinfo=UTC)  # in the middle of a step
STEP = timedelta(seconds=30)
SECOND = timedelta(seconds=1)
_numbers = itertools.count()


def _wide(digits: str) -> str:
    """The same in full-width digits."""
    return "".join(chr(0xFF10 + int(digit)) for digit in digits)


class Approver:
    """Alice, with her authenticator app, before one environment's table."""

    def __init__(self, secrets: Any, dynamodb: Any, table: str, service: str) -> None:
        self.secret = pyotp.random_base32()
        self.service = service
        self._totp = pyotp.TOTP(self.secret)
        self._table = table
        self._codes = OneTimeCodes(secrets, dynamodb)
        self._dynamodb = dynamodb

    def code(self, at: datetime = NOW) -> str:
        """What her app shows then."""
        return self._totp.at(at)

    def wrong(self, at: datetime = NOW) -> str:
        """Six digits that are wrong then."""
        right = {self.code(at + number * STEP) for number in range(-3, 4)}
        return next(text for number in range(9) if (text := f"{number}" * 6) not in right)

    def send(self, code: str, at: datetime = NOW, attempt: str = "", **fields: Any) -> CodeResult:
        """The answer to her code; every message is one of its own unless it is a retry."""
        order = CodeInput(
            service=self.service,
            environment="prod",
            table=self._table,
            approver=fields.pop("approver", "alice"),
            code=code,
            at=at,
            attempt=attempt or f"promotion/shop/{next(_numbers)}/run/0",
        )
        result: CodeResult = ActivityEnvironment().run(self._codes.check_code, order)
        return result

    def verdicts(self, codes: list[str], at: datetime = NOW) -> list[CodeVerdict]:
        """Of one message after the other."""
        return [self.send(code, at).verdict for code in codes]

    def row(self) -> dict[str, Any] | None:
        """Her row of the table."""
        key = {"PK": {"S": "TOTP#alice"}, "SK": {"S": "METADATA"}}
        item: dict[str, Any] | None = self._dynamodb.get_item(
            TableName=self._table, Key=key, ConsistentRead=True
        ).get("Item")
        return item


@pytest.fixture
def service() -> str:
    """A service's name that no other test uses."""
    return f"shop-{next(_numbers)}"


@pytest.fixture
def alice(secrets, dynamodb, table, service, secret) -> Approver:
    """An approver who is enrolled."""
    found = Approver(secrets, dynamodb, table, service)
    secret(found.secret, f"{service}/approvers/alice/totp")
    return found


@pytest.fixture
def nobody(secrets, dynamodb, table, service) -> Approver:
    """An approver who is not."""
    return Approver(secrets, dynamodb, table, service)


@pytest.mark.parametrize("shift", [-STEP, timedelta(0), STEP])
def test_right_code_is_accepted(alice, shift):
    """The code of this step, of the one before and of the one after."""
    result = alice.send(alice.code(NOW + shift))

    assert result.verdict is CodeVerdict.ACCEPTED


@pytest.mark.parametrize("shift", [-2 * STEP, 2 * STEP, timedelta(days=-1)])
def test_code_of_another_time_is_wrong(alice, shift):
    """Older than one step, or from further ahead, it is refused."""
    result = alice.send(alice.code(NOW + shift))

    assert result.verdict is CodeVerdict.WRONG
    assert "check your phone's clock" in result.text


def test_code_works_once(alice):
    """The same code again is refused, with what to do."""
    alice.send(alice.code())

    result = alice.send(alice.code())

    assert result.verdict is CodeVerdict.USED
    assert "wait for the next one" in result.text


def test_code_works_once_across_promotions(alice):
    """What approved one release approves no other."""
    alice.send(alice.code(), attempt="promotion/shop/aaaaaaaaaaaa/run/3")

    result = alice.send(alice.code(), attempt="promotion/shop/bbbbbbbbbbbb/run/0")

    assert result.verdict is CodeVerdict.USED


def test_code_older_than_a_used_one_is_refused(alice):
    """A code that was read over somebody's shoulder dies with the next that is used."""
    alice.send(alice.code(NOW + STEP))

    assert alice.verdicts([alice.code(), alice.code(NOW - STEP)]) == [CodeVerdict.USED] * 2


def test_next_code_is_accepted_after_a_used_one(alice):
    """Two promotions are approved with two codes, one step apart."""
    alice.send(alice.code())

    assert alice.send(alice.code(NOW + STEP), NOW + STEP).verdict is CodeVerdict.ACCEPTED
    assert alice.row()["lastStep"] == {"N": str(steps_around(NOW)[1] + 1)}


def test_retried_attempt_hears_accepted_again(alice):
    """The worker died after the write: the same message is not a second use."""
    attempts = [alice.send(alice.code(), attempt="promotion/shop/a/run/0") for _ in range(3)]

    assert {result.verdict for result in attempts} == {CodeVerdict.ACCEPTED}


def test_retried_attempt_hears_accepted_after_a_later_code(alice):
    """A retry may come late, when she has used a newer code in another promotion."""
    first = {"code": alice.code(), "at": NOW, "attempt": "promotion/shop/a/run/0"}
    alice.send(**first)
    alice.send(alice.code(NOW + STEP), NOW + STEP)

    assert alice.send(**first).verdict is CodeVerdict.ACCEPTED


def test_retried_wrong_attempt_counts_once(alice):
    """A worker that dies again and again locks nobody out."""
    for _ in range(2 * MAX_WRONG):
        verdict = alice.send(alice.wrong(), attempt="promotion/shop/a/run/0").verdict
        assert verdict is CodeVerdict.WRONG

    assert alice.send(alice.code()).verdict is CodeVerdict.ACCEPTED


def test_attempt_of_another_time_is_no_retry(alice):
    """A key that is used for two messages does not let the second one in."""
    alice.send(alice.code(), attempt="promotion/shop/a/0")

    later = alice.send(alice.wrong(), NOW + SECOND, attempt="promotion/shop/a/0")

    assert later.verdict is CodeVerdict.WRONG


def test_fifth_wrong_code_locks_even_the_right_one_out(alice):
    """Guessing ends after 5; the answer says until when."""
    assert alice.verdicts([alice.wrong()] * 4) == [CodeVerdict.WRONG] * 4
    fifth = alice.send(alice.wrong())

    result = alice.send(alice.code())

    assert fifth.verdict is CodeVerdict.WRONG
    assert result.verdict is CodeVerdict.LOCKED
    assert "locked until 2024-01-15 09:45:15 UTC" in fifth.text
    assert "locked until 2024-01-15 09:45:15 UTC" in result.text


def test_lock_ends_after_fifteen_minutes(alice):
    """One second before it holds, at its end it does not, and all 5 tries are there again."""
    alice.verdicts([alice.wrong()] * MAX_WRONG)
    end = NOW + WINDOW

    assert alice.send(alice.code(end), end - SECOND).verdict is CodeVerdict.LOCKED
    assert alice.verdicts([alice.wrong(end)] * 4, end) == [CodeVerdict.WRONG] * 4
    assert alice.send(alice.code(end), end).verdict is CodeVerdict.ACCEPTED


def test_message_from_before_the_end_of_a_lock_stays_locked(alice):
    """A message that was handled late brings no extra try."""
    alice.verdicts([alice.wrong()] * MAX_WRONG)
    end = NOW + WINDOW
    alice.send(alice.code(end), end)

    assert alice.send(alice.wrong(), NOW + SECOND).verdict is CodeVerdict.LOCKED


def test_late_wrong_code_counts_at_the_latest_time(alice):
    """The lock lasts 15 minutes from the latest wrong code, whichever message came last."""
    latest = NOW + timedelta(minutes=10)
    alice.verdicts([alice.wrong(latest)] * 4, latest)
    alice.send(alice.wrong())

    assert alice.send(alice.wrong(), latest + WINDOW - SECOND).verdict is CodeVerdict.LOCKED
    assert alice.send(alice.code(latest + WINDOW), latest + WINDOW).verdict is CodeVerdict.ACCEPTED


def test_wrong_codes_are_forgotten_after_fifteen_minutes(alice):
    """Four slips a quarter of an hour ago lock nobody."""
    alice.verdicts([alice.wrong()] * 4)
    later = NOW + WINDOW

    assert alice.verdicts([alice.wrong(later)] * 4, later) == [CodeVerdict.WRONG] * 4
    assert alice.send(alice.code(later), later).verdict is CodeVerdict.ACCEPTED


def test_right_code_resets_the_count(alice):
    """Four slips, the right code, and four slips again."""
    alice.verdicts([alice.wrong()] * 4)
    alice.send(alice.code())

    assert alice.verdicts([alice.wrong()] * 4) == [CodeVerdict.WRONG] * 4
    assert alice.send(alice.code(NOW + STEP), NOW + STEP).verdict is CodeVerdict.ACCEPTED


def test_replayed_code_is_no_guess(alice):
    """Pressing the button again locks nobody."""
    alice.send(alice.code())

    assert alice.verdicts([alice.code()] * 10) == [CodeVerdict.USED] * 10
    assert alice.send(alice.code(NOW + STEP), NOW + STEP).verdict is CodeVerdict.ACCEPTED


@pytest.mark.parametrize(
    "code",
    ["", "12345", "1234567", " 12345", "12 345", "abcdef", "12345\n", _wide("123456"), "٠١٢٣٤٥"],
)
def test_what_is_no_code_is_wrong_without_a_look_at_the_secret(nobody, code):
    """It counts as a guess, and the answer does not depend on whether there is a secret."""
    results = [nobody.send(code) for _ in range(MAX_WRONG + 1)]

    assert [result.verdict for result in results[:MAX_WRONG]] == [CodeVerdict.WRONG] * MAX_WRONG
    assert results[-1].verdict is CodeVerdict.LOCKED


def test_right_code_in_other_digits_is_wrong(alice):
    """Full-width digits would compare equal after normalisation; they are no code."""
    assert alice.send(_wide(alice.code())).verdict is CodeVerdict.WRONG


def test_approver_without_a_secret_is_told_what_to_do(nobody):
    """No guess was made, and an operator has one command to run."""
    result = nobody.send("123456")

    assert result.verdict is CodeVerdict.NO_SECRET
    assert "starter.py approvers enrol alice" in result.text
    assert nobody.row() is None


def test_secret_that_is_being_deleted_is_none(alice, secrets):
    """Whoever lost the phone is locked out as soon as the secret is deleted."""
    secrets.delete_secret(SecretId=f"{alice.service}/approvers/alice/totp")

    assert alice.send(alice.code()).verdict is CodeVerdict.NO_SECRET


@pytest.mark.parametrize("text", ["", "not base32 at all!", "ABC", "GEZDGNBV", "ключ", "1" * 32])
def test_malformed_secret_is_told_to_the_operator(nobody, secret, text):
    """The line says which command makes it right, and nothing of what the secret holds."""
    secret(text or " ", f"{nobody.service}/approvers/alice/totp")

    result = nobody.send("123456")

    assert result.verdict is CodeVerdict.NO_SECRET
    assert "starter.py approvers enrol alice --replace" in result.text
    assert not text or text not in result.text


def test_secret_of_bytes_is_malformed(nobody, secrets):
    """A secret that somebody stored as a file is no base32 text."""
    name = f"{nobody.service}/approvers/alice/totp"
    secrets.create_secret(Name=name, SecretBinary=b"\x00\x01")

    assert "--replace" in nobody.send("123456").text


@pytest.mark.parametrize("name", ["", "a/b", "../x", "a b", "x" * 65, "ali\nce", "älice"])
def test_name_that_no_secret_can_have_is_refused(nobody, name):
    """Nothing is asked of AWS, and the name is not repeated."""
    result = nobody.send("123456", approver=name)

    assert result.verdict is CodeVerdict.NO_SECRET
    assert len(name) < 2 or name not in result.text


def test_secret_typed_in_groups_of_small_letters_works(nobody, secret):
    """Base32 as people write it down."""
    secret(f" {nobody.secret.lower()}\n", f"{nobody.service}/approvers/alice/totp")

    assert nobody.send(nobody.code()).verdict is CodeVerdict.ACCEPTED


def test_same_code_at_one_time_is_accepted_once(alice):
    """Eight promotions are sent one code in the same moment."""
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: alice.send(alice.code()).verdict, range(8)))

    assert found.count(CodeVerdict.ACCEPTED) == 1
    assert found.count(CodeVerdict.USED) == 7


def test_guesses_at_one_time_are_counted_exactly(alice):
    """Sixteen wrong codes in the same moment: five are looked at."""
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda _: alice.send(alice.wrong()).verdict, range(16)))

    assert found.count(CodeVerdict.WRONG) == MAX_WRONG
    assert found.count(CodeVerdict.LOCKED) == 16 - MAX_WRONG


def test_retry_that_overlaps_its_first_try_is_accepted(alice):
    """Two tries of one attempt at one time are one use."""
    with ThreadPoolExecutor(4) as pool:
        send = lambda _: alice.send(alice.code(), attempt="promotion/shop/a/run/0")  # noqa: E731
        found = {result.verdict for result in pool.map(send, range(4))}

    assert found == {CodeVerdict.ACCEPTED}


def test_lost_answer_of_the_write_is_no_second_use(alice, dynamodb):
    """The write arrived, its answer did not: the client writes again and finds its own row."""
    lost = iter([True])

    class LosesOneAnswer:
        def __getattr__(self, name: str) -> Any:
            return getattr(dynamodb, name)

        def put_item(self, **given: Any) -> Any:
            answer = dynamodb.put_item(**given)
            return self.put_item(**given) if next(lost, False) else answer

    alice._codes = OneTimeCodes(alice._codes._secrets, LosesOneAnswer())

    assert alice.send(alice.code()).verdict is CodeVerdict.ACCEPTED


def test_secret_is_told_to_nobody(alice, caplog, capfd, dynamodb, secrets):
    """Neither results, nor logs at any level, nor errors, nor the row hold it."""
    caplog.set_level(logging.DEBUG)
    logging.getLogger("botocore").setLevel(logging.DEBUG)
    try:
        results = [alice.send(code) for code in (alice.code(), alice.code(), alice.wrong(), "x")]
        broken = OneTimeCodes(secrets, dynamodb)
        order = CodeInput(
            service=alice.service,
            environment="prod",
            table="no-such-table",
            approver="alice",
            code=alice.code(),
            at=NOW,
            attempt="a",
        )
        with pytest.raises(ClientError) as failed:
            ActivityEnvironment().run(broken.check_code, order)
    finally:
        logging.getLogger("botocore").setLevel(logging.NOTSET)
    said = capfd.readouterr()
    everything = f"{results} {caplog.text} {said} {failed.getrepr()} {alice.row()} {order!r}"

    assert "botocore" in caplog.text, "the logs of other calls are there"
    assert alice.secret not in everything
    assert alice.code() not in repr(order)


MESSAGES = st.lists(
    st.tuples(
        st.integers(-300, 300),  # seconds since the message before: late ones too
        st.sampled_from(["right", "right", "before", "after", "wrong", "wrong", "wrong", "form"]),
    ),
    max_size=60,
)


@settings(max_examples=300, deadline=None)
@given(MESSAGES)
def test_any_sequence_keeps_the_limits(messages):
    """One acceptance per step at most, and never more than 5 wrong looks in 15 minutes.

    A message that comes late counts at the time of the latest wrong one; a right code begins a new
    count.
    """
    state, at = CodeState(), NOW
    used: list[int] = []
    wrong: list[datetime] = []
    for number, (seconds, kind) in enumerate(messages):
        at += timedelta(seconds=seconds)
        if answer_known(state, str(number), at) is not None:
            continue
        before, now, after = steps_around(at)
        steps = {"right": (now,), "before": (before,), "after": (after,)}.get(kind, ())
        state, result = judge_code(state, str(number), at, steps)
        if result.verdict is CodeVerdict.ACCEPTED:
            used += steps
            wrong.clear()
        if result.verdict is CodeVerdict.WRONG:
            wrong.append(max([at, *wrong]))

        assert all(sum(one <= w < one + WINDOW for w in wrong) <= MAX_WRONG for one in wrong)
    assert used == sorted(set(used))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 300), st.sampled_from(["right", "wrong"])), max_size=80))
def test_in_order_no_window_holds_more_than_five_guesses(messages):
    """For messages in order the clock is their own: every window of 15 minutes is counted."""
    state, at = CodeState(), NOW
    wrong: list[datetime] = []
    for number, (seconds, kind) in enumerate(messages):
        at += timedelta(seconds=seconds)
        if answer_known(state, str(number), at) is not None:
            continue
        steps = (steps_around(at)[1],) if kind == "right" else ()
        state, result = judge_code(state, str(number), at, steps)
        if result.verdict is CodeVerdict.ACCEPTED:
            wrong.clear()
        if result.verdict is CodeVerdict.WRONG:
            wrong.append(at)

        assert all(sum(one <= w < one + WINDOW for w in wrong) <= MAX_WRONG for one in wrong)
