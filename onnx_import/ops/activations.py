"""Activation functions. Those of float32 that MXNet runs through oneDNN come as its one operator, which fuses with what is before.

16-bit floats are computed in float32.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from onnx_import import nd
from onnx_import.dtypes import Array, is_float
from onnx_import.nd import Value
from onnx_import.registry import op

FUSING = ("Convolution", "FullyConnected", "BatchNorm", "elemwise_add")
"""MXNet's operators that oneDNN runs together with a relu behind them."""
SELU = (1.67326319217681884765625, 1.05070102214813232421875)
"""ONNX's and MXNet's alpha and gamma."""


@op("Relu", since=1, limits="NaN that a convolution, product or sum gives becomes 0")
def relu(x: Value) -> Value:
    """x, or 0 where it is below."""
    if x.node is not None and x.node.op in FUSING:
        return _fused_relu(x)
    return nd.maximum(x, nd.zeros((), x.dtype))


def _fused_relu(x: Value) -> Value:
    """oneDNN's: five times as fast, and one node with what is before; it makes 0 of NaN."""
    if x.is_known or x.dtype != "float32":
        return nd.maximum(x, nd.zeros((), x.dtype))
    return nd.emit("Activation", [x], x.shape, x.dtype, act_type="relu")


@op("LeakyRelu", since=1)
def leaky_relu(x: Value, *, alpha: float) -> Value:
    """x, or alpha * x where it is below 0."""
    return _rectified(x, "leaky", alpha, lambda a: np.where(a < 0, a * a.dtype.type(alpha), a))


@op("Elu", since=1)
def elu(x: Value, *, alpha: float) -> Value:
    """x, or alpha * (exp(x) - 1) where it is below 0."""
    return _rectified(x, "elu", alpha, lambda a: np.where(a < 0, alpha * np.expm1(a), a))


@op("Selu", since=1)
def selu(x: Value, *, alpha: float, gamma: float) -> Value:
    """gamma * x, or gamma * alpha * (exp(x) - 1) where x is below 0."""
    if (alpha, gamma) == SELU and x.dtype == "float32" and not x.is_known:
        return _rectified(x, "selu", alpha, np.positive)
    return nd.multiply(elu(x, alpha=alpha), _number(gamma, x))


@op("Celu", since=12)
def celu(x: Value, *, alpha: float) -> Value:
    """x, or alpha * (exp(x / alpha) - 1) where it is below 0."""

    def of(x: Value) -> Value:
        below = nd.multiply(nd.unary("expm1", nd.divide(x, _number(alpha, x)), np.expm1), _number(alpha, x))
        return nd.add(nd.maximum(x, _number(0, x)), nd.minimum(below, _number(0, x)))

    return _in_float32(of, x)


@op("PRelu", since=1)
def p_relu_by_channel(x: Value, slope: Value) -> Value:
    """x, or slope * x where it is below 0; one slope a channel, or one."""
    if slope.rank == 1 and slope.size != 1 and x.rank > 1:
        slope = nd.reshape(slope, [slope.size, *([1] * (x.rank - 2))])
    return p_relu(x, slope)


@op("PRelu", since=7)
def p_relu(x: Value, slope: Value) -> Value:
    """x, or slope * x where it is below 0."""
    if x.dtype == "float32":  # three cheap operators in place of one that is dear
        return nd.add(_fused_relu(x), nd.multiply(nd.minimum(x, _number(0, x)), slope))
    return nd.where(nd.less(x, _number(0, x)), nd.multiply(x, slope), x)


@op("Gelu", since=20)
def gelu(x: Value, *, approximate: str) -> Value:
    """x times the normal distribution's share below x; with `tanh` its known approximation."""
    return _in_float32(_gelu_by_tanh if approximate == "tanh" else _gelu, x)


def _gelu(x: Value) -> Value:
    if x.dtype == "float32" and not x.is_known:
        return _rectified(x, "gelu", 0, np.positive)
    share = nd.add(nd.erf(nd.multiply(x, _number(math.sqrt(0.5), x))), _number(1, x))
    return nd.multiply(nd.multiply(x, _number(0.5, x)), share)


def _gelu_by_tanh(x: Value) -> Value:
    """(1 + tanh(u)) / 2 is sigmoid(2 * u)."""
    cubic = nd.add(nd.multiply(nd.unary("square", x, np.square), _number(0.044715, x)), _number(1, x))
    return nd.multiply(x, nd.sigmoid(nd.multiply(nd.multiply(x, cubic), _number(2 * math.sqrt(2 / math.pi), x))))


@op("HardSigmoid", since=1)
def hard_sigmoid(x: Value, *, alpha: float, beta: float) -> Value:
    """alpha * x + beta, between 0 and 1."""

    def of(x: Value) -> Value:
        if not x.is_known:
            return nd.emit("hard_sigmoid", [x], x.shape, x.dtype, alpha=alpha, beta=beta)
        line = nd.add(nd.multiply(x, _number(alpha, x)), _number(beta, x))
        return nd.minimum(nd.maximum(line, _number(0, x)), _number(1, x))

    return _in_float32(of, x)


@op("HardSwish", since=14)
def hard_swish(x: Value) -> Value:
    """x times its hard sigmoid of slope 1/6."""
    return _in_float32(lambda x: nd.multiply(x, hard_sigmoid(x, alpha=1 / 6, beta=0.5)), x)


@op("Sigmoid", since=1)
def sigmoid(x: Value) -> Value:
    """1 / (1 + exp(-x))."""
    return nd.sigmoid(x)


@op("Tanh", since=1)
def tanh(x: Value) -> Value:
    """The hyperbolic tangent."""
    return nd.tanh(x)


@op("Softplus", since=1)
def softplus(x: Value) -> Value:
    """log(exp(x) + 1); oneDNN's own loses small results."""

    def of(x: Value) -> Value:
        small = nd.unary("log1p", nd.exp(nd.negative(nd.absolute(x))), np.log1p)
        return nd.add(nd.maximum(x, _number(0, x)), small)

    return _in_float32(of, x)


@op("Softsign", since=1)
def softsign(x: Value) -> Value:
    """x / (1 + |x|)."""
    return nd.unary("softsign", x, lambda a: a / (1 + np.abs(a)))


@op("Mish", since=18)
def mish(x: Value) -> Value:
    """x * tanh(log(1 + e)) for e = exp(x), which is x * w / (w + 2) for w = e * (e + 2); from x = 20 on w is all."""

    def of(x: Value) -> Value:
        power = nd.exp(nd.minimum(x, _number(20, x)))
        weight = nd.multiply(power, nd.add(power, _number(2, x)))
        return nd.multiply(x, nd.divide(weight, nd.add(weight, _number(2, x))))

    return _in_float32(of, x)


@op("Swish", since=24)
def swish(x: Value, *, alpha: float) -> Value:
    """x * sigmoid(alpha * x)."""
    return _in_float32(lambda x: nd.multiply(x, nd.sigmoid(nd.multiply(x, _number(alpha, x)) if alpha != 1 else x)), x)


@op("SwiGLU", since=28)
def swi_glu(gate: Value, x: Value, *, alpha: float) -> Value:
    """x times the swish of a gate."""
    if gate.dtype in ("float16", "bfloat16"):
        wide = swi_glu(nd.cast(gate, "float32"), nd.cast(x, "float32"), alpha=alpha)
        return nd.cast(wide, gate.dtype)
    return nd.multiply(swish(gate, alpha=alpha), x)


@op("ThresholdedRelu", since=10)
def thresholded_relu(x: Value, *, alpha: float) -> Value:
    """x where it is above alpha, else 0."""
    return nd.where(nd.greater(x, _number(alpha, x)), x, _number(0, x))


@op("Shrink", since=9)
def shrink(x: Value, *, bias: float, lambd: float) -> Value:
    """Moved by `bias` toward 0 where further away from it than `lambd`, else 0."""
    if not is_float(x.dtype):
        return nd.cast(shrink(nd.cast(x, "float64"), bias=bias, lambd=lambd), x.dtype)
    above = nd.where(nd.greater(x, _number(lambd, x)), nd.subtract(x, _number(bias, x)), _number(0, x))
    return nd.where(nd.less(x, _number(-lambd, x)), nd.add(x, _number(bias, x)), above)


def _number(number: float, like: Value) -> Value:
    return nd.constant(np.array(number, like.carrier), like.dtype)


def _in_float32(function: Callable[[Value], Value], x: Value) -> Value:
    """A function of several steps, whose 16-bit results are rounded once."""
    if x.dtype in ("float16", "bfloat16"):
        return nd.cast(function(nd.cast(x, "float32")), x.dtype)
    return function(x)


def _rectified(x: Value, kind: str, slope: float, function: Callable[[Array], Array]) -> Value:
    """One kind of MXNet's LeakyReLU, which takes no scalars."""
    if not x.rank:
        return nd.reshape(_rectified(nd.reshape(x, [1]), kind, slope, function), [])
    return nd.unary("LeakyReLU", x, function, act_type=kind, slope=slope)
