"""Indices that cannot be negative, masks, and sums of products."""

from __future__ import annotations

import numpy as np

from tests.unit.onnx_import.fusion.fusing import fused, numbers


def test_indices_from_a_table_of_positive_ones_are_not_wrapped() -> None:
    """What a table gives is within its bounds; a fed index may be negative."""
    weights = {"table": np.array([3, 1, 2, 0]), "values": numbers(4, 2)}
    nodes = "i = Gather(table, x) y = Gather(values, i)"
    found = fused("(int64[N] x) => (float[N, 2] y)", nodes, weights, {"x": np.array([0, -1, 2])})
    assert found["take"] == 2
    assert found["_npi_where"] == 1


def test_indices_from_a_table_with_negative_ones_are_wrapped() -> None:
    """-1 is the last."""
    weights = {"table": np.array([3, -1, 2, 0]), "values": numbers(4, 2)}
    found = fused(
        "(int64[N] x) => (float[N, 2] y)", "i = Gather(table, x) y = Gather(values, i)", weights, {"x": np.array([0, 1, 2])}
    )
    assert found["_npi_where"] == 2


def test_sums_of_comparisons_are_bounded() -> None:
    """Truth values are 0 or 1, whatever is added to them or multiplied."""
    weights = {"zero": np.float32(0), "two": np.array(2), "values": numbers(4, 2)}
    nodes = "c = Greater(x, zero) i = Cast <to = 7> (c) j = Mul(i, two) k = Add(i, j) y = Gather(values, k)"
    found = fused("(float[N] x) => (float[N, 2] y)", nodes, weights, {"x": numbers(5)})
    assert found["_npi_where"] == 0


def test_a_sum_over_products_is_a_product_of_matrices() -> None:
    """A row of one number times a matrix each."""
    weights = {"axes": np.array([1])}
    nodes = "p = Mul(x, z) y = ReduceSum <keepdims = 0> (p, axes)"
    found = fused(
        "(float[N, 3, 1] x, float[N, 3, 4] z) => (float[N, 4] y)",
        nodes,
        weights,
        {"x": numbers(2, 3, 1), "z": numbers(2, 3, 4, seed=1)},
    )
    assert found == {"batch_dot": 1, "Reshape": 1}
