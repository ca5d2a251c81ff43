"""Products of matrices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from onnx_import.errors import UnsupportedModel
from tests.unit.onnx_import.exporting.exported import export_op, numpy_op, ops

ROWS = {"x": (4, 6)}
SERIES = {"x": (2, 3, 4)}
PAIR = {"x": (2, 3, 4), "y": (2, 5, 4)}

CASES: dict[str, tuple[Callable[..., Any], dict[str, tuple[int, ...]], dict[str, Any], list[str]]] = {
    "dense": (lambda s, x, w, b: s.FullyConnected(x, w, b, num_hidden=5), ROWS, {"w": (5, 6), "b": (5,)}, ["Gemm"]),
    "dense-of-pictures": (
        lambda s, x, w, b: s.FullyConnected(x, w, b, num_hidden=5),
        {"x": (2, 3, 2, 2)},
        {"w": (5, 12), "b": (5,)},
        ["Flatten", "Gemm"],
    ),
    "dense-of-series": (
        lambda s, x, w, b: s.FullyConnected(x, w, b, num_hidden=5, flatten=False),
        SERIES,
        {"w": (5, 4), "b": (5,)},
        ["MatMul", "Add"],
    ),
    "dense-without-bias": (lambda s, x, w: s.FullyConnected(x, w, num_hidden=5, no_bias=True), ROWS, {"w": (5, 6)}, ["Gemm"]),
    "dot": (lambda s, x, w: s.dot(x, w), ROWS, {"w": (6, 5)}, ["MatMul"]),
    "dot-turned": (lambda s, x, w: s.dot(x, w, transpose_b=True), ROWS, {"w": (5, 6)}, ["MatMul"]),
    "dot-of-series": (lambda s, x, w: s.dot(x, w), SERIES, {"w": (4, 5)}, ["MatMul"]),
    "batch-dot": (lambda s, x, y: s.batch_dot(x, y, transpose_b=True), PAIR, {}, ["Transpose", "MatMul"]),
    "gemm2": (lambda s, x, y: s.linalg_gemm2(x, y, transpose_b=True, alpha=2.0), PAIR, {}, ["Transpose", "MatMul", "Mul"]),
}


@pytest.mark.parametrize("case", CASES)
def test_products(case: str) -> None:
    """As few nodes as ONNX needs; constants are turned at once."""
    build, inputs, params, wanted = CASES[case]
    assert ops(export_op(build, inputs, params)[0]) == wanted


def test_numpys_product() -> None:
    """Stacks of matrices."""
    assert ops(export_op(numpy_op("_npi_matmul", 2), {"x": (2, 3, 4), "y": (2, 4, 5)})[0]) == ["MatMul"]


def test_tensors_along_their_first_axis_are_refused() -> None:
    """MXNet's dot of more than two axes has no ONNX operator."""
    with pytest.raises(UnsupportedModel, match="along their first"):
        export_op(lambda s, x, w: s.dot(x, w), ROWS, {"w": (6, 2, 3)})
