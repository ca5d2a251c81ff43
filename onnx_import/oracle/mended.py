"""Operators that onnx's reference evaluator gets wrong in every opset."""

from __future__ import annotations

import numpy as np

from onnx_import.dtypes import Array
from onnx_import.oracle.evaluator import own


@own("LpNormalization")
def lp_normalization(x: Array, *, axis: int, p: int) -> Array:
    """Over the p-norm, which is one of absolute values; zeros stay zeros."""
    norm = (np.abs(x) ** p).sum(axis=axis, keepdims=True) ** (1.0 / p)
    return np.asarray(np.where(norm == 0, 0, x / np.where(norm == 0, 1, norm)), x.dtype)


@own("OneHot")
def one_hot(indices: Array, depth: Array, values: Array, *, axis: int) -> Array:
    """Ones by number; a depth that is no whole number is cut to one, numbers beyond it have no one."""
    count = int(np.ravel(depth)[0])
    index = np.where(indices < 0, indices + count, indices)
    lines = np.expand_dims(index, axis if axis >= 0 else axis % (indices.ndim + 1))
    numbers = np.arange(count).reshape([-1 if at == axis % lines.ndim else 1 for at in range(lines.ndim)])
    return np.where(lines == numbers, values[1], values[0]).astype(values.dtype)
