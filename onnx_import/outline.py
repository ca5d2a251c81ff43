"""A serialized model without its large weights: what is left is parsed, and the weights are read from the file where they lie.

    bytes of a ModelProto -> the same bytes with a token in place of each large raw_data, and where that was

A model of many gigabytes is so read in the memory of its graph; protobuf itself takes two gigabytes at most, copies what it
parses, and copies again what is read from it.
"""

from __future__ import annotations

import secrets

Span = tuple[int, int]
"""Where a weight lies in the file: its first byte and its size."""

LARGE = 1 << 16
"""Bytes from which a weight stays in its file."""

TOKEN = 16
"""Bytes of a token."""

# Field numbers of onnx.proto3 on the way to a weight: initializers, and the tensors of Constant nodes.
_CHILDREN: dict[str, dict[int, str]] = {
    "model": {7: "graph"},
    "graph": {1: "node", 5: "tensor"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor"},
    "tensor": {9: "raw_data"},
}
_GRAPHS: dict[str, dict[int, str]] = {
    "model": {7: "graph"},
    "graph": {1: "node"},
    "node": {5: "attribute"},
    "attribute": {6: "graph", 11: "graph"},
}


class Damaged(ValueError):
    """The bytes are no protobuf message, or end inside of one."""


def outline(data: memoryview) -> tuple[bytes, dict[bytes, Span]]:
    """The message with tokens for its large weights, and where each of those lies; Damaged where it is none."""
    spans: dict[bytes, Span] = {}
    return _shortened(data, (0, len(data)), "model", spans), spans


def depth(data: memoryview) -> int:
    """How many graphs lie inside each other at the deepest place, as far as the bytes can be read."""
    deepest, stack = 0, [((0, len(data)), "model", 0)]
    while stack:
        (at, end), kind, level = stack.pop()
        deepest = max(deepest, level)
        try:
            while at < end:
                field, body, stop = _field(data, at, end)
                child = _GRAPHS[kind].get(field)
                if child and body is not None:
                    stack.append(((body, stop), child, level + (child == "graph")))
                at = stop
        except Damaged:
            continue
    return deepest


def _shortened(data: memoryview, span: Span, kind: str, spans: dict[bytes, Span]) -> bytes:
    """A message's bytes with its large weights replaced. Fields of it that are small are copied without a look inside."""
    at, end = span
    kept, pieces = at, []
    while at < end:
        field, body, stop = _field(data, at, end)
        child = _CHILDREN[kind].get(field)
        if child and body is not None and stop - body >= LARGE:
            pieces.append(bytes(data[kept:at]))
            if child == "raw_data":
                # A token that nobody can guess: a file cannot point into itself.
                inner = secrets.token_bytes(TOKEN)
                spans[inner] = (body, stop - body)
            else:
                inner = _shortened(data, (body, stop), child, spans)
            pieces += [varint(field << 3 | 2), varint(len(inner)), inner]
            kept = stop
        at = stop
    pieces.append(bytes(data[kept:end]))
    return b"".join(pieces)


def _field(data: memoryview, at: int, end: int) -> tuple[int, int | None, int]:
    """The number of the field at a place, where its content starts if it has a length, and where it ends."""
    tag, at = _number(data, at, end)
    field, kind = tag >> 3, tag & 7
    body = None
    if kind == 0:
        _, stop = _number(data, at, end)
    elif kind == 1:
        stop = at + 8
    elif kind == 2:
        length, body = _number(data, at, end)
        stop = body + length
    elif kind == 5:
        stop = at + 4
    else:  # groups, which no version of ONNX uses
        raise Damaged(f"wire type {kind} at byte {at}")
    if stop > end or not field:
        raise Damaged(f"field {field} at byte {at} ends {stop - end} bytes behind its message")
    return field, body, stop


def _number(data: memoryview, at: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while at < end and shift < 70:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
    raise Damaged(f"a number that does not end, at byte {at}")


def varint(value: int) -> bytes:
    """A number as protobuf writes it."""
    made = bytearray()
    while value > 0x7F:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    made.append(value)
    return bytes(made)
