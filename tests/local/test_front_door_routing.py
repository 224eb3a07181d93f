"""Alias weights: the share each version gets, and the switch that leaves nothing behind."""

import http.client
import threading
from collections import Counter
from typing import Any

import front_door_parts as parts
import pytest
from botocore.exceptions import ClientError


def served(port: int, count: int) -> Counter[str]:
    """How many of so many requests each version has answered."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    versions: Counter[str] = Counter()
    for _ in range(count):
        connection.request("GET", "/")
        response = connection.getresponse()
        response.read()
        assert response.status == 200
        versions[response.headers["x-executed-version"]] += 1
    connection.close()
    return versions


@pytest.mark.parametrize(("weight", "least", "most"), [(0.1, 55, 150), (0.5, 420, 580)])
def test_weight_is_the_share_of_requests(
    front_door: parts.FrontDoor,
    function: str,
    url_port: int,
    weight: float,
    least: int,
    most: int,
) -> None:
    """Of 1,000 requests a version gets its weight, within five standard deviations or so."""
    front_door.live(function, "1", {front_door.deploy(function, LABEL="two"): weight})

    versions = served(url_port, 1000)

    assert set(versions) == {"1", "2"}
    assert least <= versions["2"] <= most


@pytest.mark.parametrize(("weight", "version"), [(0.0, "1"), (1.0, "2")])
def test_weight_at_either_end_is_exact(
    front_door: parts.FrontDoor, function: str, url_port: int, weight: float, version: str
) -> None:
    """Weight 0 gets nothing, weight 1 gets everything."""
    front_door.live(function, "1", {front_door.deploy(function, LABEL="two"): weight})

    assert set(served(url_port, 100)) == {version}


def test_switch_under_traffic_leaves_no_old_version(
    front_door: parts.FrontDoor, function: str, url_port: int
) -> None:
    """No request that starts after UpdateAlias returned meets the old version, nor any an error."""
    newer = front_door.deploy(function, LABEL="two")
    served(url_port, 1)
    over = threading.Event()
    failures: list[BaseException] = []

    def traffic() -> None:
        try:
            while not over.is_set():
                served(url_port, 20)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=traffic) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for version in [newer, "1"] * 6:
            front_door.live(function, version)
            assert set(served(url_port, 5)) == {version}
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert not failures


def test_change_made_straight_at_the_control_plane_is_seen(
    front_door: parts.FrontDoor, control_plane: int, function: str, url_port: int
) -> None:
    """An alias that was moved behind the front door's back is followed within seconds."""
    front_door.deploy(function, LABEL="two")
    served(url_port, 1)

    parts.client("lambda", control_plane).update_alias(
        FunctionName=function, Name="live", FunctionVersion="2"
    )

    parts.until(lambda: set(served(url_port, 1)) == {"2"})


def test_recreated_function_runs_its_new_code(front_door: parts.FrontDoor, function: str) -> None:
    """A deleted function is forgotten: its successor's version 1 is not the old one."""
    front_door.aws.invoke(FunctionName=function, Qualifier="1")
    front_door.aws.delete_function(FunctionName=function)
    with pytest.raises(front_door.aws.exceptions.ResourceNotFoundException):
        front_door.aws.invoke(FunctionName=function, Qualifier="1")

    front_door.deploy(function, LABEL="successor")

    answer = front_door.aws.invoke(FunctionName=function, Qualifier="1")
    assert b"successor" in answer["Payload"].read()


@pytest.mark.parametrize(
    ("change", "code", "status"),
    [
        (
            {"RoutingConfig": {"AdditionalVersionWeights": {"2": 1.1}}},
            "InvalidParameterValueException",
            400,
        ),
        (
            {"RoutingConfig": {"AdditionalVersionWeights": {"2": -0.1}}},
            "InvalidParameterValueException",
            400,
        ),
        (
            {"RoutingConfig": {"AdditionalVersionWeights": {"2": 0.1, "1": 0.1}}},
            "InvalidParameterValueException",
            400,
        ),
        (
            {"RoutingConfig": {"AdditionalVersionWeights": {"9": 0.1}}},
            "ResourceNotFoundException",
            404,
        ),
        ({"FunctionVersion": "9"}, "ResourceNotFoundException", 404),
        (
            {
                "FunctionVersion": "$LATEST",
                "RoutingConfig": {"AdditionalVersionWeights": {"2": 0.1}},
            },
            "InvalidParameterValueException",
            400,
        ),
    ],
)
def test_routing_that_lambda_refuses_is_refused(
    front_door: parts.FrontDoor, function: str, change: dict[str, Any], code: str, status: int
) -> None:
    """Wrong weights and versions that do not exist change nothing, for a new alias as well."""
    front_door.deploy(function, LABEL="two")
    before = front_door.aws.get_alias(FunctionName=function, Name="live")
    calls: list[tuple[Any, str, dict[str, str]]] = [
        (front_door.aws.update_alias, "live", {}),
        (front_door.aws.create_alias, "other", {"FunctionVersion": "1"}),
    ]

    for call, alias, defaults in calls:
        with pytest.raises(ClientError) as caught:
            call(FunctionName=function, Name=alias, **{**defaults, **change})

        assert caught.value.response["Error"]["Code"] == code
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    after = front_door.aws.get_alias(FunctionName=function, Name="live")
    assert after["RevisionId"] == before["RevisionId"]
    assert len(front_door.aws.list_aliases(FunctionName=function)["Aliases"]) == 1


def test_stale_revision_is_still_the_control_planes_to_refuse(
    front_door: parts.FrontDoor, function: str
) -> None:
    """Compare-and-set passes through: a wrong RevisionId is a 412."""
    with pytest.raises(ClientError) as caught:
        front_door.aws.update_alias(
            FunctionName=function, Name="live", FunctionVersion="1", RevisionId="stale"
        )

    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 412
