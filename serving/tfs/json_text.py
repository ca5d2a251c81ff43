"""One JSON text -> Python values, by the rules of TensorFlow Serving's parser where they differ from RFC 8259.

    text -> orjson                                      RFC 8259: almost every text
         -> json.loads, behind a proof of its depth     NaN, Infinity and Inf, and texts that may repeat a key

As there: a byte order mark is passed over, the words NaN, Infinity and Inf are numbers, and an integer beyond 64 bits is a
float. Stricter than there, always as a 400: keys must not repeat (it would take the first), nothing may follow the document (it
would be ignored), strings are UTF-8, and lists are at most 1024 deep.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from itertools import chain
from typing import Any, NoReturn

import numpy as np
import orjson

from serving.errors import BadRequest

MAX_DEPTH = 1024

HEAD = re.compile(
    rb'\s*\{\s*(?:"signature_name"\s*:\s*"([ !#-\[\]-~]*)"\s*,\s*)?"(instances|inputs|examples)"\s*:',
)
"""How nearly every TF Serving document begins; the groups are the signature's name and the first key of the tensors."""

_BOM = b"\xef\xbb\xbf"
_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|-?(?:NaN|Inf(?:inity)?)', re.DOTALL)
_SPELT = {b"NaN": b"NaN", b"-NaN": b"NaN", b"Inf": b"Infinity", b"-Inf": b"-Infinity"}
_EXCERPT = 80
_KINDS = {str: "String", dict: "Object", list: "Array", type(None): "Null", int: "Number", float: "Number"}


def load(text: bytes | memoryview) -> Any:
    """Read a text; BadRequest says what is wrong and where."""
    if text[:3] == _BOM:
        text = text[3:]
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as fault:
        text = bytes(text)
        if b"NaN" not in text and b"Inf" not in text:
            raise _explained(text, fault) from None
        return _with_words(text)
    text = bytes(text)
    return value if _keys_are_single(value, text.count(b":")) else _careful(text)


def kind(value: Any) -> str:
    """Name a value's JSON type."""
    return ("True" if value else "False") if isinstance(value, bool) else _KINDS[type(value)]


def excerpt(value: Any) -> str:
    """Spell a value as JSON, cut short."""
    if isinstance(value, str):
        value = value[: _EXCERPT + 1].encode("utf-8", "replace").decode()
    try:
        text = orjson.dumps(value).decode()
    except orjson.JSONEncodeError:
        text = type(value).__name__
    return text if len(text) <= _EXCERPT else text[:_EXCERPT] + "..."


def _keys_are_single(value: Any, colons: int) -> bool:
    """Prove that no key repeats: as many colons as keys came through. False where strings have colons, too.

    Deeper levels are looked at only while colons are left to explain.
    """
    level = [value]
    while level:
        objects = [item for item in level if item.__class__ is dict]
        colons -= sum(map(len, objects))
        if not colons:
            return True
        lists = [item for item in level if item.__class__ is list]
        level = list(chain(*lists, *(item.values() for item in objects)))
    return not colons


def _with_words(text: bytes) -> Any:
    """Read a text that has the words for what is not finite; they are put as Python's parser spells them."""
    text = _TOKEN.sub(lambda token: _SPELT.get(token[0], token[0]), text)
    marks = np.frombuffer(_TOKEN.sub(b"", text), np.uint8)
    opened = np.isin(marks, (ord("["), ord("{"))).astype(np.int8)
    closed = np.isin(marks, (ord("]"), ord("}"))).astype(np.int8)
    if marks.size and np.subtract(opened, closed).cumsum(dtype=np.int64).max() > MAX_DEPTH:
        raise BadRequest(f"JSON Parse error: nested deeper than {MAX_DEPTH}")
    return _careful(text)


def _careful(text: bytes) -> Any:
    """Read a text of no great depth key by key."""
    try:
        return json.loads(text.decode(), object_pairs_hook=_object, parse_int=_integer, parse_float=_float)
    except json.JSONDecodeError as fault:
        raise BadRequest(f"JSON Parse error at line {fault.lineno} column {fault.colno}: {fault.msg[:100]}") from None
    except UnicodeDecodeError as fault:
        raise BadRequest(f"JSON Parse error: not UTF-8 at byte {fault.start}; send bytes as base64") from None
    except RecursionError:
        raise BadRequest("JSON Parse error: nested too deep") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        repeated = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise BadRequest(f"the key {excerpt(repeated)} is repeated")
    return values


def _integer(digits: str) -> int | float:
    """An integer of at most 64 bits, or a float."""
    if len(digits) < 21 and -(1 << 63) <= (number := int(digits)) < 1 << 64:
        return number
    return _float(digits)


def _float(digits: str) -> float:
    number = float(digits)
    return number if math.isfinite(number) else _too_large(digits)


def _too_large(digits: str) -> NoReturn:
    raise BadRequest(f"JSON Parse error: the number {digits[:40]} is too large for a double")


def _explained(text: bytes, fault: orjson.JSONDecodeError) -> BadRequest:
    """Build the 400 for a text that orjson refused."""
    if not text.strip():
        return BadRequest("JSON Parse error: The document is empty")
    try:
        text.decode()
    except UnicodeDecodeError as wrong:
        return BadRequest(f"JSON Parse error: not UTF-8 at byte {wrong.start}; send bytes as base64")
    return BadRequest(f"JSON Parse error at line {fault.lineno} column {fault.colno}: {fault.msg.partition(': line')[0][:100]}")
