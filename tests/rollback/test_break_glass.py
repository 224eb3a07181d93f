"""Breaking the glass: the aliases come back by direct writes that say who made them."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse

from cli.break_glass import Back, BreakGlass
from release.lease import Hand, Lease, Note
from release.policy import parse_policy
from tests.rollback.production_parts import API, FETCHER, Production

POLICY = parse_policy((Path(__file__).parents[2] / "release.toml").read_text())
A, B, C = (letter * 40 for letter in "abc")


class Glass:
    """Breaks the glass with a clock that the pauses move; keeps what it said."""

    def __init__(self, production: Production) -> None:
        self.client = production.client("lambda")
        self.seconds = 0.0
        self.said: list[str] = []

    def breaks(self, wanted: str | None = None, reason: str = "customers call") -> list[Back]:
        glass = BreakGlass(
            self.client,
            POLICY,
            by="alice",
            reason=reason,
            say=self.said.append,
            sleep=self._pause,
            clock=lambda: self.seconds,
        )
        return glass.bring_back(wanted)

    def _pause(self, seconds: float) -> None:
        self.seconds += seconds

    def answer(self, operation: str, status: int, times: int, function: str = "") -> None:
        """The next calls of an operation are answered by AWS with this status, and not done."""
        left = [times]

        def instead(request: Any, **_: Any) -> AWSResponse | None:
            if function not in request.url or left[0] == 0:
                return None
            left[0] -= 1
            body = b'{"message": "not now"}'
            headers = {
                "x-amzn-errortype": "TooManyRequestsException" if status == 429 else "Service"
            }
            return AWSResponse(request.url, status, headers, _Raw(body))

        self.client.meta.events.register(f"before-send.lambda.{operation}", instead)

    def meet(self, somebody: Any, times: int) -> None:
        """Before each of the next writes of the alias somebody else writes it."""
        left = [times]

        def first(**_: Any) -> None:
            if left[0]:
                left[0] -= 1
                somebody()

        self.client.meta.events.register("before-call.lambda.UpdateAlias", first)


class _Raw:
    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, **_: Any) -> Any:
        yield self._body


@pytest.fixture
def production(production: Production) -> Production:
    """Three releases; the second is served, the third was published for a promotion."""
    production.create("1.0.0", A)
    production.publish("1.1.0", B)
    production.publish("1.2.0", C)
    production.serve("2")
    return production


@pytest.fixture
def glass(production: Production) -> Glass:
    return Glass(production)


def lease(baseline: str) -> str:
    """A description as a shift leaves it."""
    return Lease(
        holder="promotion/crypto-watch/cccccccccccc",
        run="r",
        baseline=baseline,
        expires=datetime(2026, 1, 1, tzinfo=UTC),
    ).to_description()


def note(production: Production, function: str = API) -> Note:
    """What stands in the alias's description."""
    found = Note.from_description(production.alias(function)["Description"])
    assert found is not None
    return found


def test_split_alias_goes_back_to_its_old_version_and_the_others_stay(glass, production):
    """A shift under way is undone; the fetcher, which it has not reached, goes no further back."""
    production.point(API, "2", {"3": 0.5})

    backs = glass.breaks()

    assert [(back.function, back.version) for back in backs] == [(API, "2"), (FETCHER, "2")]
    assert production.serves(API) == {"2": 1}
    assert production.serves(FETCHER) == {"2": 1}


def test_lease_says_the_baseline_when_the_alias_is_whole_on_the_new_version(glass, production):
    """At 100 % no split tells the baseline any more; the lease does."""
    production.publish("1.3.0", "d" * 40)
    production.point(API, "4", description=lease("2"))

    glass.breaks()

    assert production.serves(API) == {"2": 1}


def test_note_says_who_why_and_what_was_taken_out(glass, production):
    """Whoever looks at the alias sees it, and so does the next promotion."""
    production.point(API, "2", {"3": 0.5})

    glass.breaks(reason="customers call")

    left = note(production)
    assert (left.hand, left.by, left.reason) == (Hand.BREAK_GLASS, "alice", "customers call")
    assert left.undone == "3"
    assert note(production, FETCHER).undone == ""


@pytest.mark.parametrize("wanted", ["1.0.0", "v1.0.0", A, A[:8], "1"])
def test_named_release_is_served_by_every_function(glass, production, wanted):
    """Release, tag, commit or the API's Lambda version."""
    glass.breaks(wanted)

    assert production.serves(API) == {"1": 1}
    assert production.serves(FETCHER) == {"1": 1}


def test_number_is_the_apis_and_the_others_follow_by_release(glass, production):
    """Functions count their versions each for itself."""
    production.publish("1.3.0", "d" * 40, (FETCHER,))
    production.publish("1.4.0", "e" * 40)

    glass.breaks("4")

    assert production.serves(API) == {"4": 1}
    assert production.serves(FETCHER) == {"5": 1}


def test_whole_alias_goes_to_the_version_before(glass, production):
    """After the fact: the release that is served is the bad one."""
    production.serve("3")

    glass.breaks()

    assert production.serves(API) == {"2": 1}
    assert note(production).undone == "3"


def test_whole_alias_goes_where_the_alias_rollback_points(glass, production):
    """A version that was kept for this is better than the one that happens to come before."""
    production.serve("3")
    for function in (API, FETCHER):
        production.lambda_.create_alias(FunctionName=function, Name="rollback", FunctionVersion="1")

    glass.breaks()

    assert production.serves(API) == {"1": 1}
    assert production.serves(FETCHER) == {"1": 1}


def test_glass_broken_twice_ends_at_the_same_place(glass, production):
    """The second time changes no traffic, and the note still names what was taken out."""
    production.serve("3")

    glass.breaks()
    glass.breaks()

    assert production.serves(API) == {"2": 1}
    assert production.serves(FETCHER) == {"2": 1}
    assert note(production).undone == "3"


def test_second_try_after_one_function_failed_takes_both_to_the_same_release(glass, production):
    """What was back stays, and what failed follows it."""
    production.point(API, "2", {"3": 0.5})
    glass.answer("UpdateAlias", 500, times=100, function=FETCHER)
    assert [bool(back.error) for back in glass.breaks()] == [False, True]

    assert not any(back.error for back in Glass(production).breaks())

    assert production.serves(API) == {"2": 1}
    assert production.serves(FETCHER) == {"2": 1}


def test_lost_race_is_run_again_with_what_is_there_now(glass, production):
    """A promotion that goes on shifting meanwhile does not keep its canary."""
    production.point(API, "2", {"3": 0.1})
    weights = iter([0.2, 0.3, 0.4])
    glass.meet(lambda: production.point(API, "2", {"3": next(weights)}), times=3)

    backs = glass.breaks()

    assert not any(back.error for back in backs)
    assert production.serves(API) == {"2": 1}
    assert len([line for line in glass.said if "somebody else wrote" in line]) == 3


def test_race_that_is_always_lost_ends_and_says_so(glass, production):
    """After 20 times it is not luck, and the fetcher comes back all the same."""
    production.serve("3")
    glass.meet(lambda: production.point(API, "3"), times=20)

    api, fetcher = glass.breaks()

    assert "lost the race for the alias 20 times" in api.error
    assert fetcher.error == ""
    assert production.serves(FETCHER) == {"2": 1}


@pytest.mark.parametrize("status", [429, 500, 503])
@pytest.mark.parametrize("operation", ["GetAlias", "UpdateAlias"])
def test_throttled_or_broken_aws_is_tried_again_visibly(glass, production, operation, status):
    """Each try is a line."""
    production.serve("3")
    glass.answer(operation, status, times=4)

    backs = glass.breaks()

    assert not any(back.error for back in backs)
    assert production.serves(API) == {"2": 1}
    assert len([line for line in glass.said if "trying again" in line]) == 4


def test_aws_that_stays_broken_is_given_up_after_two_minutes(glass, production):
    """The API's failure does not keep the fetcher from coming back."""
    production.serve("3")
    glass.answer("UpdateAlias", 503, times=1000, function=API)

    api, fetcher = glass.breaks()

    assert api.error
    assert fetcher.error == ""
    assert 120 <= glass.seconds < 130
    assert production.serves(FETCHER) == {"2": 1}


def test_refusal_of_aws_is_not_tried_again(glass, production):
    """A mistake does not get better by waiting."""
    glass.answer("UpdateAlias", 403, times=1000)

    assert all(back.error for back in glass.breaks())
    assert glass.seconds == 0


def test_release_that_is_not_there_is_said_with_those_that_are(glass, production):
    """Without Temporal nothing is built again."""
    api, fetcher = glass.breaks("9.9.9")

    assert f"{API} has no release '9.9.9'" in api.error
    assert f"1.0.0 {A}" in api.error
    assert fetcher.error
    assert production.serves(API) == {"2": 1}


def test_first_version_has_no_way_back(glass, production):
    """Nothing is written when there is nothing to go back to."""
    production.serve("1")

    api, _ = glass.breaks()

    assert api.error == f"{API} has no version before 1"
    assert production.serves(API) == {"1": 1}


def test_note_fits_whatever_people_write(glass, production):
    """Lambda takes 256 characters, and a long reason must not cost the rollback."""
    production.serve("3")
    long_name = BreakGlass(glass.client, POLICY, by="ü😀" * 200, reason="ü" * 5000)

    assert not any(back.error for back in long_name.bring_back(None))
    assert len(production.alias()["Description"]) <= 256
    assert note(production).undone == "3"
