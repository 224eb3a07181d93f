"""Hypothesis's plans: every kind of happening, at every stage, in every order."""

from hypothesis import strategies as st

from tests.simulation import plan as plans
from tests.simulation.cloud import Trouble
from tests.simulation.plan import Happening, Plan, Say

_PEOPLE = ("alice", "alice", "bob", "bob", "paula", "dora", "mallory", "")
_MALFORMED: tuple[tuple[object, ...], ...] = (
    (),
    (None,),
    (5,),
    ("text",),
    ([],),
    ({"x": 1},),
    ({"approver": 7, "by": [], "item": None},),
    ({"by": "alice"}, {"by": "bob"}),
)
_NAMES = (
    "approve",
    "reject",
    "sign_off",
    "waive",
    "withdraw",
    "supersede",
    "abort",
    "pause",
    "resume",
    "finish_now",
)
_ITEMS = ("manual-verification", "known-issues", "readme", "no-such-item")
_people = st.sampled_from(_PEOPLE)
_items = st.sampled_from(_ITEMS)
_flags = st.booleans()


def _say(name: str, **fields: st.SearchStrategy[object]) -> st.SearchStrategy[Say]:
    payloads = st.fixed_dictionaries(fields).map(lambda payload: (payload,))
    return st.builds(Say, st.just(name), payloads, _flags)


_approvals = st.one_of(
    _say("approve", approver=_people, comment=st.just("go")),
    _say("approve", approver=_people, digest=st.sampled_from(("", "0000", "ffff00"))),
    st.builds(
        lambda who, right, update: Say(
            "approve",
            ({"approver": who, "code": f"code of {who}" if right else "000000"},),
            update,
        ),
        _people,
        _flags,
        _flags,
    ),
)
_stops = st.one_of(
    _say("abort", by=_people, reason=st.just("stop it")),
    st.just(Say("abort", ())),
    _say("reject", approver=_people, comment=st.just("no")),
    st.just(Say("supersede", ({"by": "promotion/crypto-watch/newer", "version": "1.2.4"},))),
)
_holds = st.one_of(
    _say("pause", by=_people, reason=st.just("look")),
    _say("resume", by=_people),
    _say("finish_now", by=_people, reason=st.just("urgent")),
)
_answers = st.one_of(
    _say("sign_off", item=_items, by=_people, passed=_flags, note=st.sampled_from(("", "seen"))),
    _say("waive", item=st.sampled_from(("memory", "cache")), by=_people, reason=st.just("known")),
    _say("withdraw", by=_people),
    _say("withdraw", by=_people, item=_items),
)
_malformed = st.builds(
    lambda name, payloads, is_update: Say(name, payloads, is_update and name != "supersede"),
    st.sampled_from(_NAMES),
    st.sampled_from(_MALFORMED),
    _flags,
)
_seconds = st.sampled_from((1.0, 5.0, 12.0, 30.0, 60.0, 100.0, 150.0, 400.0))
_whats = st.one_of(
    _approvals,
    _stops,
    _holds,
    _answers,
    _malformed,
    st.builds(plans.WorkerDies, _seconds),
    st.builds(plans.WorkerDies, _seconds),
    st.builds(plans.WorkerFreezes, _seconds),
    st.builds(plans.Bad, st.just("lambda"), st.sampled_from(Trouble), _seconds),
    st.builds(plans.Bad, st.just("lambda"), st.sampled_from(Trouble), _seconds),
    st.builds(plans.Bad, st.just("cloudwatch"), st.sampled_from(Trouble), _seconds),
    st.builds(
        plans.Bad,
        st.sampled_from(("dynamodb", "git", "github", "s3", "slack", "temporal")),
        st.sampled_from(Trouble),
        _seconds,
    ),
    st.builds(plans.AlarmRed, _seconds),
    st.builds(plans.Incident, _seconds),
    st.builds(
        plans.ForeignWrite,
        st.sampled_from(("third", "split", "same", "baseline")),
        st.sampled_from(("api", "fetcher")),
    ),
    st.just(plans.BreakGlass()),
    st.just(plans.Cancel()),
    st.just(plans.Terminate()),
)
_soon = st.sampled_from((0.0, 0.02, 0.1, 0.2, 0.3, 0.5, 0.8, 1.0, 2.0))
_later = st.integers(0, 2600).map(lambda n: n / 10)
_stages = st.sampled_from(("traffic shift", "traffic shift", "monitor", "rollback", *plans.STAGES))
happenings = st.one_of(
    st.builds(Happening, _stages, _soon, _whats),
    st.builds(Happening, _stages, _later, _whats),
    st.builds(Happening, st.sampled_from(plans.ACTIVITIES), _soon, _whats),
)
plan_strategy = st.builds(
    Plan,
    seed=st.integers(0, 2**32 - 1),
    quality=st.sampled_from(("good", "good", "bad", "crashes", "unclear")),
    requests_per_second=st.sampled_from((20.0, 20.0, 2.0, 0.0)),
    shift=st.sampled_from(tuple(plans.SHIFTS)),
    needs_codes=_flags,
    people_decide=st.sampled_from((True,) * 15 + (False,)),
    sign_off_after=st.sampled_from((0.0, 20.0, 30.0)),
    approve_after=st.sampled_from((0.0, 40.0, 60.0)),
    inconclusive=st.sampled_from(((),) * 11 + (("memory",),)),
    failed=st.sampled_from(((),) * 15 + (("cache",),)),
    smoke=st.sampled_from(("passed",) * 8 + ("failed", "inconclusive")),
    happenings=st.lists(happenings, max_size=6).map(tuple),
)
