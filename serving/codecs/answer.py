"""What encoders ask of outputs: one array, C order, a native dtype, or plain Python values where text has to be made."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

from serving.errors import NotAcceptable, UserCodeError
from serving.invocation import Array, Outputs


def single(outputs: Outputs, content_type: str) -> Array:
    """Return the only output; NotAcceptable where there are several, which this content type cannot carry."""
    if len(outputs) != 1:
        raise NotAcceptable(
            f"{content_type} carries one output, the model has {len(outputs)}: accept application/json or application/x-npz"
        )
    return np.asarray(next(iter(outputs.values())))


def compact(array: Array) -> Array:
    """Return the same values in C order, native byte order and at most 64 bits; objects become strings.

    UserCodeError where neither numbers nor strings are in it, NotAcceptable where JSON has a form for it.
    """
    if array.dtype.kind == "O":
        array = _strings(array)
    if array.dtype.kind not in "biufUS":
        raise UserCodeError(f"an output is of dtype {array.dtype}: expected numbers, booleans or strings")
    dtype = np.dtype(np.float64) if array.dtype.kind == "f" and array.dtype.itemsize > 8 else array.dtype.newbyteorder("=")
    return np.asarray(array, dtype=dtype, order="C")


def rows(output: Any) -> Array:
    """Return an output, `compact`, whose first axis counts rows: a single value is one row."""
    return np.atleast_1d(compact(np.asarray(output)))


def texts(array: Array) -> Array:
    """Return an array of strings or bytes as `<U`; bytes that are not UTF-8 are replaced."""
    array = compact(array)
    return np.asarray(np.char.decode(array, "utf-8", "replace")) if array.dtype.kind == "S" else array


def plain(value: Any) -> Any:
    """Turn a value into Python values that JSON has a form for.

    Bytes are text where they are UTF-8 and {"b64": ...} where not, as TensorFlow Serving answers them.
    """
    if isinstance(value, np.ndarray):
        return value.tolist() if value.dtype.kind in "biuf" and value.dtype.itemsize <= 8 else plain(_listed(value))
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, bytes):
        return _text(value)
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if value is None or isinstance(value, bool | int | float):
        return value
    raise UserCodeError(f"an output holds a {type(value).__name__}: expected numbers, booleans or strings")


def _listed(array: Array) -> Any:
    return array.tolist() if array.dtype.kind == "O" else compact(array).tolist()


def _text(value: bytes) -> str | dict[str, str]:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"b64": base64.b64encode(value).decode()}


def _strings(array: Array) -> Array:
    """Turn an array of objects into `<U`, or into `S` where any of them is bytes that are no text."""
    values = array.ravel().tolist()
    if any(value is None or isinstance(value, np.ndarray | list | dict) for value in values):
        raise NotAcceptable("an output is no plain array: accept application/json")
    if any(not isinstance(value, str | bytes) for value in values):
        raise UserCodeError("an output is an array of objects other than strings and bytes")
    texts = [value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value for value in values]
    try:
        for text in texts:
            text.encode()
    except UnicodeEncodeError:
        return np.array([text.encode("utf-8", "surrogateescape") for text in texts], dtype=np.bytes_).reshape(array.shape)
    return np.array(texts, dtype=np.str_).reshape(array.shape)
