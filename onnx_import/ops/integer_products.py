"""Matrix products and convolutions of few-bit whole numbers, exact to the last bit, in the arithmetic that MXNet is fast in.

no sum can reach 2**24           float32, whose sums of whole numbers are exact up to there
nor with the weights' low digit  two products in float32: of the weights' upper bits and of their four lower ones
else                             float64
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from onnx_import import nd
from onnx_import.dtypes import bounds, is_integer
from onnx_import.nd import Value
from onnx_import.ops.convolution import LIMITS, conv
from onnx_import.ops.quantization import centred, renamed, to_whole
from onnx_import.registry import op

EXACT = 1 << 24
DIGIT = 16
Sizes = Sequence[int] | None
Product = Callable[[Value, Value], Value]


@op("MatMulInteger", since=10)
def matmul_integer(a: Value, b: Value, a_zero: Value | None = None, b_zero: Value | None = None) -> Value:
    """(a - its zero point) @ (b - its zero point) as int32."""
    return _int32(_matmul(a, b, a_zero, b_zero))


@op("ConvInteger", since=10, limits=LIMITS)
def conv_integer(
    x: Value,
    weight: Value,
    x_zero: Value | None = None,
    weight_zero: Value | None = None,
    *,
    auto_pad: str,
    dilations: Sizes,
    group: int,
    kernel_shape: Sizes,
    pads: Sizes,
    strides: Sizes,
) -> Value:
    """The convolution of differences to zero points as int32."""
    places = {"dilations": dilations, "kernel_shape": kernel_shape, "pads": pads, "strides": strides}
    return _int32(_convolution(x, weight, (x_zero, weight_zero), auto_pad, {**places, "group": group}))


@op("QLinearMatMul", since=10)
def qlinear_matmul(
    a: Value, a_scale: Value, a_zero: Value, b: Value, b_scale: Value, b_zero: Value, y_scale: Value, y_zero: Value
) -> Value:
    """The product of what two quantised matrices stand for, quantised."""
    scale = _scale(_by_row(a_scale, a.rank), b_scale, _by_row(y_scale, a.rank))
    return _quantised(_matmul(a, b, a_zero, b_zero), scale, _by_row(y_zero, a.rank))


@op("QLinearConv", since=10, limits=LIMITS)
def qlinear_conv(
    x: Value,
    x_scale: Value,
    x_zero: Value,
    weight: Value,
    weight_scale: Value,
    weight_zero: Value,
    y_scale: Value,
    y_zero: Value,
    bias: Value | None = None,
    *,
    auto_pad: str,
    dilations: Sizes,
    group: int,
    kernel_shape: Sizes,
    pads: Sizes,
    strides: Sizes,
) -> Value:
    """The convolution of what quantised tensors stand for, quantised; the bias is in steps of both scales' product."""
    places = {"dilations": dilations, "kernel_shape": kernel_shape, "pads": pads, "strides": strides}
    total = _convolution(x, weight, (x_zero, weight_zero), auto_pad, {**places, "group": group})
    if bias is not None:
        total = nd.add(nd.cast(total, "float64"), nd.cast(_by_channel(bias, x.rank - 1), "float64"))
    scale = _scale(x_scale, _by_channel(weight_scale, x.rank - 1), y_scale)
    return _quantised(total, scale, y_zero)


def _matmul(a: Value, b: Value, a_zero: Value | None, b_zero: Value | None) -> Value:
    """The exact product, as float32 or float64."""
    left = centred(a, None if a_zero is None else _by_row(a_zero, a.rank))
    right = centred(b, b_zero)
    largest = _reach(a, a_zero), _reach(b, b_zero)
    return _exact(nd.matmul, left, right, largest, (a.shape[-1], -2 if b.rank > 1 else 0))


def _convolution(
    x: Value, weight: Value, zeros: tuple[Value | None, Value | None], auto_pad: str, places: dict[str, Any]
) -> Value:
    """The exact convolution, as float32 or float64; what is padded is the zero point."""
    x_zero, weight_zero = zeros
    zero = None if weight_zero is None else _by_channel(weight_zero, weight.rank)
    filters = centred(weight, zero)
    largest = _reach(x, x_zero), _reach(weight, weight_zero)
    count = int(np.prod(weight.shape[1:]))
    axes = tuple(range(1, weight.rank))

    def product(left: Value, right: Value) -> Value:
        return conv(left, right, None, auto_pad=auto_pad, **places)

    return _exact(product, centred(x, x_zero), filters, largest, (count, axes))


def _exact(
    product: Product, left: Value, right: Value, largest: tuple[int, int], sums: tuple[int, int | tuple[int, ...]]
) -> Value:
    """A product of whole numbers of at most `largest`; each of its elements sums so many, along these axes of `right`."""
    count, axes = sums
    if not largest[0]:  # few-bit floats
        return product(left, right)
    if _sums(right, largest[1], count, axes) * largest[0] < EXACT:
        return product(left, right)
    digits = _digits(right)
    if digits and all(_sums(digit, 0, count, axes) * largest[0] < EXACT for digit in digits):
        upper, lower = (nd.cast(product(left, digit), "float64") for digit in digits)
        return nd.add(nd.multiply(upper, nd.constant(np.array(float(DIGIT)))), lower)
    return product(nd.cast(left, "float64"), nd.cast(right, "float64"))


def _sums(right: Value, largest: int, count: int, axes: int | tuple[int, ...]) -> int:
    """The largest sum of sizes that an element can be made of."""
    if right.data is None:
        return largest * count
    return int(np.abs(right.data).sum(axes).max(initial=0))


def _digits(right: Value) -> list[Value]:
    """Known weights as upper * 16 + lower, the lower from -8 to 7."""
    if right.data is None:
        return []
    upper = np.floor((right.data + DIGIT // 2) / DIGIT).astype(right.data.dtype)
    return [nd.constant(upper), nd.constant(right.data - upper * DIGIT)]


def _reach(x: Value, zero_point: Value | None) -> int:
    """How far a tensor's numbers can be from its zero point; 0 says that they are no whole numbers."""
    if not is_integer(x.dtype):
        return 0
    low, high = bounds(x.dtype)
    if zero_point is None:
        return max(-low, high)
    if zero_point.data is None or not zero_point.size:
        return high - low
    return max(high - int(zero_point.data.min()), int(zero_point.data.max()) - low)


def _int32(total: Value) -> Value:
    """Whole numbers as int32, those beyond it wrapped around."""
    return nd.cast(nd.cast(total, "int64"), "int32") if total.dtype == "float64" else renamed(total, "int32")


def _scale(left: Value, right: Value, result: Value) -> Value:
    """What a step of the product is in steps of the result."""
    parts = [nd.cast(part, "float32") for part in (left, right, result)]
    return nd.divide(nd.multiply(parts[0], parts[1]), parts[2])


def _quantised(total: Value, scale: Value, zero_point: Value) -> Value:
    quotient = nd.multiply(nd.cast(total, "float32"), scale)
    if is_integer(zero_point.dtype):
        return to_whole(quotient, zero_point, zero_point.dtype)
    return nd.round_to(quotient, zero_point.dtype, saturate=True)


def _by_row(part: Value, rank: int) -> Value:
    """One number for each row of a matrix, or one for all."""
    if part.size == 1:
        return nd.reshape(part, ())
    return nd.expand_dims(part, [1]) if part.rank == 1 and rank > 1 else part


def _by_channel(part: Value, rank: int) -> Value:
    """One number for each index of the first of `rank` axes, or one for all."""
    return nd.reshape(part, ()) if part.size == 1 else nd.reshape(part, (part.size, *(1,) * (rank - 1)))
