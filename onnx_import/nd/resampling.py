"""Axes resized: each element of the result is a weighted sum of a few neighbours on its line."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from onnx_import.dtypes import Array
from onnx_import.nd import elementwise
from onnx_import.nd.indexing import take_known
from onnx_import.nd.shaping import concatenate, transpose
from onnx_import.nd.tape import emit
from onnx_import.nd.value import Value, constant

__all__ = ["Taps", "resample", "upsample_image"]


@dataclass(frozen=True)
class Taps:
    """For each element of the result the index of its first neighbour, which may lie beyond the edge, and all weights in a row.

    What is beyond the edge is as the edge.
    """

    first: Array
    weights: Array

    def indices(self, size: int) -> Array:
        """The neighbours, in rows, in the input."""
        places: Array = np.clip(self.first[:, None] + np.arange(self.weights.shape[1]), 0, size - 1)
        return places

    @property
    def is_copy(self) -> bool:
        """Whether each element is one of the input."""
        return self.weights.shape[1] == 1 and bool((self.weights == 1).all())


def resample(x: Value, axis: int, taps: Taps) -> Value:
    """One axis resized; floats, unless every element is a copy."""
    places = taps.indices(x.shape[axis])
    if taps.is_copy:
        return take_known(x, places[:, 0], axis)
    if axis == x.rank - 1 and axis:  # MXNet takes rows fast
        order = [axis, *range(axis)]
        return transpose(resample(transpose(x, order), 0, taps), [*range(1, x.rank), 0])
    shape = [-1 if i == axis else 1 for i in range(x.rank)]
    total = None
    for place, weight in zip(places.T, taps.weights.T, strict=True):
        if not weight.any():
            continue
        part = take_known(x, place, axis)
        if (weight != 1).any():
            part = elementwise.multiply(part, constant(weight.reshape(shape).astype(x.carrier), x.dtype))
        total = part if total is None else elementwise.add(total, part)
    assert total is not None
    return total


@dataclass(frozen=True)
class _Kernel:
    """An axis enlarged by a whole factor as a transposed convolution of an input with its edges repeated."""

    factor: int
    before: int
    after: int
    weights: Array
    pad: int

    @property
    def adj(self) -> int:
        """What the convolution lacks at the end."""
        return 2 * self.pad - len(self.weights) + self.factor - self.factor * (self.before + self.after)


def upsample_image(x: Value, rows: Taps, columns: Taps) -> Value | None:
    """Images (N, C, H, W) enlarged along both axes at once; None where the factors are not whole or the taps do not recur."""
    if x.data is not None or x.rank != 4 or x.carrier != "float32" or 0 in x.shape:
        return None
    kernels = [_kernel(taps, size) for taps, size in zip((rows, columns), x.shape[2:], strict=True)]
    if any(kernel is None or not 0 <= kernel.adj < max(kernel.factor, 1) for kernel in kernels):
        return None
    high, wide = (kernel for kernel in kernels if kernel is not None)
    for axis, kernel in ((2, high), (3, wide)):
        edges = [np.zeros(kernel.before, int), np.full(kernel.after, x.shape[axis] - 1)]
        parts = [
            x if part is None else take_known(x, part, axis) for part in (edges[0], None, edges[1]) if part is None or len(part)
        ]
        x = concatenate(parts, axis)
    channels = x.shape[1]
    weight = np.tile(np.outer(high.weights, wide.weights).astype(np.float32), (channels, 1, 1, 1))
    return emit(
        "Deconvolution",
        [x, constant(weight)],
        (*x.shape[:2], len(rows.first), len(columns.first)),
        x.dtype,
        kernel=weight.shape[2:],
        stride=(high.factor, wide.factor),
        pad=(high.pad, wide.pad),
        adj=(high.adj, wide.adj),
        num_filter=channels,
        num_group=channels,
        no_bias=True,
    )


def _kernel(taps: Taps, size: int) -> _Kernel | None:
    """Element k*q + r of the result has the taps of element r, moved by q: then tap t of it is at offset r - k*(first + t)."""
    length, count = len(taps.first), taps.weights.shape[1]
    if length % size or not length:
        return None
    factor = length // size
    moved = np.repeat(np.arange(size), factor)
    phases = np.tile(np.arange(factor), size)
    if (taps.first != taps.first[phases] + moved).any() or not np.allclose(taps.weights, taps.weights[phases], 0, 1e-9):
        return None
    offsets = np.arange(factor)[:, None] - factor * (taps.first[:factor, None] + np.arange(count))
    weights = np.zeros(offsets.max() - offsets.min() + 1)
    weights[offsets - offsets.min()] = taps.weights[:factor]
    before, after = max(0, -int(taps.first.min())), max(0, int(taps.first.max()) + count - size)
    return _Kernel(factor, before, after, weights, factor * before - int(offsets.min()))
