"""Sums, products, powers and their kin, of whole and real numbers; functions of one number are in `functions`."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

import numpy as np

from onnx_import import nd
from onnx_import.dtypes import is_float, is_integer, is_unsigned
from onnx_import.nd import Value
from onnx_import.ops.casting import cast_to
from onnx_import.registry import op

FUSING = ("Convolution", "FullyConnected", "BatchNorm")
"""MXNet's operators that oneDNN runs together with a clip behind them."""
Binary = Callable[[Value, Value], Value]


@op("Add", since=7)
def add(x: Value, y: Value) -> Value:
    """x + y."""
    return nd.add(x, y)


@op("Sub", since=7)
def sub(x: Value, y: Value) -> Value:
    """x - y."""
    return nd.subtract(x, y)


@op("Mul", since=7)
def mul(x: Value, y: Value) -> Value:
    """x * y."""
    return nd.multiply(x, y)


@op("Div", since=7)
def div(x: Value, y: Value) -> Value:
    """x / y; whole numbers toward zero."""
    return nd.truncated_divide(x, y) if is_integer(x.dtype) else nd.divide(x, y)


@op("Pow", since=7)
def pow(x: Value, y: Value) -> Value:
    """x to the power of y, in the type of x; whole numbers to whole powers are exact, modulo their width."""
    if is_integer(x.dtype):
        if is_integer(y.dtype):
            return nd.whole_power(x, y)
        return cast_to(nd.power(cast_to(x, "float64"), cast_to(y, "float64")), x.dtype)
    number = nd.scalar_of(y, x.shape)
    if number == 1:
        return x
    if number == 2:
        return nd.unary("square", x, np.square)
    if number == 3:
        return nd.multiply(nd.unary("square", x, np.square), x)
    if x.dtype == y.dtype or number is not None:
        return nd.power(x, cast_to(y, x.dtype))
    return cast_to(nd.power(cast_to(x, "float64"), cast_to(y, "float64")), x.dtype)


@op("Mod", since=10)
def mod(x: Value, y: Value, *, fmod: int) -> Value:
    """What x / y leaves: with the sign of y, or with `fmod` with that of x."""
    return nd.remainder(x, y) if fmod else nd.mod(x, y)


def aligned(x: Value, y: Value, axis: int | None, broadcast: int | None) -> Value:
    """The second operand as opsets before 7 mean it: from `axis` on of the first's axes, or at their end."""
    if not broadcast or axis is None or y.rank == 0:
        return y
    axis = nd.normal_axis(axis, x.rank)
    return nd.reshape(y, [*y.shape, *([1] * (x.rank - axis - y.rank))])


def _with_axis(name: str, function: Binary) -> None:
    """Register an operator of two numbers as opsets before 7 have it."""

    @op(name, since=1)
    def converter(x: Value, y: Value, *, axis: int | None, broadcast: int | None) -> Value:
        return function(x, aligned(x, y, axis, broadcast))


for _name, _binary in {"Add": add, "Sub": sub, "Mul": mul, "Div": div, "Pow": pow}.items():
    _with_axis(_name, _binary)


@op("Sum", since=1)
def sum(*values: Value) -> Value:
    """All of them, added."""
    return reduce(nd.add, values)


@op("Mean", since=1)
def mean(*values: Value) -> Value:
    """The sum over the count."""
    return nd.divide(sum(*values), nd.constant(np.array(len(values)), values[0].dtype))


@op("Max", since=1)
def max(*values: Value) -> Value:
    """The largest at each place; NaN where there is one."""
    return reduce(nd.maximum, values)


@op("Min", since=1)
def min(*values: Value) -> Value:
    """The smallest at each place; NaN where there is one."""
    return reduce(nd.minimum, values)


@op("Neg", since=1)
def neg(x: Value) -> Value:
    """-x."""
    return nd.negative(x)


@op("Abs", since=1)
def abs(x: Value) -> Value:
    """x without its sign."""
    return nd.absolute(x)


@op("Sign", since=9)
def sign(x: Value) -> Value:
    """-1, 0 or 1; NaN stays NaN."""
    if is_unsigned(x.dtype):
        return nd.cast(nd.not_equal(x, nd.zeros((), x.dtype)), x.dtype)
    signs = nd.unary("sign", x, np.sign)
    return nd.where(nd.is_nan(x), x, signs) if is_float(x.dtype) and not x.is_known else signs


@op("Clip", since=1)
def clip_by_attributes(x: Value, *, min: float | None, max: float | None) -> Value:
    """Between two numbers, or bounded on one side."""
    low, high = (None if bound is None else nd.constant(np.array(bound), x.dtype) for bound in (min, max))
    return clip(x, low, high)


@op("Clip", since=11)
def clip(x: Value, low: Value | None = None, high: Value | None = None) -> Value:
    """Between two numbers; where they are the wrong way round, the upper one."""
    if low is not None and high is not None and x.node is not None and x.node.op in FUSING and x.dtype == "float32":
        least, greatest = nd.scalar_of(low, x.shape), nd.scalar_of(high, x.shape)
        # Slow by itself, but one node with what is before.
        if least is not None and greatest is not None and least <= greatest:
            return nd.emit("clip", [x], x.shape, x.dtype, a_min=float(least), a_max=float(greatest))
    if low is not None:
        x = nd.maximum(x, low)
    return x if high is None else nd.minimum(x, high)
