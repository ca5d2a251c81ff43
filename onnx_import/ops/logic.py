"""Truth values and bits."""

from __future__ import annotations

from onnx_import import nd
from onnx_import.errors import InvalidModel
from onnx_import.nd import Value
from onnx_import.ops.arithmetic import Binary, aligned
from onnx_import.registry import op


@op("And", since=7)
@op("BitwiseAnd", since=18)
def bitwise_and(x: Value, y: Value) -> Value:
    """What holds, or is set, in both."""
    return nd.bitwise_and(x, y)


@op("Or", since=7)
@op("BitwiseOr", since=18)
def bitwise_or(x: Value, y: Value) -> Value:
    """What holds, or is set, in one of them."""
    return nd.bitwise_or(x, y)


@op("Xor", since=7)
@op("BitwiseXor", since=18)
def bitwise_xor(x: Value, y: Value) -> Value:
    """What holds, or is set, in exactly one."""
    return nd.bitwise_xor(x, y)


def _with_axis(name: str, function: Binary) -> None:
    """Register an operator of two truth values as opset 1 has it."""

    @op(name, since=1)
    def converter(x: Value, y: Value, *, axis: int | None, broadcast: int | None) -> Value:
        return function(x, aligned(x, y, axis, broadcast))


for _name, _binary in {"And": bitwise_and, "Or": bitwise_or, "Xor": bitwise_xor}.items():
    _with_axis(_name, _binary)


@op("Not", since=1)
def logical_not(x: Value) -> Value:
    """The other truth value."""
    return nd.logical_not(x)


@op("BitwiseNot", since=18)
def bitwise_not(x: Value) -> Value:
    """Every bit turned."""
    return nd.bitwise_not(x)


@op("BitShift", since=11)
def bit_shift(x: Value, places: Value, *, direction: str) -> Value:
    """Bits moved by a number of places; a sign comes in at the upper end."""
    if direction not in ("LEFT", "RIGHT"):
        raise InvalidModel(f"direction is {direction!r}, not LEFT or RIGHT")
    return nd.shift_left(x, places) if direction == "LEFT" else nd.shift_right(x, places)
