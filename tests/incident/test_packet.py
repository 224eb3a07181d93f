"""What the one on call reads: its first screen is right, whatever happened."""

from datetime import timedelta

import pytest

from release.api_keys import mask_keys
from release.incident import AlarmSeen, Change
from release.incident_head import actions, head
from release.incident_report import markdown
from release.incident_rules import (
    Safety,
    decisive,
    failed_beyond_baseline,
    safety,
    timeline,
    title,
)
from release.promotion import InboxRecord, StepRecord
from release.verdict import Verdict
from tests.incident.incident_parts import (
    API,
    FETCHER,
    KEY,
    MINUTE,
    SHA,
    START,
    alias,
    facts,
    packet,
    rung,
)

HOSTILE = "</b> | `x` [a](http://evil) @here\n# DONE\n<!channel> ![](http://evil)"


@pytest.mark.parametrize(
    ("aliases", "answer", "words", "first"),
    [
        ((), Safety.SAFE, "**Yes.** The old version serves all traffic", "Nothing is urgent"),
        (
            (alias(API, "1", "2", 0.2), alias(FETCHER, "1")),
            Safety.AT_RISK,
            f"**NO. Users still meet the bad version:** `{API}` version 1 with 20 % on 2",
            '**At once:** `starter.py rollback --to 1 --reason "…"`',
        ),
        (
            (alias(API, "1"), alias(FETCHER, "2")),
            Safety.AT_RISK,
            "**NO. Users still meet the bad version:**",
            "**At once:**",
        ),
        (
            (alias(API, "7"), alias(FETCHER, "1")),
            Safety.OTHERS,
            "somebody else has moved production:** `crypto-watch-api-prod` version 7",
            "Find out who moved it",
        ),
    ],
    ids=["back", "split", "fetcher left behind", "a third version"],
)
def test_first_screen_says_whether_users_are_safe_and_what_to_do(aliases, answer, words, first):
    """By the aliases as they were read, not by what the release meant to do."""
    found = packet(*aliases)

    assert safety(found) is answer
    assert words in head(found)
    assert actions(found)[0].startswith(first)


def test_alias_that_could_not_be_read_is_no_yes():
    """Not known is said as such, with the command that answers it and the one that mends it."""
    unread = {"aliases": "EndpointConnectionError: gone"}
    found = packet(found={"aliases": None, "unread": unread})

    assert safety(found) is Safety.UNKNOWN
    assert "**NOT KNOWN.**" in head(found)
    assert f"aws lambda get-alias --function-name {API} --name live" in actions(found)[0]
    assert "rollback --to 1" in actions(found)[0]
    assert "- aliases: `EndpointConnectionError: gone`" in markdown(found)


def test_commit_that_went_out_as_it_was_in_production_already_is_no_danger():
    """A function whose code did not change has one version, which is good and bad."""
    found = packet(bad={API: "2", FETCHER: "1"})

    assert safety(found) is Safety.SAFE


def test_alarm_that_is_still_red_is_no_all_clear():
    """The old version may fail as well: whoever reads it is told when to look again."""
    red = packet(found={"alarms": (AlarmSeen(name="errors", state="ALARM"),)})
    green = packet(found={"alarms": (AlarmSeen(name="errors", state="OK"),)})

    assert "But still red: `errors`." in head(red)
    assert actions(red)[0].startswith("**In three minutes** look at `errors` again")
    assert actions(green)[0].startswith("Nothing is urgent")


def test_release_that_could_not_be_judged_sends_somebody_to_look_at_production():
    """What blinded the judgement may be an outage that has nothing to do with the release."""
    steps = (rung(0.2, 1, (0, 0), verdict=Verdict.INCONCLUSIVE),)

    assert actions(packet(steps=steps))[0].startswith("Look at production itself")


def test_failures_are_counted_beyond_the_baselines_rate():
    """25 of 100 failed where the old version fails 1 %: 24 would not have."""
    assert failed_beyond_baseline(facts().steps) == pytest.approx(24)
    at_whole = (rung(0.5, 0, (100, 2), (100, 2)), rung(1, 1, (1000, 50)))
    assert failed_beyond_baseline(at_whole) == pytest.approx(30)
    assert failed_beyond_baseline((rung(0.1, 0, (10, 0), (90, 9)),)) == 0
    assert "About **24** requests failed" in head(packet())


def test_rung_that_was_cut_short_is_said_to_be_missing():
    """What nobody counted is not passed off as none."""
    cut = StepRecord(weight=0.3, started_at=START + MINUTE)

    text = head(packet(steps=(rung(0.1, 0, (50, 0)), cut), outcome="aborted"))

    assert "with 30 % of production's traffic on it" in text
    assert "A rung that was cut short is not in it" in text


def test_deciding_rung_is_the_one_that_was_not_judged_good():
    """Not the last that somebody happened to add."""
    steps = (rung(0.1, 0, (9, 9), verdict=Verdict.FAILED), rung(0.2, 1, (9, 0)))

    assert decisive(steps) == steps[0]
    assert decisive(steps[1:]) == steps[1]
    assert decisive(()) is None


def test_way_on_depends_on_the_quarantine():
    """Quarantined: a fix or a release of it; not quarantined: the same commit may go again."""
    quarantined = "\n".join(actions(packet()))
    free = "\n".join(actions(packet(found={"quarantined": False}, quarantines=False)))
    left_out = "\n".join(actions(packet(found={"quarantined": False})))
    unknown = "\n".join(actions(packet(found={"quarantined": None})))

    for text in (quarantined, unknown):
        assert f"`Fixes-Release: {SHA[:12]}`" in text
        assert f"quarantine release {SHA[:12]} --reason" in text
    assert f"not quarantined, so `starter.py promote {SHA[:12]}`" in free
    assert "It is **not quarantined**" in left_out


def test_hostile_strings_stay_within_their_code_spans():
    """What others wrote makes no heading, link, mention, image or table cell of ours."""
    message = InboxRecord(at=START, kind="abort", by=HOSTILE, accepted=True, text=HOSTILE)
    found = packet(
        reason=HOSTILE,
        changes=(HOSTILE,),
        authors=(HOSTILE,),
        requested_by=HOSTILE,
        version=HOSTILE,
        messages=(message,),
        found={
            "unread": {"logs": HOSTILE},
            "alarms": (
                AlarmSeen(name=HOSTILE, text=HOSTILE, changes=(Change(at=START, text=HOSTILE),)),
            ),
        },
    )

    lines = markdown(found).splitlines()

    assert not [line for line in lines if line.startswith(("# DONE", "<!", "![]"))]
    for line in lines:
        outside = "".join(line.split("`")[::2])
        assert not {"evil", "@here", "<!channel>", "</b>"} & set(outside.split()), line
        assert "http://evil" not in outside
    for line in (line for line in lines if line.startswith("| 2026")):
        assert line.count("|") == 3, line
    assert "\n" not in title(found.facts)


def test_timeline_is_in_order_and_has_everybodys_part():
    """Approval, rungs, alarm, the way back; what was routine is left out."""
    alarm = AlarmSeen(name="errors", changes=(Change(at=START + 2 * MINUTE, text="to ALARM"),))

    lines = timeline(packet(found={"alarms": (alarm,)}))

    assert [text.partition(":")[0] for _, text in lines] == [
        "`approve` by bob",
        "10 % on the new version",
        "20 % on the new version",
        "`errors`",
        "the way back begins",
        "the way back is through",
    ]
    assert [at for at, _ in lines] == sorted(at for at, _ in lines)


def test_timeline_of_a_long_release_is_cut_and_says_so():
    """200 rungs are no timeline that anybody reads; its beginning and its end are there."""
    steps = tuple(rung(0.1, minute, (1, 0)) for minute in range(200))

    lines = timeline(packet(steps=steps, went_back_at=START + timedelta(hours=4)))

    assert len(lines) == 61
    assert "lines are left out here" in lines[10][1]
    assert lines[-1][1].startswith("the way back")


def test_review_has_every_step_of_the_flow():
    """The flow's lists, of which only the report itself is done."""
    text = markdown(packet())

    assert text.count("- [x]") == 1
    for step in (
        "Post-mortem",
        "Timeline",
        "Root cause",
        "Action items",
        "Procedures",
        "Learnings",
    ):
        assert f"**{step}" in text


def test_rollback_by_hand_has_no_rungs_and_says_so():
    """A release that was complete: nothing is counted, and nothing is made up."""
    text = head(packet(steps=(), outcome="rolled back by hand"))

    assert "was rolled back by hand" in text
    assert "Not counted" in text
    assert "% of production's traffic" not in text


@pytest.mark.parametrize("text", [KEY, f"key={KEY}&x", f'"{KEY}"', KEY[:20]])
def test_keys_are_masked_wherever_they_stand(text):
    """Neither a key nor the start of one is left; the rest of the text is."""
    masked = mask_keys(f"before {text} after")

    assert "kkkkkkkk" not in masked
    assert masked.startswith("before ")
    assert masked.endswith(" after")
    assert "cw_live_****" in masked
    assert mask_keys(masked) == masked


def test_changed_stack_is_told_beside_what_production_serves():
    """The old code runs on the new infrastructure: who looks for the cause has to know."""
    stays = "the stack crypto-watch-prod was changed before traffic moved"

    assert f"Not put back: `{stays}`." in markdown(packet(infrastructure=stays))
    assert "Not put back" not in markdown(packet())
