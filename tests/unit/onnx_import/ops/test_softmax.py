"""Softmax, LogSoftmax and Hardmax: along an axis, or over all axes from one on before opset 13."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.unit.onnx_import.checking import check

OPS = ("Softmax", "LogSoftmax", "Hardmax")


def numbers(*shape: int) -> Any:
    """Seeded numbers with ties."""
    return (np.random.default_rng(3).integers(-9, 9, shape) / 2).astype(np.float32)


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize(
    ("shape", "axis"), [((3, 4), -1), ((3, 4), 0), ((2, 3, 4), 1), ((2, 3, 4, 5), -2), ((5,), 0), ((0, 3), 1)], ids=str
)
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_along_axis(op: str, shape: tuple[int, ...], axis: int, dtype: str) -> None:
    """Any axis, from either end, in every float type."""
    x = numbers(*shape).astype(dtype)
    check(
        op,
        [x],
        {"axis": axis},
        want=[x] if 0 in shape else None,
        rtol=5e-3 if dtype == "float16" else 1e-5,
        atol=5e-3 if dtype == "float16" else 1e-6,
    )


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("axis", [None, 0, 1, 2, 3, -1])
@pytest.mark.parametrize("opset", [1, 12])
def test_over_all_axes_from_one_on(op: str, axis: int | None, opset: int) -> None:
    """Opsets before 13 flatten from the axis on, which is 1 where none is given."""
    if axis == -1 and opset == 1:
        axis = 3
    x = numbers(2, 3, 4, 2)
    first = 1 if axis is None else axis % 4
    flat = x.reshape(int(np.prod(x.shape[:first])), -1).astype(np.float64)
    powers = np.exp(flat - flat.max(1, keepdims=True))
    share = powers / powers.sum(1, keepdims=True)
    want = {"Softmax": share, "LogSoftmax": np.log(share), "Hardmax": np.eye(flat.shape[1])[flat.argmax(1)]}[op]
    attributes = {} if axis is None else {"axis": axis}
    check(op, [x], attributes, opset=opset, want=[want.reshape(x.shape).astype(np.float32)])


def test_masked_and_far_numbers() -> None:
    """Large numbers do not overflow, -inf gets nothing; a row of nothing else is NaN."""
    x = np.array([[1e4, 1e4 - 1, -np.inf], [-np.inf, -np.inf, 3], [-np.inf] * 3], np.float32)
    with np.errstate(all="ignore"):
        powers = np.exp(x - x.max(1, keepdims=True))
    check("Softmax", [x], want=[powers / powers.sum(1, keepdims=True)])


@pytest.mark.parametrize("op", OPS)
def test_other_axes_of_many(op: str) -> None:
    """Large tensors along an axis that is not the last."""
    check(op, [numbers(2, 21, 16, 9)], {"axis": 1})
