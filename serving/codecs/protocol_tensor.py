"""The tensors of an Open Inference Protocol request, version 2: name, shape and datatype beside flat (or nested) data."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from serving.codecs import nested
from serving.errors import BadRequest
from serving.invocation import Array, Inputs

_INTEGERS = {f"{sign}INT{bits}": f"{sign.lower()}int{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64)}
_DTYPES = {"BOOL": "bool", **_INTEGERS, "FP16": "float16", "FP32": "float32", "FP64": "float64", "BYTES": "str"}


def is_tensor(value: Any) -> bool:
    """Tell whether a JSON object is such a tensor, and not a row of named values."""
    return isinstance(value, dict) and "datatype" in value and "shape" in value


def arrays(tensors: list[Any], limit: int) -> Inputs:
    """Read the tensors by name, in the dtypes they state; BadRequest names the first that is not one."""
    inputs: Inputs = {}
    for at, tensor in enumerate(tensors):
        name = tensor.get("name") if is_tensor(tensor) else None
        if not isinstance(name, str) or not name or name in inputs:
            raise BadRequest(f'inputs[{at}] must be {{"name", "shape", "datatype", "data"}} with a name of its own')
        inputs[name] = _array(name, tensor, limit)
    return inputs


def _array(name: str, tensor: dict[str, Any], limit: int) -> Array:
    label = nested.label(name)
    if "data" not in tensor:
        raise BadRequest(f"{label} has no data (binary data beside JSON is not read)")
    datatype, shape = tensor["datatype"], tensor["shape"]
    if not isinstance(datatype, str) or datatype not in _DTYPES:
        raise BadRequest(f"{label} has an unknown datatype; known are {', '.join(_DTYPES)}")
    array = nested.array(tensor["data"], name, limit)
    if not isinstance(shape, list) or not all(type(size) is int and size > 0 for size in shape):
        raise BadRequest(f"the shape of {label} must be a list of whole numbers above 0")
    if len(shape) > nested.MAX_RANK or prod(shape) != array.size:
        raise BadRequest(f"{label} has {array.size} elements, which do not fill its shape {str(shape)[:60]}")
    return _cast(label, array, _DTYPES[datatype]).reshape(shape)


def _cast(label: str, array: Array, dtype: str) -> Array:
    if (dtype == "str") != (array.dtype.kind == "U"):
        raise BadRequest(f"the data of {label} does not have its datatype")
    if dtype == "str":
        return array
    with np.errstate(all="ignore"):
        cast = array.astype(dtype)
    same = np.isfinite(cast) | ~np.isfinite(array) if cast.dtype.kind == "f" else cast == array
    if not same.all():
        raise BadRequest(f"a value of {label} does not fit into {dtype}")
    return cast
