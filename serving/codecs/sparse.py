"""Sparse tensors -> dense arrays, within a limit: scipy's NPZ layouts (csr, csc, coo) and flat keys, without scipy."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np

from serving.errors import BadRequest
from serving.invocation import Array

_LAYOUTS = {"csr": ("indptr", "indices"), "csc": ("indptr", "indices"), "coo": ("row", "col")}


def is_matrix(arrays: Mapping[str, Array]) -> bool:
    """Tell whether an archive's arrays are a matrix that `scipy.sparse.save_npz` wrote."""
    return arrays.keys() >= {"format", "shape", "data"}


def matrix(arrays: Mapping[str, Array], limit: int) -> Array:
    """Fill the dense matrix of a scipy archive; values at one place are added, as in scipy."""
    first = arrays["format"].ravel()[0]
    layout = first.decode("latin-1") if isinstance(first, bytes) else str(first)
    if layout not in _LAYOUTS or not all(part in arrays for part in _LAYOUTS[layout]):
        raise BadRequest(f"sparse matrices of layout {layout[:8]!r} are not read: send csr, csc, coo or a dense array")
    shape = arrays["shape"]
    if shape.dtype.kind not in "iu" or shape.shape != (2,):
        raise BadRequest("the sparse matrix has no shape of two whole numbers")
    size = (int(shape[0]), int(shape[1]))
    _room(size, arrays["data"], limit)
    majors, minors = (_whole(arrays[part]) for part in _LAYOUTS[layout])
    if layout != "coo":
        majors = _expanded(majors, size[layout == "csc"], len(minors))
    rows, columns = (minors, majors) if layout == "csc" else (majors, minors)
    if len(rows) != len(columns) or any(
        (at < 0).any() or (at >= end).any() for at, end in zip((rows, columns), size, strict=True)
    ):
        raise BadRequest(f"the sparse matrix has elements outside its shape {size}")
    return dense(rows * size[1] + columns, arrays["data"], size, limit)


def dense(keys: Array, values: Array, shape: tuple[int, ...], limit: int) -> Array:
    """Fill an array with values at flat row-major positions; BadRequest where they lie outside it, or it exceeds the limit."""
    size = _room(shape, values, limit)
    if values.dtype.kind not in "biuf" or keys.shape != values.shape or keys.ndim != 1:
        raise BadRequest(f"a sparse tensor needs a key for each of its numbers, found {keys.size} for {values.size}")
    if len(keys) and (keys.min() < 0 or keys.max() >= size):
        raise BadRequest(f"the sparse tensor has elements outside its shape {shape}")
    filled: np.ndarray[Any, Any] = np.zeros(size, values.dtype)
    np.add.at(filled, keys.astype(np.int64), values)
    return filled.reshape(shape)


def _room(shape: tuple[int, ...], values: Array, limit: int) -> int:
    """Count the elements of a shape; BadRequest where they would take more than `limit` bytes."""
    if min(shape, default=1) <= 0 or len(shape) > 32:
        raise BadRequest(f"the sparse tensor has no shape to fill: {str(shape)[:40]}")
    if prod(shape) * values.itemsize > limit:
        raise BadRequest(f"the sparse tensor of shape {str(shape)[:60]} unpacks to more than {limit} bytes")
    return prod(shape)


def _whole(array: Array) -> Array:
    if array.dtype.kind not in "iu" or array.ndim != 1:
        raise BadRequest("the sparse matrix has indices that are not a list of whole numbers")
    return array.astype(np.int64)


def _expanded(pointers: Array, count: int, total: int) -> Array:
    """Turn row pointers into a row for each element."""
    steps = np.diff(pointers)
    if len(pointers) != count + 1 or pointers[0] != 0 or pointers[-1] != total or (steps < 0).any():
        raise BadRequest("the sparse matrix has row pointers that do not fit its shape")
    return np.repeat(np.arange(count), steps)
