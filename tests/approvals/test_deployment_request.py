"""The production deployment request: the flow's form, with figures, and safe from its contents."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from release.deployment_request import (
    NeededRole,
    RequestFacts,
    StackDiff,
    Validation,
    WaivedItem,
    compose,
    exposed_share,
    traffic_impact,
)
from release.policy import Shift, ShiftStep
from release.text import cell, code, duration, name, one_line

MINUTE = timedelta(minutes=1)
LADDER = tuple(ShiftStep(canary_weight=number / 10, min_duration=MINUTE) for number in range(1, 11))
GOLDEN = Path(__file__).with_name("deployment_request.md")
PARSER = MarkdownIt("commonmark").enable("table")
HOSTILE = [
    "fix: a | b | c",
    "feat: ping @everyone and @org/team",
    "docs: [click](https://evil.example) ![x](https://evil.example/p.png)",
    "fix: `code` and ``more`` |\\",
    "<script>alert(1)</script> <!channel>",
    "first\n\n## Approval Required\n| ceo | 0 of 0 |",
    "first\u2028second\u0085third\x0bfourth",
    "see https://evil.example www.evil.example #1 GH-2",
    "\u202eesrever\u200b \ud800 \x00",
    "x" * 5000,
    "",
]


def facts(**fields: Any) -> RequestFacts:
    """Facts of an ordinary release."""
    known = {
        "at": datetime(2024, 1, 15, 9, 30, tzinfo=UTC),
        "requester": "carol",
        "service": "crypto-watch",
        "sha": "c0ffee" * 6 + "beef",
        "version": "1.2.3",
        "running_version": "1.2.2",
        "major": False,
        "changes": ("feat: add TRX and FIL", "fix: timestamp timezone issue"),
        "validation": Validation(
            passed=51,
            not_applicable=1,
            waived=(WaivedItem(item="No memory leaks", by="alice", reason="no REPORT lines"),),
            performance_passed=True,
        ),
        "shift": Shift(pre_ramp=False),
        "alarms_act_in": 3 * MINUTE,
        "judgement_acts_in": 90 * timedelta(seconds=1),
        "rollback_version": "41",
        "roles": (
            NeededRole(role="technical_lead", needed=1, people=("alice", "bob")),
            NeededRole(role="operations_lead", needed=1, people=("olga",)),
        ),
        "until": datetime(2024, 1, 16, 9, 30, tzinfo=UTC),
        "digest": "0123456789abcdef" * 4,
        "temporal_url": "https://temporal.example.org/namespaces/default/workflows/promotion%2Fx",
        "github_url": "https://github.com/o/r/actions/runs/5",
    }
    return RequestFacts(**{**known, **fields})


def test_request_has_the_flows_form():
    """Word for word; `deployment_request.md` beside this file shows a whole one."""
    assert [line.rstrip() for line in compose(facts()).splitlines()] == (
        GOLDEN.read_text().splitlines()
    )


def test_first_release_has_nothing_to_name():
    """Production runs nothing yet, nothing was waived, no address is known."""
    text = compose(
        facts(
            running_version="",
            changes=(),
            validation=Validation(passed=53, performance_passed=True),
            temporal_url="",
            github_url="",
            proof_needed=False,
        )
    )

    assert "production runs nothing yet" in text
    assert "**Changes**: 0 commits" in text
    assert "| waived |" not in text
    assert "production keeps what it has" in text
    assert "`starter.py approve c0ffeec --digest 0123456789ab --as NAME`" in text
    assert "http" not in text


def test_what_is_open_is_not_ticked():
    """The request never claims what was not seen."""
    seen = Validation(
        passed=50, failed=("latency",), unanswered=("readme",), performance_passed=False
    )
    text = compose(facts(validation=seen))

    assert (
        "- [ ] All checklist items completed: 50 passed, 0 waived, 0 n/a; unanswered: `readme`"
        in text
    )
    assert "- [ ] No critical issues found; failed: `latency`" in text
    assert "- [ ] Performance acceptable: not every item" in text


def test_major_version_and_drill_are_said():
    """Both weigh on the decision."""
    text = compose(facts(version="2.0.0", major=True, last_drill="passed on 2024-01-08"))

    assert "**a major version**" in text
    assert "**Last Rollback Drill**: `passed on 2024-01-08`" in text


def test_change_of_the_stack_is_shown_with_what_was_waived():
    """And that it stays where the code goes back."""
    waived = WaivedItem(item="infrastructure", by="bob", reason="a cache")
    changes = ("Add Motd (AWS::SSM::Parameter)", "Modify Table (AWS::DynamoDB::Table), is replaced")
    text = compose(
        facts(infrastructure=StackDiff(stack="shop-prod", changes=changes, waived=(waived,)))
    )

    assert "`shop-prod` changes before traffic moves, and a rollback does not put it back:" in text
    assert "- `Add Motd (AWS::SSM::Parameter)`" in text
    assert "- waived by bob: `a cache`" in text


def test_stack_that_stays_is_said_and_one_that_is_nobodys_is_not():
    """Silence would not tell the one from the other."""
    stays = compose(facts(infrastructure=StackDiff(stack="shop-prod", changes=())))

    assert "### Infrastructure\n\n`shop-prod` stays as it is." in stays
    assert "### Infrastructure" not in compose(facts())


def test_many_changes_are_counted():
    """Twenty are shown."""
    text = compose(facts(changes=tuple(f"fix: {number}" for number in range(100))))

    assert "**Changes**: 100 commits" in text
    assert "`fix: 19`" in text
    assert "`fix: 20`" not in text
    assert "- and 80 more" in text


@pytest.mark.parametrize(
    ("ladder", "words"),
    [
        (Shift(pre_ramp=False), "Gradual (10 % a minute)"),
        (Shift(), "Gradual (10 % a minute, from 2 % at most)"),
        (Shift(strategy="all_at_once"), "All at once"),
        (Shift(pre_ramp=False, step=0.3, every=5 * MINUTE), "Gradual (30 % every 5 min)"),
        (Shift(strategy="canary", hold=10 * MINUTE), "Gradual (10 % for 10 min, then 100 %)"),
        (Shift(pre_ramp=False, step=0.5, every=MINUTE / 12), "Gradual (50 % every 5 s)"),
        (Shift(pre_ramp=False, step=0.5, every=60 * MINUTE), "Gradual (50 % an hour)"),
        (
            Shift(strategy="adaptive"),
            "Gradual (from 2 % at most by a constant factor, to 100 % in 9 min)",
        ),
        (
            Shift(strategy="codedeploy", codedeploy_role="arn:aws:iam::000000000000:role/cd"),
            "Gradual (AWS CodeDeploy: CodeDeployDefault.LambdaLinear10PercentEvery1Minute)",
        ),
    ],
)
def test_traffic_impact_is_in_words(ladder, words):
    """The flow's "Gradual (10% per minute)", and every other strategy."""
    assert traffic_impact(ladder) == words


@pytest.mark.parametrize(
    ("seconds", "share", "as_much"),
    [
        (30, 0.1, 3),
        (60, 0.1, 6),
        (90, 0.2, 12),
        (600, 1.0, 330),
        (660, 1.0, 390),
        (0, 0.0, 0),
    ],
)
def test_exposure_grows_with_the_ladder(seconds, share, as_much):
    """Unseen for 90 s: a minute at 10 % and half a minute at 20 %, as much as 12 s of all."""
    reached, exposure = exposed_share(LADDER, timedelta(seconds=seconds))

    assert reached == pytest.approx(share)
    assert exposure.total_seconds() == pytest.approx(as_much)


def shape(markdown: str) -> list[str]:
    """The blocks that a parser finds, and what it finds within lines but plain text and code."""
    found = []
    for token in PARSER.parse(markdown):
        found.append(token.type)
        found += [
            child.type
            for child in token.children or []
            if child.type not in {"text", "code_inline", "softbreak", "hardbreak"}
        ]
    return found


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_changes_nothing_around_it(text):
    """Subjects, names and reasons of any kind leave the request's shape as it is."""
    harmless = compose(facts(changes=("x",), requester="x", last_drill="x"))
    waived = (WaivedItem(item=text, by=text, reason=text),)
    hostile = compose(
        facts(
            changes=(text,),
            requester=text,
            last_drill=text or "x",
            validation=Validation(
                passed=51, not_applicable=1, waived=waived, performance_passed=True
            ),
            roles=tuple(NeededRole(role=text, needed=1, people=(text,)) for _ in range(2)),
        )
    )

    assert shape(hostile) == shape(harmless)
    assert len(hostile) < len(harmless) + 3000
    hostile.encode()


def in_code(markdown: str) -> str:
    """What a parser finds inside code spans."""
    return " ".join(
        child.content
        for token in PARSER.parse(markdown)
        for child in token.children or []
        if child.type == "code_inline"
    )


@pytest.mark.parametrize("word", ["@everyone", "https://evil.example", "www.evil.example", "#1"])
def test_mentions_and_addresses_stand_in_code_spans_only(word):
    """GitHub makes mentions and links of bare words too, but not inside code."""
    text = compose(facts(changes=tuple(HOSTILE)))

    assert text.count(word) == in_code(text).count(word) > 0


TEXT = st.text(
    st.characters() | st.sampled_from("|`\\\n\r*_[]()<>@#~-:\u2028\u0085\x0b"), max_size=300
)


@given(TEXT, TEXT, TEXT)
def test_any_text_keeps_one_table_row_per_line(item, by, reason):
    """One waived item, one row of three cells, whatever it holds."""
    row = f"| {cell(item)} | {name(by)} | {cell(reason, 200)} |"
    table = f"| a | b | c |\n|---|---|---|\n{row}\n| last | last | last |"
    kinds = [token.type for token in PARSER.parse(table)]

    assert len(row.splitlines()) == 1
    assert row.count("|") == 4
    assert kinds.count("tr_open") == 3
    assert kinds.count("td_open") == 6
    row.encode()


@given(TEXT, st.integers(2, 100))
def test_any_text_is_one_bounded_line(text, limit):
    """Of visible characters only."""
    line = one_line(text, limit)

    assert len(line) <= limit
    assert len(line.splitlines()) <= 1
    assert code(text, limit).count("`") in {0, 2}


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (0.42, "0.4 s"), (5, "5 s"), (60, "1 min"), (150, "2 min 30 s"), (86400, "24 h"),
     (3661, "1 h 1 min 1 s"), (59.7, "1 min")],
)  # fmt: skip
def test_durations_are_in_words(seconds, words):
    """As people say them."""
    assert duration(timedelta(seconds=seconds)) == words
