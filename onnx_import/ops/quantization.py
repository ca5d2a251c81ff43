"""Real numbers as few-bit ones with a scale and a zero point, and back.

Scales and zero points are one for all, one for each index of an axis, or one for each block along an axis.
"""

from __future__ import annotations

import numpy as np

from onnx_import import nd
from onnx_import.dtypes import CARRIERS, bounds, is_integer
from onnx_import.errors import InvalidInput
from onnx_import.nd import Value
from onnx_import.ops.casting import dtype_of
from onnx_import.registry import op

RANKS = ("float64", "float32", "bfloat16", "float16")
SPAN = float(1 << 18)
"""Quotients are cut to this before rounding: twice what any quantised type and its zero point reach."""


@op("QuantizeLinear", since=10)
def quantize_linear(
    x: Value,
    scale: Value,
    zero_point: Value | None = None,
    *,
    axis: int | None,
    saturate: int | None,
    block_size: int | None,
    output_dtype: int | None,
    precision: int | None,
) -> Value:
    """x / scale rounded to even, moved by the zero point and cut to the type's range."""
    dtype = zero_point.dtype if zero_point is not None else dtype_of(output_dtype) if output_dtype else "uint8"
    kind = dtype_of(precision) if precision else _common(x.dtype, scale.dtype)
    scale = spread(scale, x.shape, axis, block_size)
    quotient = nd.divide(nd.cast(x, kind), nd.cast(scale, kind))
    zero = None if zero_point is None else spread(zero_point, x.shape, axis, block_size)
    if is_integer(dtype):
        return to_whole(quotient, zero, dtype)
    if zero is not None and dtype == "float4_e2m1fn":  # float8's is zero
        quotient = nd.add(quotient, nd.cast(nd.reinterpret(zero, "float32"), kind))
    return nd.round_to(quotient, dtype, saturate=saturate != 0)


@op("DequantizeLinear", since=10)
def dequantize_linear(
    x: Value,
    scale: Value,
    zero_point: Value | None = None,
    *,
    axis: int | None,
    block_size: int | None,
    output_dtype: int | None,
) -> Value:
    """(x - zero point) * scale."""
    dtype = dtype_of(output_dtype) if output_dtype else scale.dtype
    moved = centred(x, None if zero_point is None else spread(zero_point, x.shape, axis, block_size))
    kind = "float64" if scale.dtype == "float64" else "float32"
    product = nd.multiply(nd.cast(moved, kind), nd.cast(spread(scale, x.shape, axis, block_size), kind))
    return nd.cast(product, dtype) if dtype in RANKS else nd.round_to(product, dtype, saturate=True)


@op("DynamicQuantizeLinear", since=11)
def dynamic_quantize_linear(x: Value) -> tuple[Value, Value, Value]:
    """The numbers as uint8, with the scale and the zero point that their range asks for."""
    axes = list(range(x.rank))
    zero, steps = nd.constant(np.float32(0)), nd.constant(np.float32(255))
    if not x.size:
        raise InvalidInput("DynamicQuantizeLinear finds no range in an empty tensor")
    largest = nd.maximum(nd.reshape(nd.reduce_max(x, axes), ()), zero)
    smallest = nd.minimum(nd.reshape(nd.reduce_min(x, axes), ()), zero)
    width = nd.subtract(largest, smallest)
    scale = nd.divide(nd.where(nd.equal(width, zero), nd.constant(np.float32(1)), width), steps)
    middle = to_whole(nd.subtract(zero, nd.divide(smallest, scale)), None, "uint8")
    return to_whole(nd.divide(x, scale), middle, "uint8"), scale, middle


def spread(part: Value, shape: tuple[int, ...], axis: int | None, block_size: int | None = None) -> Value:
    """Scales or zero points as they broadcast to a tensor's shape."""
    if part.size == 1:
        return nd.reshape(part, ())
    if axis is None:
        raise InvalidInput(f"one scale and one zero point are needed, not {list(part.shape)}")
    axis = nd.normal_axis(axis, len(shape))
    if not block_size:
        if part.shape != (shape[axis],):
            raise InvalidInput(f"{list(part.shape)} scales do not fit axis {axis} of {list(shape)}")
        return nd.reshape(part, [size if i == axis else 1 for i, size in enumerate(shape)])
    blocks = part.shape[axis] if part.rank == len(shape) else 0
    if blocks != -(-shape[axis] // block_size) or part.shape != (*shape[:axis], blocks, *shape[axis + 1 :]):
        raise InvalidInput(f"{list(part.shape)} scales do not fit {list(shape)} in blocks of {block_size} along axis {axis}")
    apart = nd.expand_dims(part, [axis + 1])
    repeated = nd.expand(apart, (*apart.shape[: axis + 1], block_size, *apart.shape[axis + 2 :]))
    joined = nd.reshape(repeated, (*shape[:axis], blocks * block_size, *shape[axis + 1 :]))
    return nd.slice_axis(joined, axis, 0, shape[axis])


def centred(x: Value, zero_point: Value | None) -> Value:
    """x - zero point, exactly: float32 holds what 16 bits differ by, float64 what 32 do."""
    if not is_integer(x.dtype):
        return nd.reinterpret(x, "float32")  # a zero point of float8 or float4 is zero
    kind = "float64" if x.dtype in ("int32", "uint32", "int64") else "float32"
    wide = renamed(x, kind)
    if zero_point is None or (zero_point.data is not None and not zero_point.data.any()):
        return wide
    return nd.subtract(wide, renamed(zero_point, kind))


def to_whole(quotient: Value, zero_point: Value | None, dtype: str) -> Value:
    """Real numbers rounded to even, moved by a zero point and cut to the range of an integer type."""
    low, high = bounds(dtype)
    kind = "float64" if quotient.dtype == "float64" else "float32"
    wide = nd.cast(quotient, kind)
    shift = zero_point.data.item() if zero_point is not None and zero_point.data is not None and zero_point.size == 1 else 0
    if zero_point is None or zero_point.size == 1 and zero_point.data is not None:
        rounded = _rounded(_clip(wide, low - shift, high - shift))
        return renamed(nd.add(rounded, nd.constant(np.array(shift, kind))) if shift else rounded, dtype)
    moved = nd.add(_rounded(_clip(wide, -SPAN, SPAN)), renamed(zero_point, kind))
    return renamed(_clip(moved, low, high), dtype)


def renamed(value: Value, dtype: str) -> Value:
    """Numbers that the other type has too, in its carrier: no wrapping or rounding is needed."""
    if value.data is not None:
        return nd.constant(value.data.astype(CARRIERS[dtype]), dtype)
    if value.carrier == CARRIERS[dtype]:
        return nd.reinterpret(value, dtype)
    return nd.emit("Cast", [value], value.shape, dtype, dtype=CARRIERS[dtype])


def _common(x: str, scale: str) -> str:
    """The type in which a tensor is divided by its scale."""
    if is_integer(x):
        return "float64"
    return min(x, scale, key=RANKS.index) if x != scale else x


def _clip(value: Value, low: float, high: float) -> Value:
    return nd.unary("clip", value, lambda array: np.clip(array, low, high), a_min=low, a_max=high)


def _rounded(value: Value) -> Value:
    """Whole numbers next to real ones of at most `SPAN`, ties to even: the sum has no bits for a fraction."""
    magic = nd.constant(np.array(1.5 * 2.0 ** (23 if value.dtype == "float32" else 52), value.dtype))
    return nd.subtract(nd.add(value, magic), magic)
