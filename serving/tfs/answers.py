"""Outputs -> the JSON that TensorFlow Serving answers, laid out as its writer lays it out.

    {"predictions": [...]}    a row an element: lists on one line, the closing bracket on a line of its own
    {"outputs": ...}          whole tensors: every element on a line of its own

Numbers come from orjson, which writes the fewest digits that read back as the same value of their dtype, floats with a point or
an exponent; TensorFlow Serving writes up to 9 or 17 digits, the same values. NaN, Infinity and -Infinity are written as these
words, as there, though JSON has none. Several outputs come in the order of their names. Strings are text where they are UTF-8
and {"b64": "..."} where not (there the bytes go out as they are), or where the output's name ends in `_bytes`.

Layout: rapidjson's PrettyWriter, with its kFormatSingleLineArray within rows (util/json_tensor.cc).
"""

from __future__ import annotations

import base64
import re
from itertools import chain, zip_longest
from math import prod

import numpy as np
import orjson

from serving.errors import BadRequest
from serving.invocation import Array, Outputs
from serving.tfs import values

_NUMPY = orjson.OPT_SERIALIZE_NUMPY
_INDENTED = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_INDENT_2
_CONTROL = re.compile(rb"(\\\\)|\\u00[01][0-9a-f]")


def row(outputs: Outputs) -> bytes:
    """Write `{"predictions": [...]}`; BadRequest where the outputs do not have one number of rows."""
    if len(outputs) == 1:
        [(name, array)] = outputs.items()
        if not array.ndim:
            raise _without_rows(name)
        text = line(array, name, 1)
        return b'{\n    "predictions": %b%b]\n}' % (text[:-1], b"" if text == b"[]" else b"\n    ")
    _check_rows(outputs)
    names = sorted(outputs)
    columns = [cells(outputs[name], name, 3) for name in names]
    pattern = b"        {\n" + b",\n".join(b"            %b: %%b" % quoted(name).replace(b"%", b"%%") for name in names)
    rows = [(pattern + b"\n        }") % row for row in zip(*columns, strict=True)]
    return b'{\n    "predictions": [%b]\n}' % (b"\n" + b",\n".join(rows) + b"\n    " if rows else b"")


def column(outputs: Outputs) -> bytes:
    """Write `{"outputs": ...}`: the only output's value, several by name."""
    if len(outputs) == 1:
        [(name, array)] = outputs.items()
        return b'{\n    "outputs": %b\n}' % _block(array, name, 1)
    members = [b"        %b: %b" % (quoted(name), _block(outputs[name], name, 2)) for name in sorted(outputs)]
    return b'{\n    "outputs": {\n%b\n    }\n}' % b",\n".join(members)


def error(message: str) -> bytes:
    """Write `{"error": "..."}`."""
    return b'{\n    "error": %b\n}' % quoted(message.encode("utf-8", "replace").decode())


def line(array: Array, name: str, level: int) -> bytes:
    """A tensor of one axis or more on one line; `level` is how many brackets are open around it."""
    try:
        text = orjson.dumps(array, option=_NUMPY)
    except TypeError:
        if array.dtype.kind == "O":
            return _nested(_strings(array, name, level + array.ndim), array.shape)[0]
        return line(_plain(array), name, level)
    if b"n" in text:
        text = _with_words(text, array)
    return text.replace(b",", b", ")


def cells(array: Array, name: str, level: int) -> list[bytes]:
    """The rows of a tensor, each on one line and inside `level` open brackets."""
    rank = array.ndim - 1
    if array.dtype.kind == "O":
        return _nested(_strings(array, name, level + rank), array.shape, rows=True)
    if not array.size:
        return [line(row, name, level) for row in array]
    opening, closing = b"[" * rank, b"]" * rank
    inner = line(array, name, level)[rank + 1 : -rank - 1]
    return [opening + row + closing for row in inner.split(closing + b", " + opening)]


def quoted(text: str) -> bytes:
    """A JSON string, its control characters in capital digits as rapidjson has them."""
    spelt = orjson.dumps(text)
    if b"\\u00" in spelt:
        spelt = _CONTROL.sub(lambda found: found[1] or found[0][:4] + found[0][4:].upper(), spelt)
    return spelt


def string(value: bytes, level: int, as_bytes: bool = False) -> bytes:
    """A string as text where it is UTF-8, as {"b64": "..."} where not or where `as_bytes`, inside `level` open brackets."""
    if not as_bytes:
        try:
            return quoted(value.decode())
        except UnicodeDecodeError:
            pass
    indent = b"    " * level
    return b'{\n%b    "b64": "%b"\n%b}' % (indent, base64.b64encode(value), indent)


def _block(array: Array, name: str, level: int) -> bytes:
    """A tensor with every element on a line of its own, inside `level` open brackets."""
    if not array.ndim:
        return line(array.reshape(1), name, level - 1)[1:-1]
    try:
        text = orjson.dumps(array, option=_INDENTED)
    except TypeError:
        if array.dtype.kind == "O":
            return _nested(_strings(array, name, level + array.ndim), array.shape, level)[0]
        return _block(_plain(array), name, level)
    if b"n" in text:
        text = _with_words(text, array)
    return text.replace(b"  ", b"    ").replace(b"\n", b"\n" + b"    " * level)


def _plain(array: Array) -> Array:
    """The same numbers in C order and in a dtype that orjson writes; BadRequest where JSON has no form for them."""
    if not array.flags.c_contiguous or not array.dtype.isnative:
        return np.ascontiguousarray(array, array.dtype.newbyteorder("="))
    return array.astype(np.float32 if values.family(array.dtype) == values.FLOAT else np.int64)


def _strings(array: Array, name: str, level: int) -> list[bytes]:
    as_bytes = name.endswith("_bytes")
    return [string(value, level, as_bytes) for value in array.ravel().tolist()]


def _nested(tokens: list[bytes], shape: tuple[int, ...], level: int | None = None, rows: bool = False) -> list[bytes]:
    """Put tokens into lists of this shape, on one line or, where `level` is given, an element a line.

    The outermost list alone, or its elements where `rows`.
    """
    opening, between, closing = b"[", b", ", b"]"
    for depth in reversed(range(int(rows), len(shape))):
        if level is not None:
            closing = b"\n" + b"    " * (level + depth)
            opening, between, closing = b"[" + closing + b"    ", b"," + closing + b"    ", closing + b"]"
        size = shape[depth]
        lists = [tokens[at * size : (at + 1) * size] for at in range(prod(shape[:depth]))]
        tokens = [opening + between.join(items) + closing if items else b"[]" for items in lists]
    return tokens


def _with_words(text: bytes, array: Array) -> bytes:
    """Put NaN, Infinity and -Infinity where orjson wrote null."""
    odd = array[~np.isfinite(array)]
    words = [b"NaN" if value != value else b"Infinity" if value > 0 else b"-Infinity" for value in odd.tolist()]
    return b"".join(chain.from_iterable(zip_longest(text.split(b"null"), words, fillvalue=b"")))


def _check_rows(outputs: Outputs) -> None:
    """Hold several outputs to one number of rows, as row form needs it."""
    rows: dict[str, int] = {}
    for name, array in outputs.items():
        if not array.ndim:
            raise _without_rows(name)
        rows[name] = len(array)
    if len(set(rows.values())) > 1:
        raise BadRequest(f"the outputs differ in their number of rows, {rows}: send 'inputs' in place of 'instances'"[:240])


def _without_rows(name: str) -> BadRequest:
    return BadRequest(f"output {name[:60]} is a single value and has no rows: send 'inputs' in place of 'instances'")
