"""Nested lists -> one array, with every rule for shapes and values in one place (JSON and JSON Lines come through here).

Shapes are exact: lists side by side have one length, at every depth. Values: numbers and null are float64 (null is NaN),
whole numbers alone int64 (uint64 where one needs it), true and false alone bool, strings alone `<U`; true and false among
numbers count as 1 and 0, as in numpy; strings never mix.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np

from serving.errors import BadRequest
from serving.invocation import Array

MAX_RANK = 32
_KINDS = {str: "string", dict: "object", list: "list", type(None): "null", bool: "boolean", int: "number", float: "number"}


def array(value: Any, name: str, limit: int) -> Array:
    """Build the tensor that these nested lists (or this one value) spell; BadRequest names the tensor and the fault.

    `limit` is in bytes and holds for strings alone: numbers take at most four times the bytes of their text.
    """
    shape: list[int] = []
    level: list[Any] = [value]
    kinds = {type(value)}
    while list in kinds:
        if len(shape) == MAX_RANK:
            raise BadRequest(f"{label(name)} is nested deeper than {MAX_RANK} lists")
        shape.append(_size(level, kinds, len(shape), name))
        level = list(chain.from_iterable(level))
        kinds = set(map(type, level))
    return _leaves(level, kinds, name, limit).reshape(shape)


def label(name: str) -> str:
    """Say how messages call a tensor."""
    return f"tensor {name[:40]!r}" if name else "the tensor"


def strings(values: Sequence[str], limit: int) -> Array:
    """Build a one-dimensional `<U` array; BadRequest where it would take more than `limit` bytes.

    numpy gives every string of an array the room of the longest: a few bytes of text can ask for terabytes.
    """
    if len(values) * max(map(len, values), default=0) * 4 > limit:
        raise BadRequest(f"the strings unpack to more than {limit} bytes")
    if any(value.endswith("\0") for value in values):
        raise BadRequest("a string ends in NUL, which arrays of strings cannot hold")
    return np.array(values, dtype=np.str_)


def _size(level: list[Any], kinds: set[type], axis: int, name: str) -> int:
    """Return the length that all lists of a level share."""
    if kinds != {list}:
        other = next(_KINDS.get(kind, kind.__name__) for kind in kinds - {list})
        raise BadRequest(f"{label(name)} is ragged: a {other} stands beside a list at depth {axis}")
    sizes = set(map(len, level))
    if len(sizes) > 1:
        low, *_, high = sorted(sizes)
        raise BadRequest(f"{label(name)} is ragged: axis {axis} has lengths from {low} to {high}")
    if sizes == {0}:
        raise BadRequest(f"{label(name)} is empty: axis {axis} has no elements")
    return sizes.pop()


def _leaves(values: list[Any], kinds: set[type], name: str, limit: int) -> Array:
    if kinds == {str}:
        return strings(values, limit)
    if kinds == {bool}:
        return np.array(values, dtype=np.bool_)
    if kinds <= {bool, int}:
        return _integers(values, name)
    if kinds <= {bool, int, float, type(None)}:
        return np.array(values, dtype=np.float64)
    found = " and ".join(sorted({f"{_KINDS[kind]}s" for kind in kinds}))
    raise BadRequest(f"{label(name)} holds {found}: send numbers alone or strings alone")


def _integers(values: list[int], name: str) -> Array:
    if max(values) <= np.iinfo(np.int64).max:
        return np.array(values, dtype=np.int64)
    if min(values) < 0:
        raise BadRequest(f"{label(name)} has integers below 0 and above 2^63-1, which no integer dtype holds together")
    return np.array(values, dtype=np.uint64)
