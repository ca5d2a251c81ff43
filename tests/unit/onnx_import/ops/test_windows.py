"""Windows and mel weights, of every size and type."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from tests.unit.onnx_import.checking import check, check_refused


@pytest.mark.parametrize("op", ["HannWindow", "HammingWindow", "BlackmanWindow"])
@pytest.mark.parametrize("periodic", [0, 1])
@pytest.mark.parametrize("size", [2, 7, 400])
def test_window(op: str, periodic: int, size: int) -> None:
    """Symmetric and periodic, of even and odd sizes."""
    check(op, [np.array(size)], {"periodic": periodic})
    check(op, [np.array(size)], {"periodic": periodic, "output_datatype": onnx.TensorProto.DOUBLE}, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("bins", "length", "rate", "low", "high"), [(8, 16, 8192, 0.0, 4096.0), (40, 512, 16000, 20.0, 7600.0)]
)
def test_mel_weights(bins: int, length: int, rate: int, low: float, high: float) -> None:
    """Triangles as the evaluator draws them."""
    limits = [np.array(low, np.float32), np.array(high, np.float32)]
    check("MelWeightMatrix", [np.array(bins), np.array(length), np.array(rate), *limits], {})


@pytest.mark.parametrize(
    "numbers", [(8, 16, 0, 0.0, 4.0), (8, 16, 8192, 0.0, 90000.0), (8, 16, 8192, -900.0, 10.0), (-1, 16, 8192, 0.0, 10.0)]
)
def test_mel_weights_of_no_spectrogram_are_refused(numbers: tuple[float, ...]) -> None:
    """No rate, frequencies that samples of this rate do not have, less than no bins."""
    limits = [np.array(each, np.float32) for each in numbers[3:]]
    check_refused("MelWeightMatrix", [*[np.array(int(each)) for each in numbers[:3]], *limits])
