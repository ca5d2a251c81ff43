"""Nested JSON values -> one array of a given dtype, or why they are none.

Which values a dtype takes (AddValueToTensor and FillTensorProto in TensorFlow Serving's util/json_tensor.cc): float types any
number, and infinity where it is too large for the type; integer types whole numbers without a point, within the type's range;
booleans true and false; strings strings, and bytes as {"b64": "..."}. Lists side by side have one length. Beyond TensorFlow
Serving, half, bfloat16, the 8-bit floats, uint16 and the small integers are read, too. Complex, quantized and handle types have
no form in JSON.
"""

from __future__ import annotations

import binascii
import re
from functools import lru_cache
from itertools import chain
from math import prod
from typing import Any, TypeAlias

import numpy as np

from serving.codecs.nested import MAX_RANK
from serving.errors import BadRequest
from serving.invocation import Array
from serving.tfs import json_text

Dtype: TypeAlias = "np.dtype[Any]"

FLOAT, INTEGER, BOOLEAN, STRING = "float", "integer", "boolean", "string"

_WORDS = {"float32": "float", "float64": "double", "float16": "half", "object": "string"}
_TAKEN: dict[str, set[type]] = {FLOAT: {int, float}, INTEGER: {int}, BOOLEAN: {bool}, STRING: {str, dict}}
_SPACE = re.compile(r"[ \t\r\n\v\f]+")


def type_name(dtype: Dtype) -> str:
    """TensorFlow's word for a dtype."""
    return _WORDS.get(dtype.name, dtype.name)


@lru_cache(maxsize=64)
def family(dtype: Dtype) -> str:
    """FLOAT, INTEGER, BOOLEAN or STRING; BadRequest for a dtype that JSON cannot carry."""
    if dtype.kind == "O":
        return STRING
    if dtype.kind == "b":
        return BOOLEAN
    # ml_dtypes registers some of its types under the kind of structures, so their names decide.
    if dtype.name.startswith(("float", "bfloat")) and dtype.itemsize <= 8:
        return FLOAT
    if dtype.name.startswith(("int", "uint")):
        return INTEGER
    raise BadRequest(f"JSON has no form for tensors of type {type_name(dtype)}")


@lru_cache(maxsize=64)
def limits(dtype: Dtype) -> tuple[int, int]:
    """The smallest and the largest value of an integer dtype."""
    bits = int(dtype.name.lstrip("uint"))
    return (0, (1 << bits) - 1) if dtype.name[0] == "u" else (-(1 << bits - 1), (1 << bits - 1) - 1)


def build(value: Any, dtype: Dtype) -> Array | None:
    """The tensor that these nested lists, or this one value, spell; None where they spell none (`fault` says why)."""
    shape: list[int] = []
    level, kinds = [value], {type(value)}
    while kinds == {list}:
        sizes = set(map(len, level))
        if len(sizes) > 1 or len(shape) == MAX_RANK:
            return None
        shape.append(sizes.pop())
        level = list(chain.from_iterable(level))
        kinds = set(map(type, level))
    if not kinds <= _TAKEN[family(dtype)]:
        return None
    leaves = _leaves(level, dtype)
    return None if leaves is None else leaves.reshape(shape)


def narrowed(array: Array, dtype: Dtype) -> Array:
    """Floats in a smaller float dtype; what is too large for it becomes infinity."""
    with np.errstate(over="ignore", invalid="ignore"):
        return array.astype(dtype)


def shape_of(value: Any) -> list[int]:
    """The lengths of the first lists at each depth; one more than MAX_RANK of them where it is nested deeper."""
    shape: list[int] = []
    while isinstance(value, list) and len(shape) <= MAX_RANK:
        shape.append(len(value))
        value = value[0] if value else None
    return shape


def fault(value: Any, shape: list[int], dtype: Dtype) -> tuple[int, str] | None:
    """The first thing that keeps a value from being a tensor of this shape and dtype: where in the outer list, and what."""
    if len(shape) > MAX_RANK:
        return 0, f"nested deeper than {MAX_RANK} lists"
    level = [value]
    for depth, size in enumerate(shape):
        odd = next((at for at, item in enumerate(level) if item.__class__ is not list or len(item) != size), None)
        if odd is not None:
            outer = odd // (prod(shape[1:depth]) or 1)
            before = fault(value[:outer], [outer, *shape[1:]], dtype) if outer else None
            return before or (outer, _irregular(level[odd], size, depth))
        level = list(chain.from_iterable(level))
    wrong = _first_wrong(level, dtype)
    return None if wrong is None else (wrong // (prod(shape[1:]) or 1), _wrong(level[wrong], dtype))


def b64(value: Any) -> str | None:
    """The text of {"b64": "..."}, or None where a value is something else."""
    if value.__class__ is dict and len(value) == 1 and (text := value.get("b64")).__class__ is str:
        return str(text)
    return None


def unpacked(value: Any) -> bytes | None:
    """The bytes of a string or of {"b64": "..."}; None where it is neither, or not base64.

    White space is passed over and padding may be missing, as there.
    """
    try:
        if value.__class__ is str:
            return bytes(value.encode())
        text = b64(value)
        return None if text is None else _decoded(text)
    except ValueError:  # half a surrogate pair, or what is not of base64's alphabet
        return None


def objects(values: list[bytes]) -> Array:
    """A one-dimensional array of byte strings."""
    array = np.empty(len(values), object)
    array[:] = values
    return array


def _decoded(text: str) -> bytes:
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except binascii.Error:
        text = _SPACE.sub("", text)
        return binascii.a2b_base64(text if "=" in text else text + "=" * (-len(text) % 4), strict_mode=True)


def _leaves(values: list[Any], dtype: Dtype) -> Array | None:
    """Values of the right kinds as an array; None where one is out of range or no base64."""
    what = family(dtype)
    if what == FLOAT:
        return narrowed(np.array(values, np.float64), dtype)
    if what == BOOLEAN:
        return np.array(values, np.bool_)
    if what == STRING:
        strings = [unpacked(value) for value in values]
        return None if None in strings else objects([value for value in strings if value is not None])
    low, high = limits(dtype)
    if values and (min(values) < low or max(values) > high):
        return None
    return np.array(values, np.uint64 if high >> 63 else np.int64).astype(dtype)


def _first_wrong(leaves: list[Any], dtype: Dtype) -> int | None:
    """Where the first value stands that a dtype does not take."""
    what = family(dtype)
    taken = _TAKEN[what]
    low, high = limits(dtype) if what == INTEGER else (0, 0)
    for at, (kind, value) in enumerate(zip(map(type, leaves), leaves, strict=True)):
        if kind not in taken or (what == INTEGER and not low <= value <= high):
            return at
        if what == STRING and unpacked(value) is None:
            return at
    return None


def _irregular(value: Any, size: int, depth: int) -> str:
    """What stands where a list of `size` is due."""
    found = f"a list of {len(value)}" if isinstance(value, list) else f"JSON Value: {json_text.excerpt(value)}"
    return f"{found} stands where a list of {size} is due, at depth {depth}"


def _wrong(value: Any, dtype: Dtype) -> str:
    """What is wrong with a single value."""
    if isinstance(value, list):
        return f"a list of {len(value)} stands where a single value is due"
    spelt = f"JSON Value: {json_text.excerpt(value)}"
    if family(dtype) == STRING and isinstance(value, str):
        return f"{spelt} has half a surrogate pair, which has no UTF-8"
    if family(dtype) == STRING and isinstance(value, dict):
        return f'{spelt} is not bytes in base64: expected {{"b64": "..."}}'
    return f"{spelt} Type: {json_text.kind(value)} is not of expected type: {type_name(dtype)}"
