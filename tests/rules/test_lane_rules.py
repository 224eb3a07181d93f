"""The production lane's rules, by properties over random stories and by example."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from release import lane_rules as rules
from release.lane import Claim, FreezeLane, Lane, Leave, Priority, UnfreezeLane
from release.windows import Windows

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)  # a Monday
NIGHT = Windows(allow=("daily 01:00-05:00",))
PRIORITIES = st.sampled_from([Priority.HOTFIX, Priority.NORMAL])


def claim(number: int, priority: Priority = Priority.NORMAL, **more) -> Claim:
    """A promotion's claim of its own."""
    return Claim(
        **{
            "workflow": f"promotion/s/{number:012}",
            "run": f"r{number}",
            "ticket": 1,
            "what": f"1.0.{number}",
            "sha": f"{number:040}",
            "priority": priority,
            "since": NOW + timedelta(seconds=number),
        }
        | more
    )


def leaving(of: Claim) -> Leave:
    """Its word that it is through."""
    return Leave(workflow=of.workflow, run=of.run, ticket=of.ticket)


def lane_of(*claims: Claim, now: datetime = NOW, **facts) -> Lane:
    """A lane that has begun, which these joined in this order."""
    lane = Lane(service="s", begun=True, **facts)
    for one in claims:
        lane = rules.settle(rules.join(lane, one, now), now)
    return lane


def drained(lane: Lane, now: datetime = NOW) -> list[Claim]:
    """Who gets in, in order, when each leaves at once."""
    order = []
    while lane.holders:
        order += lane.holders
        for one in lane.holders:
            lane = rules.leave(lane, leaving(one), now)
        lane = rules.settle(lane, now)
    return order


@settings(deadline=None)
@given(st.permutations(range(20)), st.lists(PRIORITIES, min_size=20, max_size=20))
def test_twenty_in_any_order_get_in_by_policy_and_none_is_lost(numbers, priorities):
    """Hotfixes first, each kind by when it was ready; the one that was in already stays in."""
    claims = [claim(number, priorities[number]) for number in numbers]

    order = drained(lane_of(*claims))

    assert order[0] == claims[0]
    assert order[1:] == sorted(claims[1:], key=lambda one: (one.priority, one.since))


class Story(RuleBasedStateMachine):
    """Anything may happen in any order; the lane's promises hold after each of it."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.lane = Lane(service="s", begun=True)
        self.number = 0
        self.inside: dict[str, Claim] = {}

    def become(self, lane: Lane) -> None:
        before = self.lane
        self.lane = rules.settle(lane, self.now)
        new = [one for one in self.lane.holders if one not in before.holders]
        let_in = [one for one in new if one.priority is not Priority.ROLLBACK]
        if let_in:
            assert lane.holders == ()
            assert self.lane.freeze is None
            assert all(
                one.priority is Priority.HOTFIX or one.windows.opens(self.now) == self.now
                for one in let_in
            )

    @rule(priority=st.sampled_from(Priority), windows=st.sampled_from([Windows(), NIGHT]))
    def join(self, priority: Priority, windows: Windows) -> None:
        self.number += 1
        self.now += timedelta(microseconds=1)
        one = claim(self.number, priority, windows=windows, since=self.now)
        self.inside[one.workflow] = one
        self.become(rules.join(self.lane, one, self.now))
        self.become(rules.join(self.lane, one, self.now))  # said twice, once done

    @precondition(lambda self: self.inside)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        gone = self.inside.pop(data.draw(st.sampled_from(sorted(self.inside))))
        self.become(rules.leave(self.lane, leaving(gone), self.now))
        self.become(rules.join(self.lane, gone, self.now))  # a late retry
        assert rules.find(self.lane, gone) is None

    @precondition(lambda self: len(self.lane.queue) > 1)
    @rule(data=st.data())
    def give_way(self, data: st.DataObject) -> None:
        older, newer = data.draw(st.permutations(self.lane.queue))[:2]
        place = min(self.lane.queue.index(older), self.lane.queue.index(newer))
        lane = rules.give_way(self.lane, older, newer, self.now)
        assert lane.queue[place].workflow == newer.workflow
        self.become(lane)
        del self.inside[older.workflow]

    @rule(hours=st.none() | st.integers(1, 48))
    def freeze(self, hours: int | None) -> None:
        until = self.now + timedelta(hours=hours) if hours else None
        freeze = FreezeLane(by="bob", reason="sale", until=until)
        if rules.refuse_freeze(self.lane, freeze, self.now) is None:
            self.become(self.lane.model_copy(update={"freeze": freeze}))

    @rule()
    def unfreeze(self) -> None:
        lift = UnfreezeLane(by="bob", reason="over")
        if rules.refuse_unfreeze(self.lane, lift, self.now) is None:
            self.become(self.lane.model_copy(update={"freeze": None}))

    @rule(hours=st.integers(1, 30))
    def time_passes(self, hours: int) -> None:
        until = self.now + timedelta(hours=hours)
        while (wakes := rules.wakes_at(self.lane, self.now)) and wakes <= until:
            self.now = wakes
            self.become(self.lane)
        self.now = until
        before = self.lane
        self.become(self.lane)
        assert before.holders == self.lane.holders  # nobody had to wait for more than a wake

    @invariant()
    def nobody_is_lost_and_nobody_is_twice(self) -> None:
        known = [one.workflow for one in (*self.lane.holders, *self.lane.queue)]
        assert sorted(known) == sorted(self.inside)

    @invariant()
    def one_at_a_time_but_for_rollbacks_which_never_wait(self) -> None:
        let_in = [one for one in self.lane.holders if one.priority is not Priority.ROLLBACK]
        assert len(let_in) <= 1
        assert all(one.priority is not Priority.ROLLBACK for one in self.lane.queue)

    @invariant()
    def queue_is_in_order_and_says_why(self) -> None:
        places = [(one.priority, one.since) for one in self.lane.queue]
        assert places == sorted(places)
        for one in self.lane.queue:
            assert "let in at once" not in rules.why(self.lane, one, self.now)


Story.TestCase.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
TestLaneStory = Story.TestCase


def test_hotfix_goes_first_and_waits_for_no_window():
    """It waits for who is in, and for a freeze."""
    first, normal, hotfix = claim(1), claim(2), claim(3, Priority.HOTFIX, windows=NIGHT)
    lane = lane_of(first, normal, hotfix)

    assert drained(lane) == [first, hotfix, normal]
    frozen = lane_of(hotfix, freeze=FreezeLane(by="bob", reason="sale"))
    assert frozen.holders == ()


def test_closed_window_of_one_holds_up_no_other():
    """Who may go goes; the place in line is kept."""
    night, day = claim(1, windows=NIGHT), claim(2)
    lane = lane_of(night, day)

    assert (lane.holders, lane.queue) == ((day,), (night,))
    text = rules.why(lane, night, NOW)
    assert text == "1st in line: behind 1.0.2; its window opens at Tue 2026-03-03 01:00 UTC"


def test_lane_that_has_not_begun_lets_nobody_in_and_then_knows_who_moves():
    """What moved production before the lane was there holds it until it leaves."""
    moving, new = claim(1, ticket=0), claim(2)
    lane = rules.settle(rules.join(Lane(service="s"), new, NOW), NOW)
    assert lane.holders == ()

    lane = rules.settle(rules.adopt(lane, (moving,), NOW), NOW)
    assert lane.holders == (moving,)
    lane = rules.settle(rules.leave(lane, leaving(claim(1, ticket=3)), NOW), NOW)
    assert lane.holders == (new,)


def test_second_run_of_a_workflow_takes_the_place_of_its_first():
    """A promotion that was terminated and started again waits once."""
    again = claim(1, run="r1b", since=NOW + timedelta(minutes=1))
    lane = lane_of(claim(1), again)

    assert (lane.holders, lane.queue) == ((again,), ())


@pytest.mark.parametrize(
    ("standing", "wanted", "refusal"),
    [
        (None, 2, None),
        (2, 3, None),
        (2, None, None),
        (2, 1, "it is frozen until 2026-03-02 14:00 UTC by bob: sale; that is longer"),
        (None, None, None),
        (None, -1, "2026-03-02 11:00 UTC is over already"),
    ],
)
def test_freeze_is_only_ever_made_longer(standing, wanted, refusal):
    """Nobody ends another's freeze by a shorter one of their own."""

    def freeze(hours: int | None) -> FreezeLane:
        until = NOW + timedelta(hours=hours) if hours is not None else None
        return FreezeLane(by="bob", reason="sale", until=until)

    lane = lane_of(freeze=freeze(standing) if standing else None)
    found = rules.refuse_freeze(lane, freeze(wanted), NOW)

    assert (found or "").startswith(refusal or "")
    assert (found is None) == (refusal is None)


def test_record_and_what_left_are_bounded():
    """A lane that lives for years stays small."""
    lane = lane_of()
    for number in range(300):
        one = claim(number)
        lane = rules.leave(rules.settle(rules.join(lane, one, NOW), NOW), leaving(one), NOW)

    assert (len(lane.records), len(lane.left)) == (rules.MOST_RECORDS, rules.MOST_LEFT)


@pytest.mark.parametrize(
    ("number", "ordinal"), [(1, "1st"), (2, "2nd"), (3, "3rd"), (11, "11th"), (21, "21st")]
)
def test_place_in_line_is_an_ordinal(number, ordinal):
    """As people say it."""
    lane = lane_of(*(claim(n) for n in range(number + 1)))
    assert rules.why(lane, lane.queue[-1], NOW).startswith(f"{ordinal} in line: behind 1.0.0")
