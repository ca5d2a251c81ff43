"""Element by element, with numpy's broadcasting: results have the first operand's dtype unless a function says otherwise.

Operands have one dtype. Integers that are narrower than their carrier are brought back to their range, small floats to their
precision (`settle`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import zip_longest
from typing import Any

import numpy as np

from onnx_import.dtypes import BITS, CARRIERS, Array, is_unsigned
from onnx_import.nd.broadcasting import MOST_AXES, broadcast_shape, emit_broadcast, spread
from onnx_import.nd.rounding import round_bfloat16
from onnx_import.nd.tape import current, emit
from onnx_import.nd.value import Value, constant, fitting

__all__ = [
    "absolute",
    "add",
    "all_known",
    "bitwise_and",
    "bitwise_not",
    "bitwise_or",
    "bitwise_xor",
    "broadcast_shape",
    "cast",
    "ceil",
    "comparable",
    "divide",
    "equal",
    "erf",
    "exp",
    "floor",
    "fold",
    "full",
    "greater",
    "greater_equal",
    "is_nan",
    "less",
    "less_equal",
    "log",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "maximum",
    "minimum",
    "multiply",
    "negative",
    "not_equal",
    "power",
    "reinterpret",
    "scalar_of",
    "settle",
    "sigmoid",
    "signed_order",
    "sqrt",
    "subtract",
    "tanh",
    "trunc",
    "unary",
    "where",
    "zeros",
]

LARGE = 4096
"""Elements from which on an operator's time counts for more than the number of operators."""


def all_known(*values: Value) -> bool:
    """Whether every array is at hand."""
    return all(value.data is not None for value in values)


def fold(function: Callable[..., Array], *values: Value, dtype: str) -> Value:
    """A known value computed with numpy from known ones, silent on overflow and division by 0."""
    if len(values) > 1:  # broadcast, they have more elements than each of them
        fitting(map(max, zip_longest(*[value.shape[::-1] for value in values], fillvalue=1)))
    with np.errstate(all="ignore"):
        result = np.asarray(function(*[value.data for value in values]))
        return settle(constant(result.astype(CARRIERS.get(dtype, dtype), copy=False), dtype))


def full(shape: tuple[int, ...], value: Any, dtype: str) -> Value:
    """A known value that is one number everywhere."""
    fitting(shape)
    return constant(np.full(shape, value, CARRIERS.get(dtype, dtype)), dtype)


def zeros(shape: tuple[int, ...], dtype: str) -> Value:
    """A known value of zeros."""
    return full(shape, 0, dtype)


def reinterpret(value: Value, dtype: str) -> Value:
    """The same carried numbers under another ONNX dtype of the same carrier; nothing is computed."""
    if value.dtype == dtype:
        return value
    if value.data is not None:
        return Value(dtype, value.shape, value.data)
    return current().renamed(value, dtype)


def settle(value: Value) -> Value:
    """A result of arithmetic in its carrier, brought back to its dtype: integers wrap around, bfloat16 rounds to nearest even."""
    if value.dtype == "bfloat16":
        return round_bfloat16(value)
    if value.dtype not in BITS:
        return value
    width = BITS[value.dtype]
    offset = 0 if is_unsigned(value.dtype) else 1 << (width - 1)
    if value.data is not None:
        wrapped = ((value.data.astype(np.int64) + offset) & ((1 << width) - 1)) - offset
        return Value(value.dtype, value.shape, wrapped.astype(value.data.dtype))
    carrier, shape = value.carrier, value.shape
    shifted = emit("_plus_scalar", [value], shape, carrier, scalar=offset) if offset else value
    mask = constant(np.full((1,) * len(shape), (1 << width) - 1, carrier))
    masked = emit("_npi_bitwise_and", [shifted, mask], shape, carrier if offset else value.dtype)
    return emit("_minus_scalar", [masked], shape, value.dtype, scalar=offset) if offset else masked


def cast(value: Value, dtype: str) -> Value:
    """The numbers as another dtype as C casts them; for ONNX's own rules on small types see `ops/casting.py`."""
    if value.dtype == dtype:
        return value
    if value.carrier == CARRIERS.get(dtype):
        return settle(reinterpret(value, dtype))
    if value.data is not None:
        return fold(lambda array: array.astype(CARRIERS[dtype]), value, dtype=dtype)
    return settle(emit("Cast", [value], value.shape, dtype, dtype=CARRIERS[dtype]))


def unary(op: str, value: Value, function: Callable[..., Array], *, dtype: str | None = None, **attrs: Any) -> Value:
    """One MXNet operator of one operand, with the numpy function that folds it."""
    if value.data is not None:
        return fold(function, value, dtype=dtype or value.dtype)
    return settle(emit(op, [value], value.shape, dtype or value.dtype, **attrs))


def scalar_of(value: Value, shape: tuple[int, ...]) -> float | int | None:
    """The number of a known value that has only one, if broadcasting by it leaves `shape` alone."""
    if value.data is None or value.data.size != 1 or len(value.shape) > len(shape) or value.data.dtype == bool:
        return None
    number = value.data.reshape(-1)[0].item()
    # MXNet reads scalars into double, the last place of which its own parser does not always get right.
    is_exact = abs(number) < 1 << 53 if isinstance(number, int) else value.dtype != "float64" or _is_parsed_exactly(number)
    return number if is_exact and np.isfinite(number) else None


def _is_parsed_exactly(number: float) -> bool:
    """Whether a double has so few digits that no parser can round it."""
    return abs(number) < 1 << 40 and (number * 1024).is_integer()


def _arithmetic(
    function: Callable[..., Array], same: str, mixed: str, scalar: str, reverse: str
) -> Callable[[Value, Value], Value]:
    """A binary primitive, by MXNet's names for equal shapes, broadcasting, and a scalar on the right or on the left."""

    def primitive(x: Value, y: Value) -> Value:
        if all_known(x, y):
            return fold(function, x, y, dtype=x.dtype)
        shape = broadcast_shape(x, y)
        number = scalar_of(y, x.shape)
        if number is not None and scalar:
            return settle(emit(scalar, [x], shape, x.dtype, scalar=number))
        number = scalar_of(x, y.shape)
        if number is not None and reverse:
            return settle(emit(reverse, [y], shape, x.dtype, scalar=number))
        if x.shape == y.shape and same != mixed:
            return settle(emit(same, [x, y], shape, x.dtype))
        return settle(emit_broadcast(mixed, [x, y], shape, x.dtype))

    return primitive


add = _arithmetic(np.add, "elemwise_add", "broadcast_add", "_plus_scalar", "_plus_scalar")
subtract = _arithmetic(np.subtract, "elemwise_sub", "broadcast_sub", "_minus_scalar", "_rminus_scalar")
multiply = _arithmetic(np.multiply, "elemwise_mul", "broadcast_mul", "_mul_scalar", "_mul_scalar")
divide = _arithmetic(np.divide, "elemwise_div", "broadcast_div", "_div_scalar", "_rdiv_scalar")
power = _arithmetic(np.power, "_npi_power", "_npi_power", "_npi_power_scalar", "_npi_rpower_scalar")
_bitwise_and = _arithmetic(np.bitwise_and, "_npi_bitwise_and", "_npi_bitwise_and", "", "")
_bitwise_or = _arithmetic(np.bitwise_or, "_npi_bitwise_or", "_npi_bitwise_or", "", "")
_bitwise_xor = _arithmetic(np.bitwise_xor, "_npi_bitwise_xor", "_npi_bitwise_xor", "", "")
_maximum = _arithmetic(np.maximum, "_npi_maximum", "_npi_maximum", "_npi_maximum_scalar", "_npi_maximum_scalar")
_minimum = _arithmetic(np.minimum, "_npi_minimum", "_npi_minimum", "_npi_minimum_scalar", "_npi_minimum_scalar")


def _is_broadcast_bool(x: Value, y: Value) -> bool:
    """Truth values of two shapes: MXNet's bitwise operators take them of one shape only, its comparisons of any."""
    return x.dtype == "bool" and x.shape != y.shape and not all_known(x, y)


def bitwise_and(x: Value, y: Value) -> Value:
    """The bits that are set in both."""
    return greater(x, logical_not(y)) if _is_broadcast_bool(x, y) else _bitwise_and(x, y)


def bitwise_or(x: Value, y: Value) -> Value:
    """The bits that are set in one of them."""
    return greater_equal(x, logical_not(y)) if _is_broadcast_bool(x, y) else _bitwise_or(x, y)


def bitwise_xor(x: Value, y: Value) -> Value:
    """The bits that are set in exactly one."""
    return not_equal(x, y) if _is_broadcast_bool(x, y) else _bitwise_xor(x, y)


def maximum(x: Value, y: Value) -> Value:
    """The larger of two numbers."""
    return signed_order(_maximum, x, y)


def minimum(x: Value, y: Value) -> Value:
    """The smaller of two numbers."""
    return signed_order(_minimum, x, y)


def negative(value: Value) -> Value:
    """The number with the other sign."""
    return unary("_mul_scalar", value, np.negative, scalar=-1)


def absolute(value: Value) -> Value:
    """The number without its sign."""
    if value.dtype == "int64" and value.data is None:  # MXNet's operator goes by float64
        return maximum(value, negative(value))
    return value if is_unsigned(value.dtype) else unary("abs", value, np.abs)


def _function(op: str, function: Callable[..., Array], promise: str, **attrs: str) -> Callable[[Value], Value]:
    """A function of one real number."""

    def primitive(value: Value) -> Value:
        return unary(op, value, function, **attrs)

    primitive.__doc__ = promise
    return primitive


ceil = _function("ceil", np.ceil, "The next whole number above.")
exp = _function("exp", np.exp, "e to the power of the number.")
floor = _function("floor", np.floor, "The next whole number below.")
log = _function("log", np.log, "The natural logarithm.")
sigmoid = _function("Activation", lambda x: 1 / (1 + np.exp(-x.astype(np.float64))), "1 / (1 + exp(-x)).", act_type="sigmoid")
sqrt = _function("sqrt", np.sqrt, "The square root.")
tanh = _function("Activation", np.tanh, "The hyperbolic tangent.", act_type="tanh")
trunc = _function("trunc", np.trunc, "The whole number next to it on the side of 0.")
erf = _function("erf", np.vectorize(math.erf, otypes=[np.float64]), "The error function.")


def is_nan(value: Value) -> Value:
    """Whether it is not a number."""
    return unary("_npi_isnan", value, np.isnan, dtype="bool")


def comparable(value: Value) -> Value:
    """Numbers whose carried order is their order: 64-bit ones without a sign are carried as bits, so their sign bit is flipped."""
    if value.dtype != "uint64":
        return value
    return bitwise_xor(reinterpret(value, "int64"), constant(np.array(np.iinfo(np.int64).min)))


def signed_order(function: Callable[..., Value], *values: Value) -> Value:
    """A function of order that gives one of its numbers, or a truth value."""
    result = function(*[comparable(value) for value in values])
    if values[0].dtype != "uint64" or result.dtype != "int64":
        return result
    return reinterpret(bitwise_xor(result, constant(np.array(np.iinfo(np.int64).min))), "uint64")


def _comparison(function: Callable[..., Array], op: str, reverse: str) -> Callable[[Value, Value], Value]:
    """A binary primitive that answers in bool."""

    def compare(x: Value, y: Value) -> Value:
        if all_known(x, y):
            return fold(function, x, y, dtype="bool")
        shape = broadcast_shape(x, y)
        for value, other, name in ((y, x, op), (x, y, reverse)):
            number = scalar_of(value, other.shape)
            if number is not None:
                return emit(f"{name}_scalar", [other], shape, "bool", scalar=number)
        return emit_broadcast(op, [x, y], shape, "bool")

    return lambda x, y: signed_order(compare, x, y)


equal = _comparison(np.equal, "_npi_equal", "_npi_equal")
not_equal = _comparison(np.not_equal, "_npi_not_equal", "_npi_not_equal")
less = _comparison(np.less, "_npi_less", "_npi_greater")
less_equal = _comparison(np.less_equal, "_npi_less_equal", "_npi_greater_equal")
greater = _comparison(np.greater, "_npi_greater", "_npi_less")
greater_equal = _comparison(np.greater_equal, "_npi_greater_equal", "_npi_less_equal")


def logical_not(value: Value) -> Value:
    """The other truth value."""
    return unary("_npi_logical_not", value, np.logical_not)


def logical_and(x: Value, y: Value) -> Value:
    """Whether both are true."""
    return bitwise_and(x, y)


def logical_or(x: Value, y: Value) -> Value:
    """Whether one of them is true."""
    return bitwise_or(x, y)


def logical_xor(x: Value, y: Value) -> Value:
    """Whether exactly one is true."""
    return bitwise_xor(x, y)


def bitwise_not(value: Value) -> Value:
    """Every bit turned."""
    return unary("_npi_bitwise_not", value, np.bitwise_not)


def where(condition: Value, x: Value, y: Value) -> Value:
    """`x` where the condition (bool) holds, else `y`."""
    if all_known(condition, x, y):
        return fold(np.where, condition, x, y, dtype=x.dtype)
    shape = broadcast_shape(condition, x, y)
    if condition.data is not None and (condition.data.all() or not condition.data.any()):
        chosen = x if condition.data.all() else y
        if chosen.shape == shape:
            return chosen
    if x.dtype == "bool" or len(shape) > MOST_AXES or math.prod(shape) < LARGE:
        return emit_broadcast("_npi_where", [condition, x, y], shape, x.dtype)
    # MXNet's older operator takes a quarter of the time, but one shape, and no bool.
    like = next((value for value in (x, y, condition) if value.shape == shape and value.data is None), None)
    mask = emit("Cast", [condition], condition.shape, "uint8", dtype="uint8")
    return emit("where", [spread(value, shape, like) for value in (mask, x, y)], shape, x.dtype)
