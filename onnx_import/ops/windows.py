"""Windows of signals, and the matrix from spectrogram bins to mel bins: numbers of a few sizes, so always constants."""

from __future__ import annotations

import numpy as np

from onnx_import import nd
from onnx_import.dtypes import ONNX_NAMES, Array
from onnx_import.errors import InvalidInput
from onnx_import.nd import Value
from onnx_import.ops.casting import cast_to
from onnx_import.registry import op


@op("HannWindow", since=17)
def hann_window(size: Value, *, output_datatype: int, periodic: int) -> Value:
    """A cosine that begins and ends at 0."""
    return _cosines(size, (0.5, -0.5), output_datatype, periodic)


@op("HammingWindow", since=17)
def hamming_window(size: Value, *, output_datatype: int, periodic: int) -> Value:
    """A cosine that begins and ends at 4/46."""
    return _cosines(size, (25 / 46, -21 / 46), output_datatype, periodic)


@op("BlackmanWindow", since=17)
def blackman_window(size: Value, *, output_datatype: int, periodic: int) -> Value:
    """Two cosines that begin and end at 0."""
    return _cosines(size, (0.42, -0.5, 0.08), output_datatype, periodic)


def _cosines(size: Value, weights: tuple[float, ...], output_datatype: int, periodic: int) -> Value:
    count = int(nd.scalar(size))
    nd.fitting((count, len(weights)))
    with np.errstate(all="ignore"):  # a symmetric window of 1 is 0 / 0
        angles = np.arange(count) * 2 * np.pi / (count if periodic else count - 1)
        window = sum((weight * np.cos(order * angles) for order, weight in enumerate(weights)), np.zeros(count))
    return cast_to(nd.constant(window), ONNX_NAMES[output_datatype])


@op("MelWeightMatrix", since=17)
def mel_weight_matrix(
    num_mel_bins: Value, dft_length: Value, sample_rate: Value, lower: Value, upper: Value, *, output_datatype: int
) -> Value:
    """One triangle a mel bin over the bins of a spectrogram, from the frequency `lower` to `upper`."""
    count, length, rate = (int(nd.scalar(value)) for value in (num_mel_bins, dft_length, sample_rate))
    nd.fitting((count, length // 2 + 1))
    low, high = float(nd.scalar(lower)), float(nd.scalar(upper))
    if rate <= 0 or low < 0 or high < 0:
        raise InvalidInput(f"frequencies from {low} to {high} of {rate} samples a second")
    edges = _mel_edges(count, low, high)
    places = (length + 1) * edges // rate
    if not ((places >= 0) & (places <= length // 2)).all():
        raise InvalidInput(f"frequencies from {edges[0]} to {edges[-1]} are not those of {length} samples, {rate} a second")
    bins = places.astype(int)
    matrix = np.zeros((length // 2 + 1, count))
    for column, (left, centre, right) in enumerate(zip(bins, bins[1:], bins[2:], strict=False)):
        if left == centre:
            matrix[centre, column] = 1
        else:
            matrix[left : centre + 1, column] = np.arange(centre - left + 1) / (centre - left)
        if right > centre:
            matrix[centre:right, column] = np.arange(right - centre, 0, -1) / (right - centre)
    return cast_to(nd.constant(matrix), ONNX_NAMES[output_datatype])


def _mel_edges(count: int, lower: float, upper: float) -> Array:
    """Frequencies at equal distances on the mel scale: the edges and peaks of `count` triangles."""
    low, high = (2595 * np.log10(1 + frequency / 700) for frequency in (lower, upper))
    places = np.arange(count + 2) * ((high - low) / (count + 2)) + low
    return np.asarray(700 * (10 ** (places / 2595) - 1))
