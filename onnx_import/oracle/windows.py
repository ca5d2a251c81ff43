"""Convolutions and poolings over windows of any rank: matrix products of gathered windows, a sample and a slab at a time."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from onnx_import.dtypes import Array
from onnx_import.oracle.evaluator import own

SLAB = 16 << 20
"""Elements of gathered windows at a time, so that a convolution of a large image needs no more than 64 MB for them."""


class Windows:
    """Where windows lie: padding before and after, strides, dilations and the number of windows, per spatial axis."""

    def __init__(
        self, sizes: Sequence[int], kernel: Sequence[int], given: dict[str, Any], *, ceil_mode: int | None = 0
    ) -> None:
        rank = len(kernel)
        self.kernel = tuple(kernel)
        self.strides = tuple(given.get("strides") or [1] * rank)
        self.dilations = tuple(given.get("dilations") or [1] * rank)
        self.reach = tuple((k - 1) * d + 1 for k, d in zip(self.kernel, self.dilations, strict=True))
        auto, pads = given.get("auto_pad") or "NOTSET", given.get("pads") or [0] * (2 * rank)
        if auto == "NOTSET":
            self.before, self.after = tuple(pads[:rank]), tuple(pads[rank:])
        else:
            self.before, self.after = self._same(sizes, auto) if auto.startswith("SAME") else ((0,) * rank, (0,) * rank)
        spans = [size + b + a - r for size, b, a, r in zip(sizes, self.before, self.after, self.reach, strict=True)]
        self.counts = tuple(span // s + 1 for span, s in zip(spans, self.strides, strict=True))
        if ceil_mode:
            self.counts = tuple(
                # The last window must start inside the input or the padding before it.
                min(-(-span // s) + 1, (size + b - 1) // s + 1)
                for span, s, size, b in zip(spans, self.strides, sizes, self.before, strict=True)
            )
        self.sizes = tuple(sizes)

    def _same(self, sizes: Sequence[int], auto: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Padding for as many windows as strides fit into the input; the odd one after (UPPER) or before it (LOWER)."""
        total = [max(0, (-(-n // s) - 1) * s + r - n) for n, s, r in zip(sizes, self.strides, self.reach, strict=True)]
        half, rest = tuple(t // 2 for t in total), tuple(t - t // 2 for t in total)
        return (half, rest) if auto == "SAME_UPPER" else (rest, half)

    def pad(self, x: Array, value: Any) -> Array:
        """The input with padding, and with what a last window in ceil mode reaches beyond it."""
        needed = [(c - 1) * s + r for c, s, r in zip(self.counts, self.strides, self.reach, strict=True)]
        after = [max(0, need - size - b) for need, size, b in zip(needed, self.sizes, self.before, strict=True)]
        if not any(self.before) and not any(after):
            return x
        return np.pad(x, [(0, 0), (0, 0), *zip(self.before, after, strict=True)], constant_values=value)

    def taps(self, padded: Array) -> Iterator[tuple[tuple[int, ...], Array]]:
        """For each place in the kernel, what it sees of every window: views of shape (N, C, *counts)."""
        for place in itertools.product(*map(range, self.kernel)):
            yield place, padded[(slice(None), slice(None), *self.cut(place))]

    def cut(self, place: Sequence[int]) -> tuple[slice, ...]:
        """The slices of a padded input that a place in the kernel sees."""
        starts = [p * d for p, d in zip(place, self.dilations, strict=True)]
        return tuple(slice(a, a + (c - 1) * s + 1, s) for a, c, s in zip(starts, self.counts, self.strides, strict=True))


@own("Conv")
def conv(
    x: Array,
    w: Array,
    b: Array | None = None,
    *,
    auto_pad: str,
    dilations: list[int] | None,
    group: int,
    pads: list[int] | None,
    strides: list[int] | None,
) -> Array:
    """Convolution, summed in float32 or wider."""
    given = {"auto_pad": auto_pad, "dilations": dilations, "pads": pads, "strides": strides}
    where = Windows(x.shape[2:], w.shape[2:], given)
    wide = np.result_type(x.dtype, np.float32) if x.dtype.kind not in "iub" else np.dtype(np.int64)
    padded, weight = where.pad(x, 0).astype(wide, copy=False), w.astype(wide, copy=False)
    y = np.empty((x.shape[0], w.shape[0], *where.counts), wide)
    if x.shape[1] == group:
        _depthwise(padded, weight, where, y)
    else:
        for at in range(x.shape[0]):
            _sample(padded[at], weight, where, y[at])
    if b is not None:
        y += b.astype(wide).reshape(1, -1, *[1] * (y.ndim - 2))
    return y.astype(x.dtype, copy=False)


def _depthwise(padded: Array, w: Array, where: Windows, y: Array) -> None:
    """Each channel by its own kernels: no sums over channels, so a multiplication a place."""
    each = w.shape[0] // padded.shape[1]
    y[...] = 0
    for place, seen in where.taps(padded):
        here: tuple[Any, ...] = (slice(None), 0, *place)
        column = w[here].reshape(1, -1, *[1] * (y.ndim - 2))
        y += (np.repeat(seen, each, axis=1) if each > 1 else seen) * column


def _sample(x: Array, w: Array, where: Windows, y: Array) -> None:
    """One sample: windows as columns, group by group, in slabs along the first spatial axis."""
    rank, depth = len(where.kernel), w.shape[1]
    groups = x.shape[0] // depth
    rows = max(1, SLAB // max(1, depth * math.prod(where.kernel) * math.prod(where.counts[1:])))
    steps = [x.strides[i + 1] * d for i, d in enumerate(where.dilations)]
    strides = [x.strides[i + 1] * s for i, s in enumerate(where.strides)]
    for g, start in itertools.product(range(groups), range(0, where.counts[0], rows)):
        count = min(rows, where.counts[0] - start)
        part = x[g * depth : (g + 1) * depth, start * where.strides[0] :]
        shape = (depth, *where.kernel, count, *where.counts[1:])
        columns = np.lib.stride_tricks.as_strided(part, shape, (x.strides[0], *steps, *strides), writeable=False)
        out = slice(g * (w.shape[0] // groups), (g + 1) * (w.shape[0] // groups))
        product = w[out].reshape(w.shape[0] // groups, -1) @ columns.reshape(depth * math.prod(where.kernel), -1)
        y[out, start : start + count] = product.reshape(-1, count, *y.shape[2 : 1 + rank])


@own("MaxPool")
def max_pool(
    x: Array,
    *,
    auto_pad: str,
    ceil_mode: int | None,
    dilations: list[int] | None,
    kernel_shape: list[int],
    pads: list[int] | None,
    storage_order: int | None,
    strides: list[int] | None,
    outputs: int,
) -> tuple[Array, ...]:
    """The largest of each window, and where it lies in the input: the first of several."""
    given = {"auto_pad": auto_pad, "dilations": dilations, "pads": pads, "strides": strides}
    where = Windows(x.shape[2:], kernel_shape, given, ceil_mode=ceil_mode)
    lowest = -np.inf if x.dtype.kind not in "iu" else np.iinfo(x.dtype).min
    padded = where.pad(x, lowest)
    if outputs == 1:
        y: Array | None = None
        for _, seen in where.taps(padded):
            y = seen.copy() if y is None else np.maximum(y, seen, out=y)
        assert y is not None  # noqa: S101 - a kernel has a place
        return (y,)
    return _with_indices(padded, where, storage_order or 0)


def _with_indices(padded: Array, where: Windows, storage_order: int) -> tuple[Array, Array]:
    """The largest values, and their places counted through the whole input."""
    order = "F" if storage_order else "C"
    places = np.arange(math.prod(where.sizes)).reshape(where.sizes, order=order)  # type: ignore[call-overload]
    places = where.pad(places[None, None], -1)
    best, index = None, np.zeros(0)
    for (_, seen), (_, at) in zip(where.taps(padded), where.taps(places), strict=True):
        if best is None:
            best, index = seen.copy(), np.broadcast_to(at, seen.shape).copy()
            continue
        better = (seen > best) | ((index < 0) & (at >= 0))
        best, index = np.where(better, seen, best), np.where(better, at, index)
    planes = np.arange(math.prod(padded.shape[:2])).reshape(*padded.shape[:2], *[1] * len(where.sizes))
    assert best is not None  # noqa: S101 - a kernel has a place
    return best, (index + planes * math.prod(where.sizes)).astype(np.int64)


@own("AveragePool")
def average_pool(
    x: Array,
    *,
    auto_pad: str,
    ceil_mode: int | None,
    count_include_pad: int | None,
    dilations: list[int] | None,
    kernel_shape: list[int],
    pads: list[int] | None,
    strides: list[int] | None,
) -> Array:
    """The mean of each window over the input, or over its padding too; what ceil mode adds never counts."""
    given = {"auto_pad": auto_pad, "dilations": dilations, "pads": pads, "strides": strides}
    where = Windows(x.shape[2:], kernel_shape, given, ceil_mode=ceil_mode)
    wide = np.result_type(x.dtype, np.float32)
    inside = np.ones((1, 1, *x.shape[2:]), wide)
    if count_include_pad:
        inside = np.pad(inside, [(0, 0), (0, 0), *zip(where.before, where.after, strict=True)], constant_values=1)
        ends = [(0, max(0, have - b)) for have, b in zip(where.pad(x, 0).shape[2:], inside.shape[2:], strict=True)]
        ones = np.pad(inside, [(0, 0), (0, 0), *ends])
    else:
        ones = where.pad(inside, 0)
    total = sum(seen for _, seen in where.taps(where.pad(x, 0).astype(wide, copy=False)))
    return np.asarray(total / sum(seen for _, seen in where.taps(ones))).astype(x.dtype, copy=False)


@own("LpPool")
def lp_pool(
    x: Array,
    *,
    auto_pad: str,
    ceil_mode: int | None,
    dilations: list[int] | None,
    kernel_shape: list[int],
    p: float,
    pads: list[int] | None,
    strides: list[int] | None,
) -> Array:
    """The p-norm of each window."""
    given = {"auto_pad": auto_pad, "dilations": dilations, "pads": pads, "strides": strides}
    where = Windows(x.shape[2:], kernel_shape, given, ceil_mode=ceil_mode)
    total = sum(np.abs(seen) ** p for _, seen in where.taps(where.pad(x, 0)))
    return np.asarray(total ** (1.0 / p)).astype(x.dtype)


@own("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool")
def global_pool(x: Array, *, op: str, p: float | None) -> Array:
    """The mean, the largest or the p-norm of each channel."""
    axes = tuple(range(2, x.ndim))
    if op == "GlobalMaxPool":
        return np.asarray(x.max(axis=axes, keepdims=True))
    wide = x.astype(np.result_type(x.dtype, np.float32), copy=False)
    if op == "GlobalAveragePool":
        return np.asarray(wide.mean(axis=axes, keepdims=True).astype(x.dtype))
    power = 2 if p is None else p
    return np.asarray(((np.abs(wide) ** power).sum(axis=axes, keepdims=True) ** (1 / power)).astype(x.dtype))
