"""Promises of GridSample and AffineGrid: points between elements and beyond the border, in two axes and three."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.unit.onnx_import.checking import check, check_refused


def _array(shape: tuple[int, ...], dtype: str = "float32", seed: int = 0) -> Any:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


@pytest.mark.parametrize("align_corners", [0, 1], ids=["edges", "centers"])
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
def test_grid_sample_reads_at_points(mode: str, padding: str, align_corners: int) -> None:
    """Each mode with each rule for what is outside, far outside too."""
    attributes = {"mode": mode, "padding_mode": padding, "align_corners": align_corners}
    grid = np.random.default_rng(1).uniform(-1.6, 1.6, (2, 4, 3, 2)).astype(np.float32)
    grid[0, 0, 0] = -7.3, 9.1
    check("GridSample", [_array((2, 3, 5, 6)), grid], attributes, atol=2e-5)
    name = {"linear": "bilinear", "cubic": "bicubic"}.get(mode, mode)
    want = check("GridSample", [_array((2, 3, 5, 6)), grid], attributes, known=[1], atol=2e-5).run([_array((2, 3, 5, 6))])
    check("GridSample", [_array((2, 3, 5, 6)), grid], {**attributes, "mode": name}, opset=16, want=want, atol=2e-5)


@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("mode", ["nearest", "linear"])
def test_grid_sample_reads_volumes(mode: str, padding: str) -> None:
    """Three spatial axes."""
    grid = np.random.default_rng(1).uniform(-1.4, 1.4, (1, 2, 3, 2, 3)).astype(np.float32)
    check("GridSample", [_array((1, 2, 3, 4, 5)), grid], {"mode": mode, "padding_mode": padding}, atol=2e-5)


def test_grid_sample_keeps_types_and_empty_tensors() -> None:
    """Doubles, and no points at all."""
    grid = np.random.default_rng(1).uniform(-1, 1, (1, 2, 2, 2))
    check("GridSample", [_array((1, 1, 3, 3), "float64"), grid], rtol=1e-6)
    none = np.zeros((1, 0, 2, 2), np.float32)
    check("GridSample", [_array((1, 1, 3, 3)), none], want=[np.zeros((1, 1, 0, 2), np.float32)])
    check_refused("GridSample", [_array((1, 1, 3, 3)), _array((2, 2, 2, 2))])


def test_grid_sample_answers_zero_outside_of_infinities() -> None:
    """What is outside does not depend on what the border holds."""
    x = np.full((1, 1, 2, 2), np.inf, np.float32)
    answer = check("GridSample", [x, np.full((1, 1, 1, 2), 5, np.float32)], want=[np.zeros((1, 1, 1, 1), np.float32)])
    assert answer.program.last


@pytest.mark.parametrize("align_corners", [0, 1], ids=["edges", "centers"])
@pytest.mark.parametrize("sizes", [(2, 3, 4, 5), (2, 1, 2, 3, 4)], ids=["2-d", "3-d"])
def test_affine_grid_maps_an_even_grid(sizes: tuple[int, ...], align_corners: int) -> None:
    """Pictures and volumes."""
    axes = len(sizes) - 2
    check("AffineGrid", [_array((2, axes, axes + 1)), np.array(sizes)], {"align_corners": align_corners}, atol=1e-5)


def test_affine_grid_refuses_other_maps() -> None:
    """A map of another number of axes."""
    check_refused("AffineGrid", [_array((1, 2, 3)), np.array([1, 1, 2, 2, 2])])
