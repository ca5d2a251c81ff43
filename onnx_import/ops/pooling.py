"""Pooling over windows, over whole channels, and its way back."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from onnx_import import nd
from onnx_import.errors import InvalidInput
from onnx_import.graph import Node
from onnx_import.nd import Value
from onnx_import.nd.windows import Windows, place_windows
from onnx_import.registry import op

Sizes = Sequence[int] | None


@op("MaxPool", since=1)
def max_pool(
    x: Value,
    *,
    auto_pad: str,
    ceil_mode: int | None,
    dilations: Sizes,
    kernel_shape: Sequence[int],
    pads: Sizes,
    storage_order: int | None,
    strides: Sizes,
    node: Node,
) -> Value | tuple[Value, Value]:
    """The largest element of each window, and where it is in the whole tensor."""
    windows = _windows(x, kernel_shape, {"strides": strides, "dilations": dilations, "pads": pads}, auto_pad, ceil_mode)
    if len(node.outputs) < 2 or not node.outputs[1]:
        return nd.max_pool(x, windows)
    return nd.max_pool(x, windows), _largest_places(x, windows, bool(storage_order))


def _largest_places(x: Value, windows: Windows, is_column_major: bool) -> Value:
    """Flat places of the first largest elements: of rows and columns of each window, then the numbers of both."""
    if x.dtype not in ("float32", "float64"):
        x = nd.cast(x, "float32" if nd.is_small_float(x.dtype) else "float64")
    padded = nd.pad_windows(x, windows, -np.inf)
    # Elements of the windows along a new last axis, in row-major order.
    parts = [padded]
    for axis in range(windows.rank):
        parts = [piece for part in parts for piece in nd.window_slices(part, windows, axis)]
    first = nd.argmax(nd.stack(parts, x.rank), x.rank, keepdims=False)
    spatial = [*x.shape[2:]]
    weights = [math.prod(spatial[:axis] if is_column_major else spatial[axis + 1 :]) for axis in range(windows.rank)]
    offsets = np.zeros((1,) * windows.rank, np.int64)
    starts = np.zeros((1,) * windows.rank, np.int64)
    for axis, weight in enumerate(weights):
        view = (-1, *(1,) * (windows.rank - 1 - axis))
        offsets = offsets + weight * windows.dilations[axis] * np.arange(windows.kernel[axis]).reshape(view)
        places = np.arange(windows.out[axis]) * windows.strides[axis] - windows.before[axis]
        starts = starts + weight * places.reshape(view)
    channels = np.arange(x.shape[0] * x.shape[1]).reshape(*x.shape[:2], *(1,) * windows.rank) * math.prod(spatial)
    inside = nd.take(nd.constant(offsets.reshape(-1)), first, 0)
    return nd.add(inside, nd.constant(channels + starts))


@op("AveragePool", since=1)
def average_pool(
    x: Value,
    *,
    auto_pad: str,
    ceil_mode: int | None,
    count_include_pad: int | None,
    dilations: Sizes,
    kernel_shape: Sequence[int],
    pads: Sizes,
    strides: Sizes,
) -> Value:
    """The mean of each window."""
    windows = _windows(x, kernel_shape, {"strides": strides, "dilations": dilations, "pads": pads}, auto_pad, ceil_mode)
    return nd.average_pool(x, windows, bool(count_include_pad))


@op("LpPool", since=1)
def lp_pool(
    x: Value,
    *,
    auto_pad: str,
    ceil_mode: int | None,
    dilations: Sizes,
    kernel_shape: Sequence[int],
    p: int | float | None,
    pads: Sizes,
    strides: Sizes,
) -> Value:
    """The p-norm of each window."""
    windows = _windows(x, kernel_shape, {"strides": strides, "dilations": dilations, "pads": pads}, auto_pad, ceil_mode)
    wide, exponent = nd.widen(x), 2.0 if p is None else float(p)
    sums = nd.sum_pool(_raised(wide, exponent), windows)
    return nd.narrow(_root(sums, exponent), x.dtype)


@op("GlobalAveragePool", since=1)
def global_average_pool(x: Value) -> Value:
    """The mean of each channel."""
    if 3 <= x.rank <= 5 and x.size:
        return nd.global_pool(x, "avg")
    return nd.reduce_mean(x, range(2, x.rank))


@op("GlobalMaxPool", since=1)
def global_max_pool(x: Value) -> Value:
    """The largest element of each channel."""
    if 3 <= x.rank <= 5 and x.size:
        return nd.global_pool(x, "max")
    return nd.reduce_max(x, range(2, x.rank))


@op("GlobalLpPool", since=1)
def global_lp_pool(x: Value, *, p: int | float | None) -> Value:
    """The p-norm of each channel."""
    wide, exponent = nd.widen(x), 2.0 if p is None else float(p)
    return nd.narrow(_root(nd.reduce_sum(_raised(wide, exponent), range(2, x.rank)), exponent), x.dtype)


@op("MaxUnpool", since=9)
def max_unpool(
    x: Value, places: Value, sizes: Value | None = None, *, kernel_shape: Sequence[int], pads: Sizes, strides: Sizes
) -> Value:
    """Zeros, but for the elements that a MaxPool took, at the places that it told."""
    rank = len(kernel_shape)
    steps, margins = strides or (1,) * rank, pads or (0,) * 2 * rank
    rows = zip(x.shape[2:], steps, kernel_shape, margins[:rank], margins[rank:], strict=True)
    shape = (*x.shape[:2], *[(n - 1) * s - a - b + k for n, s, k, a, b in rows])
    whole = _scattered(x, places, shape)
    if sizes is None:
        return whole
    # Places count in the smaller shape, as ONNX's evaluator has it.
    wanted = nd.ints(sizes)
    if len(wanted) != x.rank or any(a < b for a, b in zip(wanted, shape, strict=True)):
        raise InvalidInput(f"an output_shape of {wanted} is less than {list(shape)}")
    return nd.pad(whole, [0] * x.rank, [a - b for a, b in zip(wanted, shape, strict=True)])


def _scattered(x: Value, places: Value, shape: tuple[int, ...]) -> Value:
    if not x.size:
        return nd.zeros(shape, x.dtype)
    wide = nd.widen(x)
    inside = nd.checked(nd.reshape(places, (x.size,)), math.prod(shape))
    flat = nd.put(nd.zeros((math.prod(shape),), wide.dtype), inside, nd.reshape(wide, (x.size,)))
    return nd.narrow(nd.reshape(flat, shape), x.dtype)


def _raised(x: Value, exponent: float) -> Value:
    if exponent == 1:
        return nd.absolute(x)
    return nd.multiply(x, x) if exponent == 2 else nd.power(nd.absolute(x), nd.full((), exponent, x.dtype))


def _root(x: Value, exponent: float) -> Value:
    if exponent == 1:
        return x
    return nd.sqrt(x) if exponent == 2 else nd.power(x, nd.full((), 1 / exponent, x.dtype))


def _windows(x: Value, kernel: Sequence[int] | None, places: dict[str, Sizes], auto_pad: str, ceil_mode: int | None) -> Windows:
    if x.rank < 3:
        raise InvalidInput(f"pooling a tensor of shape {list(x.shape)}, which has no spatial axis")
    return place_windows(x.shape[2:], kernel or (), places, auto_pad, bool(ceil_mode))
