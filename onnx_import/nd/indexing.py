"""Elements chosen by numbers. Where the numbers are known the choice is made of slices and constants.

Indices may count from the end. A pending index that is out of bounds fails when the graph runs: MXNet checks it (mode `raise`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from onnx_import.dtypes import CARRIERS, Array
from onnx_import.errors import InvalidInput
from onnx_import.nd import elementwise
from onnx_import.nd.shaping import (
    by_numpy,
    concatenate,
    expand,
    expand_dims,
    full_like,
    normal_axis,
    reshape,
    slice_axis,
    slices,
    transpose,
)
from onnx_import.nd.tape import emit
from onnx_import.nd.value import MOST_KNOWN, Value, constant, fitting

__all__ = ["along_places", "checked", "flat_places", "from_end", "put", "rows_at", "starts", "take", "take_along", "take_known"]

LARGE = 4096
"""Elements of an item that are taken by rows: below, one operator is faster than several."""

LITTLE = 256
"""Elements of a row that are sooner picked one by one than put together from pieces."""
MOST_PIECES = 4
"""Slices that are copied sooner than MXNet's `take` picks as many elements one by one."""


def from_end(indices: Value, size: int) -> Value:
    """Whole numbers as int64, with `size` added to negative ones; InvalidInput where a known one is out of bounds."""
    if indices.data is None:
        wide = elementwise.cast(indices, "int64")
        negative = elementwise.less(wide, constant(np.int64(0)))
        return elementwise.where(negative, elementwise.add(wide, constant(np.int64(size))), wide)
    places = indices.data.astype(np.int64)
    if places.size and (places.min() < -size or places.max() >= size):
        raise InvalidInput(f"indices from {places.min()} to {places.max()} are out of the bounds of {size} elements")
    return constant(np.where(places < 0, places + size, places))


def checked(places: Value, size: int) -> Value:
    """Places as they are; running the graph fails where one is below 0 or not below `size`."""
    if places.data is not None or not places.size:
        return from_end(places, size)
    low, high = constant(np.int64(0)), constant(np.int64(size))
    outside = elementwise.logical_or(elementwise.less(places, low), elementwise.greater_equal(places, high))
    # Of one 0 only the first element can be taken.
    zero = emit(
        "take",
        [constant(np.zeros(1, np.int64)), elementwise.cast(outside, "int64")],
        places.shape,
        "int64",
        axis=0,
        mode="raise",
    )
    return elementwise.add(places, zero)


def take(value: Value, indices: Value, axis: int) -> Value:
    """The slices along an axis at the places of a tensor, whose axes stand for the axis in the result."""
    axis = normal_axis(axis, value.rank)
    shape = (*value.shape[:axis], *indices.shape, *value.shape[axis + 1 :])
    places = from_end(indices, value.shape[axis])
    if 0 in shape:
        return constant(np.zeros(shape, CARRIERS.get(value.dtype, object)), value.dtype)
    if 0 in value.shape:
        raise InvalidInput(f"nothing can be gathered from a tensor of shape {list(value.shape)}")
    if places.data is not None:
        return reshape(take_known(value, places.data.ravel(), axis), shape)
    if value.dtype not in CARRIERS:
        return by_numpy(lambda array, at: np.take(array, at, axis), [value, places], shape)
    if axis and math.prod(shape[1:]) >= LARGE:
        own = checked(reshape(places, [places.size]), value.shape[axis])
        return reshape(_take_rows(value, own, axis), shape)
    return emit("take", [value, places], shape, value.dtype, axis=axis, mode="raise")


def take_known(value: Value, places: Array, axis: int) -> Value:
    """The slices along an axis at known places, none of them negative."""
    shape = (*value.shape[:axis], len(places), *value.shape[axis + 1 :])
    if value.data is not None:
        fitting(shape, max(value.size, MOST_KNOWN))
        return constant(np.take(value.data, places, axis), value.dtype)
    if value.dtype not in CARRIERS:
        return by_numpy(lambda array: np.take(array, places, axis), [value], shape)
    runs = _runs(places)
    is_little = len(runs) > 1 and math.prod(shape[1:]) < LITTLE
    if len(runs) <= MOST_PIECES and 0 not in shape and not is_little:
        return concatenate([_run(value, axis, *run) for run in runs], axis)
    at = constant(places.astype(np.int64))
    if axis and math.prod(shape[1:]) >= LARGE:
        return _take_rows(value, at, axis)
    return emit("take", [value, at], shape, value.dtype, axis=axis, mode="clip")


def _take_rows(value: Value, places: Value, axis: int) -> Value:
    """`take` along an axis as one along the first, by which MXNet copies rows: 40 times as fast as along another one."""
    batch, between, size = value.shape[0], math.prod(value.shape[1:axis]), value.shape[axis]
    inner, count = math.prod(value.shape[axis + 1 :]), places.size
    shape = (*value.shape[:axis], count, *value.shape[axis + 1 :])
    if inner == 1:
        columns = transpose(reshape(value, (batch * between, size)), [1, 0])
        return reshape(transpose(rows_at(columns, places), [1, 0]), shape)
    own = elementwise.add(reshape(places, (1, count)), constant((np.arange(between) * size)[:, None]))
    rows = elementwise.add(reshape(starts(value, 1, between * size), (batch, 1)), reshape(own, (1, between * count)))
    flat = reshape(rows, (batch * between * count,))
    return reshape(rows_at(reshape(value, (batch * between * size, inner)), flat), shape)


def rows_at(rows: Value, places: Value) -> Value:
    """The slices of the first axis at places that are within bounds and not negative."""
    if places.data is not None or rows.dtype not in CARRIERS or 0 in rows.shape or not places.size:
        return take(rows, places, 0)
    return emit("take", [rows, places], (*places.shape, *rows.shape[1:]), rows.dtype, axis=0, mode="clip")


def starts(value: Value, axes: int, stride: int) -> Value:
    """0, stride, 2 * stride, ... in row-major order over the first axes of a value, as long as they are when the graph runs."""
    if value.data is not None or value.dtype not in CARRIERS or 0 in value.shape:
        return constant((np.arange(math.prod(value.shape[:axes])) * stride).reshape(value.shape[:axes]))
    one = slices(value, [range(value.shape[0]), *(range(1) for _ in value.shape[1:])]) if value.rank > 1 else value
    items = elementwise.cast(reshape(one, value.shape[:1]), "int64")
    counted = emit("_contrib_arange_like", [items], items.shape, "int64", axis=0)
    inner = math.prod(value.shape[1:axes])
    first = reshape(elementwise.multiply(counted, constant(np.int64(inner * stride))), (value.shape[0], *[1] * (axes - 1)))
    if axes == 1:
        return first
    return elementwise.add(first, constant((np.arange(inner) * stride).reshape(1, *value.shape[1:axes])))


def _runs(places: Array) -> list[tuple[int, int, int]]:
    """Places as runs of even steps: where each starts, how many there are, and the step."""
    runs: list[tuple[int, int, int]] = []
    for place in places[: 1 << 16].tolist() if len(places) < 1 << 16 else []:
        start, count, step = runs[-1] if runs else (0, 0, 0)
        if count == 1:
            runs[-1] = (start, 2, place - start)
        elif count and place == start + count * step:
            runs[-1] = (start, count + 1, step)
        else:
            runs.append((place, 1, 0))
        if len(runs) > MOST_PIECES:
            break
    return runs or [(0, 1, 0)] * (MOST_PIECES + 1)


def _run(value: Value, axis: int, start: int, count: int, step: int) -> Value:
    if not step:
        one = slice_axis(value, axis, start, start + 1)
        return expand(one, (*value.shape[:axis], count, *value.shape[axis + 1 :]))
    stop = start + count * step
    return slices(value, [range(start, stop, step) if i == axis else range(size) for i, size in enumerate(value.shape)])


def take_along(value: Value, indices: Value, axis: int) -> Value:
    """At each place of `indices` the element whose index along an axis is there, and along other axes the place's own."""
    places = along_places(indices, value.shape, axis)
    if 0 in indices.shape:
        return constant(np.zeros(indices.shape, CARRIERS.get(value.dtype, object)), value.dtype)
    return rows_at(reshape(value, [value.size]), places)


def along_places(indices: Value, shape: tuple[int, ...], axis: int) -> Value:
    """`take_along`'s elements counted in row-major order over the whole of `shape`."""
    axis = normal_axis(axis, len(shape))
    if indices.rank != len(shape) or any(a > b for i, (a, b) in enumerate(zip(indices.shape, shape, strict=True)) if i != axis):
        raise InvalidInput(f"indices of shape {list(indices.shape)} do not fit a tensor of shape {list(shape)}")
    strides = _strides(shape)
    base = np.zeros([1] * len(shape), np.int64)
    for i, size in enumerate(indices.shape):
        if i not in (0, axis):
            base = base + (np.arange(size) * strides[i]).reshape([-1 if j == i else 1 for j in range(len(shape))])
    own = checked(from_end(indices, shape[axis]), shape[axis])
    places = elementwise.add(elementwise.multiply(own, constant(np.int64(strides[axis]))), constant(base))
    if axis == 0 or 0 in indices.shape:
        return places
    return elementwise.add(places, reshape(starts(indices, 1, strides[0]), (indices.shape[0], *[1] * (len(shape) - 1))))


def _strides(shape: Sequence[int]) -> list[int]:
    return [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]


def flat_places(indices: Value, shape: Sequence[int]) -> Value:
    """Index tuples on the last axis, into leading axes of the given sizes, counted in row-major order."""
    places = constant(np.zeros(indices.shape[:-1], np.int64))
    for i, (size, stride) in enumerate(zip(shape, _strides(shape), strict=True)):
        part = reshape(slice_axis(indices, -1, i, i + 1), indices.shape[:-1])
        own = checked(from_end(part, size), size)
        places = elementwise.add(elementwise.multiply(own, constant(np.int64(stride))), places)
    return places


def put(value: Value, places: Value, updates: Value, reduction: str = "none") -> Value:
    """Slices of axis 0 replaced by `updates`, or combined with them (add, mul, min, max); `places` (one axis) are in bounds."""
    if 0 in updates.shape:
        return value
    if value.dtype not in CARRIERS:
        if reduction != "none":
            raise InvalidInput(f"{value.dtype} cannot be scattered with reduction {reduction}")
        return by_numpy(_put_by_numpy, [value, places, updates], value.shape)
    if reduction != "none":
        return _put_reduced(value, places, updates, reduction)
    if places.data is not None:
        source = np.arange(value.shape[0])
        source[places.data] = value.shape[0] + np.arange(len(places.data))
        return take_known(concatenate([value, updates], 0), source, 0)
    if value.dtype == "bool":
        return elementwise.cast(put(elementwise.cast(value, "uint8"), places, elementwise.cast(updates, "uint8")), "bool")
    if updates.shape[0] <= value.shape[0]:
        return emit("_contrib_index_copy", [value, places, updates], value.shape, value.dtype)
    return _put_many(value, places, updates)


def _put_many(value: Value, places: Value, updates: Value) -> Value:
    """More updates than rows, which MXNet's index_copy does not take: scattered among zeros, and a mask alike."""
    rows = reshape(places, (1, places.shape[0]))
    hit = emit("scatter_nd", [full_like(places, 1), rows], value.shape[:1], "int64", shape=value.shape[:1])
    new = emit("scatter_nd", [updates, rows], value.shape, value.dtype, shape=value.shape)
    mask = expand_dims(elementwise.cast(hit, "bool"), range(1, value.rank))
    return elementwise.where(mask, new, value)


def _put_by_numpy(array: Array, places: Array, updates: Array) -> Array:
    result = array.copy()
    result[places] = updates
    return result


def _put_reduced(value: Value, places: Value, updates: Value, reduction: str) -> Value:
    """Updates of one place come together by sorting, are combined over doubling distances, and the last of each is put."""
    combine = _combiner(reduction, value.dtype)
    rows = places.shape[0]
    order = constant(np.argsort(places.data, kind="stable")) if places.data is not None else _argsort(places)
    keys, totals = take(places, order, 0), take(updates, order, 0)
    most = rows if keys.data is None else int(np.bincount(keys.data).max())
    distance = 1
    while distance < most:
        earlier = concatenate([slice_axis(totals, 0, 0, distance), slice_axis(totals, 0, 0, rows - distance)], 0)
        alike = elementwise.equal(slice_axis(keys, 0, distance, rows), slice_axis(keys, 0, 0, rows - distance))
        mask = concatenate([elementwise.zeros((distance,), "bool"), alike], 0)
        totals = elementwise.where(expand_dims(mask, range(1, totals.rank)), combine(earlier, totals), totals)
        distance *= 2
    changes = elementwise.not_equal(slice_axis(keys, 0, 1, rows), slice_axis(keys, 0, 0, rows - 1))
    last = concatenate([changes, constant(np.ones(1, bool))], 0)
    if last.data is not None:
        chosen = constant(np.flatnonzero(last.data))
        keys, totals = take(keys, chosen, 0), take(totals, chosen, 0)
        return put(value, keys, combine(take(value, keys, 0), totals))
    # What is not the last of its place goes to a row of its own behind the others.
    extended = concatenate([value, slice_axis(value, 0, 0, 1)], 0)
    target = elementwise.where(last, keys, constant(np.int64(value.shape[0])))
    return slice_axis(put(extended, target, combine(take(extended, target, 0), totals)), 0, 0, value.shape[0])


def _combiner(reduction: str, dtype: str) -> Callable[[Value, Value], Value]:
    if dtype == "bool":
        return elementwise.logical_or if reduction in ("add", "max") else elementwise.logical_and
    names = {"add": elementwise.add, "mul": elementwise.multiply, "min": elementwise.minimum, "max": elementwise.maximum}
    return names[reduction]


def _argsort(places: Value) -> Value:
    return emit("argsort", [places], places.shape, "int64", axis=0, is_ascend=True, dtype="int64")
