"""A request body -> a TensorFlow Serving REST document, by the rules of the proxy in AWS's container (tensorflowServing.js).

    application/json, jsonlines, jsons     a document already                    -> as it is
                                           values under each other, a line each  -> {"instances": [line, ...]}
                                           a list of lists                       -> {"instances": body}
                                           anything else                         -> {"instances": [body]}
    text/csv                               a line an instance: a list where it has a comma, a bare value where not

A document has the key `instances`, `inputs` or `examples`. None of this needs the body to be parsed: inside a JSON string a quote is
escaped and a line break is, so what these rules look for cannot stand there.

CSV: where the first field is a number or quoted, fields are what they look like: numbers, or strings in quotes (of JSON, else
of RFC 4180). Where it is neither, all fields are strings. All commas count, and only numbers count as numbers; AWS's first edition
saw the first comma alone, and numbers in words that begin with e.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

import orjson

from serving.codecs import charset, json_document, negotiate
from serving.errors import BadRequest, UnsupportedMediaType
from serving.tfs import json_text

JSON_TYPES = ("application/json", "application/jsonlines", "application/jsons")
CSV = "text/csv"
ARRAYS = ("application/x-npy", "application/x-npz")
MESSAGE = "application/x-tfs"
"""The type of gRPC's messages on the request line."""

_READ = (*JSON_TYPES, CSV, *ARRAYS)

_BOM = b"\xef\xbb\xbf"
_KEY = re.compile(rb'"(?:instances|inputs|examples)"\s*:')
_NESTED = re.compile(rb"\s*\[\s*\[")
_NEXT_VALUE = re.compile(rb"[}\]][ \t\r]*\n\s*[\[{]")

_NUMERIC = b"0123456789+-.eE, \t\r\n"
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_JSON_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_WORDS = {"nan": "NaN", "inf": "Infinity", "+inf": "Infinity", "-inf": "-Infinity"}
_WORDS |= {"infinity": "Infinity", "+infinity": "Infinity", "-infinity": "-Infinity"}
_FIELD = re.compile(r'[ \t]*"((?:[^"\\]|\\.|"")*)"[ \t]*(?:,|$)|([^,]*)(?:,|$)')


@lru_cache(maxsize=128)
def check(content_type: str) -> None:
    """Refuse a content type that nothing reads: UnsupportedMediaType."""
    media = negotiate.parse(content_type)[0]
    if media not in _READ and media != MESSAGE:
        raise UnsupportedMediaType(f"content type {media[:60]!r} is not read; these are: {', '.join(_READ)}")


def rewrite(body: bytes | memoryview, content_type: str) -> bytes | memoryview:
    """Turn a body of JSON, JSON Lines or CSV into a document; a body that is one is returned uncopied.

    What is malformed JSON stays so, for the parser to say where; CSV that is malformed is a BadRequest.
    """
    media, params = negotiate.parse(content_type)
    if params:
        body = charset.utf8(body, params)
    if body[:3] == _BOM:
        body = body[3:]
    if media == CSV:
        return _csv(bytes(body))
    if media not in JSON_TYPES:
        raise UnsupportedMediaType(f"content type {media[:60]!r} holds no values: expected {', '.join((*JSON_TYPES, CSV))}")
    if json_text.HEAD.match(body) is not None:
        return body
    return _json(body)


def _json(body: bytes | memoryview) -> bytes | memoryview:
    text = bytes(body).strip()
    if not text:
        raise BadRequest("JSON Parse error: The document is empty")
    if _KEY.search(text) is not None:
        return body
    if b"\n" in text and (text[:1] not in b"[{" or _NEXT_VALUE.search(text) is not None):
        return b'{"instances":[%b]}' % b",".join(line for line in text.split(b"\n") if line.strip())
    if _NESTED.match(text) is not None:
        return b'{"instances":%b}' % text
    return b'{"instances":[%b]}' % text


def _csv(body: bytes) -> bytes:
    if not body.translate(None, _NUMERIC):
        lines = [line for line in body.split(b"\n") if line.strip()]
        document = b'{"instances":[%b]}' % b",".join([b"[%b]" % line if b"," in line else line for line in lines])
        if json_document.dense(document) is not None:
            return document
    rows = list(_rows(charset.text(body, {})))
    if not rows:
        raise BadRequest("the body is empty: expected a line of fields at least")
    return b'{"instances":[%b]}' % b",".join(rows)


def _rows(text: str) -> Iterator[bytes]:
    """Write each line that is not blank as a JSON value, field by field."""
    all_strings: bool | None = None
    for number, line in enumerate(text.split("\n"), start=1):
        line = line.strip()
        if not line:
            continue
        fields = list(_fields(line, number))
        if all_strings is None:
            first, is_quoted = fields[0]
            all_strings = not is_quoted and not _NUMBER.fullmatch(first.strip())
        spelt = [_spelt(field, is_quoted or all_strings, (number, at)) for at, (field, is_quoted) in enumerate(fields, start=1)]
        yield ("[" + ",".join(spelt) + "]" if "," in line else spelt[0]).encode()


def _fields(line: str, number: int) -> Iterator[tuple[str, bool]]:
    """The fields of a line, and whether each stood in quotes."""
    at = 0
    while at <= len(line):
        field = _FIELD.match(line, at)
        if field is None or (field[1] is None and field[2].lstrip().startswith('"')):
            raise BadRequest(
                f"malformed CSV at line {number}: a quoted field is not closed, or is followed by other than a comma"
            )
        yield (field[2], False) if field[1] is None else (field[1], True)
        if not field[0].endswith(","):
            return
        at = field.end()


def _spelt(field: str, is_string: bool, place: tuple[int, int]) -> str:
    """A field as JSON."""
    if is_string:
        return _string(field)
    plain = field.strip()
    if _JSON_NUMBER.fullmatch(plain):
        return plain
    if _NUMBER.fullmatch(plain):
        return repr(float(plain))
    if not plain:
        raise BadRequest(f"malformed CSV: line {place[0]} field {place[1]} is empty: write nan for a missing number")
    return _WORDS.get(plain.lower()) or _string(field)


def _string(field: str) -> str:
    """A field's text as a JSON string."""
    try:
        orjson.loads(f'"{field}"')
        return f'"{field}"'
    except orjson.JSONDecodeError:
        return orjson.dumps(field.replace('""', '"')).decode()
