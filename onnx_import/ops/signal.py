"""Fourier transforms as products with matrices of sines and cosines, which are constants.

Complex numbers are pairs on a last axis, and so the matrix of n numbers to m is one of n * c by m * 2, c being 1 or 2 parts of the
input. Small transforms are computed in float64, where sums that ought to be 0 nearly are.
"""

from __future__ import annotations

import numpy as np

from onnx_import import nd
from onnx_import.dtypes import Array
from onnx_import.errors import InvalidInput, Unsupported
from onnx_import.nd import Value
from onnx_import.registry import op

SMALL = 1 << 24
"""Multiplications up to which float64 costs nothing that one would notice."""

LONGEST = 1 << 25
"""Elements of the largest matrix."""


@op("DFT", since=17)
def dft_by_attribute(x: Value, length: Value | None = None, *, axis: int, inverse: int, onesided: int) -> Value:
    """The discrete Fourier transform along an axis that an attribute gives."""
    return _dft(x, length, axis, bool(inverse), bool(onesided))


@op("DFT", since=20)
def dft(x: Value, length: Value | None = None, axis: Value | None = None, *, inverse: int, onesided: int) -> Value:
    """The discrete Fourier transform along an axis, or its inverse."""
    return _dft(x, length, -2 if axis is None else nd.ints(axis)[0], bool(inverse), bool(onesided))


def _dft(x: Value, length: Value | None, axis: int, inverse: bool, onesided: bool) -> Value:
    axis = nd.normal_axis(axis, x.rank)
    if axis == x.rank - 1 or x.shape[-1] not in (1, 2):
        raise InvalidInput(
            f"axis {axis} of shape {list(x.shape)} is none of a signal with real and imaginary parts on a last axis"
        )
    count = x.shape[axis]
    total = 2 * (count - 1) if inverse and onesided else count
    total = total if length is None else nd.ints(length)[0]
    if total < 1:
        raise InvalidInput(f"a Fourier transform of length {total}")
    count = min(count, total // 2 + 1 if inverse and onesided else total)
    matrix = _half_to_real(count, total) if inverse and onesided else _complex(count, total, inverse, onesided)
    matrix = matrix[: x.shape[-1]].reshape(x.shape[-1], count, *matrix.shape[2:])
    others = [i for i in range(x.rank - 1) if i != axis]
    lines = nd.transpose(nd.slice_axis(x, axis, 0, count), [*others, x.rank - 1, axis])
    spectrum = _product(lines, matrix)
    back = [*others, axis, x.rank - 1]
    return nd.transpose(spectrum, [back.index(i) for i in range(x.rank)])


def _product(lines: Value, matrix: Array) -> Value:
    """The last two axes (parts, places) times the first two of a matrix (parts, places, bins, parts)."""
    parts, count, bins, pair = matrix.shape
    shape = (*lines.shape[:-2], bins, pair)
    if 0 in shape:
        return nd.zeros(shape, lines.dtype)
    if matrix.size > LONGEST:
        raise Unsupported(f"a Fourier transform of {count} numbers to {bins} at once")
    wide = nd.cast(lines, "float64") if lines.size * bins * pair <= SMALL else nd.widen(lines)
    flat = nd.reshape(wide, [*lines.shape[:-2], parts * count])
    product = nd.matmul(flat, nd.constant(matrix.reshape(parts * count, bins * pair).astype(wide.carrier)))
    return _narrow(nd.reshape(product, shape), lines.dtype)


def _narrow(value: Value, dtype: str) -> Value:
    return value if value.dtype == dtype else nd.cast(value, dtype)


def _turns(count: int, total: int, bins: int) -> Array:
    """2 pi k n / total for n < count and k < bins, reduced to one turn before it is rounded."""
    steps = np.arange(count)[:, None] * np.arange(bins) % total
    angles: Array = steps * (2 * np.pi / total)
    return angles


def _complex(count: int, total: int, inverse: bool, onesided: bool) -> Array:
    """Of each part of each number into each part of each bin."""
    angles = _turns(count, total, total // 2 + 1 if onesided else total)
    sign, scale = (1, 1 / total) if inverse else (-1, 1)
    cosine, sine = scale * np.cos(angles), sign * scale * np.sin(angles)
    return np.stack([np.stack([cosine, sine], -1), np.stack([-sine, cosine], -1)])


def _half_to_real(count: int, total: int) -> Array:
    """Of the lower half of a spectrum, whose upper half mirrors it, into real numbers."""
    angles = _turns(count, total, total)
    twice = np.array([1 if 2 * k % total == 0 else 2 for k in range(count)])[:, None]
    matrix: Array = np.stack([twice * np.cos(angles), -twice * np.sin(angles)])[..., None] / total
    return matrix


@op("STFT", since=17)
def stft(x: Value, step: Value, window: Value | None = None, length: Value | None = None, *, onesided: int) -> Value:
    """Fourier transforms of pieces of a signal: a convolution whose filters are the windowed sines and cosines."""
    if x.rank != 3 or x.shape[-1] not in (1, 2):
        raise InvalidInput(f"a signal of shape {list(x.shape)} is not batch, time and parts")
    batch, total, parts = x.shape
    hop = nd.ints(step)[0]
    size = nd.ints(length)[0] if length is not None else total if window is None else window.size
    if hop < 1 or not 0 < size <= total or (window is not None and window.size != size):
        raise InvalidInput(f"frames of {size} in steps of {hop} do not fit a signal of {total} and its window")
    matrix = _complex(size, size, False, bool(onesided))[:parts]
    frames, bins = (total - size) // hop + 1, matrix.shape[2]
    is_small = x.size * size * bins * 2 // hop <= SMALL
    wide = nd.cast(x, "float64") if is_small else nd.widen(x)
    filters = nd.constant(matrix.transpose(2, 3, 0, 1).reshape(2 * bins, parts, 1, size).astype(wide.carrier))
    if window is not None:
        filters = nd.multiply(filters, nd.reshape(nd.cast(window, wide.dtype), [1, 1, 1, size]))
    signal = nd.reshape(nd.transpose(wide, [0, 2, 1]), [batch, parts, 1, total])
    attrs = {"kernel": (1, size), "stride": (1, hop), "num_filter": 2 * bins, "no_bias": True}
    spectrum = nd.emit("Convolution", [signal, filters], (batch, 2 * bins, 1, frames), wide.dtype, **attrs)
    result = nd.transpose(nd.reshape(spectrum, [batch, bins, 2, frames]), [0, 3, 1, 2])
    return _narrow(result, x.dtype)
