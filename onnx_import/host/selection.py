"""Which elements: operators whose output sizes follow from values."""

from __future__ import annotations

import numpy as np

from onnx_import.dtypes import Array


def non_zero(x: Array) -> tuple[Array]:
    """NonZero: one row of indices an axis; a scalar has none, and yet as many columns as it has non-zeros."""
    if x.ndim == 0:
        return (np.empty((0, int(bool(x))), dtype=np.int64),)
    return (np.array(np.nonzero(x), dtype=np.int64),)


def true_indices(condition: Array, *, limit: int) -> tuple[Array]:
    """Compress: the places below `limit` where a condition holds."""
    return (np.flatnonzero(condition[:limit]).astype(np.int64),)


def take(x: Array, places: Array, *, axis: int) -> tuple[Array]:
    """The slices at some places along an axis."""
    return (np.take(x, places, axis=axis),)


def reverse_starts(x: Array, lengths: Array, *, time_axis: int) -> tuple[Array]:
    """ReverseSequence: each item's first elements back to front; axes 0 and 1 are time and items, in either order."""
    by_time = x.swapaxes(0, time_axis).copy()
    for item, length in enumerate(np.clip(lengths, 0, len(by_time)).tolist()):
        by_time[:length, item] = by_time[:length, item][::-1].copy()
    return (np.ascontiguousarray(by_time.swapaxes(0, time_axis)),)


def unique(x: Array, *, axis: int | None, sorted: int, unsigned: bool = False) -> tuple[Array, Array, Array, Array]:
    """Unique: the different elements, or slices along an axis, with first places, inverse and counts.

    `unsigned`: the 64 bits of each element are those of an unsigned number.
    """
    keys = x.view(np.uint64) if unsigned else x
    if keys.dtype == object and axis is not None:
        # numpy compares slices of numbers alone: their places in the sorted vocabulary order as the texts do
        keys = np.unique(keys, return_inverse=True)[1].reshape(x.shape)
    _, first, inverse, counts = np.unique(keys, True, True, True, axis=axis)
    inverse = inverse.reshape(-1)
    if not sorted:
        order = np.argsort(first)
        ranks = np.empty_like(order)
        ranks[order] = np.arange(len(order))
        first, inverse, counts = first[order], ranks[inverse], counts[order]
    picked = np.take(x, first, axis=axis)
    return picked, first.astype(np.int64), inverse.astype(np.int64), counts.astype(np.int64)
