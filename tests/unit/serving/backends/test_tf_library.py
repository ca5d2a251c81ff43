"""Prototypes of the C library, its statuses, and a tensor's way in and out without a graph."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

from serving.backends import tf_library, tf_tensors
from serving.backends.tensorflow_import import library
from serving.backends.tf_library import INVALID_ARGUMENT, Failure


def test_prototypes() -> None:
    """Every function that is declared is there, and takes and gives what is declared."""
    for name, (result, parameters) in tf_library.PROTOTYPES.items():
        function = getattr(library(), name)
        assert (function.restype, list(function.argtypes)) == (result, parameters)


def test_a_library_without_a_function() -> None:
    """A library that lacks one is no library for us."""
    with pytest.raises(AttributeError, match="TF_"):
        tf_library.declare(ctypes.CDLL(None))


def test_statuses() -> None:
    """A status that is not OK is a failure with its code and its message; one that is passes."""
    opened = library()
    with tf_library.status(opened) as code:
        tf_library.check(opened, code)
        options = opened.TF_NewSessionOptions()
        opened.TF_SetConfig(options, b"\xff", 1, code)
        opened.TF_DeleteSessionOptions(options)
        with pytest.raises(Failure, match="ConfigProto") as caught:
            tf_library.check(opened, code)
    assert caught.value.code == INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("array", "enum"),
    [
        (np.arange(6, dtype="float32").reshape(2, 3), 1),
        (np.array(7, "int64"), 9),
        (np.zeros((3, 0, 2), "uint8"), 4),
        (np.arange(100_000, dtype="float64")[::2], 2),
        (np.array([[b"a", b""], [b"\0", b"b" * 100]], object), 7),
        (np.zeros((0, 2), object), 7),
    ],
)
def test_tensors(array: np.ndarray[tuple[int, ...], np.dtype[np.generic]], enum: int) -> None:
    """What goes into a tensor comes out of it, and is no longer the tensor's when that is deleted."""
    opened = library()
    tensor = tf_tensors.make(opened, array, enum)
    assert opened.TF_TensorType(tensor) == enum
    found = tf_tensors.read(opened, tensor, enum)
    opened.TF_DeleteTensor(tensor)
    assert (found.shape, found.dtype, found.tolist()) == (array.shape, array.dtype, array.tolist())
