"""Operators that onnx's reference evaluator gets wrong in every opset, or lacks."""

from __future__ import annotations

import itertools

import numpy as np

from onnx_import.dtypes import Array
from onnx_import.oracle.evaluator import own


@own("LpNormalization")
def lp_normalization(x: Array, *, axis: int, p: int) -> Array:
    """Over the p-norm, which is one of absolute values; zeros stay zeros."""
    norm = (np.abs(x) ** p).sum(axis=axis, keepdims=True) ** (1.0 / p)
    return np.asarray(np.where(norm == 0, 0, x / np.where(norm == 0, 1, norm)), x.dtype)


@own("OneHot")
def one_hot(indices: Array, depth: Array, values: Array, *, axis: int) -> Array:
    """Ones by number; a depth that is no whole number is cut to one, numbers beyond it have no one."""
    count = int(np.ravel(depth)[0])
    index = np.where(indices < 0, indices + count, indices)
    lines = np.expand_dims(index, axis if axis >= 0 else axis % (indices.ndim + 1))
    numbers = np.arange(count).reshape([-1 if at == axis % lines.ndim else 1 for at in range(lines.ndim)])
    return np.where(lines == numbers, values[1], values[0]).astype(values.dtype)


@own("MaxRoiPool")
def max_roi_pool(x: Array, rois: Array, *, pooled_shape: list[int], spatial_scale: float) -> Array:
    """The largest of each cell of a grid over each region; regions are `batch, x1, y1, x2, y2`, both ends included."""
    y = np.zeros((len(rois), x.shape[1], *pooled_shape), x.dtype)
    for at, (batch, *corners) in enumerate(rois):
        # Halves go away from zero, as C rounds.
        x1, y1, x2, y2 = (int(np.floor(corner * spatial_scale + 0.5)) for corner in corners)
        spans = [(y1, max(1, y2 - y1 + 1), x.shape[2]), (x1, max(1, x2 - x1 + 1), x.shape[3])]
        for cell in itertools.product(*map(range, pooled_shape)):
            cuts = []
            for place, count, (start, length, limit) in zip(cell, pooled_shape, spans, strict=True):
                first, last = start + place * length // count, start - (-(place + 1) * length // count)
                cuts.append(slice(min(max(first, 0), limit), min(max(last, 0), limit)))
            part = x[int(batch), :, cuts[0], cuts[1]]
            y[(at, slice(None), *cell)] = part.max(axis=(1, 2)) if part.size else 0
    return y


@own("LRN")
def lrn(x: Array, *, alpha: float, beta: float, bias: float, size: int) -> Array:
    """Each channel by the squares of those around it: `(size - 1) // 2` before it, the rest of `size` behind it."""
    before = (size - 1) // 2
    squares = np.square(x.astype(np.float64))
    starts = [channel - before for channel in range(x.shape[1])]
    sums = np.stack([squares[:, max(0, start) : max(0, start + size)].sum(axis=1) for start in starts], axis=1)
    return np.asarray(x / (bias + alpha / size * sums) ** beta, x.dtype)
