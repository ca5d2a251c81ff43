"""Products of matrices, determinants and Einstein sums against numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onnx_import import nd
from onnx_import.errors import InvalidInput, InvalidModel
from onnx_import.ops import matrix
from tests.unit.onnx_import.checking import check

DTYPES = ["float32", "float64", "float16", "int32", "int64", "uint32", "uint64"]
PAIRS = [
    ((2, 3), (3, 4)),
    ((3,), (3,)),
    ((3,), (3, 4)),
    ((2, 3), (3,)),
    ((5, 2, 3), (3,)),
    ((3,), (5, 3, 4)),
    ((5, 2, 3), (3, 4)),
    ((2, 3), (5, 3, 4)),
    ((2, 1, 2, 3), (1, 4, 3, 2)),
    ((2, 0), (0, 3)),
    ((0, 3), (3, 4)),
    ((2, 3, 2), (2, 2, 0)),
]


def numbers(*shape: int, dtype: str = "float32", seed: int = 0) -> Any:
    """Some of the given shape."""
    return np.asarray(np.random.RandomState(seed).standard_normal(shape) * 3 + ("u" in dtype) * 12).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("one", "other"), PAIRS, ids=str)
def test_mat_mul(one: tuple[int, ...], other: tuple[int, ...], dtype: str) -> None:
    """Vectors, matrices and batches that broadcast, also of nothing."""
    inputs = [numbers(*one, dtype=dtype), numbers(*other, dtype=dtype, seed=1)]
    tolerance = 5e-3 if dtype == "float16" else 1e-5
    want = np.asarray(np.matmul(*[part.astype("float64") for part in inputs]) if dtype == "float16" else np.matmul(*inputs))
    check("MatMul", inputs, want=[want.astype(dtype)], rtol=tolerance, atol=tolerance)


def test_mat_mul_wraps_around() -> None:
    """Whole numbers are counted modulo their width."""
    x = np.full((2, 2), 2**31 - 1, np.int32)
    check("MatMul", [x, x], want=[np.matmul(x, x)])


def test_mat_mul_that_does_not_fit_is_refused() -> None:
    """Matrices that cannot be multiplied are an error that says so."""
    inputs = [numbers(2, 3), numbers(4, 5)]
    with pytest.raises(InvalidInput, match="do not fit"):
        matrix.mat_mul(*[nd.constant(value) for value in inputs])
    with pytest.raises(InvalidInput, match="do not broadcast"):
        matrix.mat_mul(*[nd.constant(value) for value in (numbers(3, 2, 2), numbers(4, 2, 2))])


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int32", "int64"])
@pytest.mark.parametrize("shape", [None, (), (4,), (1, 4), (2, 1), (2, 4)], ids=str)
@pytest.mark.parametrize("turned", [(0, 0), (1, 0), (0, 1), (1, 1)], ids=str)
def test_gemm(turned: tuple[int, int], shape: tuple[int, ...] | None, dtype: str) -> None:
    """Matrices turned or not, what is added of any shape, both scaled."""
    x = numbers(*((3, 2) if turned[0] else (2, 3)), dtype=dtype)
    y = numbers(*((4, 3) if turned[1] else (3, 4)), dtype=dtype, seed=1)
    z = None if shape is None else numbers(*shape, dtype=dtype, seed=2)
    scales = {"alpha": 2.0, "beta": 3.0}
    wide = [(part.T if turn else part).astype("float64") for part, turn in zip((x, y), turned, strict=True)]
    want = 2 * np.matmul(*wide) + (0 if z is None else 3 * z.astype("float64"))
    inputs = [x, y] if z is None else [x, y, z]
    attributes = {**scales, "transA": turned[0], "transB": turned[1]}
    tolerance = 1e-2 if dtype == "float16" else 1e-5
    check("Gemm", inputs, attributes, want=[want.astype(dtype)], rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("opset", [6, 7, 9])
def test_gemm_of_old_opsets(opset: int) -> None:
    """`broadcast` is told by opset 6 alone."""
    inputs = [numbers(2, 3), numbers(3, 4), numbers(4)]
    attributes = {"broadcast": 1} if opset == 6 else {}
    check("Gemm", inputs, attributes, opset=opset, want=[inputs[0] @ inputs[1] + inputs[2]])


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize("shape", [(3, 3), (2, 4, 4), (1, 1), (2, 0, 3, 3)], ids=str)
def test_det(shape: tuple[int, ...], dtype: str) -> None:
    """One determinant a matrix."""
    x = numbers(*shape, dtype=dtype)
    tolerance = 1e-2 if dtype == "float16" else 1e-4
    want = np.linalg.det(x.astype("float64")).astype(dtype)
    check("Det", [x], want=[np.asarray(want)], rtol=tolerance, atol=tolerance)


SUMS = {
    "ij,jk->ik": [(2, 3), (3, 4)],
    "ij,jk": [(2, 3), (3, 4)],
    "bij,bjk->bik": [(2, 3, 4), (2, 4, 5)],
    "...ij,...jk->...ik": [(2, 1, 3, 4), (5, 4, 2)],
    "ii->i": [(3, 3)],
    "ii": [(3, 3)],
    "...ii->...i": [(2, 3, 3)],
    "aab,b->a": [(2, 2, 3), (3,)],
    "i,i": [(4,), (4,)],
    "i,j->ij": [(3,), (2,)],
    "i,->i": [(3,), ()],
    "ij->ji": [(2, 3)],
    "ij->": [(2, 3)],
    "...->...": [(2, 3)],
    "bhqd,bhkd->bhqk": [(2, 2, 3, 4), (2, 2, 5, 4)],
    "ij,jk,kl->il": [(2, 3), (3, 4), (4, 5)],
    "ab,ab,c->c": [(2, 3), (2, 3), (4,)],
    "Ij, jI -> j": [(2, 3), (3, 2)],
    "ij,kj->ik": [(2, 0), (4, 0)],
}


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32"])
@pytest.mark.parametrize("equation", SUMS)
def test_einsum(equation: str, dtype: str) -> None:
    """Products, traces, diagonals, transposes, sums, with and without `...` and `->`."""
    inputs = [numbers(*shape, dtype=dtype, seed=seed) for seed, shape in enumerate(SUMS[equation])]
    want = np.asarray(np.einsum(equation, *inputs))
    check("Einsum", inputs, {"equation": equation}, want=[want], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("equation", ["ij,jk->im", "i,j,k->i", "ij->ii", "i1->i"])
def test_einsum_that_is_none_is_refused(equation: str) -> None:
    """An equation that does not fit its operands is an error that says so."""
    inputs = [numbers(2, 3), numbers(3, 4)][: equation.count(",") + 1]
    with pytest.raises((InvalidInput, InvalidModel), match="equation|axes"):
        matrix.einsum(*[nd.constant(value) for value in inputs], equation=equation)
