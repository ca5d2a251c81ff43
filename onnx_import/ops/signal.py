"""Fourier transforms as products with matrices of sines and cosines, which are constants.

Complex numbers are pairs on a last axis, and so the matrix of n numbers to m is one of n * c by m * 2, c being 1 or 2 parts
of the input. Small transforms are computed in float64, where sums that ought to be 0 nearly are.
"""

from __future__ import annotations

import math

import numpy as np

from onnx_import import nd
from onnx_import.dtypes import Array
from onnx_import.errors import InvalidInput, Unsupported
from onnx_import.nd import Value
from onnx_import.registry import op

SMALL = 1 << 24
"""Multiplications up to which float64 costs nothing that one would notice."""

LONGEST = 1024
"""Length of the longest transform that is one product, if its length has divisors."""

LONGEST_PRIME = 4096
"""And if it has none."""


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
    bins = total // 2 + 1
    count = min(count, bins if inverse and onesided else total)
    others = [i for i in range(x.rank - 1) if i != axis]
    lines = nd.transpose(nd.slice_axis(x, axis, 0, count), [*others, x.rank - 1, axis])
    wide = nd.cast(lines, "float64") if lines.size * 2 * total <= SMALL else nd.widen(lines)
    if not inverse and onesided and total <= LONGEST:
        spectrum = _product(wide, _complex(count, total, inverse)[: x.shape[-1], :, :bins])
    elif not inverse or not onesided:
        spectrum = nd.slice_axis(_transform(wide, total, inverse), -2, 0, bins if onesided else total)
    elif total <= LONGEST:
        spectrum = _product(wide, _half_to_real(count, total)[: x.shape[-1]])
    else:
        spectrum = nd.slice_axis(_transform(_mirrored(wide, total), total, True), -1, 0, 1)
    back = [*others, axis, x.rank - 1]
    return nd.cast(nd.transpose(spectrum, [back.index(i) for i in range(x.rank)]), x.dtype)


def _product(lines: Value, matrix: Array) -> Value:
    """The last two axes (parts, places) times the first two of a matrix (parts, places, bins, parts)."""
    parts, count, bins, pair = matrix.shape
    shape = (*lines.shape[:-2], bins, pair)
    if 0 in shape:
        return nd.zeros(shape, lines.dtype)
    flat = nd.reshape(lines, [*lines.shape[:-2], parts * count])
    product = nd.matmul(flat, nd.constant(matrix.reshape(parts * count, bins * pair).astype(lines.carrier)))
    return nd.reshape(product, shape)


def _transform(lines: Value, total: int, inverse: bool) -> Value:
    """The transform of lines (parts, places): a long one as many short ones, of each b-th number and of what these give."""
    parts, count = lines.shape[-2:]
    a = next(n for n in range(math.isqrt(total), 0, -1) if total % n == 0)
    if total <= LONGEST or a == 1 or 0 in lines.shape:
        if total > LONGEST_PRIME:
            raise Unsupported(f"a Fourier transform of length {total}, which is a large prime")
        return _product(lines, _complex(count, total, inverse)[:parts])
    b, rest = total // a, [0] * (lines.rank - 1)
    axes = list(range(lines.rank - 2))
    n = len(axes)
    padded = nd.pad(lines, [*rest, 0], [*rest, total - count])
    steps = nd.transpose(nd.reshape(padded, [*lines.shape[:-1], a, b]), [*axes, n + 2, n, n + 1])
    turned = _turned(_transform(steps, a, inverse), total, inverse)
    columns = _transform(nd.transpose(turned, [*axes, n + 1, n + 2, n]), b, inverse)
    return nd.reshape(nd.transpose(columns, [*axes, n + 1, n, n + 2]), [*lines.shape[:-2], total, 2])


def _turned(spectra: Value, total: int, inverse: bool) -> Value:
    """Bin k of the n-th of several spectra (n, k, parts) turned by n k / total."""
    angles = _turns(spectra.shape[-3], total, spectra.shape[-2])
    sign = 1 if inverse else -1
    cosine, sine = (nd.constant(part.astype(spectra.carrier)) for part in (np.cos(angles), sign * np.sin(angles)))
    real, imaginary = (nd.squeeze(nd.slice_axis(spectra, -1, i, i + 1), [-1]) for i in (0, 1))
    turned = nd.subtract(nd.multiply(real, cosine), nd.multiply(imaginary, sine))
    across = nd.add(nd.multiply(real, sine), nd.multiply(imaginary, cosine))
    return nd.stack([turned, across], -1)


def _mirrored(half: Value, total: int) -> Value:
    """A whole spectrum (parts, places) of its lower half, of which the upper half is the mirror image, conjugated."""
    bins, rest = total // 2 + 1, [0] * (half.rank - 1)
    lower = nd.pad(half, [*rest, 0], [*rest, bins - half.shape[-1]])
    upper = nd.flip(nd.slice_axis(lower, -1, 1, total - bins + 1), -1)
    signs = nd.constant(np.array([[1.0], [-1.0]])[: half.shape[-2]].astype(half.carrier))
    return nd.concatenate([lower, nd.multiply(upper, signs)], -1)


def _turns(count: int, total: int, bins: int) -> Array:
    """2 pi k n / total for n < count and k < bins, reduced to one turn before it is rounded."""
    steps = np.arange(count)[:, None] * np.arange(bins) % total
    angles: Array = steps * (2 * np.pi / total)
    return angles


def _complex(count: int, total: int, inverse: bool) -> Array:
    """Of each part of each number into each part of each bin."""
    angles = _turns(count, total, total)
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
    frames, bins = (total - size) // hop + 1, size // 2 + 1 if onesided else size
    matrix = _complex(size, size, False)[:parts, :, :bins]
    is_small = x.size * size * bins * 2 // hop <= SMALL
    wide = nd.cast(x, "float64") if is_small else nd.widen(x)
    filters = nd.constant(matrix.transpose(2, 3, 0, 1).reshape(2 * bins, parts, 1, size).astype(wide.carrier))
    if window is not None:
        filters = nd.multiply(filters, nd.reshape(nd.cast(window, wide.dtype), [1, 1, 1, size]))
    signal = nd.reshape(nd.transpose(wide, [0, 2, 1]), [batch, parts, 1, total])
    attrs = {"kernel": (1, size), "stride": (1, hop), "num_filter": 2 * bins, "no_bias": True}
    spectrum = nd.emit("Convolution", [signal, filters], (batch, 2 * bins, 1, frames), wide.dtype, **attrs)
    result = nd.transpose(nd.reshape(spectrum, [batch, bins, 2, frames]), [0, 3, 1, 2])
    return nd.cast(result, x.dtype)
