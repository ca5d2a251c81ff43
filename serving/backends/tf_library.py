"""The functions of TensorFlow's C library that are called here: their prototypes, and calls that report by a status.

Facts are from TensorFlow's public headers: tensorflow/c/c_api.h, tf_tensor.h, tf_status.h, tf_buffer.h and tf_tstring.h.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import POINTER, c_char_p, c_int, c_int64, c_size_t, c_void_p
from typing import Any

OK, UNKNOWN, INVALID_ARGUMENT, NOT_FOUND, PERMISSION_DENIED, RESOURCE_EXHAUSTED = 0, 2, 3, 5, 7, 8
FAILED_PRECONDITION, OUT_OF_RANGE, UNIMPLEMENTED, INTERNAL, DATA_LOSS = 9, 11, 12, 13, 15
"""Codes of a status, as in absl."""


class Output(ctypes.Structure):
    """`TF_Output`: one output of an operation of a graph."""

    _fields_ = [("operation", c_void_p), ("index", c_int)]


class Buffer(ctypes.Structure):
    """`TF_Buffer`: bytes that belong to whoever made it, where there is no deallocator."""

    _fields_ = [("data", c_void_p), ("length", c_size_t), ("deallocator", c_void_p)]


PROTOTYPES: dict[str, tuple[Any, list[Any]]] = {
    "TF_Version": (c_char_p, []),
    "TF_NewStatus": (c_void_p, []),
    "TF_DeleteStatus": (None, [c_void_p]),
    "TF_GetCode": (c_int, [c_void_p]),
    "TF_Message": (c_char_p, [c_void_p]),
    "TF_NewSessionOptions": (c_void_p, []),
    "TF_DeleteSessionOptions": (None, [c_void_p]),
    "TF_SetConfig": (None, [c_void_p, c_char_p, c_size_t, c_void_p]),
    "TF_NewGraph": (c_void_p, []),
    "TF_DeleteGraph": (None, [c_void_p]),
    "TF_GraphOperationByName": (c_void_p, [c_void_p, c_char_p]),
    "TF_OperationNumOutputs": (c_int, [c_void_p]),
    "TF_OperationOutputType": (c_int, [Output]),
    "TF_LoadSessionFromSavedModel": (
        c_void_p,
        [c_void_p, c_void_p, c_char_p, POINTER(c_char_p), c_int, c_void_p, c_void_p, c_void_p],
    ),
    "TF_CloseSession": (None, [c_void_p, c_void_p]),
    "TF_DeleteSession": (None, [c_void_p, c_void_p]),
    "TF_SessionRun": (
        None,
        [c_void_p, c_void_p, *(c_void_p, c_void_p, c_int) * 2, c_void_p, c_int, c_void_p, c_void_p],
    ),
    "TF_AllocateTensor": (c_void_p, [c_int, POINTER(c_int64), c_int, c_size_t]),
    "TF_DeleteTensor": (None, [c_void_p]),
    "TF_TensorData": (c_void_p, [c_void_p]),
    "TF_TensorType": (c_int, [c_void_p]),
    "TF_TensorByteSize": (c_size_t, [c_void_p]),
    "TF_NumDims": (c_int, [c_void_p]),
    "TF_Dim": (c_int64, [c_void_p, c_int]),
    "TF_TensorFromProto": (None, [POINTER(Buffer), c_void_p, c_void_p]),
    "TF_StringGetDataPointer": (c_void_p, [c_void_p]),
    "TF_StringGetSize": (c_size_t, [c_void_p]),
}
"""Name -> the type of its result and the types of its parameters."""


class Failure(Exception):
    """A call that TensorFlow refused: its code and its message."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def declare(library: ctypes.CDLL) -> None:
    """Give every function that is used here its prototype; AttributeError where the library lacks one."""
    for name, (result, parameters) in PROTOTYPES.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, parameters


@contextmanager
def status(library: ctypes.CDLL) -> Iterator[int]:
    """A status for some calls."""
    made = library.TF_NewStatus()
    try:
        yield made
    finally:
        library.TF_DeleteStatus(made)


def check(library: ctypes.CDLL, status: int) -> None:
    """Failure where the status is not OK."""
    code = library.TF_GetCode(status)
    if code != OK:
        raise Failure(code, library.TF_Message(status).decode("utf-8", "replace"))
