"""Questions that are answered by true or false, and the choice by such an answer."""

from __future__ import annotations

import numpy as np

from onnx_import import nd
from onnx_import.dtypes import CARRIERS
from onnx_import.host import text
from onnx_import.host.choice import choose
from onnx_import.nd import Value
from onnx_import.ops.arithmetic import Binary, aligned
from onnx_import.registry import op


@op("Equal", since=7)
def equal(x: Value, y: Value) -> Value:
    """Whether x and y are the same; texts too."""
    if x.dtype != "string":
        return nd.equal(x, y)
    found: Value = nd.host(text.equal, [x, y], [(nd.broadcast_shape(x, y), "bool")])[0]
    return found


@op("Less", since=7)
def less(x: Value, y: Value) -> Value:
    """x < y."""
    return nd.less(x, y)


@op("Greater", since=7)
def greater(x: Value, y: Value) -> Value:
    """x > y."""
    return nd.greater(x, y)


@op("LessOrEqual", since=12)
def less_or_equal(x: Value, y: Value) -> Value:
    """x <= y."""
    return nd.less_equal(x, y)


@op("GreaterOrEqual", since=12)
def greater_or_equal(x: Value, y: Value) -> Value:
    """x >= y."""
    return nd.greater_equal(x, y)


def _with_axis(name: str, function: Binary) -> None:
    """Register a comparison as opsets before 7 have it."""

    @op(name, since=1)
    def converter(x: Value, y: Value, *, axis: int | None, broadcast: int | None) -> Value:
        return function(x, aligned(x, y, axis, broadcast))


for _name, _binary in {"Equal": equal, "Less": less, "Greater": greater}.items():
    _with_axis(_name, _binary)


@op("IsNaN", since=9)
def is_nan(x: Value) -> Value:
    """Whether it is not a number."""
    return nd.is_nan(x)


@op("IsInf", since=10)
def is_inf(x: Value, *, detect_negative: int, detect_positive: int) -> Value:
    """Whether it is infinite, of the asked signs."""
    if detect_negative and detect_positive:
        return nd.unary("_npi_isinf", x, np.isinf, dtype="bool")
    if detect_positive:
        return nd.unary("_npi_isposinf", x, np.isposinf, dtype="bool")
    return nd.unary("_npi_isneginf", x, np.isneginf, dtype="bool") if detect_negative else nd.zeros(x.shape, "bool")


@op("Where", since=9)
def where(condition: Value, x: Value, y: Value) -> Value:
    """x where the condition holds, else y."""
    if x.dtype in CARRIERS:
        return nd.where(condition, x, y)
    chosen: Value = nd.host(choose, [condition, x, y], [(nd.broadcast_shape(condition, x, y), x.dtype)])[0]
    return chosen
