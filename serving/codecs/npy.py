r"""application/x-npy: numpy's array format, versions 1.0 to 3.0 (numpy.lib.format), read without a copy.

    \x93NUMPY, version, header length, header (a Python literal), data

The header is read by a pattern, or as a literal, never evaluated; arrays of objects, which would be pickles, are refused
before anything is read. The data must be as long as the header says, to the byte.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from functools import lru_cache
from math import prod
from typing import Any, TypeAlias

import numpy as np

from serving.codecs import answer
from serving.errors import BadRequest, PayloadTooLarge
from serving.invocation import UNNAMED, Array, Inputs, Outputs
from serving.models.signature import Signature

CONTENT_TYPES = ("application/x-npy",)
MAGIC = b"\x93NUMPY"

Header: TypeAlias = "tuple[np.dtype[Any], tuple[int, ...], bool]"

# numpy reads no longer headers either: ast.literal_eval is not made for large texts.
_MAX_HEADER = 10_000
_MAX_RANK = 32

# numpy takes more, warns of some of it, and lets longer strings overflow its own counter of bytes.
_DESCR = re.compile(r"[<>|=]?(?:b1|[iu][1248]|f[248]|[US][1-9][0-9]{0,7})")


def decode(body: bytes | memoryview, params: Mapping[str, str], signature: Signature | None, limit: int) -> Inputs:
    """Read one array, unnamed; see `array`."""
    return {UNNAMED: array(body, limit)}


def encode(outputs: Outputs, params: Mapping[str, str]) -> bytes:
    """Write the only output; NotAcceptable where there are several."""
    return dump(answer.single(outputs, CONTENT_TYPES[0]))


def array(body: bytes | memoryview, limit: int) -> Array:
    """Look into a body as its array: read-only, in native byte order, in its own axis order.

    BadRequest where the header is malformed, of another dtype than numbers, booleans and strings, or lies about the size.
    """
    start, end = _bounds(body)
    dtype, shape, is_fortran = _header(bytes(body[start:end]))
    size = prod(shape)
    if not size:
        raise BadRequest(f"the NPY array of shape {str(shape)[:60]} has no elements")
    if size * dtype.itemsize != len(body) - end:
        raise BadRequest(f"the NPY header says {size * dtype.itemsize} bytes of data, {len(body) - end} follow it")
    if size * dtype.itemsize > limit:
        raise PayloadTooLarge(f"the array is larger than {limit} bytes")
    flat = checked(np.frombuffer(body, dtype, size, end))
    return flat.reshape(shape[::-1]).T if is_fortran else flat.reshape(shape)


def dump(value: Array) -> bytes:
    """Write an array in version 1.0, in C order."""
    data = answer.compact(value)
    return _prefix(data.dtype.str, data.shape) + data.tobytes()


def _bounds(body: bytes | memoryview) -> tuple[int, int]:
    """Find where the header begins and ends."""
    if bytes(body[:6]) != MAGIC:
        raise BadRequest("not an NPY file: expected it to begin with \\x93NUMPY")
    major = body[6] if len(body) > 6 else 0
    start = 10 if major == 1 else 12
    if len(body) < start or not 1 <= major <= 3:
        raise BadRequest("malformed NPY file: truncated, or of a version other than 1 to 3")
    length = int.from_bytes(body[8:start], "little")
    if length > _MAX_HEADER or start + length > len(body):
        raise BadRequest(f"malformed NPY file: its header has {length} bytes, more than the file or than {_MAX_HEADER}")
    return start, start + length


@lru_cache(maxsize=256)
def _header(text: bytes) -> Header:
    """Read dtype, shape and Fortran order; cached, since a client's headers repeat and a literal costs 20 microseconds."""
    try:
        fields = ast.literal_eval(text.decode())
        descr, is_fortran, shape = fields["descr"], fields["fortran_order"], fields["shape"]
    except (ValueError, SyntaxError, TypeError, LookupError, MemoryError, RecursionError):
        raise BadRequest("malformed NPY header: expected a dictionary of descr, fortran_order and shape") from None
    if not isinstance(shape, tuple) or len(shape) > _MAX_RANK or not all(type(n) is int and n >= 0 for n in shape):
        raise BadRequest(f"malformed NPY header: shape {str(shape)[:40]}")
    if not isinstance(is_fortran, bool) or len(fields) != 3:
        raise BadRequest("malformed NPY header: fortran_order must be True or False, and no other key may stand beside it")
    return _dtype(descr), shape, is_fortran


def _dtype(descr: object) -> np.dtype[Any]:
    text = descr if isinstance(descr, str) else ""
    if _DESCR.fullmatch(text):
        return np.dtype(text)
    if "O" in text:
        raise BadRequest("NPY arrays of objects are pickles, which could run code: refused")
    raise BadRequest(
        f"NPY arrays of dtype {str(descr)[:40]!r} are not read: send numbers of at most 64 bits, booleans or strings"
    )


def checked(flat: Array) -> Array:
    """Put the array into native byte order; BadRequest where its bytes are no values of its dtype."""
    if flat.dtype.kind == "b":
        return flat if flat.view(np.uint8).max() <= 1 else flat.view(np.uint8) != 0
    if not flat.dtype.isnative:
        flat = flat.astype(flat.dtype.newbyteorder("="))
    if flat.dtype.kind == "U" and flat.view(np.uint32).max() > 0x10FFFF:
        raise BadRequest("the NPY array has characters beyond Unicode")
    return flat


@lru_cache(maxsize=256)
def _prefix(descr: str, shape: tuple[int, ...]) -> bytes:
    """Write magic, version and header, padded so that the data begins at a multiple of 64."""
    header = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape!r}, }}"
    padding = -(len(MAGIC) + 5 + len(header)) % 64
    length = len(header) + padding + 1
    return MAGIC + b"\x01\x00" + length.to_bytes(2, "little") + header.encode() + b" " * padding + b"\n"
