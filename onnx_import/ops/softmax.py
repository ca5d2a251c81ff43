"""Softmax and its kin: along one axis from opset 13 on, over all axes from one on before."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from onnx_import import nd
from onnx_import.dtypes import Array
from onnx_import.nd import Value
from onnx_import.registry import op

AlongAxis = Callable[[Value, int], Value]


def softmax_along(x: Value, axis: int) -> Value:
    """exp(x), each divided by the sum of those along an axis; 16-bit floats are rounded after each step, as the evaluator does."""
    if x.dtype in ("float16", "bfloat16") and x.size:
        powers = nd.exp(nd.subtract(x, nd.reduce_max(x, [axis])))
        return nd.divide(powers, nd.reduce_sum(powers, [axis]))
    return _normalized("softmax", x, axis, _softmax)


def log_softmax_along(x: Value, axis: int) -> Value:
    """The logarithm of `softmax_along`."""
    return _normalized("log_softmax", x, axis, _log_softmax)


def hardmax_along(x: Value, axis: int) -> Value:
    """1 at the first of the largest along an axis, else 0."""
    if not x.size:
        return x
    axis = nd.normal_axis(axis, x.rank)
    places = np.arange(x.shape[axis]).reshape([-1 if i == axis else 1 for i in range(x.rank)])
    return nd.cast(nd.equal(nd.argmax(x, axis), nd.constant(places)), x.dtype)


def _normalized(mxnet_op: str, x: Value, axis: int, function: Callable[[Array, int], Array]) -> Value:
    if x.dtype in ("float16", "bfloat16"):
        return nd.cast(_normalized(mxnet_op, nd.cast(x, "float32"), axis, function), x.dtype)
    axis = nd.normal_axis(axis, x.rank)
    if not x.rank:
        return nd.reshape(_normalized(mxnet_op, nd.reshape(x, [1]), 0, function), [])
    return nd.unary(mxnet_op, x, lambda array: function(array, axis), axis=axis)


def _softmax(x: Array, axis: int) -> Array:
    powers = np.exp(x - x.max(axis, keepdims=True)) if x.size else x
    return np.asarray(powers / powers.sum(axis, keepdims=True))


def _log_softmax(x: Array, axis: int) -> Array:
    rest = x - x.max(axis, keepdims=True) if x.size else x
    return np.asarray(rest - np.log(np.exp(rest).sum(axis, keepdims=True)))


def _register(name: str, function: AlongAxis) -> None:
    """Both meanings of an operator: its default axis is ONNX's."""

    @op(name, since=13)
    def converter(x: Value, *, axis: int) -> Value:
        return function(x, axis)

    @op(name, since=1)
    def flattening(x: Value, *, axis: int) -> Value:
        axis = axis % x.rank if axis < 0 else axis
        if axis == x.rank - 1:
            return function(x, axis)
        flat = nd.reshape(x, [*x.shape[:axis], int(np.prod(x.shape[axis:], dtype=np.int64))])
        return nd.reshape(function(flat, -1), x.shape)


_register("Softmax", softmax_along)
_register("LogSoftmax", log_softmax_along)
_register("Hardmax", hardmax_along)
