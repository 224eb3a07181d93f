"""The CBOR codec, against the RFC's examples and against botocore's own reader."""

from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.parsers import RpcV2CBORParser
from hypothesis import given
from hypothesis import strategies as st

from infra.local.cloudwatch.cbor import CborError, decode, encode

VALUES = st.recursive(
    st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False)
    | st.text()
    | st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
)


@given(VALUES)
def test_what_is_encoded_is_read_back(value: Any) -> None:
    """Nothing is lost on the way, microseconds of a time aside at the float's precision."""
    assert encode(decode(encode(value))) == encode(value)


@given(VALUES)
def test_botocore_reads_the_same(value: Any) -> None:
    """The client's reader and ours agree on every encoded value."""
    parser = RpcV2CBORParser()
    stream = parser.get_peekable_stream_from_bytes(encode(value))
    assert encode(parser.parse_data_item(stream)) == encode(value)


@pytest.mark.parametrize(
    ("data", "value"),
    [
        ("f90001", 5.960464477539063e-8),
        ("fa47c35000", 100000.0),
        ("3903e7", -1000),
        ("c11a514b67b0", datetime(2013, 3, 21, 20, 4, tzinfo=UTC)),
        ("7f657374726561646d696e67ff", "streaming"),
        ("9f018202039f0405ffff", [1, [2, 3], [4, 5]]),
        ("bf6346756ef563416d7421ff", {"Fun": True, "Amt": -2}),
        ("a16161f6", {}),
    ],
)
def test_examples_of_the_rfc_are_read(data: str, value: Any) -> None:
    """Short floats and items of indefinite length are read too; a null member is an absent one."""
    assert decode(bytes.fromhex(data)) == value


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    """No body can raise anything but CborError."""
    try:
        decode(data)
    except CborError:
        pass


@pytest.mark.parametrize("data", ["", "62", "ff", "1c", "c2f5", "9f01", "81" * 5000])
def test_broken_bodies_are_refused(data: str) -> None:
    """Truncated, reserved and bottomless bodies are CborError."""
    with pytest.raises(CborError):
        decode(bytes.fromhex(data))
