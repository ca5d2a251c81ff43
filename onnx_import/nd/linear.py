"""Products of matrices. Small floats are multiplied in float32, as MXNet has no such kernels on the CPU."""

from __future__ import annotations

import math

import numpy as np

from onnx_import.dtypes import is_float
from onnx_import.errors import InvalidInput
from onnx_import.nd.broadcasting import broadcast_sizes
from onnx_import.nd.elementwise import add, all_known, cast, fold, settle, zeros
from onnx_import.nd.shaping import expand, expand_dims, reshape, squeeze, transpose
from onnx_import.nd.tape import emit
from onnx_import.nd.value import Value

__all__ = ["fully_connected", "is_small_float", "matmul", "narrow", "widen"]


def is_small_float(dtype: str) -> bool:
    """Whether a dtype is of reals that MXNet computes with in float32 only."""
    return is_float(dtype) and dtype not in ("float32", "float64")


def widen(value: Value) -> Value:
    """The numbers as float32 where they are of a smaller type."""
    return cast(value, "float32") if is_small_float(value.dtype) else value


def narrow(value: Value, dtype: str) -> Value:
    """A result of widened operands in the dtype that they had."""
    return cast(value, dtype)


def matmul(x: Value, y: Value) -> Value:
    """numpy.matmul: matrices in the last two axes, the others broadcast; a vector counts as a row on the left, a column on the right."""
    if not x.rank or not y.rank:
        raise InvalidInput(f"shapes {list(x.shape)} and {list(y.shape)} are no matrices")
    if x.rank == 1:
        return squeeze(matmul(expand_dims(x, [0]), y), [-2 if y.rank > 1 else -1])
    if y.rank == 1:
        return squeeze(matmul(x, expand_dims(y, [1])), [-1])
    if x.shape[-1] != y.shape[-2]:
        raise InvalidInput(f"matrices of shapes {list(x.shape)} and {list(y.shape)} do not fit")
    if is_small_float(x.dtype):
        return narrow(matmul(widen(x), widen(y)), x.dtype)
    batch = broadcast_sizes(x.shape[:-2], y.shape[:-2])
    shape = (*batch, x.shape[-2], y.shape[-1])
    if all_known(x, y):
        return fold(np.matmul, x, y, dtype=x.dtype)
    if not x.shape[-1]:
        return zeros(shape, x.dtype)
    if not is_float(x.dtype):
        return _whole(x, y, shape)
    if math.prod(y.shape[:-2]) == 1:
        matrix = reshape(y, y.shape[-2:])
        return reshape(_by_one_matrix(x, matrix), shape)
    return _batched(x, y, shape)


def fully_connected(x: Value, weight: Value, bias: Value | None = None) -> Value:
    """x @ weight.T + bias over the last axis of x; float32 or float64 operands, the weight has two axes."""
    shape = (*x.shape[:-1], weight.shape[0])
    if 0 in x.shape or 0 in weight.shape:
        product = zeros(shape, x.dtype)
        return product if bias is None else add(product, expand(bias, shape))
    if all_known(x, weight):
        product = fold(lambda a, b: a @ b.T, x, weight, dtype=x.dtype)
        return product if bias is None else add(product, bias)
    inputs = [x, weight] if bias is None else [x, weight, bias]
    hidden = weight.shape[0]
    return emit("FullyConnected", inputs, shape, x.dtype, num_hidden=hidden, no_bias=bias is None, flatten=False)


def _by_one_matrix(x: Value, y: Value) -> Value:
    if y.data is not None and x.rank >= 2:
        return fully_connected(x, transpose(y, [1, 0]))
    rows = reshape(x, (math.prod(x.shape[:-1]), x.shape[-1]))
    product = emit("dot", [rows, y], (rows.shape[0], y.shape[1]), x.dtype)
    return reshape(product, (*x.shape[:-1], y.shape[1]))


def _batched(x: Value, y: Value, shape: tuple[int, ...]) -> Value:
    left, right = _stacked(x, shape[:-2]), _stacked(y, shape[:-2])
    return reshape(emit("batch_dot", [left, right], (left.shape[0], *shape[-2:]), x.dtype), shape)


def _whole(x: Value, y: Value, shape: tuple[int, ...]) -> Value:
    """Of whole numbers, modulo the width of what carries them."""
    left, right = _stacked(x, shape[:-2]), _stacked(y, shape[:-2])
    sizes = (left.shape[0], *shape[-2:])
    product = emit("_npi_einsum", [left, right], sizes, x.dtype, num_args=2, subscripts="bij,bjk->bik", optimize=0)
    return reshape(settle(product), shape)


def _stacked(value: Value, batch: tuple[int, ...]) -> Value:
    """Matrices broadcast to a batch, along one axis."""
    return reshape(expand(value, (*batch, *value.shape[-2:])), (math.prod(batch), *value.shape[-2:]))
