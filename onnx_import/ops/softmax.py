"""Softmax and its kin: along one axis from opset 13 on, over all axes from one on before.

Softmax of 16-bit floats is rounded after each step, as ONNX's evaluator does: masked attention then agrees with it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from onnx_import import nd
from onnx_import.dtypes import Array
from onnx_import.nd import Value
from onnx_import.registry import op

AlongAxis = Callable[[Value, int], Value]


def softmax_along(x: Value, axis: int) -> Value:
    """exp(x), each divided by the sum of those along an axis."""
    if _has_few_bits(x):
        powers = nd.exp(nd.subtract(x, nd.reduce_max(x, [axis])))
        return nd.divide(powers, nd.reduce_sum(powers, [axis]))
    axis = nd.normal_axis(axis, x.rank)
    if axis != x.rank - 1 and x.dtype == "float32" and not x.is_known:  # oneDNN takes the last axis
        axes = [*(i for i in range(x.rank) if i != axis), axis]
        moved = softmax_along(nd.transpose(x, axes), x.rank - 1)
        return nd.transpose(moved, [axes.index(i) for i in range(x.rank)])
    return nd.unary("softmax", x, lambda array: _softmax(array, axis), axis=axis)


def log_softmax_along(x: Value, axis: int) -> Value:
    """The logarithm of `softmax_along`."""
    if _has_few_bits(x):
        return nd.cast(log_softmax_along(nd.cast(x, "float32"), axis), x.dtype)
    if nd.normal_axis(axis, x.rank) == x.rank - 1 and not x.is_known:
        # oneDNN, which would take the last axis, is right to three digits only.
        return nd.squeeze(log_softmax_along(nd.expand_dims(x, [x.rank]), x.rank - 1), [x.rank])
    return nd.unary("log_softmax", x, lambda array: _log_softmax(array, axis), axis=axis)


def hardmax_along(x: Value, axis: int) -> Value:
    """1 at the first of the largest along an axis, else 0."""
    if not x.size:
        return x
    axis = nd.normal_axis(axis, x.rank)
    places = np.arange(x.shape[axis]).reshape([-1 if i == axis else 1 for i in range(x.rank)])
    return nd.cast(nd.equal(nd.argmax(x, axis), nd.constant(places)), x.dtype)


def _has_few_bits(x: Value) -> bool:
    return x.dtype in ("float16", "bfloat16") and x.size > 0


def _softmax(x: Array, axis: int) -> Array:
    powers = np.exp(x - x.max(axis, keepdims=True)) if x.size else x
    return np.asarray(powers / powers.sum(axis, keepdims=True))


def _log_softmax(x: Array, axis: int) -> Array:
    rest = x - x.max(axis, keepdims=True) if x.size else x
    return np.asarray(rest - np.log(np.exp(rest).sum(axis, keepdims=True)))


def _register(name: str, function: AlongAxis, limits: str = "") -> None:
    """Both meanings of an operator: its default axis is ONNX's."""

    @op(name, since=13, limits=limits)
    def converter(x: Value, *, axis: int) -> Value:
        return function(x, axis)

    @op(name, since=1, limits=limits)
    def flattening(x: Value, *, axis: int) -> Value:
        axis = axis % x.rank if axis < 0 else axis
        if axis == x.rank - 1:
            return function(x, axis)
        flat = nd.reshape(x, [*x.shape[:axis], int(np.prod(x.shape[axis:], dtype=np.int64))])
        return nd.reshape(function(flat, -1), x.shape)


LIMITS = "NaN or infinity makes NaN of itself alone, not of what it is normalised with"
_register("Softmax", softmax_along, LIMITS)
_register("LogSoftmax", log_softmax_along, LIMITS)
_register("Hardmax", hardmax_along)
