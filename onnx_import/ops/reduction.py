"""Axes reduced to one number: sums, means, norms, extremes and their places.

Axes are an attribute, or since some opset an input. Without any, all axes are reduced, or none where the node says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from onnx_import import nd
from onnx_import.dtypes import is_integer
from onnx_import.nd import Value
from onnx_import.ops.casting import cast_to
from onnx_import.registry import op

Reduction = Callable[[Value, Sequence[int], bool], Value]


def l1(x: Value, axes: Sequence[int], keepdims: bool) -> Value:
    """The sum of sizes."""
    return nd.reduce_sum(nd.absolute(x), axes, keepdims)


def sum_square(x: Value, axes: Sequence[int], keepdims: bool) -> Value:
    """The sum of squares."""
    return nd.reduce_sum(nd.multiply(x, x), axes, keepdims)


def l2(x: Value, axes: Sequence[int], keepdims: bool) -> Value:
    """The root of the sum of squares."""
    if is_integer(x.dtype):
        return cast_to(nd.sqrt(cast_to(sum_square(x, axes, keepdims), "float64")), x.dtype)
    return _in_float32(lambda x: nd.sqrt(sum_square(x, axes, keepdims)), x)


def log_sum(x: Value, axes: Sequence[int], keepdims: bool) -> Value:
    """The logarithm of the sum."""
    if is_integer(x.dtype):
        return cast_to(nd.log(cast_to(nd.reduce_sum(x, axes, keepdims), "float64")), x.dtype)
    return _in_float32(lambda x: nd.log(nd.reduce_sum(x, axes, keepdims)), x)


def log_sum_exp(x: Value, axes: Sequence[int], keepdims: bool) -> Value:
    """The logarithm of the sum of exp(x), by way of the largest, so that nothing overflows."""
    if is_integer(x.dtype):
        return cast_to(log_sum_exp(cast_to(x, "float64"), axes, keepdims), x.dtype)

    def of(x: Value) -> Value:
        zero = nd.zeros((), x.dtype)
        largest = nd.reduce_max(x, axes, True)
        is_finite = nd.less(nd.absolute(largest), nd.constant(np.array(np.inf, x.carrier), x.dtype))
        largest = nd.where(is_finite, largest, zero)
        total = nd.add(nd.log(nd.reduce_sum(nd.exp(nd.subtract(x, largest)), axes, True)), largest)
        return total if keepdims else nd.squeeze(total, axes)

    return _in_float32(of, x)


def _in_float32(function: Callable[[Value], Value], x: Value) -> Value:
    if x.dtype in ("float16", "bfloat16"):
        return nd.cast(function(nd.cast(x, "float32")), x.dtype)
    return function(x)


def _register(name: str, function: Reduction, since: int = 18) -> None:
    """An operator with axes as an attribute, and from an opset on as an input."""

    @op(name, since=1)
    def by_attribute(x: Value, *, axes: list[int] | None, keepdims: int) -> Value:
        return function(x, nd.normal_axes(axes or range(x.rank), x.rank), bool(keepdims))

    @op(name, since=since)
    def by_input(x: Value, axes: Value | None = None, *, keepdims: int, noop_with_empty_axes: int) -> Value:
        chosen = [] if axes is None else nd.normal_axes(nd.ints(axes), x.rank)
        if not chosen and not noop_with_empty_axes:
            chosen = list(range(x.rank))
        return function(x, chosen, bool(keepdims))


_REDUCTIONS: dict[str, Reduction] = {
    "ReduceL1": l1,
    "ReduceL2": l2,
    "ReduceLogSum": log_sum,
    "ReduceLogSumExp": log_sum_exp,
    "ReduceMax": nd.reduce_max,
    "ReduceMean": nd.reduce_mean,
    "ReduceMin": nd.reduce_min,
    "ReduceProd": nd.reduce_prod,
    "ReduceSumSquare": sum_square,
}
for _name, _function in _REDUCTIONS.items():
    _register(_name, _function)
_register("ReduceSum", nd.reduce_sum, since=13)


@op("ArgMax", since=1)
def arg_max(x: Value, *, axis: int, keepdims: int, select_last_index: int | None) -> Value:
    """The place of the first of the largest along an axis, or of the last."""
    return nd.argmax(x, axis, bool(keepdims), bool(select_last_index))


@op("ArgMin", since=1)
def arg_min(x: Value, *, axis: int, keepdims: int, select_last_index: int | None) -> Value:
    """The place of the first of the smallest along an axis, or of the last."""
    return nd.argmin(x, axis, bool(keepdims), bool(select_last_index))


@op("CumSum", since=11)
def cum_sum(x: Value, axis: Value, *, exclusive: int, reverse: int) -> Value:
    """Each number and those before it, added."""
    return nd.cumulative_sum(x, int(nd.scalar(axis)), exclusive=bool(exclusive), reverse=bool(reverse))


@op("CumProd", since=26)
def cum_prod(x: Value, axis: Value, *, exclusive: int, reverse: int) -> Value:
    """Each number and those before it, multiplied."""
    return nd.cumulative_product(x, int(nd.scalar(axis)), exclusive=bool(exclusive), reverse=bool(reverse))
