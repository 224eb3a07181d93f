"""The policy file: what it says, and the one line that a mistake in it gives."""

from datetime import timedelta
from pathlib import Path

import pytest

from release.alarms import metrics_namespace
from release.channels import Event
from release.ladder import rungs
from release.policy import PolicyError, alarm_period_seconds, parse_policy

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "release.toml").read_text()


def changed(old: str, new: str) -> str:
    """The project's own policy with one place changed."""
    assert TEXT.count(old) == 1, f"{old!r} has to be in release.toml exactly once"
    return TEXT.replace(old, new)


def mistake(text: str) -> str:
    """The one line that a wrong policy gives."""
    with pytest.raises(PolicyError) as refused:
        parse_policy(text)
    line = str(refused.value)
    assert "\n" not in line
    return line


def test_the_projects_policy_climbs_ten_percent_a_minute():
    """The flow's "Gradual (10% per minute)", and in its first minute never more than that."""
    passed = timedelta(0)
    for rung in rungs(parse_policy(TEXT).shift)[:-1]:
        passed += rung.min_duration
        minute = -(-passed // timedelta(minutes=1))
        assert rung.canary_weight <= 0.1 * minute + 1e-9

    assert passed == timedelta(minutes=9)


def test_the_projects_policy_asks_people_for_a_day():
    """Checklist and approval stand 24 hours, as the flow says."""
    policy = parse_policy(TEXT)

    assert policy.checklist.timeout == timedelta(hours=24)
    assert policy.approval.timeout == timedelta(hours=24)


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ('low_traffic = "proceed"', 'low_trafic = "proceed"', "shift.low_trafic: "),
        ("step = 0.1", "step = 1.5", "shift.step: "),
        ("step = 0.1", "steps = []", "shift.steps: Extra inputs"),
        ('strategy = "linear"', 'strategy = "bold"', "shift.strategy: "),
        ("min_requests = 20", "min_requests = -1", "shift.min_requests: "),
        ("[functions.api]", "[functions.web]", "[functions.api] is missing"),
        ('"one-price", "missing-key"', '"one-price", "no-key"', "contract.4: "),
        ('manual = ["operations_lead"] }', 'manual = ["boss"] }', "unknown role 'boss'"),
        ('waivers = ["technical_lead", "operations_lead"]', 'waivers = ["boss"]', "unknown role"),
        ('approval = "product_owner"', 'approval = "boss"', "unknown role 'boss'"),
        ('people = ["bob"]', "people = []", "'operations_lead' needs 1 people and has fewer"),
        ('people = ["bob"]', 'people = ["bob"], needed = 2', "'operations_lead' needs 2 people"),
        ('remind_every = "6h"', 'remind_every = "1m"', "remind_every: at most 12 reminders"),
        ('id = "memory"', 'id = "logs"', "item 'logs' stands twice"),
        ('auto = "memory"', 'aut = "memory"', "aut: Extra inputs are not permitted"),
        ("requests = 200", "requests = 2", "checklist.limits.requests: "),
        ('bake = "5m"', 'bake = "5 minutes"', "shift.bake: "),
        ('bake = "5m"', 'bake = ""', "shift.bake: "),
        ('low_traffic = "proceed"', 'low_traffic = "hope"', "shift.low_traffic: "),
        ('service = "crypto-watch"', 'service = "Crypto Watch"', "service: "),
        ('artifact_bucket = "crypto-watch-artifacts"', "", "artifact_bucket: "),
        ("[checklist]\n", "[checklist\n", "not valid TOML: "),
        ('immediate_until = "15m"', 'immediate_until = "2h"', "have to rise in this order"),
        ('long_term_until = "24h"', 'long_term_until = "0s"', "post_deploy.long_term_until: "),
        ('id = "anomalies"', 'id = "traffic"', "item 'traffic' stands twice"),
        ('auto = "anomalies"', 'auto = "anomaly"', "auto: Input should be 'health', 'endpoints'"),
        (
            'Monitor for any anomalies", auto = "anomalies"',
            'x", manual = ["technical_lead"]',
            "post_deploy.long_term.0.auto: Field required",
        ),
    ],
)
def test_mistake_in_the_policy_is_one_line_that_names_the_place(old, new, place):
    """A person reads where to look, never a traceback."""
    line = mistake(changed(old, new))

    assert line.startswith("release.toml")
    assert place in line


def test_empty_policy_names_what_is_missing():
    """An empty file is a policy without its first required value."""
    assert mistake("") == "release.toml: service: Field required"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("90s", timedelta(seconds=90)),
        ("5m", timedelta(minutes=5)),
        ("24h", timedelta(hours=24)),
        ("1d", timedelta(days=1)),
        ("0s", timedelta()),
    ],
)
def test_duration_is_read_with_its_unit(written, meant):
    """ "90s", "5m", "24h" and "1d" mean what they say."""
    assert parse_policy(changed('bake = "5m"', f'bake = "{written}"')).shift.bake == meant


def test_compressed_clock_divides_the_ladders_times():
    """Twelve times faster: a minute's rung takes five seconds."""
    shift = parse_policy(TEXT).compressed(12).shift

    assert shift.every == timedelta(seconds=5)
    assert shift.max_wait == timedelta(seconds=50)
    assert shift.bake == timedelta(seconds=25)


def test_compressed_clock_leaves_time_to_measure_again():
    """Blindness is an outage of the real world: it is never judged in under 30 seconds."""
    assert parse_policy(TEXT).compressed(12).shift.max_blind == timedelta(seconds=30)
    assert parse_policy(TEXT).compressed(2).shift.max_blind == timedelta(seconds=150)


def test_compressed_clock_leaves_all_else_alone():
    """People keep their 24 hours, and weights and limits stay as they are."""
    policy = parse_policy(TEXT)
    fast = policy.compressed(12)
    times = {"every", "hold", "total", "max_wait", "max_blind", "bake"}
    windows = {"immediate_until", "short_term_until", "long_term_until"}
    others = {"shift": True, "checklist": {"retry_every"}, "post_deploy": windows}

    assert fast.model_dump(exclude=others) == policy.model_dump(exclude=others)
    assert fast.checklist.retry_every == policy.checklist.retry_every / 12
    assert fast.post_deploy.long_term_until == timedelta(hours=2)
    assert fast.post_deploy.short_term_until == timedelta(minutes=5)
    assert fast.post_deploy.immediate_until == timedelta(seconds=75)
    assert fast.shift.model_dump(exclude=times) == policy.shift.model_dump(exclude=times)
    assert [r.canary_weight for r in rungs(fast.shift)] == [
        r.canary_weight for r in rungs(policy.shift)
    ]


def test_clock_at_factor_one_is_the_policy_itself():
    """Real time is no compression."""
    policy = parse_policy(TEXT)

    assert policy.compressed(1) == policy


@pytest.mark.parametrize(
    ("factor", "seconds"), [(1, 60), (1.5, 60), (2, 30), (3, 20), (6, 10), (12, 10), (600, 10)]
)
def test_alarm_period_is_one_that_cloudwatch_allows(factor, seconds):
    """Alarms under a compressed clock use 10, 20 or 30 seconds, else a minute."""
    assert alarm_period_seconds(factor) == seconds


@pytest.mark.parametrize("bake", ['"9999999999999d"', "-300"])
def test_impossible_duration_is_one_clear_line(bake):
    """A slip in a duration is said, with its place, before anything starts."""
    text = TEXT.replace('bake = "5m"', f"bake = {bake}")

    with pytest.raises(PolicyError) as refused:
        parse_policy(text)

    assert str(refused.value).startswith("release.toml: shift.bake: ")
    assert "\n" not in str(refused.value)


CHANNEL = '[[notify]]\nkind = "webhook"\nname = "page"\nurl_secret = "page/url"\n'


def test_channel_hears_everything_unless_it_says_otherwise():
    """A team's channel need not list events, and new ones reach it."""
    [everything] = parse_policy(TEXT + CHANNEL).notify
    [few] = parse_policy(TEXT + CHANNEL + 'events = ["shifting", "done"]\n').notify

    assert set(everything.events) == set(Event)
    assert few.events == (Event.SHIFTING, Event.DONE)


def test_event_that_there_is_not_is_said_with_those_that_there_are():
    """A status page that would never hear of a rollback is found before the first release."""
    line = mistake(TEXT + CHANNEL + 'events = ["shifting", "rolled back"]\n')

    assert line.startswith("release.toml: notify.0.events.1: ")
    assert all(f"'{event}'" in line for event in Event)


def test_another_services_policy_needs_little():
    """A service of one function is asked what any can be; its names follow from its own."""
    hello = parse_policy((ROOT / "examples" / "hello" / "release.toml").read_text())

    assert hello.contract == ("runs-the-commit", "documented-examples")
    assert hello.function_names("prod") == {"api": "hello-api-prod"}
    assert hello.dry_runs() == ()
    assert parse_policy(TEXT).dry_runs() == ("fetcher",)
    assert [metrics_namespace(name) for name in ("hello", "crypto-watch")] == [
        "Hello",
        "CryptoWatch",
    ]
