"""`starter.py keys`, against a real table; what it makes is tried at the real price API's gate."""

import json
import re
import time
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from tests.local import front_door_parts as parts
from tests.service.service_parts import load_lambda, new_table, settings_of

TABLE = "crypto-watch-prod"
KEY = r"cw_live_[A-Za-z0-9_-]{32}"


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory) -> Iterator[str]:
    with parts.ministack(tmp_path_factory.mktemp("ministack")) as (port, _):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def table(endpoint):
    """Production's table, empty."""
    table = new_table(endpoint, TABLE)
    yield table
    table.delete()


@pytest.fixture
def keys(repository, starter, endpoint, table):
    """Runs `starter.py keys …`."""
    repository.commit()
    return lambda *arguments: starter("keys", *arguments, AWS_ENDPOINT_URL=endpoint)


@pytest.fixture
def lets_in(endpoint, table):
    """Whether the price API lets a key in, at a time of the test's choosing."""
    lambda_ = load_lambda("prices")
    store = lambda_.dynamodb.DynamoDB(settings_of(lambda_, endpoint, TABLE))

    def knock(key: str, seconds_from_now: float = 0) -> bool:
        try:
            lambda_.auth.Gate(store, TABLE, 100).admit(key, time.time() + seconds_from_now)
        except lambda_.answers.ApiError:
            return False
        return True

    return knock


def created(done) -> SimpleNamespace:
    """What `--json` said of a made key."""
    assert done.returncode == 0, done.stderr
    return SimpleNamespace(**json.loads(done.stdout))


def test_created_key_is_shown_once_and_opens_the_door(keys, table, lets_in):
    """The key is printed, works, and stands nowhere but in that one line."""
    done = keys("create", "watch-app", "--as", "dora")

    assert done.returncode == 0
    key = re.search(rf"^key +({KEY})$", done.stdout, re.M)[1]
    assert lets_in(key)
    assert "shown this once" in done.stdout
    assert (
        key not in str(table.scan()["Items"]) + keys("list").stdout + keys("list", "--json").stdout
    )


def test_list_shows_who_made_what_and_how_logs_show_it(keys):
    """Enough to find the key of which only a log line is known, and its maker."""
    made = created(keys("create", "watch app", "--as", "dora", "--json"))

    [listed] = json.loads(keys("list", "--json").stdout)

    assert {**listed, "key": made.key} == vars(made)
    assert listed["masked"] == load_lambda("prices").auth.mask(made.key)
    assert (listed["created_by"], listed["state"]) == ("dora", "good")
    text = keys("list").stdout
    assert all(part in text for part in (made.id, "watch app", "good", listed["masked"], "dora"))


def test_empty_list_says_how_to_begin(keys):
    """Nothing there: the next command."""
    assert "keys create NAME" in keys("list").stdout
    assert json.loads(keys("list", "--json").stdout) == []


@pytest.mark.parametrize("how", ["id", "short id", "name"])
def test_disabled_key_is_refused_until_it_is_enabled(keys, lets_in, how):
    """Off and on again, by id or name; done twice it is as done once."""
    made = created(keys("create", "phone", "--json"))
    named = {"id": made.id, "short id": made.id[:6], "name": "phone"}[how]

    for _ in range(2):
        assert keys("disable", named).stdout == f"phone ({made.id}) is disabled\n"
        assert not lets_in(made.key)
    assert keys("enable", named).stdout == f"phone ({made.id}) is good\n"
    assert lets_in(made.key)


def test_expired_key_is_refused_by_itself(keys, lets_in):
    """A key of 90 days works for 90 days."""
    made = created(keys("create", "trial", "--expires", "90d", "--json"))

    assert lets_in(made.key, 90 * 86400 - 60)
    assert not lets_in(made.key, 90 * 86400 + 60)


def test_rotation_leaves_time_to_change_over(keys, lets_in):
    """Both keys work within the grace period, only the new one after it."""
    old = created(keys("create", "phone", "--json"))

    new = created(keys("rotate", "phone", "--grace", "2h", "--json"))

    assert (new.name, new.replaces["id"]) == ("phone", old.id)
    assert lets_in(old.key, 7100)
    assert not lets_in(old.key, 7300)
    assert lets_in(new.key, 7300)
    assert f"now {new.id}" in keys("list").stdout


def test_rotation_without_grace_ends_the_old_key_now(keys, lets_in):
    """A leaked key is rotated with `--grace 0s`."""
    old = created(keys("create", "phone", "--json"))

    new = created(keys("rotate", old.id, "--grace", "0s", "--json"))

    assert not lets_in(old.key)
    assert lets_in(new.key)
    assert created(keys("rotate", "phone", "--json")).replaces["id"] == new.id  # the name is free


def test_grace_does_not_lengthen_a_key(keys, lets_in):
    """A key that would expire sooner keeps its own end."""
    old = created(keys("create", "trial", "--expires", "1h", "--json"))
    keys("rotate", "trial", "--grace", "24h")

    assert not lets_in(old.key, 3700)


def test_key_is_rotated_once(keys):
    """A second rotation of the old key would leave a key that nobody knows of."""
    old = created(keys("create", "phone", "--json"))
    new = created(keys("rotate", "phone", "--json"))

    done = keys("rotate", old.id)

    assert (done.returncode, done.stdout) == (2, "")
    assert f"replaced by {new.id}" in done.stderr


def test_name_of_two_keys_is_not_guessed(keys, lets_in):
    """Within the grace period a name means two keys: the line says which."""
    old = created(keys("create", "phone", "--json"))
    new = created(keys("rotate", "phone", "--json"))

    done = keys("disable", "phone")

    assert done.returncode == 2
    assert old.id in done.stderr
    assert new.id in done.stderr
    assert lets_in(old.key)
    assert lets_in(new.key)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("create", " "), "a key's name has 1 to 64 printable characters"),
        (("create", "x" * 65), "a key's name has 1 to 64 printable characters"),
        (("create", "a\tb"), "a key's name has 1 to 64 printable characters"),
        (("create", "x", "--expires", "soon"), "--expires soon: write a number and s, m, h or d"),
        (("create", "x", "--expires", "0d"), "--expires 0d: write a number and s, m, h or d"),
        (("create", "x", "--expires", "9999d"), "--expires 9999d is longer than 3650 days"),
        (("create", "x", "--expires", "²d"), "--expires ²d: write a number and s, m, h or d"),
        (("rotate", "nobody"), "no key 'nobody'; see `starter.py keys list`"),
        (("disable", "abc"), "no key 'abc'; see `starter.py keys list`"),
        (("list", "--environment", "staging"), "there is no table crypto-watch-staging"),
    ],
)
def test_bad_input_is_one_clear_line(keys, table, arguments, line):
    """What is wrong, what to write instead, and nothing was changed."""
    done = keys(*arguments)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {line}")
    assert len(done.stderr.splitlines()) == 1
    assert table.scan()["Items"] == []


@pytest.mark.parametrize("action", ["create", "disable", "rotate"])
def test_key_in_the_command_line_is_not_repeated(keys, action):
    """Who types a key where a name belongs is told so, and the key is not echoed."""
    secret = "cw_live_" + "s" * 32

    done = keys(action, secret)

    assert done.returncode == 2
    assert "history" in done.stderr
    assert secret not in done.stderr


def test_second_key_of_a_name_is_refused(keys):
    """One name, one good key: the line says what to do."""
    made = created(keys("create", "phone", "--json"))

    done = keys("create", "phone")

    assert done.returncode == 2
    assert f"'phone' has the key {made.id}; rotate it" in done.stderr


def test_aws_that_does_not_answer_is_said(repository, starter):
    """Exit code 3, one line."""
    repository.commit()

    done = starter("keys", "list")

    assert (done.returncode, len(done.stderr.splitlines())) == (3, 1)
    assert "AWS does not answer" in done.stderr
