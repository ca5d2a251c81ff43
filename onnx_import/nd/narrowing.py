"""Rounding to formats of few bits, whatever carries them, in arithmetic that MXNet has.

    |x| -> the binade it lies in -> that binade's last place in the format -> add and subtract 1.5 * 2**52 last places

In float64 the sum has no bits below one last place, so that adding rounds to nearest, ties to even, and subtracting is exact.
That the logarithm near a power of two may name the neighbouring binade does no harm: both have that power.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from onnx_import.errors import Unsupported
from onnx_import.nd.elementwise import (
    absolute,
    add,
    cast,
    equal,
    fold,
    greater,
    maximum,
    minimum,
    not_equal,
    reinterpret,
    subtract,
    unary,
    where,
)
from onnx_import.nd.tape import emit
from onnx_import.nd.value import Value, constant

__all__ = ["FORMATS", "half_even", "round_to", "round_to_power"]


@dataclass(frozen=True)
class Format:
    """A binary format: significant bits, exponent of the smallest number, the largest one, and what else it has."""

    digits: int
    least: int
    largest: float
    has_infinity: bool = False
    has_nan: bool = True
    has_negative_zero: bool = True


FORMATS = {
    "float32": Format(24, -149, float(np.finfo(np.float32).max), has_infinity=True),
    "float16": Format(11, -24, 65504.0, has_infinity=True),
    "bfloat16": Format(8, -133, 255 * 2.0**120, has_infinity=True),
    "float8_e4m3fn": Format(4, -9, 448.0),
    "float8_e4m3fnuz": Format(4, -10, 240.0, has_negative_zero=False),
    "float8_e5m2": Format(3, -16, 57344.0, has_infinity=True),
    "float8_e5m2fnuz": Format(3, -17, 57344.0, has_negative_zero=False),
    "float4_e2m1fn": Format(2, -1, 6.0, has_nan=False),
}
LARGEST_POWER = 127
"""float8_e8m0fnu has the powers of two from -127 to this."""


def round_to(value: Value, dtype: str, *, saturate: bool) -> Value:
    """Numbers rounded to the nearest of a format, ties to even; what is too large becomes the largest, or infinite or NaN."""
    if dtype not in FORMATS:
        raise Unsupported(f"rounds to {dtype}")
    kind = FORMATS[dtype]
    wide = cast(value, "float64")
    size = absolute(wide)
    capped = minimum(size, _number(4 * kind.largest))  # what follows must not overflow
    places = maximum(subtract(_binade(capped), _number(kind.digits - 1)), _number(kind.least))
    magic = _power_of_two(places, 1.5 * 2.0**52)
    rounded = subtract(add(capped, magic), magic)
    if saturate or not kind.has_nan:
        rounded = minimum(rounded, _number(kind.largest))
    else:
        rounded = where(greater(rounded, _number(kind.largest)), _number(np.inf if kind.has_infinity else np.nan), rounded)
    if not kind.has_nan:
        rounded = where(not_equal(size, size), _number(0), rounded)
    signed = _with_sign_of(rounded, wide)
    return _carried(signed if kind.has_negative_zero else add(signed, _number(0)), dtype)


def round_to_power(value: Value, mode: str, *, saturate: bool) -> Value:
    """Numbers without their sign as float8_e8m0fnu: the power of two below, above or nearest (the upper one of two)."""
    size = absolute(cast(cast(value, "float32"), "float64"))
    smallest, largest = _number(2.0**-127), _number(2.0**LARGEST_POWER)
    capped = minimum(maximum(size, smallest), _number(2.0 ** (LARGEST_POWER + 1)))
    below = _power_of_two(_binade(capped), 1.0)
    if mode == "up":
        power = where(greater(capped, below), add(below, below), below)
    elif mode == "nearest":
        power = where(greater(_scaled(below, 1.5), capped), below, add(below, below))
    else:
        power = below
    if saturate:
        return _carried(minimum(power, largest), "float8_e8m0fnu")
    power = where(greater(power, largest), _number(np.nan), power)
    return _carried(where(greater(smallest, size), _number(np.nan), power), "float8_e8m0fnu")


def half_even(value: Value) -> Value:
    """Whole numbers next to real ones, ties to even; NaN and infinities stay, and so does the sign of a zero."""
    if value.data is not None:
        return fold(np.rint, value, dtype=value.dtype)
    kind = value.carrier if value.carrier in ("float32", "float64") else "float32"
    wide = cast(value, kind)
    limit = constant(np.array(2.0**22 if kind == "float32" else 2.0**51, kind))
    magic = constant(limit.data * 3) if limit.data is not None else limit
    rounded = _with_sign_of(subtract(add(wide, magic), magic), wide)
    return cast(where(greater(limit, absolute(wide)), rounded, wide), value.dtype)


def _carried(value: Value, dtype: str) -> Value:
    """Numbers of float64, each of them one of the dtype's already, in its carrier."""
    return cast(value, dtype) if dtype in ("float16", "float32") else reinterpret(cast(value, "float32"), dtype)


def _number(number: float) -> Value:
    return constant(np.array(number, np.float64))


def _scaled(value: Value, factor: float) -> Value:
    return unary("_mul_scalar", value, lambda array: array * factor, scalar=factor)


def _binade(value: Value) -> Value:
    """The exponents of the powers of two below; -inf of 0."""
    return unary("floor", unary("_npi_log2", value, np.log2), np.floor)


def _power_of_two(exponent: Value, factor: float) -> Value:
    return unary("_npi_rldexp_scalar", exponent, lambda array: np.multiply(factor, np.exp2(array)), scalar=factor)


def _with_sign_of(size: Value, sign: Value) -> Value:
    if size.data is not None and sign.data is not None:
        return fold(np.copysign, size, sign, dtype=size.dtype)
    signed = emit("_npi_copysign", [size, sign], sign.shape, size.dtype)
    return where(equal(sign, constant(np.zeros((), sign.dtype))), sign, signed)  # of -0 MXNet sees no sign
