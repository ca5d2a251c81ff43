"""TensorFlow's dtypes that the Open Inference Protocol has no word for, in forms that lose nothing.

    bfloat16, float8 -> FP32        int4, uint4 -> INT8, UINT8        complex -> FP32 or FP64, with a last axis of two

Both sides go by the signature's dtype: `sent` before the wire, `received` behind it.
"""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np

from serving.invocation import Array
from serving.models.signature import Tensor

Dtypes = dict[np.dtype[Any], np.dtype[Any]]
WIDER: Dtypes = {
    np.dtype(ml_dtypes.bfloat16): np.dtype("float32"),
    np.dtype(ml_dtypes.float8_e5m2): np.dtype("float32"),
    np.dtype(ml_dtypes.float8_e4m3fn): np.dtype("float32"),
    np.dtype(ml_dtypes.int4): np.dtype("int8"),
    np.dtype(ml_dtypes.uint4): np.dtype("uint8"),
}
PARTS: Dtypes = {np.dtype("complex64"): np.dtype("float32"), np.dtype("complex128"): np.dtype("float64")}


def sent(array: Array) -> Array:
    """An array as it goes over the wire."""
    dtype = array.dtype
    if dtype in WIDER:
        return array.astype(WIDER[dtype])
    if dtype in PARTS:
        return np.ascontiguousarray(array).reshape(*array.shape, 1).view(PARTS[dtype])
    return array


def received(array: Array, dtype: np.dtype[Any]) -> Array:
    """What came over the wire, in the dtype that the graph has. ValueError where it cannot be."""
    if array.dtype == dtype:
        return array
    if dtype in WIDER and array.dtype == WIDER[dtype]:
        return array.astype(dtype)
    if dtype in PARTS and array.dtype == PARTS[dtype] and array.shape[-1:] == (2,):
        return np.ascontiguousarray(array).view(dtype)[..., 0]
    raise ValueError(f"it is {array.dtype}: the graph takes {dtype}")


def described(name: str, shape: tuple[int | None, ...] | None, dtype: np.dtype[Any]) -> Tensor:
    """A tensor as a model's metadata has it."""
    if dtype in PARTS:
        return Tensor(name, None if shape is None else (*shape, 2), PARTS[dtype])
    return Tensor(name, shape, WIDER.get(dtype, dtype))
