"""Large known arrays with their axes in another order, each made once as long as somebody holds it.

A graph is traced at several sizes, and every trace turns the same weights: a matrix of a language model takes as long to turn as
all else that is done with it, and traces that hold one array hold it once.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence

import numpy as np

from onnx_import.dtypes import Array

LEAST = 2**14
"""Elements from which on an array is remembered."""

_made: dict[tuple[int, tuple[int, ...]], tuple[weakref.ref[Array], weakref.ref[Array]]] = {}


def turned(array: Array, axes: Sequence[int]) -> Array:
    """The array with its axes in this order, contiguous. It is not to be written to."""
    if array.size < LEAST:
        return np.ascontiguousarray(array.transpose(axes))
    key = id(array), tuple(axes)
    if key in _made:
        source, made = (held() for held in _made[key])
        if source is array and made is not None:  # another array may have the id of one that is gone
            return made
    result = np.ascontiguousarray(array.transpose(axes))
    _made[key] = weakref.ref(array), weakref.ref(result, lambda _: _made.pop(key, None))
    return result
