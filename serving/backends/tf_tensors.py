"""Arrays into TensorFlow's tensors and back: every dtype that a signature may have.

Numbers are copied once in each direction. A tensor over the array's own memory would save the copy in, but a graph may
keep what it was fed (a variable that is assigned an input shares its memory), and nothing tells when it lets go. Strings go
in as a TensorProto, so that TensorFlow makes its own, and frees them.
"""

from __future__ import annotations

import ctypes
import math
from functools import lru_cache
from typing import Any

import ml_dtypes
import numpy as np

from serving.backends import tensorflow_import
from serving.backends.tf_library import Buffer, Failure, check
from serving.errors import BadRequest
from serving.invocation import Array

STRING = 7

DTYPES: dict[int, np.dtype[Any]] = {
    1: np.dtype("float32"),
    2: np.dtype("float64"),
    3: np.dtype("int32"),
    4: np.dtype("uint8"),
    5: np.dtype("int16"),
    6: np.dtype("int8"),
    STRING: np.dtype(object),
    8: np.dtype("complex64"),
    9: np.dtype("int64"),
    10: np.dtype("bool"),
    14: np.dtype(ml_dtypes.bfloat16),
    17: np.dtype("uint16"),
    18: np.dtype("complex128"),
    19: np.dtype("float16"),
    22: np.dtype("uint32"),
    23: np.dtype("uint64"),
    24: np.dtype(ml_dtypes.float8_e5m2),
    25: np.dtype(ml_dtypes.float8_e4m3fn),
    29: np.dtype(ml_dtypes.int4),
    30: np.dtype(ml_dtypes.uint4),
}
"""TensorFlow's DataType (tensorflow/core/framework/types.proto) -> the dtype of its arrays; strings are bytes objects."""

QUANTIZED = {11: "qint8", 12: "quint8", 13: "qint32", 15: "qint16", 16: "quint16"}
REFUSED = {**QUANTIZED, 0: "no dtype", 20: "resource", 21: "variant"}
REFERENCE = 100
"""What is added to the DataType of a TF1 variable's output."""

SMALL = 1 << 16
"""Bytes up to which a second copy costs less than asking numpy for an address."""


def make(library: ctypes.CDLL, array: Array, enum: int) -> int:
    """A tensor of TensorFlow's own with these values, to be deleted by the caller. The array is of the dtype for `enum`."""
    if enum == STRING:
        return _make_strings(library, array)
    size = array.nbytes
    tensor: int = library.TF_AllocateTensor(enum, _dimensions(array.shape), array.ndim, size)
    if size:
        target = library.TF_TensorData(tensor)
        if not target:
            library.TF_DeleteTensor(tensor)
            raise MemoryError(f"no memory for an input of {size} bytes")
        if size <= SMALL:
            ctypes.memmove(target, array.tobytes(), size)
        else:
            whole = np.ascontiguousarray(array)
            ctypes.memmove(target, whole.ctypes.data, size)
    return tensor


def read(library: ctypes.CDLL, tensor: int, enum: int) -> Array:
    """The values of a tensor as an array of its own; of numbers it is read-only."""
    shape = [library.TF_Dim(tensor, axis) for axis in range(library.TF_NumDims(tensor))]
    if enum == STRING:
        return _read_strings(library, tensor, shape)
    dtype = DTYPES[enum]
    size = math.prod(shape) * dtype.itemsize
    return np.ndarray(shape, dtype, ctypes.string_at(library.TF_TensorData(tensor), size) if size else b"")


@lru_cache(maxsize=1024)
def _dimensions(shape: tuple[int, ...]) -> Any:
    return (ctypes.c_int64 * len(shape))(*shape)


def _make_strings(library: ctypes.CDLL, array: Array) -> int:
    tensorflow_import.protos()
    from tensorflow.core.framework import tensor_pb2

    message = tensor_pb2.TensorProto(dtype=STRING)
    message.tensor_shape.SetInParent()
    for size in array.shape:
        message.tensor_shape.dim.add(size=size)
    try:
        message.string_val.extend(array.ravel().tolist())
    except TypeError:
        raise BadRequest("a string input holds something that is no bytes") from None
    data = message.SerializeToString()
    held = ctypes.create_string_buffer(data, len(data))
    tensor: int = library.TF_AllocateTensor(4, _dimensions((0,)), 1, 0)
    status = library.TF_NewStatus()
    try:
        library.TF_TensorFromProto(Buffer(ctypes.addressof(held), len(data), None), tensor, status)
        check(library, status)
    except Failure:
        library.TF_DeleteTensor(tensor)
        raise
    finally:
        library.TF_DeleteStatus(status)
    return tensor


STRING_SIZE = 24


def _read_strings(library: ctypes.CDLL, tensor: int, shape: list[int]) -> Array:
    pointer, length = library.TF_StringGetDataPointer, library.TF_StringGetSize
    array: Array = np.empty(math.prod(shape), object)
    if array.size:  # an empty tensor may have no memory that could be asked for
        first = library.TF_TensorData(tensor)
        places = range(first, first + STRING_SIZE * array.size, STRING_SIZE)
        array[:] = [ctypes.string_at(pointer(place), length(place)) for place in places]
    return array.reshape(shape)
