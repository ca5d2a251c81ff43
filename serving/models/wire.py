"""The fields of a serialized protobuf message, one after the other, without its schema and without copying.

It reads what would be dear, or not possible, with generated classes: a SavedModel's description past its graph of hundreds
of MB, and a warm-up file where TF Serving's messages are not installed. Format: protobuf's encoding guide.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

VARINT, I64, LEN, I32 = 0, 1, 2, 5
WIDTHS = {I64: 8, I32: 4}
MAX_VARINT = 10


class Broken(ValueError):
    """The bytes are no whole protobuf message; the text says where they stop making sense."""


class Field(NamedTuple):
    """A field: its number, its bytes (empty for numbers) and all of it, tag included."""

    number: int
    value: memoryview
    whole: memoryview


def fields(message: memoryview) -> Iterator[Field]:
    """Every field in the order of the bytes; Broken where they end early or are no protobuf."""
    at = 0
    while at < len(message):
        begin = at
        tag, at = _varint(message, at)
        number, kind = tag >> 3, tag & 7
        size = 0
        if kind == VARINT:
            _, at = _varint(message, at)
        elif kind == LEN:
            size, at = _varint(message, at)
        elif kind in WIDTHS:
            at += WIDTHS[kind]
        if number == 0 or kind not in (VARINT, I64, LEN, I32):
            raise Broken(f"it is damaged near byte {begin}")
        if size > len(message) - at or at > len(message):
            raise Broken(f"it is cut off: at least {size + at - len(message)} bytes are missing")
        yield Field(number, message[at : at + size], message[begin : at + size])
        at += size


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """The number at this place, and the place after it."""
    value = 0
    for index, byte in enumerate(message[at : at + MAX_VARINT]):
        value |= (byte & 0x7F) << (7 * index)
        if not byte & 0x80:
            return value, at + index + 1
    raise Broken("it is cut off" if len(message) - at < MAX_VARINT else f"it is damaged near byte {at}")
