"""Pooling and reductions by faster operators."""

from __future__ import annotations

import numpy as np

from tests.unit.onnx_import.fusion.fusing import fused, numbers


def test_the_largest_of_three() -> None:
    """Slices are compared, with NaN as NaN."""
    x = numbers(2, 4, 3)
    x[0, 1, 2] = np.nan
    found = fused("(float[N, 4, 3] x) => (float[N, 4] y)", "y = ReduceMax <axes = [2], keepdims = 0> (x)", {}, {"x": x})
    assert found["max"] == 0


def test_the_largest_of_an_image_with_channels_last() -> None:
    """It is pooled as it was before it was turned."""
    weights = {"w": numbers(4, 3, 2, 2, seed=1)}
    nodes = "c = Conv(x, w) t = Transpose <perm = [0, 2, 3, 1]> (c) y = ReduceMax <axes = [1, 2], keepdims = 0> (t)"
    found = fused("(float[N, 3, 9, 9] x) => (float[N, 4] y)", nodes, weights, {"x": numbers(2, 3, 9, 9)})
    assert found == {"Convolution": 1, "Pooling": 1, "Reshape": 1}


def test_rows_are_pooled_in_blocks() -> None:
    """A filter of 1 a channel lays out what no convolution did."""
    nodes = "s = Exp(x) y = MaxPool <kernel_shape = [3], strides = [2]> (s)"
    found = fused("(float[N, 16, 9] x) => (float[N, 16, 4] y)", nodes, {}, {"x": numbers(2, 16, 9)})
    assert found["Convolution"] == 1


def test_one_hot_rows_are_looked_up() -> None:
    """Numbers that are none of the rows' give the bias alone."""
    weights = {"n": np.arange(5, dtype=np.float32), "w": numbers(5, 3, seed=1), "b": numbers(3, seed=2), "a": np.array([2])}
    nodes = "u = Unsqueeze(x, a) e = Equal(u, n) h = Cast <to = 1> (e) m = MatMul(h, w) y = Add(m, b)"
    x = np.array([[0, 1, 4, 5], [-1, 2.5, np.nan, 1e30], [3, -np.inf, np.inf, -0.5]], np.float32)
    found = fused("(float[N, 4] x) => (float[N, 4, 3] y)", nodes, weights, {"x": x})
    assert found["FullyConnected"] == 0
    assert found["take"] == 1


def test_rows_are_flattened_by_the_product() -> None:
    """No node reshapes what a product flattens itself, for any number of rows."""
    weights = {"w": numbers(12, 5, seed=1), "c": numbers(3, 3, 2, 2, seed=2)}
    nodes = "k = Conv(x, c) f = Flatten(k) y = MatMul(f, w)"
    for rows in (1, 3):
        found = fused("(float[N, 3, 3, 3] x) => (float[N, 5] y)", nodes, weights, {"x": numbers(rows, 3, 3, 3)})
        assert found == {"Convolution": 1, "FullyConnected": 1}
