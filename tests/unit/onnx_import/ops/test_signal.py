"""Promises of DFT and STFT: numpy's transforms, of real and complex signals, both ways."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.unit.onnx_import.checking import check, check_refused


def _signal(shape: tuple[int, ...], dtype: str = "float32") -> Any:
    return np.random.default_rng(2).standard_normal(shape).astype(dtype)


@pytest.mark.parametrize("axis", [1, 2, -2], ids=str)
@pytest.mark.parametrize("parts", [1, 2], ids=["real", "complex"])
@pytest.mark.parametrize(
    ("inverse", "onesided"), [(0, 0), (1, 0), (0, 1), (1, 1)], ids=["dft", "inverse", "half", "inverse half"]
)
def test_dft_transforms_along_an_axis(inverse: int, onesided: int, parts: int, axis: int) -> None:
    """Of any length: shorter and longer than the signal, odd and even."""
    if onesided and parts == 1 + (1 - inverse):
        pytest.skip("ONNX wants real signals forth and complex spectra back")
    x = _signal((2, 9, 8, parts))
    for length in (None, 5, 8, 12, 15):
        inputs = [x, None if length is None else np.array(length), np.array(axis)]
        check("DFT", inputs, {"inverse": inverse, "onesided": onesided}, known=[2] if length is None else [1, 2], atol=1e-4)
    attributes = {"inverse": inverse, "onesided": onesided, "axis": axis}
    check("DFT", [x], attributes, opset=17, atol=1e-4)


@pytest.mark.parametrize("dtype", ["float64", "float16"])
def test_dft_answers_in_its_type(dtype: str) -> None:
    """Double precision is kept; halves are computed in more."""
    check(
        "DFT",
        [_signal((1, 16, 1), dtype)],
        rtol=1e-3 if dtype == "float16" else 1e-9,
        atol=1e-2 if dtype == "float16" else 1e-12,
    )


def test_dft_of_much_is_a_product_in_float32() -> None:
    """Within what float32 allows."""
    check("DFT", [_signal((64, 512, 1)), None, np.array(1)], {"onesided": 1}, known=[2], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("inverse", "onesided"), [(0, 0), (1, 0), (0, 1), (1, 1)], ids=["dft", "inverse", "half", "inverse half"]
)
def test_dft_of_any_length_is_cut_into_short_ones(inverse: int, onesided: int) -> None:
    """A power of two, a product of primes, and more numbers than the signal has."""
    for length in (2048, 3 * 5 * 7 * 11, 2400):
        x = _signal((2, 2300, 1 if onesided and not inverse else 2))
        attributes = {"inverse": inverse, "onesided": onesided}
        check("DFT", [x, np.array(length), np.array(1)], attributes, known=[1, 2], rtol=1e-3, atol=1e-3)


def test_dft_refuses_what_is_no_signal() -> None:
    """The last axis holds real and imaginary parts."""
    check_refused("DFT", [_signal((2, 8, 3))])
    check_refused("DFT", [_signal((2, 8, 1)), None, np.array(2)])
    check_refused("DFT", [_signal((2, 8, 1)), np.array(0)])
    assert "prime" in check_refused("DFT", [_signal((1, 10007, 1)), None, np.array(1)])


@pytest.mark.parametrize("onesided", [0, 1], ids=["whole", "half"])
@pytest.mark.parametrize("window", [None, "known", "pending"])
@pytest.mark.parametrize(("step", "size"), [(4, 8), (3, 10), (8, 5)], ids=str)
def test_stft_transforms_pieces(step: int, size: int, window: str | None, onesided: int) -> None:
    """Overlapping or not, windowed or not."""
    weights = None if window is None else np.hanning(size).astype(np.float32)
    inputs = [_signal((2, 40, 1)), np.array(step), weights, np.array(size)]
    known = [1, 2, 3] if window == "known" else [1, 3]
    check("STFT", inputs, {"onesided": onesided}, known=known, atol=1e-4)
    if weights is not None:
        check("STFT", inputs[:3], {"onesided": onesided}, known=[1], atol=1e-4)


def test_stft_takes_complex_signals() -> None:
    """Then of the whole spectrum."""
    x = _signal((2, 40, 2))
    frames = np.stack([x[:, start : start + 16, 0] + 1j * x[:, start : start + 16, 1] for start in range(0, 25, 8)], 1)
    spectrum = np.fft.fft(frames)
    want = np.stack([spectrum.real, spectrum.imag], -1).astype(np.float32)
    check("STFT", [x, np.array(8), None, np.array(16)], {"onesided": 0}, known=[1, 3], want=[want], atol=1e-4)


def test_stft_refuses_frames_that_do_not_fit() -> None:
    """Longer than the signal, or than the window."""
    check_refused("STFT", [_signal((1, 8, 1)), np.array(2), None, np.array(9)])
    check_refused("STFT", [_signal((1, 8, 1)), np.array(2), np.ones(3, np.float32), np.array(4)])
    check_refused("STFT", [_signal((1, 8, 1)), np.array(0), None, np.array(4)])
