"""Slices with steps in front of a convolution."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.onnx_import.fusion.fusing import fused, numbers

IMAGE = "(float[N, 3, 8, 12] x) => (float[N, K, H, W] y)"
BOUNDS = {
    "z": np.array([0]),
    "o": np.array([1]),
    "e": np.array([2**31 - 1]),
    "h": np.array([2]),
    "w": np.array([3]),
    "two": np.array([2]),
}


def focused(pad: int) -> str:
    """Four corners of each square of pixels, rows first and then columns, and a convolution of them."""
    cuts = "r0 = Slice(x, z, e, h, two) r1 = Slice(x, o, e, h, two) "
    cuts += " ".join(f"p{row}{column} = Slice(r{row}, {'zo'[column]}, e, w, two)" for row in (0, 1) for column in (0, 1))
    pads = ", ".join([str(pad)] * 4)
    return f"{cuts} c = Concat <axis = 1> (p00, p10, p01, p11) y = Conv <pads = [{pads}]> (c, f, b)"


@pytest.mark.parametrize("pad", [0, 1])
def test_focus_is_one_convolution(pad: int) -> None:
    """Whatever the order of the corners."""
    weights = {**BOUNDS, "f": numbers(5, 12, 3, 3, seed=1), "b": numbers(5, seed=2)}
    assert fused(IMAGE, focused(pad), weights, {"x": numbers(2, 3, 8, 12)}) == {"Convolution": 1}


def test_an_odd_image_keeps_its_slices() -> None:
    """Corners of different sizes are no grid."""
    weights = {**BOUNDS, "f": numbers(5, 6, 3, 3, seed=1)}
    nodes = "a = Slice(x, z, e, h, two) b = Slice(x, o, e, h, two) c = Concat <axis = 1> (a, b) y = Conv(c, f)"
    assert fused(IMAGE, nodes, weights, {"x": numbers(2, 3, 8, 12)}) == {"Convolution": 1}
    nodes = "a = Slice(x, o, e, h, two) c = Concat <axis = 1> (a, a) y = Conv(c, f)"
    found = fused("(float[N, 3, 9, 12] x) => (float[N, K, H, W] y)", nodes, weights, {"x": numbers(2, 3, 9, 12)})
    assert found["Concat"] == 1


def test_slices_of_two_images_stay() -> None:
    """Only slices of one image are its pixels."""
    weights = {**BOUNDS, "f": numbers(5, 6, 3, 3, seed=1)}
    signature = "(float[N, 3, 8, 12] x, float[N, 3, 8, 12] z2) => (float[N, K, H, W] y)"
    nodes = "a = Slice(x, z, e, h, two) b = Slice(z2, z, e, h, two) c = Concat <axis = 1> (a, b) y = Conv(c, f)"
    assert fused(signature, nodes, weights, {"x": numbers(2, 3, 8, 12), "z2": numbers(2, 3, 8, 12, seed=4)})["Concat"] == 1
