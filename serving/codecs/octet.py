"""application/octet-stream: the raw little-endian bytes of the model's only input, in whole rows, or an NPY file.

An NPY file is told by its first bytes, before the size is looked at: with rows of 64 bytes, say, both readings would fit.
Answers are the raw bytes of one output.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

import numpy as np

from serving.codecs import answer, npy, rows
from serving.errors import BadRequest
from serving.invocation import UNNAMED, Inputs, Outputs
from serving.models.signature import Signature

CONTENT_TYPES = ("application/octet-stream",)


def decode(body: bytes | memoryview, params: Mapping[str, str], signature: Signature | None, limit: int) -> Inputs:
    """Look into the body as rows of the model's only input; BadRequest says what was expected."""
    if bytes(body[: len(npy.MAGIC)]) == npy.MAGIC:
        return {UNNAMED: npy.array(body, limit)}
    tensor = rows.only(signature)
    if tensor is None or tensor.row is None or None in tensor.row or tensor.dtype.kind not in "biuf":
        raise BadRequest("expected an NPY file: raw bytes are read where the model has one input of a known row shape alone")
    shape = tuple(size or 0 for size in tensor.row)
    size = prod(shape) * tensor.dtype.itemsize
    if not size or not len(body) or len(body) % size:
        raise BadRequest(f"expected an NPY file, or rows of {size} bytes each for {tensor}; found {len(body)} bytes")
    flat = np.frombuffer(body, tensor.dtype.newbyteorder("<"))
    return {UNNAMED: npy.checked(flat).reshape(-1, *shape)}


def encode(outputs: Outputs, params: Mapping[str, str]) -> bytes:
    """Write the bytes of the only output in little-endian C order; NotAcceptable where there are several."""
    array = answer.compact(answer.single(outputs, CONTENT_TYPES[0]))
    return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
