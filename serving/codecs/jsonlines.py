"""JSON Lines: one row a line, or `{"features": row}`, `{"instances": rows}` or `{"a": ..., "b": ...}` a line; all lines alike.

The rules for values are those of json.py. Answers have a line for each row: its nested list where there is one output,
an object of names where there are several.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from serving.codecs import answer, charset, json, json_document
from serving.errors import BadRequest, NotAcceptable
from serving.invocation import Inputs, Outputs
from serving.models.signature import Signature

CONTENT_TYPES = ("application/jsonlines", "application/jsons", "application/x-jsonlines", "application/x-ndjson")


def decode(body: bytes | memoryview, params: Mapping[str, str], signature: Signature | None, limit: int) -> Inputs:
    """Stack the rows of all lines; BadRequest names the line that is malformed. Blank lines are passed over."""
    rows: list[Any] = []
    for number, line in enumerate(bytes(charset.utf8(body, params)).split(b"\n"), start=1):
        if line.strip():
            value = json_document.load(line, number)
            if isinstance(value, dict) and value.keys() == {"instances"}:
                rows.extend(value["instances"] if isinstance(value["instances"], list) else [value["instances"]])
            else:
                rows.append(value)
    if not rows:
        raise BadRequest("the body is empty: expected a row of JSON a line")
    return json.rows(rows, limit)


def encode(outputs: Outputs, params: Mapping[str, str]) -> bytes:
    """Write a line for each row; NotAcceptable where outputs differ in their number of rows."""
    listed = {name: _rows(output) for name, output in outputs.items()}
    counts = {len(values) for values in listed.values()}
    if len(counts) != 1:
        raise NotAcceptable(f"the outputs differ in their number of rows {sorted(counts)}: accept application/json")
    if len(listed) == 1:
        lines = next(iter(listed.values()))
    else:
        lines = [dict(zip(listed, values, strict=True)) for values in zip(*listed.values(), strict=True)]
    return b"".join(orjson.dumps(line, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE) for line in lines)


def _rows(output: Any) -> list[Any]:
    """List the rows of an output in forms that orjson writes."""
    array = answer.rows(output)
    return list(array) if array.ndim > 1 and array.dtype.kind in "biuf" else answer.plain(array)
