"""Convolution, its transposed form, pooling and normalization, by MXNet's fused operators."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from onnx_import.dtypes import Array
from onnx_import.nd.elementwise import add, all_known, cast, divide, fold, maximum, multiply, sqrt, subtract
from onnx_import.nd.kernels import rearranged
from onnx_import.nd.linear import is_small_float, narrow, widen
from onnx_import.nd.shaping import expand_dims, flip, pad, reshape, slice_axis, slices, squeeze, transpose
from onnx_import.nd.tape import emit, emit_many
from onnx_import.nd.value import Value, constant
from onnx_import.nd.windows import Windows

__all__ = [
    "average_pool",
    "batch_norm",
    "convolution",
    "deconvolution",
    "global_pool",
    "layer_norm",
    "max_pool",
    "pad_windows",
    "sum_pool",
    "window_slices",
]


def convolution(x: Value, weight: Value, bias: Value | None, windows: Windows, groups: int = 1) -> Value:
    """Cross-correlation, as ONNX's Conv: `x` (N, C, ...), `weight` (M, C / groups, ...), `bias` (M,)."""
    if is_small_float(x.dtype):
        return narrow(convolution(widen(x), widen(weight), bias and widen(bias), windows, groups), x.dtype)
    if not windows.rank:
        raise ValueError("a convolution needs a spatial axis")
    shape = (x.shape[0], weight.shape[0], *windows.out)
    if 0 in x.shape or 0 in weight.shape:
        return _only_bias(shape, bias, x.dtype)
    if windows.rank == 1:  # oneDNN's fused convolutions have two spatial axes
        return without_row(convolution(with_row(x), with_row(weight), bias, windows.with_row(), groups))
    padding = windows.before
    if not windows.is_plain:
        x, padding = pad_windows(x, windows, 0), (0,) * windows.rank
    if windows.rank == 2 and groups == 1 and not windows.is_dilated:
        faster = rearranged(x, weight, bias, (windows.strides[0], windows.strides[1]), (padding[0], padding[1]))
        if faster is not None:
            return faster
    return emit(
        "Convolution",
        [x, weight] if bias is None else [x, weight, bias],
        shape,
        x.dtype,
        kernel=windows.kernel,
        stride=windows.strides,
        dilate=windows.dilations,
        pad=padding,
        num_filter=weight.shape[0],
        num_group=groups,
        no_bias=bias is None,
    )


def with_row(value: Value) -> Value:
    """(N, C, L) as (N, C, 1, L), by a node that names no size."""
    if value.data is not None:
        return expand_dims(value, [2])
    shape = (*value.shape[:2], 1, value.shape[2])
    return emit("Reshape", [value], shape, value.dtype, shape=(0, 0, -4, 1, -1))


def without_row(value: Value) -> Value:
    """(N, C, 1, L) as (N, C, L), by a node that names no size."""
    if value.data is not None or 0 in value.shape:
        return squeeze(value, [2])
    return emit("Reshape", [value], (*value.shape[:2], value.shape[3]), value.dtype, shape=(0, 0, -3))


def deconvolution(x: Value, weight: Value, bias: Value | None, windows: Windows, groups: int = 1) -> Value:
    """The transposed convolution: each element of `x` (N, C, ...) spreads over a window of the output; `weight` (C, M / groups, ...).

    `windows` lie over the *output*, one for each element of `x`.
    """
    if is_small_float(x.dtype):
        return narrow(deconvolution(widen(x), widen(weight), bias and widen(bias), windows, groups), x.dtype)
    filters = weight.shape[1] * groups
    shape = (x.shape[0], filters, *windows.sizes)
    if 0 in x.shape or 0 in weight.shape:
        return _only_bias(shape, bias, x.dtype)
    if (windows.rank <= 2 or x.dtype == "float32") and not windows.is_dilated:
        excess = windows.reach_back
        if all(b >= 0 and 0 <= e < s for b, e, s in zip(windows.before, excess, windows.strides, strict=True)):
            inputs = [x, weight] if bias is None else [x, weight, bias]
            return _spread(inputs, windows, groups, shape, {"pad": windows.before, "adj": excess})
        whole = _spread([x, weight], windows, groups, (*shape[:2], *windows.full), {})
    else:
        whole = _deconvolution_by_holes(x, weight, windows, groups)
    margins = [max(size + b - f, 0) for size, b, f in zip(windows.sizes, windows.before, windows.full, strict=True)]
    whole = pad(whole, [0, 0, *[max(-b, 0) for b in windows.before]], [0, 0, *margins])
    starts = [max(b, 0) for b in windows.before]
    places = [range(b, b + size) for b, size in zip(starts, windows.sizes, strict=True)]
    cut = slices(whole, [range(size) for size in shape[:2]] + places)
    return cut if bias is None else add(cut, reshape(bias, (filters, *(1,) * windows.rank)))


def _spread(
    inputs: list[Value], windows: Windows, groups: int, shape: tuple[int, ...], attrs: dict[str, tuple[int, ...]]
) -> Value:
    place = {"kernel": windows.kernel, "stride": windows.strides, **attrs}
    counts = {"num_filter": shape[1], "num_group": groups, "no_bias": len(inputs) < 3}
    return emit("Deconvolution", inputs, shape, inputs[0].dtype, **place, **counts)


def _deconvolution_by_holes(x: Value, weight: Value, windows: Windows, groups: int) -> Value:
    """A convolution over `x` with zeros between its elements, by the kernel turned around."""
    for axis, stride in enumerate(windows.strides, 2):
        if stride > 1:
            sizes = list(x.shape)
            spread = pad(
                expand_dims(x, [axis + 1]), [0] * (x.rank + 1), [*[0] * (axis + 1), stride - 1, *[0] * (x.rank - axis - 1)]
            )
            sizes[axis] *= stride
            x = slice_axis(reshape(spread, sizes), axis, 0, sizes[axis] - stride + 1)
    inputs, filters = weight.shape[:2]
    for axis in range(2, weight.rank):
        weight = flip(weight, axis)
    grouped = reshape(weight, (groups, inputs // groups, filters, *windows.kernel))
    order = [0, 2, 1, *range(3, grouped.rank)]
    turned = reshape(transpose(grouped, order), (groups * filters, inputs // groups, *windows.kernel))
    margins = tuple(extent - 1 for extent in windows.extents)
    ones = (1,) * windows.rank
    around = Windows(x.shape[2:], windows.kernel, ones, windows.dilations, margins, margins, windows.full)
    return convolution(x, turned, None, around, groups)


def _only_bias(shape: tuple[int, ...], bias: Value | None, dtype: str) -> Value:
    """What a sum over nothing gives."""
    empty = constant(np.zeros(shape, dtype), dtype)
    return empty if bias is None else add(empty, reshape(bias, (shape[1], *(1,) * (len(shape) - 2))))


def pad_windows(x: Value, windows: Windows, number: float) -> Value:
    """`x` with all that its windows reach; what lies before the first one is cut off."""
    starts = [max(-b, 0) for b in windows.before]
    ends = [n + min(r, 0) for n, r in zip(windows.sizes, windows.reach, strict=True)]
    if any(starts) or min(windows.reach) < 0 and any(a < 0 for a in windows.after):
        x = slices(x, [range(size) for size in x.shape[:2]] + [range(a, b) for a, b in zip(starts, ends, strict=True)])
    before = [0, 0, *[max(b, 0) for b in windows.before]]
    return pad(x, before, [0, 0, *[max(r, 0) for r in windows.reach]], number)


def max_pool(x: Value, windows: Windows) -> Value:
    """The largest element of each window; padding counts for nothing."""
    if x.dtype not in ("float32", "float64"):
        return narrow(max_pool(_as_float(x), windows), x.dtype)
    return _pool(x, windows, "max", -np.inf, maximum)


def sum_pool(x: Value, windows: Windows) -> Value:
    """The sum of each window, of float32 or float64; padding counts as 0."""
    return _pool(x, windows, "sum", 0.0, add)


def average_pool(x: Value, windows: Windows, with_padding: bool) -> Value:
    """The mean of each window, without the padding in it or with it as zeros; what lies behind the padding never counts."""
    if is_small_float(x.dtype):
        return narrow(average_pool(widen(x), windows, with_padding), x.dtype)
    if windows.is_plain and not windows.is_dilated and not all_known(x) and _is_small(windows):
        return _pooling(x, windows, "avg", windows.before, count_include_pad=with_padding)
    counts: Array = np.ones((1,) * x.rank)
    for axis in range(windows.rank):
        along = np.array(windows.counts(axis, with_padding), dtype=np.float64)
        counts = counts * along.reshape(-1, *(1,) * (windows.rank - 1 - axis))
    return divide(sum_pool(x, windows), constant(counts.astype(x.carrier), x.dtype))


def _pool(x: Value, windows: Windows, kind: str, number: float, function: Callable[[Value, Value], Value]) -> Value:
    """Windows joined by one of MXNet's kinds of pooling, or by a function where they have holes."""
    if 0 in x.shape[2:]:
        return constant(np.full((*x.shape[:2], *windows.out), number), x.dtype)
    if windows.is_dilated or x.data is not None or windows.rank not in (1, 2, 3):
        return _by_shifting(x, windows, number, function)
    if windows.is_plain and _is_small(windows):
        return _pooling(x, windows, kind, windows.before)
    if kind == "max" and windows.is_plain_rounded_up and _is_small(windows):
        return _pooling(x, windows, kind, windows.before, pooling_convention="full")
    return _pooling(pad_windows(x, windows, number), windows, kind, (0,) * windows.rank)


def _is_small(windows: Windows) -> bool:
    """Whether every window has an element that is no padding, which MXNet insists on."""
    return all(2 * b <= k and b < k for b, k in zip(windows.before, windows.kernel, strict=True))


def _pooling(x: Value, windows: Windows, kind: str, padding: Sequence[int], **attrs: object) -> Value:
    if windows.rank == 1:
        return without_row(_pooling(with_row(x), windows.with_row(), kind, (0, *padding), **attrs))
    shape = (*x.shape[:2], *windows.out)
    place = {"kernel": windows.kernel, "stride": windows.strides, "pad": tuple(padding)}
    return emit("Pooling", [x], shape, x.dtype, pool_type=kind, **place, **{"pooling_convention": "valid", **attrs})


def _by_shifting(x: Value, windows: Windows, number: float, function: Callable[[Value, Value], Value]) -> Value:
    """Windows joined one axis after the other, each by so many slices as it is long."""
    x = pad_windows(x, windows, number)
    for axis in range(windows.rank):
        parts = window_slices(x, windows, axis)
        x = parts[0]
        for part in parts[1:]:
            x = function(x, part)
    return x


def window_slices(x: Value, windows: Windows, axis: int) -> list[Value]:
    """For each place in a window along an axis, that element of every window; of an input that is padded already."""
    stride, count = windows.strides[axis], windows.out[axis]
    starts = [step * windows.dilations[axis] for step in range(windows.kernel[axis])]
    return [slice_axis(x, axis + 2, start, start + (count - 1) * stride + 1, stride) for start in starts]


def global_pool(x: Value, kind: str) -> Value:
    """The largest element or the mean of each channel, with spatial axes of size 1; of three to five axes."""
    if is_small_float(x.dtype):
        return narrow(global_pool(widen(x), kind), x.dtype)
    spatial = tuple(range(2, x.rank))
    if x.data is not None:
        return fold(lambda a: (a.max if kind == "max" else a.mean)(axis=spatial, keepdims=True), x, dtype=x.dtype)
    if len(spatial) == 1:
        return without_row(global_pool(with_row(x), kind))
    ones = (1,) * len(spatial)
    return emit("Pooling", [x], (*x.shape[:2], *ones), x.dtype, global_pool=True, kernel=ones, pool_type=kind)


def batch_norm(x: Value, parts: Sequence[Value], epsilon: float) -> Value:
    """`(x - mean) / sqrt(variance + epsilon) * scale + bias` along axis 1; `parts` are scale, bias, mean and variance."""
    if is_small_float(x.dtype):
        return narrow(batch_norm(widen(x), [widen(part) for part in parts], epsilon), x.dtype)
    scale, bias, mean, variance = parts
    # MXNet keeps mean and variance as states, which no node can compute.
    if all_known(*parts) and all(part.dtype == x.dtype == "float32" for part in parts) and x.rank > 1 and not all_known(x):
        return emit("BatchNorm", [x, *parts], x.shape, x.dtype, eps=epsilon, fix_gamma=False, use_global_stats=True, axis=1)
    shape = (x.shape[1] if x.rank > 1 else 1, *(1,) * (x.rank - 2))
    factor = divide(scale, sqrt(add(variance, constant(np.array(epsilon), variance.dtype))))
    shift = subtract(bias, multiply(mean, factor))
    return add(multiply(x, reshape(factor, shape)), reshape(shift, shape))


def layer_norm(x: Value, scale: Value, bias: Value, epsilon: float) -> tuple[Value, Value, Value]:
    """Normalized along the last axis, times scale plus bias; and the mean and the standard deviation, with a last axis of 1."""
    whole = (*x.shape[:-1], 1)
    attrs = {"axis": -1, "eps": epsilon, "output_mean_var": True}
    results = emit_many("LayerNorm", [x, scale, bias], attrs, [(x.shape, x.dtype), (whole, x.dtype), (whole, x.dtype)])
    return results[0], results[1], results[2]


def _as_float(x: Value) -> Value:
    return cast(x, "float32" if is_small_float(x.dtype) or x.dtype in ("int8", "uint8") else "float64")
