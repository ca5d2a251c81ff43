"""Sizes, and the same elements in another shape."""

from __future__ import annotations

import math

import numpy as np

from onnx_import import nd
from onnx_import.errors import InvalidInput
from onnx_import.nd import Value
from onnx_import.registry import op


@op("Shape", since=1)
def shape(x: Value, *, start: int | None, end: int | None) -> Value:
    """The sizes of the axes from `start` to `end`."""
    return nd.constant(np.array(x.shape[slice(start, end)], np.int64))


@op("Reshape", since=5)
def reshape(x: Value, sizes: Value, *, allowzero: int | None) -> Value:
    """The elements in another shape: -1 is what fills up, 0 copies a size (unless `allowzero`)."""
    wanted = nd.ints(sizes)
    if not allowzero:
        wanted = [x.shape[axis] if size == 0 else size for axis, size in enumerate(wanted)]
    if -1 in wanted:
        rest = math.prod(size for size in wanted if size != -1)
        if rest == 0 or x.size % rest:
            raise InvalidInput(f"shape {list(x.shape)} does not fit into {wanted}")
        wanted[wanted.index(-1)] = x.size // rest
    return nd.reshape(x, wanted)
