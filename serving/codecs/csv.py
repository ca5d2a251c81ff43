"""text/csv (RFC 4180) <-> the rows of one tensor.

    bytes -> "[[" + lines + "]]" -> json_document.dense -> table -> rows.fit         numbers as JSON has them: the fast way
          -> csv.reader -> floats -> table -> rows.fit                               quotes, nan, inf, +1, .5, blank lines

Whole numbers alone are int64, all else float64; nan and inf are carried as they are. Blank lines are passed over, `#` begins
no comment, and a header line of names is a 400 that says so. Where the model's only input takes strings, fields are strings.
Answers carry one output, a line for each row, flattened; booleans are 1 and 0.
"""

from __future__ import annotations

import csv
import io
from array import array
from collections.abc import Iterator, Mapping

import numpy as np
import orjson

from serving.codecs import answer, charset, json_document, nested, rows
from serving.errors import BadRequest
from serving.invocation import UNNAMED, Array, Inputs, Outputs
from serving.models.signature import Signature

CONTENT_TYPES = ("text/csv",)


def decode(body: bytes | memoryview, params: Mapping[str, str], signature: Signature | None, limit: int) -> Inputs:
    """Read a table as the model's only input; BadRequest names the line and the field that is wrong."""
    tensor = rows.only(signature)
    if tensor is not None and tensor.dtype.kind in "USO":
        return {UNNAMED: rows.fit(_strings(charset.text(body, params), limit), signature)}
    table = _regular(bytes(charset.utf8(body, params)))
    if table is None:
        table = _numbers(charset.text(body, params))
    return {UNNAMED: rows.fit(table, signature)}


def encode(outputs: Outputs, params: Mapping[str, str]) -> bytes:
    """Write a line for each row of the only output; NotAcceptable where there are several."""
    table = answer.rows(answer.single(outputs, "text/csv"))
    if not table.size:
        return b""
    table = table.reshape(len(table), -1)
    if table.dtype.kind in "US":
        return _quoted(table)
    text = orjson.dumps(table.view(np.uint8) if table.dtype.kind == "b" else table, option=orjson.OPT_SERIALIZE_NUMPY)
    text = text[2:-2].replace(b"],[", b"\n") + b"\n"
    return text if table.dtype.kind != "f" or np.isfinite(table).all() else _with_words(text, table)


def _regular(text: bytes) -> Array | None:
    """Read a table by way of JSON; None where it is not certain that CSV means the same."""
    # A closing bracket in the text could end our list and start another; all other disguises `dense` refuses.
    if b"]" in text:
        return None
    lines = text.replace(b"\r\n", b"\n").strip(b"\n").replace(b"\n", b"],[")
    tensors = json_document.dense(b"[[%b]]" % lines)
    table = tensors[UNNAMED] if tensors else None
    return table if table is not None and table.ndim == 2 else None


def _records(text: str) -> Iterator[tuple[int, list[str]]]:
    """Read the fields of each line that is not blank, with its number; BadRequest where quotes are wrong."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        for fields in reader:
            if len(fields) > 1 or (fields and fields[0].strip()):
                yield reader.line_num, fields
    except csv.Error as fault:
        raise BadRequest(f"malformed CSV at line {reader.line_num}: {fault}") from None


def _numbers(text: str) -> Array:
    flat, columns = array("d"), 0
    has_underscores = "_" in text  # which Python's float passes over
    for line, fields in _records(text):
        _check(line, fields, columns)
        try:
            flat.extend(map(float, fields))
        except ValueError:
            raise BadRequest(_no_number(line, fields, first=not columns)) from None
        if has_underscores and any("_" in field for field in fields):
            raise BadRequest(_no_number(line, fields, first=not columns))
        columns = len(fields)
    if not columns:
        raise BadRequest("the body is empty: expected lines of numbers")
    return np.frombuffer(flat).reshape(-1, columns)


def _strings(text: str, limit: int) -> Array:
    table: list[list[str]] = []
    for line, fields in _records(text):
        _check(line, fields, len(table[0]) if table else 0)
        table.append(fields)
    if not table:
        raise BadRequest("the body is empty: expected lines of fields")
    return nested.array(table, UNNAMED, limit)


def _check(line: int, fields: list[str], columns: int) -> None:
    if columns and len(fields) != columns:
        raise BadRequest(f"malformed CSV: line {line} has {len(fields)} fields, the lines before it {columns}")


def _no_number(line: int, fields: list[str], *, first: bool) -> str:
    wrong = [at for at, field in enumerate(fields) if not _is_number(field)]
    if first and all(field.strip()[:1].isalpha() for field in fields if field.strip()):
        return f"line {line} looks like a header of names ({fields[0][:40]!r}): send the rows of numbers alone"
    what = (
        f"{fields[wrong[0]][:40]!r} is not a number" if fields[wrong[0]].strip() else "is empty: write nan for a missing number"
    )
    return f"malformed CSV: line {line} field {wrong[0] + 1} {what}"


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return "_" not in field


def _quoted(table: Array) -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(answer.texts(table).tolist())
    return out.getvalue().encode("utf-8", "replace")


def _with_words(text: bytes, table: Array) -> bytes:
    """Put nan, inf and -inf where orjson wrote null."""
    lines = text.splitlines()
    for row in np.flatnonzero(~np.isfinite(table).all(axis=1)):
        fields = lines[row].split(b",")
        for column in np.flatnonzero(~np.isfinite(table[row])):
            fields[column] = repr(float(table[row, column])).encode()
        lines[row] = b",".join(fields)
    return b"\n".join(lines) + b"\n"
