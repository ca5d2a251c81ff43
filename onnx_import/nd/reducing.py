"""Axes reduced to one number each: sums, products, extremes, and where those are.

`axes` are any, each once; what is reduced over no elements is the operation's neutral number. Sums of 16-bit floats are taken
in float32, as numpy takes them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from onnx_import.dtypes import Array, bounds, is_float, is_integer
from onnx_import.errors import InvalidInput
from onnx_import.nd.elementwise import (
    LARGE,
    cast,
    comparable,
    divide,
    fold,
    full,
    multiply,
    settle,
    signed_order,
    subtract,
    trunc,
)
from onnx_import.nd.shaping import concatenate, flip, normal_axes, normal_axis, reshape, slice_axis, transpose
from onnx_import.nd.tape import emit
from onnx_import.nd.value import Value, constant

__all__ = [
    "argmax",
    "argmin",
    "cumulative_product",
    "cumulative_sum",
    "reduce_max",
    "reduce_mean",
    "reduce_min",
    "reduce_prod",
    "reduce_sum",
]

LONGEST_SUM = 1 << 16
"""Numbers of the longest sum that is a product: as many ones are a constant."""


def reduce_sum(value: Value, axes: Sequence[int], keepdims: bool = True) -> Value:
    """The sum."""
    return _in_float32(lambda x: _summed(x, axes, keepdims), value)


def reduce_prod(value: Value, axes: Sequence[int], keepdims: bool = True) -> Value:
    """The product."""
    return _in_float32(lambda x: _reduced(("prod", np.prod, 1), x, axes, keepdims), value)


def reduce_mean(value: Value, axes: Sequence[int], keepdims: bool = True) -> Value:
    """The arithmetic mean; of whole numbers, cut toward zero."""
    if is_integer(value.dtype):
        return cast(trunc(reduce_mean(cast(value, "float64"), axes, keepdims)), value.dtype)
    axes = normal_axes(axes, value.rank)
    count = int(np.prod([value.shape[axis] for axis in axes], dtype=np.int64))
    if value.dtype == "float64" and value.size:
        return _reduced(("mean", np.mean, np.nan), value, axes, keepdims)
    return _in_float32(lambda x: divide(_summed(x, axes, keepdims), full((), count, x.dtype)), value)


def reduce_max(value: Value, axes: Sequence[int], keepdims: bool = True) -> Value:
    """The largest number; NaN where there is one."""
    return signed_order(lambda x: _reduced(("max", np.max, _least(x.dtype)), x, axes, keepdims), value)


def reduce_min(value: Value, axes: Sequence[int], keepdims: bool = True) -> Value:
    """The smallest number; NaN where there is one."""
    return signed_order(lambda x: _reduced(("min", np.min, _greatest(x.dtype)), x, axes, keepdims), value)


def argmax(value: Value, axis: int, keepdims: bool = True, last: bool = False) -> Value:
    """The place (int64) of the first, or last, of the largest numbers along an axis."""
    return _place(("_npi_argmax", np.argmax), value, axis, keepdims, last)


def argmin(value: Value, axis: int, keepdims: bool = True, last: bool = False) -> Value:
    """The place (int64) of the first, or last, of the smallest numbers along an axis."""
    return _place(("_npi_argmin", np.argmin), value, axis, keepdims, last)


def cumulative_sum(value: Value, axis: int, *, exclusive: bool = False, reverse: bool = False) -> Value:
    """Each number and those before it, summed; `exclusive` leaves out the number itself, `reverse` goes from the end."""

    def inclusive(x: Value, axis: int) -> Value:
        if x.data is not None:
            return fold(lambda array: np.cumsum(array, axis), x, dtype=x.dtype)
        return settle(emit("_np_cumsum", [x], x.shape, x.dtype, axis=axis))

    return _cumulative((inclusive, 0), value, axis, exclusive, reverse)


def cumulative_product(value: Value, axis: int, *, exclusive: bool = False, reverse: bool = False) -> Value:
    """Each number and those before it, multiplied; see `cumulative_sum`."""

    def inclusive(x: Value, axis: int) -> Value:
        if x.data is not None:
            return fold(lambda array: np.cumprod(array, axis), x, dtype=x.dtype)
        step = 1
        while step < x.shape[axis]:  # after each round a place holds the product of the last 2 * step places
            x = multiply(x, _behind(x, axis, step))
            step *= 2
        return x

    return _cumulative((inclusive, 1), value, axis, exclusive, reverse)


def _cumulative(
    kind: tuple[Callable[[Value, int], Value], int], value: Value, axis: int, exclusive: bool, reverse: bool
) -> Value:
    inclusive, neutral = kind
    axis = normal_axis(axis, value.rank)
    if not value.size:
        return value
    x = flip(value, axis) if reverse else value
    if exclusive:
        x = _behind(x, axis, 1, neutral)
    x = inclusive(x, axis)
    return flip(x, axis) if reverse else x


def _behind(x: Value, axis: int, step: int, neutral: int = 1) -> Value:
    """Moved up by `step` places along an axis, the neutral number coming in."""
    size = x.shape[axis]
    first = full((*x.shape[:axis], min(step, size), *x.shape[axis + 1 :]), neutral, x.dtype)
    return concatenate([first, slice_axis(x, axis, 0, max(size - step, 0))], axis)


def _in_float32(function: Callable[[Value], Value], value: Value) -> Value:
    if value.dtype in ("float16", "bfloat16"):
        return cast(function(cast(value, "float32")), value.dtype)
    return function(value)


def _summed(value: Value, axes: Sequence[int], keepdims: bool) -> Value:
    """Sums; large ones of float32 as products with ones, which take a fraction of the time of MXNet's sum."""
    gone = sorted(normal_axes(axes, value.rank)) if value.rank else []
    count = int(np.prod([value.shape[axis] for axis in gone], dtype=np.int64))
    if value.dtype != "float32" or value.data is not None or value.size < LARGE or not 1 < count <= LONGEST_SUM:
        return _reduced(("sum", np.sum, 0), value, gone, keepdims)
    kept = [axis for axis in range(value.rank) if axis not in gone]
    sizes = [value.shape[axis] for axis in kept]
    rows = reshape(transpose(value, [*kept, *gone]), [*(sizes or [1]), count])
    ones = full((1, count), 1, "float32")
    attrs = {"num_hidden": 1, "no_bias": True, "flatten": False}
    sums = emit("FullyConnected", [rows, ones], (*rows.shape[:-1], 1), "float32", **attrs)
    return reshape(sums, [1 if axis in gone else size for axis, size in enumerate(value.shape) if keepdims or axis not in gone])


def _reduced(kind: tuple[str, Callable[..., Array], Any], value: Value, axes: Sequence[int], keepdims: bool) -> Value:
    """One of MXNet's reductions, with the numpy function that folds it and what it gives of nothing."""
    op, function, neutral = kind
    gone = tuple(sorted(set(normal_axes(axes, value.rank)))) if value.rank else ()
    shape = tuple(1 if axis in gone else size for axis, size in enumerate(value.shape) if keepdims or axis not in gone)
    if not value.size:
        return full(shape, neutral, value.dtype)
    if not gone:
        return value
    if value.data is not None:
        return fold(lambda array: function(array, axis=gone, keepdims=keepdims), value, dtype=value.dtype)
    if sum(1 for axis in gone if axis - 1 not in gone) > 2:  # MXNet takes few separate runs of axes at once
        inner = _reduced(kind, value, gone[1:], True)
        return reshape(_reduced(kind, inner, gone[:1], True), shape)
    if value.dtype == "bool":
        return cast(_reduced((op, function, int(neutral)), cast(value, "uint8"), axes, keepdims), "bool")
    # Of a scalar MXNet makes one element on one axis.
    return reshape(settle(emit(op, [value], shape or (1,), value.dtype, axis=gone, keepdims=keepdims)), shape)


def _place(kind: tuple[str, Callable[..., Array]], value: Value, axis: int, keepdims: bool, last: bool) -> Value:
    op, function = kind
    axis = normal_axis(axis, value.rank)
    if not value.rank:
        return constant(np.int64(0))
    shape = tuple(1 if i == axis else size for i, size in enumerate(value.shape) if keepdims or i != axis)
    if not value.shape[axis] and 0 not in shape:
        raise InvalidInput(f"axis {axis} of shape {list(value.shape)} has no largest or smallest element")
    x = comparable(value)
    x = cast(x, "uint8") if x.dtype == "bool" else x
    x = flip(x, axis) if last else x
    if x.data is not None:
        place = constant(np.asarray(function(x.data, axis=axis, keepdims=keepdims), np.int64).reshape(shape))
    else:
        place = emit(op, [x], shape, "int64", axis=axis, keepdims=keepdims)
    return subtract(constant(np.int64(value.shape[axis] - 1)), place) if last else place


def _least(dtype: str) -> Any:
    return -np.inf if is_float(dtype) else False if dtype == "bool" else bounds(dtype)[0]


def _greatest(dtype: str) -> Any:
    return np.inf if is_float(dtype) else True if dtype == "bool" else bounds(dtype)[1]
