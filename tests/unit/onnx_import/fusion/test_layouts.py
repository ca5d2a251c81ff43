"""Reshapes and transposes that follow one another."""

from __future__ import annotations

import numpy as np

from tests.unit.onnx_import.fusion.fusing import fused, numbers


def test_reshapes_in_a_row_are_one() -> None:
    """The last shape counts."""
    weights = {"a": np.array([0, 3, 4]), "b": np.array([0, 2, 6])}
    nodes = "p = Reshape(x, a) q = Reshape(p, b) y = Neg(q)"
    found = fused("(float[N, 12] x) => (float[N, 2, 6] y)", nodes, weights, {"x": numbers(3, 12)})
    assert found["Reshape"] == 1


def test_reshapes_that_undo_one_another_are_none() -> None:
    """There and back is where it was."""
    weights = {"a": np.array([0, 3, 4]), "b": np.array([0, 12])}
    found = fused(
        "(float[N, 12] x) => (float[N, 12] y)", "p = Reshape(x, a) q = Reshape(p, b) y = Neg(q)", weights, {"x": numbers(3, 12)}
    )
    assert found["Reshape"] == 0


def test_transposes_in_a_row_are_one_or_none() -> None:
    """Orders of axes are put together."""
    nodes = "p = Transpose <perm = [0, 2, 3, 1]> (x) q = Transpose <perm = [0, 3, 1, 2]> (p) r = Transpose <perm = [0, 2, 1, 3]> (q) y = Transpose <perm = [1, 0, 2, 3]> (r)"
    found = fused("(float[N, 2, 3, 4] x) => (float[K, L, M, P] y)", nodes, {}, {"x": numbers(5, 2, 3, 4)})
    assert found == {"transpose": 1}


def test_convolutions_over_one_axis_stay_images() -> None:
    """Activations and sums between them come before the reshapes, which then cancel."""
    weights = {"w": numbers(4, 3, 3, seed=1), "v": numbers(5, 4, 2, seed=2), "k": numbers(4, 1, seed=3)}
    nodes = "a = Conv(x, w) b = Add(a, k) c = Relu(b) y = Conv(c, v)"
    found = fused("(float[N, 3, 9] x) => (float[N, 5, 6] y)", nodes, weights, {"x": numbers(2, 3, 9)})
    assert found == {"Reshape": 2, "Convolution": 2, "Activation": 1}


def test_a_head_that_is_an_input_reshaped_twice() -> None:
    """An output that would be the input itself is still computed."""
    weights = {"a": np.array([0, 3, 4]), "b": np.array([0, 12])}
    found = fused("(float[N, 12] x) => (float[N, 12] y)", "p = Reshape(x, a) y = Reshape(p, b)", weights, {"x": numbers(3, 12)})
    assert sum(found.values()) >= 1


def test_joined_reshapes_serve_any_number_of_rows() -> None:
    """Codes are joined, not the sizes of one pass."""
    weights = {"a": np.array([1, -1]), "b": np.array([-1, 6]), "c": np.array([0, 2, 3]), "d": np.array([0, -1])}
    nodes = "p = Reshape(x, a) q = Reshape(p, b) r = Exp(q) s = Reshape(r, c) t = Reshape(s, d) y = Neg(t)"
    found = [
        fused("(float[N, 12] x) => (float[M, 6] y)", nodes, weights, {"x": numbers(rows, 12)})["Reshape"] for rows in (1, 2, 5)
    ]
    assert found == [1, 1, 1]
