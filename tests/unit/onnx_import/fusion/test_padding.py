"""Zeros put around images."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.onnx_import.fusion.fusing import fused, numbers

IMAGE = "(float[N, 3, 8, 9] x) => (float[N, K, H, W] y)"
WEIGHTS = {"w": numbers(4, 3, 3, 3, seed=1), "v": numbers(4, 3, 1, 1, seed=2), "u": numbers(2, 4, 3, 3, seed=3)}


def pads(*sizes: int) -> dict[str, np.ndarray]:
    """The sizes before and behind two spatial axes, as Pad takes them."""
    top, left, bottom, right = sizes
    return {**WEIGHTS, "p": np.array([0, 0, top, left, 0, 0, bottom, right])}


@pytest.mark.parametrize("sizes", [(1, 1, 1, 1), (2, 3, 2, 3), (1, 2, 1, 2)], ids=str)
def test_even_padding_goes_into_a_convolution(sizes: tuple[int, ...]) -> None:
    """On top of its own."""
    found = fused(IMAGE, "q = Pad(x, p) y = Conv <pads = [0, 1, 0, 1]> (q, w)", pads(*sizes), {"x": numbers(2, 3, 8, 9)})
    assert found == {"Convolution": 1}


def test_padding_that_no_window_reaches_goes_away() -> None:
    """Two windows of three, five apart, end before it."""
    nodes = "q = Pad(x, p) y = Conv <strides = [5, 5]> (q, w)"
    assert fused(IMAGE, nodes, pads(0, 0, 1, 2), {"x": numbers(2, 3, 8, 9)}) == {"Convolution": 1}


@pytest.mark.parametrize("sizes", [(0, 0, 1, 1), (1, 0, 0, 2), (2, 1, 1, 1)], ids=str)
def test_uneven_padding_is_a_filter_a_channel(sizes: tuple[int, ...]) -> None:
    """Between convolutions."""
    nodes = "c = Conv(x, v) q = Pad(c, p) y = Conv(q, u)"
    assert fused(IMAGE, nodes, pads(*sizes), {"x": numbers(2, 3, 8, 9)}) == {"Convolution": 3}


def test_even_padding_in_front_of_a_pooling_is_a_filter_a_channel() -> None:
    """Its zeros count, as a pooling's own padding does not."""
    nodes = "c = Conv(x, v) q = Pad(c, p) y = MaxPool <kernel_shape = [3, 3], strides = [2, 2]> (q)"
    found = fused(IMAGE, nodes, pads(1, 1, 1, 1), {"x": numbers(2, 3, 8, 9) - 9})
    assert found == {"Convolution": 2, "Pooling": 1}


@pytest.mark.parametrize("what", ["uneven, in front of a pooling", "of ones", "of an input", "read by others"])
def test_other_padding_stays(what: str) -> None:
    """Where filters would not do the same, or would not pay."""
    pool = "y = MaxPool <kernel_shape = [3, 3], strides = [2, 2]> (q)"
    nodes = {
        "uneven, in front of a pooling": f"c = Conv(x, v) q = Pad(c, p) {pool}",
        "of ones": f"c = Conv(x, v) q = Pad(c, p, o) {pool}",
        "of an input": f"q = Pad(x, p) {pool}",
        "read by others": "c = Conv(x, v) q = Pad(c, p) y = Exp(q)",
    }[what]
    weights = {**pads(*((0, 0, 1, 1) if what.startswith("uneven") else (1, 1, 1, 1))), "o": np.float32(1)}
    assert fused(IMAGE, nodes, weights, {"x": numbers(2, 3, 8, 9)})["Pad"] == 1
