"""Products and determinants of matrices, and sums over products of any tensors."""

from __future__ import annotations

import numpy as np

from onnx_import import nd
from onnx_import.dtypes import is_float
from onnx_import.errors import InvalidInput
from onnx_import.nd import Value
from onnx_import.registry import op


@op("MatMul", since=1)
def mat_mul(x: Value, y: Value) -> Value:
    """numpy.matmul."""
    return nd.matmul(x, y)


@op("Gemm", since=1)
def gemm_1(x: Value, y: Value, z: Value, *, alpha: float, beta: float, broadcast: int, transA: int, transB: int) -> Value:  # noqa: N803
    """alpha * x @ y + beta * z; `broadcast` is what later versions do anyway."""
    return gemm(x, y, z, alpha=alpha, beta=beta, transA=transA, transB=transB)


@op("Gemm", since=7)
def gemm(x: Value, y: Value, z: Value | None = None, *, alpha: float, beta: float, transA: int, transB: int) -> Value:  # noqa: N803
    """alpha * x @ y + beta * z, of matrices that may be turned first."""
    if x.rank != 2 or y.rank != 2:
        raise InvalidInput(f"shapes {list(x.shape)} and {list(y.shape)} are no two matrices")
    if transA:
        x = nd.transpose(x, [1, 0])
    if nd.is_small_float(x.dtype):
        wide = gemm(nd.widen(x), nd.widen(y), z and nd.widen(z), alpha=alpha, beta=beta, transA=0, transB=transB)
        return nd.narrow(wide, x.dtype)
    if x.dtype in ("float32", "float64") and (transB or y.data is not None):
        return _connected(x, y if transB else nd.transpose(y, [1, 0]), z, alpha, beta)
    product = _times(nd.matmul(x, nd.transpose(y, [1, 0]) if transB else y), alpha)
    return product if z is None else nd.add(product, _times(z, beta))


def _connected(x: Value, weight: Value, z: Value | None, alpha: float, beta: float) -> Value:
    """By MXNet's operator for x @ weight.T, with the scale in the weight and a bias where `z` is one."""
    if x.shape[-1] != weight.shape[-1]:
        raise InvalidInput(f"matrices of {x.shape[-1]} columns and {weight.shape[-1]} rows do not fit")
    units = weight.shape[0]
    known = weight.data is not None
    scaled = _times(weight, alpha) if known else weight
    if z is not None and known and z.size == units and z.shape in ((units,), (1, units)):
        return nd.fully_connected(x, scaled, nd.reshape(_times(z, beta), (units,)))
    product = nd.fully_connected(x, scaled)
    product = product if known else _times(product, alpha)
    return product if z is None else nd.add(product, _times(z, beta))


def _times(x: Value, factor: float) -> Value:
    if factor == 1:
        return x
    if is_float(x.dtype):
        return nd.multiply(x, nd.full((), factor, x.dtype))
    if factor != int(factor):
        # The evaluator scales in floating point, and cuts.
        return nd.cast(nd.multiply(nd.cast(x, "float64"), nd.full((), factor, "float64")), x.dtype)
    return nd.multiply(x, nd.full((), int(factor), x.dtype))


@op("Det", since=11)
def det(x: Value) -> Value:
    """The determinant of each matrix."""
    if x.rank < 2 or x.shape[-1] != x.shape[-2]:
        raise InvalidInput(f"shape {list(x.shape)} is none of square matrices")
    if nd.is_small_float(x.dtype):
        return nd.narrow(det(nd.widen(x)), x.dtype)
    if nd.all_known(x) or not x.size:
        return nd.fold(np.linalg.det, x, dtype=x.dtype) if nd.all_known(x) else nd.full(x.shape[:-2], 1, x.dtype)
    return nd.emit("_npi_det", [x], x.shape[:-2], x.dtype)


@op("Einsum", since=12)
def einsum(*values: Value, equation: str) -> Value:
    """Products of elements, summed over the labels that the output does not have."""
    return nd.einsum(equation, values)
