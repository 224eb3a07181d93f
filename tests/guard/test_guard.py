"""When the guard puts a baseline back, when it keeps its hands off, and what it leaves behind."""

import json
from datetime import timedelta

import pytest

from release.lease import Hand, Lease
from tests.guard.guard_parts import (
    API,
    ERRORS,
    FETCHER,
    FRESH,
    GUARD,
    NOW,
    STALE,
    THROTTLES,
    World,
    lease,
)


@pytest.fixture
def world() -> World:
    """Production, with a clock and alarms that the test holds."""
    return World()


def test_stale_lease_puts_the_baseline_back(world: World) -> None:
    """A release whose lease has run out is taken out of every function, and a note says why."""
    world.shift(STALE)

    result = world.run()

    assert world.aliases.serves(API) == world.aliases.serves(FETCHER) == ("1", {})
    assert set(result["restored"]) == {API, FETCHER}
    assert result["left"] == {}
    note = world.aliases.note(API)
    assert (note.hand, note.by, note.at, note.undone) == (Hand.GUARD, GUARD, NOW, "2")
    assert note.reason == (
        "no sign of life from promotion/crypto-watch/0123456789ab since 2026-03-01T12:00:00Z"
    )
    assert world.aliases.note(FETCHER).undone == "2"


def test_api_goes_back_first(world: World) -> None:
    """The functions are put back in the order in which they are named, the API first."""
    world.shift(STALE)
    world.run()

    assert world.aliases.written == [API, FETCHER]


def test_fresh_lease_is_left_alone_until_the_second_it_ends(world: World) -> None:
    """One second before its end a lease protects the shift; at its end it no longer does."""
    world.shift(FRESH)
    world.now = NOW + timedelta(seconds=59)

    assert set(world.run()["left"]) == {API, FETCHER}
    assert world.aliases.serves(API) == ("1", {"2": 0.1})

    world.now = NOW + timedelta(seconds=60)
    assert set(world.run()["restored"]) == {API, FETCHER}


def test_each_lease_ends_for_its_own_function(world: World) -> None:
    """A stale lease of one function does not take back another whose lease is fresh."""
    world.shift(FRESH)
    world.aliases.put(API, STALE, "1", v2=0.1)

    result = world.run()

    assert (set(result["restored"]), set(result["left"])) == ({API}, {FETCHER})
    assert world.aliases.serves(FETCHER) == ("2", {})


def test_red_alarm_takes_every_function_back(world: World) -> None:
    """A red alarm ends the release however alive its holder is, for all functions with a lease."""
    world.shift(FRESH)
    world.cloudwatch.states[THROTTLES] = "ALARM"

    result = world.run()

    assert set(result["restored"]) == {API, FETCHER}
    assert world.aliases.serves(API) == world.aliases.serves(FETCHER) == ("1", {})
    assert world.aliases.note(API).reason == f"alarm {THROTTLES} is red"
    assert world.cloudwatch.asked == 1


@pytest.mark.parametrize("state", ["OK", "INSUFFICIENT_DATA"])
def test_alarm_that_is_not_red_changes_nothing(world: World, state: str) -> None:
    """Missing data is no alarm."""
    world.shift(FRESH)
    world.cloudwatch.states[ERRORS] = state

    assert world.run()["restored"] == {}


def test_ignored_alarm_does_not_count(world: World) -> None:
    """An alarm that was red for another reason does not end the release; another one does."""
    world.shift(lease(NOW + timedelta(minutes=1), "-lambda-errors"))
    world.cloudwatch.states[ERRORS] = "ALARM"

    assert world.run()["restored"] == {}

    world.cloudwatch.states[THROTTLES] = "ALARM"
    assert set(world.run()["restored"]) == {API, FETCHER}
    assert world.aliases.note(API).reason == f"alarm {THROTTLES} is red"


def test_empty_ignored_part_ignores_nothing(world: World) -> None:
    """Every name ends with the empty text; it must not silence all alarms."""
    world.shift(lease(NOW + timedelta(minutes=1), ""))
    world.cloudwatch.states[ERRORS] = "ALARM"

    assert set(world.run()["restored"]) == {API, FETCHER}


def test_ignored_alarm_does_not_keep_a_stale_lease(world: World) -> None:
    """What a lease ignores prolongs nothing."""
    world.shift(lease(NOW, "-lambda-errors", "-lambda-throttles"))

    assert set(world.run()["restored"]) == {API, FETCHER}


@pytest.mark.parametrize("description", ["", "1.2.3 0123abcd", "{", "[]", "null", '{"note":{}}'])
def test_weights_without_a_lease_are_a_persons(world: World, description: str) -> None:
    """Without a lease nothing is touched, whatever the weights and however red the alarms."""
    world.shift(description)
    world.cloudwatch.states[ERRORS] = "ALARM"

    result = world.run()

    assert result == {"restored": {}, "left": {API: "no lease", FETCHER: "no lease"}}
    assert world.aliases.serves(API) == ("1", {"2": 0.1})
    assert world.aliases.written == []
    assert world.cloudwatch.asked == 0, "without a lease nobody needs the alarms"


def test_second_look_finds_nothing_to_do(world: World) -> None:
    """Invoked twice, as Lambda may, the guard writes once."""
    world.shift(STALE)
    world.run()
    before = world.aliases.description(API)

    again = world.run()

    assert again == {"restored": {}, "left": {API: "no lease", FETCHER: "no lease"}}
    assert world.aliases.written == [API, FETCHER]
    assert world.aliases.description(API) == before


def test_lease_renewed_between_read_and_write_wins(world: World) -> None:
    """A holder that comes back to life at the last moment keeps its release."""
    world.shift(STALE)
    world.aliases.put(FETCHER, "")
    world.aliases.before_write = lambda function: world.aliases.put(function, FRESH, "1", v2=0.2)

    result = world.run()

    assert API in result["left"]
    assert world.aliases.serves(API) == ("1", {"2": 0.2})


def test_lost_race_is_decided_anew(world: World) -> None:
    """What changed meanwhile and is still stale goes back, by what it then is."""
    world.shift(STALE)
    changes = iter(["3"])

    def change(function: str) -> None:
        for version in changes:
            world.aliases.put(function, STALE, version)

    world.aliases.before_write = change

    assert world.run()["restored"][API]["undone"] == "3"
    assert world.aliases.serves(API) == ("1", {})


def test_race_lost_three_times_is_an_error(world: World) -> None:
    """An alias that changes all the time is tried three times; the invocation says so."""
    world.shift(STALE)
    world.aliases.put(FETCHER, "")
    world.aliases.before_write = lambda function: world.aliases.put(function, STALE, "2")

    with pytest.raises(world.error, match="changed 3 times"):
        world.run()
    assert world.aliases.reads == [API, API, API, FETCHER]
    assert world.aliases.written == []


def test_write_whose_answer_was_lost_is_no_lost_race(world: World) -> None:
    """When the SDK's own retry meets our first write, the function counts as put back."""
    world.shift(STALE)
    world.aliases.lose_answers = True

    assert set(world.run()["restored"]) == {API, FETCHER}
    assert world.aliases.written == [API, FETCHER]


def test_one_function_that_fails_does_not_keep_the_others(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """The other functions are put back first; then the invocation fails, and both are logged."""
    world.shift(STALE)
    world.aliases.broken = {API}

    with pytest.raises(world.error, match=API):
        world.run()

    assert world.aliases.serves(FETCHER) == ("1", {})
    line = json.loads(capsys.readouterr().out)
    assert (line["level"], set(line["failed"])) == ("error", {API})
    assert set(line["restored"]) == {FETCHER}


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"expires": "2026-03-01T12:00:00"},
        {"expires": "soon"},
        {"expires": 5},
        {"baseline": 1},
        {"ignored": 7},
    ],
    ids=str,
)
def test_lease_that_cannot_be_read_is_an_error(world: World, fields: dict[str, object]) -> None:
    """What calls itself a lease and is none is not silently left, nor acted upon."""
    whole = json.loads(STALE)["lease"]
    text = json.dumps({"lease": whole | fields if fields else {}})
    world.shift(STALE)
    world.aliases.put(API, text, "1", v2=0.1)

    with pytest.raises(world.error, match="UnreadableLeaseError"):
        world.run()
    assert world.aliases.written == [FETCHER]


def test_cloudwatch_that_is_down_leaves_staleness(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without CloudWatch a stale lease goes back, a fresh one stays, and the log says so."""
    world.shift(FRESH)
    world.aliases.put(FETCHER, STALE, "2")
    world.cloudwatch.down = True

    result = world.run()

    assert (set(result["restored"]), set(result["left"])) == ({FETCHER}, {API})
    line = json.loads(capsys.readouterr().out)
    assert line["level"] == "warning"
    assert line["problem"].startswith("CloudWatch cannot be read")
    assert world.cloudwatch.asked == 1


def test_stale_lease_does_not_wait_for_cloudwatch(world: World) -> None:
    """The alarms are not asked when nobody's answer depends on them."""
    world.shift(STALE)
    world.run()

    assert world.cloudwatch.asked == 0


def test_alarm_that_does_not_exist_is_told(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """A misspelt alarm watches nothing: the log names it."""
    world.shift(FRESH)
    del world.cloudwatch.states[THROTTLES]
    world.run()

    assert THROTTLES in json.loads(capsys.readouterr().out)["problem"]


def test_dry_run_tells_and_writes_nothing(world: World) -> None:
    """A dry run answers what a run would, and changes nothing."""
    world.shift(STALE)

    told = world.run(dryRun=True)

    assert world.aliases.written == []
    assert world.aliases.serves(API) == ("1", {"2": 0.1})
    assert told == world.run()


def test_lease_before_the_first_shift_is_ended_too(world: World) -> None:
    """With nothing shifted yet the note still ends the lease, and names no version."""
    world.aliases.put(API, STALE, "1")
    world.aliases.put(FETCHER, "")
    world.run()

    assert world.aliases.note(API).undone == ""
    assert Lease.from_description(world.aliases.description(API)) is None


def test_one_line_tells_what_was_done(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """Each invocation logs one JSON line with what it answers."""
    world.shift(STALE)
    result = world.run()

    line = json.loads(capsys.readouterr().out)
    assert {name: line[name] for name in result} == result
    assert (line["event"], line["level"], line["dryRun"]) == ("guard", "warning", False)
    assert line["timestamp"] == "2026-03-01T12:00:00Z"
