"""What onnx's evaluator gets wrong, by its specification."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.onnx_import.oracle.asking import ask


@pytest.mark.parametrize(("p", "want"), [(1, [-0.25, 0.75]), (2, [-1 / 10**0.5, 3 / 10**0.5])])
def test_a_norm_is_one_of_absolute_values(p: int, want: list[float]) -> None:
    """Negative numbers count as much."""
    assert ask("LpNormalization", [np.array([[-1, 3]], np.float32)], 22, p=p).ravel() == pytest.approx(want)


def test_zeros_stay_zeros() -> None:
    """Nothing is divided by a norm of zero."""
    assert ask("LpNormalization", [np.zeros((1, 2), np.float32)], 22).tolist() == [[0, 0]]


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_one_hot_lies_along_its_axis(axis: int) -> None:
    """A depth of 2.9 is 2; -1 is the last, 5 is none."""
    found = ask("OneHot", [np.array([0, -1, 5]), np.array(2.9, np.float32), np.array([0, 7])], 11, axis=axis)
    assert (found if axis else found.T).tolist() == [[7, 0], [0, 7], [0, 0]]


def test_regions_are_pooled_cell_by_cell() -> None:
    """Both ends of a region are in it; cells share rows where sizes do not divide."""
    x = np.arange(36, dtype=np.float32).reshape(1, 1, 6, 6)
    found = ask("MaxRoiPool", [x, np.array([[0, 0, 0, 4, 4]], np.float32)], 1, pooled_shape=[2, 2])
    assert found.ravel().tolist() == [14, 16, 26, 28]


def test_every_channel_is_normalized_by_those_around_it() -> None:
    """Also where there are more channels than items; an even size has one more behind than before."""
    x = np.array([[[3], [4], [1]]], np.float32)
    found = ask("LRN", [x], 13, alpha=2.0, beta=1.0, bias=1.0, size=2)
    assert found.ravel() == pytest.approx([3 / 26, 4 / 18, 1 / 2])
