"""Sums, products and their kin."""

from __future__ import annotations

from onnx_import import nd
from onnx_import.dtypes import is_integer
from onnx_import.nd import Value
from onnx_import.registry import op


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
