"""TensorFlow Serving's REST predict body -> typed arrays under the signature's names.

    text -> head -> json_document.dense -> cast                  numbers in regular lists: the fast way
         -> json_text.load -> rows or columns -> values.build    everything else, and every fault

Row form, {"instances": [...]}: a value a row where the signature has one input, {"name": value, ...} a row where it has several
or where the client likes to name it; rows have the signature's names exactly, and one shape. Column form, {"inputs": ...}: the
whole tensor, or {"name": tensor, ...}; names that the signature lacks are passed over, as there. `signature_name` chooses the
signature; other keys beside these mean nothing.

The values that each dtype takes are in `values`. Where AWS's tests state TensorFlow Serving's words for a fault they are kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from serving.codecs import json_document
from serving.errors import BadRequest
from serving.invocation import UNNAMED, Array, Inputs
from serving.tfs import json_text, values

if TYPE_CHECKING:
    from re import Match

    from serving.backends.tensorflow import SignatureDef, TensorInfo

_NAMED_ROW = re.compile(rb'\s*\[\s*\{\s*"([ !#-\[\]-~]+)"\s*:\s*(?=([-0-9\[])?)')
_END = re.compile(rb"\}\s*\]\s*\}\s*\Z")
_LONGEST_END = 64

_LARGEST_SQUARE = {char: float(np.finfo(char).max) ** 2 for char in "ef"}


@dataclass(frozen=True)
class Parsed:
    """A predict body: the signature it named ("" where none), its arrays, and whether it came in rows."""

    signature: str
    inputs: Inputs
    is_row: bool


def predict(text: bytes | memoryview, signature_of: Callable[[str], SignatureDef]) -> Parsed:
    """Read a predict body for the signature that it names; BadRequest says what is wrong and where."""
    head = json_text.HEAD.match(text)
    parsed = None if head is None else _numbers(text, head, signature_of)
    return parsed or _values(json_text.load(text), signature_of)


def from_arrays(inputs: Inputs, signature: SignatureDef) -> Parsed:
    """Arrays of another content type under the signature's names, in its dtypes; BadRequest where they do not fit.

    One unnamed array is the only input. What is too large for a float type becomes infinity, as in JSON.
    """
    if len(inputs) == len(signature.inputs) == 1 and UNNAMED in inputs:
        inputs = {signature.inputs[0].name: inputs[UNNAMED]}
    expected = [info.name for info in signature.inputs]
    if inputs.keys() != set(expected):
        found = [name[:40] for name in inputs]
        raise BadRequest(f"wrong inputs: found {found if found != [UNNAMED] else 'one without a name'}, expected {expected}")
    return Parsed(signature.name, {info.name: _fitted(inputs[info.name], info) for info in signature.inputs}, is_row=True)


# ---- numbers alone


def _numbers(text: bytes | memoryview, head: Match[bytes], signature_of: Callable[[str], SignatureDef]) -> Parsed | None:
    """Read a body of nothing but regular lists of numbers; None where it is anything else."""
    name, form = head.groups()
    if (row := _NAMED_ROW.match(text, head.end())) is not None:
        tensors = _dense_rows(text, row) if form == b"instances" else None
    elif name is not None:
        tensors = json_document.dense(b"".join((b"{", text[head.start(2) - 1 :])))
    else:
        tensors = json_document.dense(text)
    if tensors is None:
        return None
    signature = signature_of("" if name is None else name.decode())
    if UNNAMED in tensors and len(signature.inputs) == 1:
        tensors = {signature.inputs[0].name: tensors[UNNAMED]}
    inputs: Inputs = {}
    for info in signature.inputs:
        array = tensors.get(info.name)
        if array is None or (array := _cast(array, info)) is None:
            return None
        inputs[info.name] = array
    return Parsed("" if name is None else name.decode(), inputs, form == b"instances") if inputs else None


def _dense_rows(text: bytes | memoryview, row: Match[bytes]) -> Inputs | None:
    """Read rows of one input that is named in each, as one list of its values; None where that is not proven.

    Every value must be whole by its brackets, so that none reaches over what is cut out between two of them.
    """
    end = _END.search(bytes(text[-_LONGEST_END:]))
    if end is None or row[2] is None:  # no end, or no number or list where the first value begins
        return None
    inner = bytes(text[row.end() : max(0, len(text) - _LONGEST_END) + end.start()])
    parts = re.split(rb'\}\s*,\s*\{\s*"' + re.escape(row[1]) + rb'"\s*:', inner) if b'"' in inner else [inner]
    if any(part.count(b"[") != part.count(b"]") for part in parts):
        return None
    tensors = json_document.dense(b"[%b]" % b",".join(parts))
    array = None if tensors is None else tensors.get(UNNAMED)
    return {row[1].decode(): array} if array is not None and len(array) == len(parts) else None


def _cast(array: Array, info: TensorInfo) -> Array | None:
    """Numbers as JSON has them in the input's dtype; None where a value is not one of its."""
    what = values.family(info.dtype)
    if what == values.FLOAT:
        return _floats(array, info)
    if what != values.INTEGER or array.dtype.kind != "i":
        return None
    low, high = values.limits(info.dtype)
    if info.dtype != array.dtype and (int(array.min()) < low or int(array.max()) > high):
        return None
    return array.astype(info.dtype, copy=False)


def _floats(array: Array, info: TensorInfo) -> Array:
    # By way of a double, as TensorFlow Serving's parser does: the same values to the last bit.
    array = array.astype(np.float64, copy=False)
    if array.dtype == info.dtype:
        return array
    # Where no value can overflow the cast need not be watched, which takes longer than the cast.
    flat = array.ravel()
    if flat.dot(flat) <= _LARGEST_SQUARE.get(info.dtype.char, 0.0):
        return array.astype(info.dtype)
    return values.narrowed(array, info.dtype)


# ---- everything else


def _values(document: Any, signature_of: Callable[[str], SignatureDef]) -> Parsed:
    if not isinstance(document, dict):
        raise BadRequest(f"JSON Value: {json_text.excerpt(document)} is not an object with 'instances' or 'inputs'")
    name = document.get("signature_name", "")
    if not isinstance(name, str):
        raise BadRequest(f"'signature_name' is {json_text.excerpt(name)}: expected a string")
    signature = signature_of(name)
    if not signature.inputs:
        raise BadRequest(f"signature {signature.name[:60]!r} has no inputs")
    if "instances" in document and "inputs" in document:
        raise BadRequest("both 'instances' and 'inputs' are given: send one of them")
    if "instances" in document:
        return Parsed(name, _rows(document["instances"], signature), is_row=True)
    if "inputs" in document:
        return Parsed(name, _columns(document["inputs"], signature), is_row=False)
    raise BadRequest(f"neither 'instances' nor 'inputs' among the keys {json_text.excerpt(list(document))}")


def _rows(rows: Any, signature: SignatureDef) -> Inputs:
    if not isinstance(rows, list):
        raise BadRequest(f"'instances' is {json_text.excerpt(rows)}: expected a list of rows")
    if not rows:
        raise BadRequest("'instances' is empty: expected a row at least")
    named = [_is_named(row) for row in rows]
    if len(set(named)) > 1:
        at = named.index(not named[0])
        raise BadRequest(f"element {at} of 'instances' {'has' if named[at] else 'lacks'} names, unlike those before it")
    if named[0]:
        return _named_rows(rows, signature)
    if len(signature.inputs) > 1:
        raise BadRequest(f"'instances' is a list of values: expected objects with the inputs {_names(signature)}")
    info = signature.inputs[0]
    return {info.name: _stacked(rows, info, "")}


def _named_rows(rows: list[dict[str, Any]], signature: SignatureDef) -> Inputs:
    names = {info.name for info in signature.inputs}
    for at, row in enumerate(rows):
        if row.keys() != names:
            unknown = next((name for name in row if name not in names), None)
            if unknown is not None:
                _refuse(at, unknown, f"the model has no such input; it has {_names(signature)}")
            _refuse(at, "", f"the inputs {sorted(names - row.keys())} are missing")
    return {info.name: _stacked([row[info.name] for row in rows], info, info.name) for info in signature.inputs}


def _columns(columns: Any, signature: SignatureDef) -> Inputs:
    if not _is_named(columns):
        if len(signature.inputs) > 1:
            raise BadRequest(f"'inputs' is one value: expected an object with the inputs {_names(signature)}")
        columns = {signature.inputs[0].name: columns}
    inputs: Inputs = {}
    for info in signature.inputs:
        if info.name not in columns:
            raise BadRequest(f"'inputs' lacks {info.name[:60]!r}; the model has the inputs {_names(signature)}")
        value = columns[info.name]
        array = values.build(value, info.dtype)
        if array is None:
            fault = values.fault(value, values.shape_of(value), info.dtype)
            raise BadRequest(f"Failed to process key: {info.name[:60]} of 'inputs'. Error: Invalid argument: {_why(fault)[1]}")
        inputs[info.name] = array
    return inputs


def _stacked(rows: list[Any], info: TensorInfo, key: str) -> Array:
    """One tensor of all rows' values."""
    array = values.build(rows, info.dtype)
    if array is None:
        at, why = _why(values.fault(rows, values.shape_of(rows), info.dtype))
        _refuse(at, key, why)
    return array


def _why(fault: tuple[int, str] | None) -> tuple[int, str]:
    return fault if fault is not None else (0, "no tensor of regular shape")


def _refuse(at: int, key: str, why: str) -> NoReturn:
    named = f" key: {key[:60]}" if key else ""
    raise BadRequest(f"Failed to process element: {at}{named} of 'instances' list. Error: Invalid argument: {why}")


def _is_named(value: Any) -> bool:
    """Whether it is an object of names, and not the form that bytes have."""
    return isinstance(value, dict) and values.b64(value) is None


def _names(signature: SignatureDef) -> str:
    return ", ".join(info.name for info in signature.inputs)[:200]


# ---- arrays


def _fitted(array: Array, info: TensorInfo) -> Array:
    """An array of another content type in the input's dtype, value by value."""
    if array.dtype == info.dtype:
        return array
    what = "string" if info.dtype.kind == "O" else values.family(info.dtype)
    if what == values.STRING and array.dtype.kind in "US":
        try:
            strings = [value.encode() if isinstance(value, str) else value for value in array.ravel().tolist()]
        except UnicodeEncodeError:
            raise BadRequest(f"{info.name[:60]} has half a surrogate pair, which has no UTF-8") from None
        return values.objects(strings).reshape(array.shape)
    if what == values.FLOAT and array.dtype.kind in "biuf":
        return values.narrowed(array, info.dtype)
    if what == values.INTEGER and array.dtype.kind in "biuf":
        low, high = values.limits(info.dtype)
        if not array.size or (low <= array.min().item() and array.max().item() <= high):
            cast = array.astype(info.dtype)
            if np.array_equal(cast.astype(array.dtype), array):
                return cast
    raise BadRequest(f"{info.name[:60]} is of type {array.dtype}, or has values that {values.type_name(info.dtype)} has not")
