"""One JSON text -> named arrays where it is all numbers (`dense`), or Python values (`load`). simdjson parses both.

    text -> simdjson -> as_buffer -> flat array -> reshape        `dense`; None wherever a proof below fails
                     -> as_list / as_dict                         `load`

`as_buffer` flattens whatever it is given, so `dense` proves the shape: it is taken from the first list of each level, and the
brackets and commas of the text must be those of regular lists of that shape, in that order. A single list within lists of
one needs less: as many opening brackets as lists. Anything but numbers makes `as_buffer` fail.
"""

from __future__ import annotations

from math import prod
from typing import Any, TypeAlias

import numpy as np
import orjson
from simdjson import Array as List
from simdjson import Object, Parser

from serving.codecs import json_fault
from serving.invocation import UNNAMED, Array, Inputs

# A parser keeps its buffers, about nine times the largest text that it saw; after larger texts than this it is dropped.
_KEPT = 8 << 20

# simdjson counts the elements of a list no further than 24 bits, and as_list then writes beyond the list it allocated.
_UNCOUNTED = 0xFFFFFF

# Below this many bytes bytes.count is faster than a numpy comparison, which needs about 1.5 microseconds to begin.
_SHORT = 4096

Dtype: TypeAlias = "np.dtype[Any]"
_FLOAT, _INTEGER = np.dtype(np.float64), np.dtype(np.int64)

# All bytes but brackets and commas.
_OTHERS = bytes(set(range(256)) - set(b"[],"))

_PIECE = 1 << 16

_UNNAMED = frozenset({"instances", "inputs"})

_spare: list[Parser] = []


def dense(text: bytes | memoryview) -> Inputs | None:
    """Read the tensors of a text that is nothing but regular lists of numbers, by name; None where that is not proven.

    Reads a list, {"name": list, ...}, {"instances": list} and {"inputs": list or {"name": list, ...}}.
    """
    if text.__class__ is memoryview and len(text) < _SHORT:
        text = bytes(text)
    try:
        parser = _spare.pop() if _spare else Parser()
        inputs = _tensors(parser.parse(text), text)
    except (ValueError, TypeError, LookupError, RuntimeError):
        return None  # without the parser: the exception may still hold parts of its document
    if len(text) <= _KEPT:
        _spare.append(parser)
    return inputs


def load(text: bytes | memoryview, line: int = 1) -> Any:
    """Read the text as Python values, the last of repeated keys.

    BadRequest says what is wrong and where; `line` is the number of the text's first line.
    """
    parser = _borrowed()
    try:
        value = _values(parser.parse(text), text)
    except (ValueError, RuntimeError):
        raise json_fault.explain(bytes(text), line) from None
    if len(text) <= _KEPT:
        _spare.append(parser)
    return value


def _borrowed() -> Parser:
    try:
        return _spare.pop()
    except IndexError:
        return Parser()


def _values(document: Any, text: bytes | memoryview) -> Any:
    is_list = isinstance(document, List)
    if not is_list and not isinstance(document, Object):
        return document
    if len(text) > 2 * _UNCOUNTED:
        return orjson.loads(bytes(text).removeprefix(b"\xef\xbb\xbf"))
    return document.as_list() if is_list else document.as_dict()


def _tensors(document: Any, text: bytes | memoryview) -> Inputs | None:
    if document.__class__ is List:
        tensor = _tensor(document)
        return {UNNAMED: tensor} if _is_spelt(text, [tensor.shape]) else None
    keys = list(document)
    if len(keys) == 1:
        key, value = keys[0], document[keys[0]]
        if key != "inputs" or value.__class__ is List:
            tensor = _tensor(value)
            return {UNNAMED if key in _UNNAMED else key: tensor} if _is_spelt(text, [tensor.shape]) else None
        document, keys = value, list(value)
    elif not _UNNAMED.isdisjoint(keys):
        return None
    # A key is looked up as a C string, and the first of its name: NUL and repeated keys would find another's value.
    if len(set(keys)) < len(keys) or "\0" in "".join(keys):
        return None
    tensors = {key: _tensor(document[key]) for key in keys}
    return tensors if tensors and _is_spelt(text, [tensor.shape for tensor in tensors.values()]) else None


def _tensor(root: Any) -> Array:
    """Turn a list of lists of numbers into an array of the shape that its first lists have.

    TypeError, ValueError or IndexError where it is something else.
    """
    shape = [len(root)]
    first = root[0]
    while first.__class__ is List:
        shape.append(len(first))
        first = first[0]
    if max(shape) >= _UNCOUNTED:
        raise ValueError("more elements than are counted")
    buffer, dtype = _numbers(root, first)
    if buffer.size != 8 * prod(shape):
        raise ValueError("other elements than numbers, or lists of several lengths")
    return np.ndarray(shape, dtype, buffer)


def _is_spelt(text: bytes | memoryview, shapes: list[tuple[int, ...]]) -> bool:
    """Whether the text has the brackets and commas of regular lists of these shapes, one after the other."""
    if len(shapes) == 1 and prod(shapes[0][:-1]) == 1:
        return _brackets(text) == len(shapes[0])
    return _marks(text) == b",".join(map(_skeleton, shapes))


def _marks(text: bytes | memoryview) -> bytes:
    """The brackets and commas of a text, taken out of pieces that stay in the processor's cache."""
    pieces = range(0, len(text), _PIECE)
    return b"".join([bytes(text[at : at + _PIECE]).translate(None, _OTHERS) for at in pieces])


def _skeleton(shape: tuple[int, ...]) -> bytes:
    """The brackets and commas of regular lists of a shape."""
    spelt = b"[" + b"," * (shape[-1] - 1) + b"]"
    for size in shape[-2::-1]:
        spelt = b"[" + b",".join([spelt] * size) + b"]"
    return spelt


def _numbers(root: Any, first: Any) -> tuple[Any, Dtype]:
    """Copy the numbers of a list into a buffer of their common dtype: a float among them makes all of them floats."""
    if first.__class__ is float:
        return root.as_buffer(of_type="d"), _FLOAT
    if first.__class__ is not int:
        raise TypeError("not a number")
    try:
        return root.as_buffer(of_type="i"), _INTEGER
    except TypeError:
        return root.as_buffer(of_type="d"), _FLOAT


def _brackets(text: bytes | memoryview) -> int:
    if text.__class__ is bytes and len(text) < _SHORT:
        return text.count(b"[", 0, text.rfind(b"[") + 1)
    return int(np.count_nonzero(np.frombuffer(text, np.uint8) == ord("[")))
