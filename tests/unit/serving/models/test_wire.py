"""Fields of protobuf messages, read without a schema, and every way of being damaged."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.models.wire import Broken, fields

WHOLE = b"\x08\x96\x01" + b"\x12\x03abc" + b"\x1d1234" + b"\x21" + b"12345678" + b"\xfa\x01\x00"
"""Field 1, a number of two bytes; 2, three bytes; 3 and 4 of fixed width; 31, empty."""


def test_fields() -> None:
    """Each field has its number, its bytes and its place; all of them together are the message."""
    found = list(fields(memoryview(WHOLE)))
    assert [(field.number, bytes(field.value)) for field in found] == [(1, b""), (2, b"abc"), (3, b""), (4, b""), (31, b"")]
    assert b"".join(field.whole for field in found) == WHOLE
    assert list(fields(memoryview(b""))) == []


def test_truncations() -> None:
    """A message that ends within a field is broken, whatever the byte."""
    ends = {0, 3, 8, 13, 22}
    for length in set(range(len(WHOLE))) - ends:
        with pytest.raises(Broken, match="cut off"):
            list(fields(memoryview(WHOLE[:length])))
    assert [len(list(fields(memoryview(WHOLE[:length])))) for length in sorted(ends)] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("data", [b"\x00\x00", b"\x0b\x00", b"\x0f", b"\xff" * 11, b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f"])
def test_damage(data: bytes) -> None:
    """A field numbered 0, a group, an unknown kind, an endless number and an endless length are broken."""
    with pytest.raises(Broken, match="damaged|cut off"):
        list(fields(memoryview(data)))


@given(st.binary(max_size=64))
def test_any_bytes(data: bytes) -> None:
    """Any bytes are either broken or fields that add up to them."""
    try:
        found = list(fields(memoryview(data)))
    except Broken:
        return
    assert b"".join(field.whole for field in found) == data
