"""Numbers in order along an axis, equal ones in the order of their places, NaN above all others.

MXNet's sort is not stable and has no place for NaN. So values are sorted first, in float64 where infinities stand for NaN and
large numbers for infinities; then the places, each behind the number of its run of equal values.
"""

from __future__ import annotations

import numpy as np

from onnx_import.dtypes import Array, is_float
from onnx_import.nd.elementwise import (
    add,
    cast,
    comparable,
    equal,
    is_nan,
    maximum,
    minimum,
    multiply,
    not_equal,
    signed_order,
    subtract,
    where,
    zeros,
)
from onnx_import.nd.reducing import argmax, cumulative_sum, reduce_max
from onnx_import.nd.shaping import concatenate, normal_axis, slice_axis
from onnx_import.nd.tape import emit, emit_many
from onnx_import.nd.value import Value, constant

__all__ = ["top_k"]

FAR = 1e300
"""Stands for infinity where infinity stands for NaN; no float32 is that large."""


def top_k(value: Value, k: int, axis: int, *, largest: bool) -> tuple[Value, Value]:
    """The k largest (or smallest) numbers along an axis in their order, and their places (int64).

    Of float64, NaN is not told from infinity where other numbers are asked for with it.
    """
    axis = normal_axis(axis, value.rank)
    shape = (*value.shape[:axis], k, *value.shape[axis + 1 :])
    if 0 in shape:
        return zeros(shape, value.dtype), zeros(shape, "int64")
    if value.data is not None:
        places = _ordered(np.asarray(comparable(value).data), axis, largest).take(range(k), axis)
        return constant(np.take_along_axis(value.data, places, axis), value.dtype), constant(places)
    if k == 1 and largest:
        return reduce_max(value, [axis]), argmax(value, axis)
    found: list[Value] = []

    def values_of(numbers: Value) -> Value:
        values, places = _sorted(_key(numbers), k, axis, largest)
        found.append(places)
        return _unkeyed(values, numbers.dtype)

    return signed_order(values_of, value), found[0]


def _sorted(key: Value, k: int, axis: int, largest: bool) -> tuple[Value, Value]:
    """The first k of the sorted keys, and their places."""
    size = key.shape[axis]
    attrs = {"axis": axis, "k": size, "ret_typ": "both", "is_ascend": not largest, "dtype": "int64"}
    ordered, places = emit_many("topk", [key], attrs, [(key.shape, key.dtype), (key.shape, "int64")])
    is_new = not_equal(slice_axis(ordered, axis, 1, size), slice_axis(ordered, axis, 0, size - 1))
    first = zeros((*key.shape[:axis], 1, *key.shape[axis + 1 :]), "int64")
    runs = multiply(cumulative_sum(concatenate([first, cast(is_new, "int64")], axis), axis), constant(np.int64(size)))
    shape = (*key.shape[:axis], k, *key.shape[axis + 1 :])
    behind = emit("topk", [add(runs, places)], shape, "int64", axis=axis, k=k, ret_typ="value", is_ascend=True)
    return slice_axis(ordered, axis, 0, k), subtract(behind, slice_axis(runs, axis, 0, k))


def _key(value: Value) -> Value:
    """What to sort in place of a value."""
    if not is_float(value.dtype) or value.dtype == "float64":
        return value
    wide = cast(value, "float64")
    bounded = minimum(maximum(wide, constant(np.array(-FAR))), constant(np.array(FAR)))
    return where(is_nan(wide), constant(np.array(np.inf)), bounded)


def _unkeyed(key: Value, dtype: str) -> Value:
    if key.dtype == dtype:
        return key
    return where(equal(key, constant(np.array(np.inf))), constant(np.array(np.nan), dtype), cast(key, dtype))


def _ordered(keys: Array, axis: int, largest: bool) -> Array:
    """The places of all numbers in order."""
    if not largest:
        return np.argsort(keys, axis, kind="stable")
    return np.flip(keys.shape[axis] - 1 - np.argsort(np.flip(keys, axis), axis, kind="stable"), axis)
