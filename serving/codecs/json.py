"""application/json <-> named arrays.

    bytes -> simdjson -> flat buffer + shape, proven regular -> Inputs        (numbers: the hot path)
                      -> Python lists -> nested.array        -> Inputs        (everything else, and every fault)

Forms that are read, as AWS's and TensorFlow Serving's containers and the Open Inference Protocol have them:

    [[1, 2], [3, 4]]                        one tensor, unnamed
    {"instances": [[1, 2], [3, 4]]}         rows of one tensor; rows {"a": ..., "b": ...} are stacked by name, and rows
                                            {"features": ...} are unnamed
    {"inputs": [[1, 2]]}, {"inputs": {"a": ...}}, {"inputs": [{"name", "shape", "datatype", "data"}]}
    {"a": [[1, 2]], "b": [[3]]}             tensors by name

Numbers: JSON has no NaN and no infinity (RFC 8259, section 6). The words NaN and Infinity, and numbers too large for a
double, are a 400 that says to send null; null among numbers reads as NaN; in answers NaN and infinities are null. Whole
numbers stay integers (int64, uint64 where one needs it); one beyond 64 bits is a 400. Of repeated keys the last counts.
Arrays without elements are a 400.

Answers: one output is its bare nested list (AWS's MXNet container), several are {"name": [...]}; floats are written in the
fewest digits that read back as the same value of their own dtype.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from serving.codecs import answer, charset, json_document, nested, protocol_tensor
from serving.errors import BadRequest
from serving.invocation import UNNAMED, Inputs, Outputs
from serving.models.signature import Signature

CONTENT_TYPES = ("application/json",)

# Beside instances or inputs these say something about the request; they are not tensors.
_BESIDE = frozenset({"signature_name", "parameters", "id", "outputs"})


def decode(body: bytes | memoryview, params: Mapping[str, str], signature: Signature | None, limit: int) -> Inputs:
    """Read the tensors of a body in any of the forms above; BadRequest says what is wrong and where."""
    text = charset.utf8(body, params) if params else body
    inputs = json_document.dense(text)
    return inputs if inputs is not None else _form(json_document.load(text), limit)


def encode(outputs: Outputs, params: Mapping[str, str]) -> bytes:
    """Write one output as its nested list, several by name."""
    value = next(iter(outputs.values())) if len(outputs) == 1 else outputs
    try:
        return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)
    except orjson.JSONEncodeError:  # strided, byte-swapped, of no axis or not of numbers
        return orjson.dumps(answer.plain(value))


def rows(values: Any, limit: int) -> Inputs:
    """Read the tensors of a list of rows: rows that are objects are stacked by name, `features` alone stays unnamed."""
    if not isinstance(values, list) or not values:
        raise BadRequest("expected a list of rows that is not empty")
    if not any(isinstance(row, dict) for row in values):
        return {UNNAMED: nested.array(values, UNNAMED, limit)}
    names = values[0].keys() if isinstance(values[0], dict) else {}
    for at, row in enumerate(values):
        if not isinstance(row, dict) or row.keys() != names:
            raise BadRequest(f"row {at} does not have the names of row 0: every row needs the same")
    if set(names) == {"features"}:
        return {UNNAMED: nested.array([row["features"] for row in values], UNNAMED, limit)}
    return named({name: [row[name] for row in values] for name in names}, limit)


def named(values: Mapping[str, Any], limit: int) -> Inputs:
    """Read the tensors of an object of names."""
    if not values:
        raise BadRequest("expected tensors by name, found an empty object")
    return {name: nested.array(value, name, limit) for name, value in values.items()}


def _form(value: Any, limit: int) -> Inputs:
    """Read the tensors of a document, by the form it has."""
    if isinstance(value, list):
        return rows(value, limit)
    if value is None:
        raise BadRequest("expected tensors, found null")
    if not isinstance(value, dict):
        return {UNNAMED: nested.array(value, UNNAMED, limit)}
    keys = value.keys() & {"instances", "inputs"}
    if not keys:
        return named(value, limit)
    beside = value.keys() - keys - _BESIDE
    if len(keys) > 1 or beside:
        raise BadRequest(_beside(sorted(keys), beside))
    return rows(value["instances"], limit) if "instances" in keys else _inputs(value["inputs"], limit)


def _beside(keys: list[str], beside: set[str]) -> str:
    if len(keys) > 1:
        return "send 'inputs' or 'instances', not both"
    key = keys[0]
    return f"unknown key {min(beside)[:40]!r} beside {key!r}: tensors go into it by name, as in {{{key!r}: {{...}}}}"


def _inputs(value: Any, limit: int) -> Inputs:
    if isinstance(value, dict):
        return named(value, limit)
    if isinstance(value, list) and value and protocol_tensor.is_tensor(value[0]):
        return protocol_tensor.arrays(value, limit)
    return rows(value, limit) if isinstance(value, list) else {UNNAMED: nested.array(value, UNNAMED, limit)}
