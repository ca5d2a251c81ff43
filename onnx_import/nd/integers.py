"""Whole numbers divided, raised and shifted, exact at every width; and the remainders of real numbers.

MXNet divides integers through float64, and a zero below ends the process. So narrow ones are divided as float64 by hand, and
64-bit ones by a quotient in float64, corrected by what it leaves over:

    q = x / y as float64;  r = x - q * y (exact, modulo 2**64);  q += r / y;  then q is right or off by one, as r shows
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from onnx_import.dtypes import Array, bits, carry, deliver, is_integer, is_unsigned
from onnx_import.nd.elementwise import (
    absolute,
    add,
    all_known,
    bitwise_and,
    bitwise_xor,
    broadcast_shape,
    cast,
    divide,
    equal,
    floor,
    fold,
    greater,
    greater_equal,
    less,
    less_equal,
    logical_and,
    logical_or,
    minimum,
    multiply,
    negative,
    not_equal,
    reinterpret,
    scalar_of,
    subtract,
    trunc,
    where,
)
from onnx_import.nd.tape import emit
from onnx_import.nd.value import Value, constant

__all__ = ["floor_divide", "mod", "remainder", "shift_left", "shift_right", "truncated_divide", "whole_power"]

WORD = 1 << 32


def truncated_divide(x: Value, y: Value) -> Value:
    """The quotient cut toward zero, as C divides."""
    if all_known(x, y):
        return _folded(_truncating, x, y)
    number = scalar_of(y, x.shape)
    if number is not None and number > 0 and x.carrier != "int64":
        return emit("_div_scalar", [x], x.shape, x.dtype, scalar=number)
    if not _is_long(x):
        return cast(trunc(_ratio(x, y)), x.dtype)
    if x.dtype == "uint64":
        return floor_divide(x, y)
    quotient = floor_divide(x, y)
    return add(quotient, cast(_is_mixed(x, y, subtract(x, multiply(quotient, y))), x.dtype))


def floor_divide(x: Value, y: Value) -> Value:
    """The quotient rounded down."""
    if all_known(x, y):
        return _folded(np.floor_divide, x, y)
    if not _is_long(x):
        return cast(floor(_ratio(x, y)), x.dtype)
    if x.dtype == "uint64":
        return _divide_unsigned(x, y)
    quotient = cast(floor(_ratio(x, y)), "int64")
    quotient = add(quotient, cast(floor(_ratio(subtract(x, multiply(quotient, y)), y)), "int64"))
    rest = subtract(x, multiply(quotient, y))
    zero, is_positive = _int64(0), greater(y, _int64(0))
    is_low = where(is_positive, less(rest, zero), greater(rest, zero))
    is_high = where(is_positive, greater_equal(rest, y), less_equal(rest, y))
    return add(subtract(quotient, cast(is_low, "int64")), cast(is_high, "int64"))


def mod(x: Value, y: Value) -> Value:
    """What a division rounded down leaves: it has the sign of `y`."""
    if all_known(x, y):
        return _folded(np.mod, x, y)
    if is_integer(x.dtype):
        return subtract(x, multiply(floor_divide(x, y), y))
    rest, zero = remainder(x, y), _like(x, 0)
    is_other = logical_and(not_equal(rest, zero), bitwise_xor(less(rest, zero), less(y, zero)))
    signed_zero = emit("_npi_copysign", [zero, y], y.shape, x.dtype)
    return where(equal(rest, zero), signed_zero, where(is_other, add(rest, y), rest))


def remainder(x: Value, y: Value) -> Value:
    """What a division cut toward zero leaves: it has the sign of `x`."""
    if all_known(x, y):
        return _folded(np.fmod, x, y)
    if is_integer(x.dtype):
        return subtract(x, multiply(truncated_divide(x, y), y))
    size = emit("_npi_mod", [absolute(x), absolute(y)], broadcast_shape(x, y), x.dtype)
    zero = _like(x, 0)
    return where(equal(y, zero), _like(x, np.nan), where(less(x, zero), negative(size), size))


def whole_power(x: Value, y: Value) -> Value:
    """x multiplied by itself, modulo the width; of powers below 0 what C's cut toward zero leaves of the fraction."""
    result, square, exponent = _like(x, 1), x, cast(y, "int64")
    for place in range(6):
        is_set = not_equal(bitwise_and(exponent, _int64(1 << place)), _int64(0))
        result = where(is_set, multiply(result, square), result)
        square = multiply(square, square)
    one, minus = _like(x, 1), _like(x, -1)
    is_unit = equal(x, one) if is_unsigned(x.dtype) else logical_or(equal(x, one), equal(x, minus))
    is_odd = not_equal(bitwise_and(exponent, _int64(1)), _int64(0))
    of_unit = where(is_odd, x, one)
    is_far = logical_or(less(exponent, _int64(0)), greater(exponent, _int64(63)))
    return where(is_far, where(is_unit, of_unit, _like(x, 0)), result)


def shift_left(x: Value, places: Value) -> Value:
    """Bits moved to the upper end; those that leave the width are lost."""
    width = bits(x.dtype)
    powers = np.array([1 << place for place in range(width)] + [0], np.uint64).view(np.int64)
    factor = reinterpret(_looked_up(powers, places, width), "int64")
    return cast(multiply(cast(x, "int64"), factor), x.dtype)


def shift_right(x: Value, places: Value) -> Value:
    """Bits moved to the lower end; what comes in at the upper end is the sign."""
    width = bits(x.dtype)
    shifts = np.minimum(np.arange(width + 1), 62)
    result = floor_divide(reinterpret(cast(x, "int64"), "int64"), _looked_up(1 << shifts, places, width))
    rest = np.arange(width + 1) - shifts  # 2**63 is no int64: the last bits in a second step
    if rest.any():
        result = floor_divide(result, _looked_up(1 << rest, places, width))
    if x.dtype == "uint64":
        masks = np.array([(1 << (width - place)) - 1 for place in range(width + 1)], np.uint64).view(np.int64)
        result = bitwise_and(result, _looked_up(masks, places, width))
    return cast(result, x.dtype)


def _looked_up(table: Array, places: Value, width: int) -> Value:
    """The table's number for each count of places; its last one where the count is negative or not below the width."""
    count = cast(places, "int64")
    count = where(less(count, _int64(0)), _int64(width), minimum(count, _int64(width)))
    if count.data is not None:
        return constant(table[count.data])
    return emit("take", [constant(table), count], count.shape, "int64", axis=0, mode="clip")


def _divide_unsigned(x: Value, y: Value) -> Value:
    """64-bit numbers without a sign: half of x is an int64; a y with the upper bit set is contained once or not at all."""
    dividend, divisor = reinterpret(x, "int64"), reinterpret(y, "int64")
    is_large = less(divisor, _int64(0))
    half = floor_divide(_halved(dividend), where(is_large, _int64(1), divisor))
    quotient = reinterpret(multiply(half, _int64(2)), "uint64")
    rest = subtract(x, multiply(quotient, y))
    quotient = add(quotient, cast(greater_equal(rest, y), "uint64"))
    return where(is_large, cast(greater_equal(x, y), "uint64"), quotient)


def _halved(x: Value) -> Value:
    """64 bits moved down by one, a zero coming in; by way of two halves that float64 holds."""
    low = bitwise_and(x, _int64(WORD - 1))
    high = cast(divide(cast(subtract(x, low), "float64"), constant(np.array(float(WORD)))), "int64")
    even = subtract(low, bitwise_and(low, _int64(1)))
    upper = multiply(bitwise_and(high, _int64(WORD - 1)), _int64(WORD // 2))
    return add(upper, cast(divide(cast(even, "float64"), constant(np.array(2.0))), "int64"))


def _is_long(x: Value) -> bool:
    """Whether float64 does not hold every number of the type."""
    return x.dtype in ("int64", "uint64")


def _ratio(x: Value, y: Value) -> Value:
    return divide(cast(x, "float64"), cast(y, "float64"))


def _is_mixed(x: Value, y: Value, rest: Value) -> Value:
    """Where rounding down and cutting differ: something is left, and the signs are not the same."""
    zero = _int64(0)
    return logical_and(not_equal(rest, zero), bitwise_xor(less(x, zero), less(y, zero)))


def _int64(number: int) -> Value:
    return constant(np.array(number, np.int64))


def _like(x: Value, number: float) -> Value:
    return constant(np.array(number, x.carrier), x.dtype)


def _folded(function: Callable[[Array, Array], Array], x: Value, y: Value) -> Value:
    """A function of known numbers in their own width."""
    if x.dtype != "uint64":
        return fold(function, x, y, dtype=x.dtype)
    assert x.data is not None
    assert y.data is not None
    with np.errstate(all="ignore"):
        return constant(carry(np.asarray(function(deliver(x.data, x.dtype), deliver(y.data, y.dtype)))), x.dtype)


def _truncating(x: Array, y: Array) -> Array:
    quotient = np.floor_divide(x, y)
    is_mixed = (np.remainder(x, y) != 0) & ((x < 0) != (y < 0))
    return np.asarray(quotient + is_mixed.astype(quotient.dtype))
