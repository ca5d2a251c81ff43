"""Why a text is not JSON, in words: simdjson says neither where nor why, so a failed text is parsed once more by orjson."""

from __future__ import annotations

import re

import orjson

from serving.errors import BadRequest

_NOT_A_NUMBER = re.compile(r"-?(?:NaN|Infinity|nan|inf)")


def explain(text: bytes, line: int) -> BadRequest:
    """Build the 400 for a text that simdjson refused; `line` is the number of its first line."""
    if not text.strip():
        return BadRequest("the body is empty: expected JSON")
    try:
        decoded = text.decode().removeprefix("\ufeff")
        orjson.loads(decoded)
    except orjson.JSONDecodeError as fault:
        return BadRequest(_place(decoded, fault, line))
    except UnicodeDecodeError as fault:
        return BadRequest(f"malformed JSON: not valid UTF-8 at byte {fault.start}")
    return BadRequest("malformed JSON: nested too deep, or an integer that does not fit into 64 bits")


def _place(text: str, fault: orjson.JSONDecodeError, line: int) -> str:
    where = f"at line {fault.lineno + line - 1} column {fault.colno}"
    if "infinity" in fault.msg:
        return f"a number {where} is too large for a double: send null for what is not finite"
    if _NOT_A_NUMBER.match(text, fault.pos) or _NOT_A_NUMBER.match(text, max(fault.pos - 1, 0)):
        return f"JSON has no NaN and no Infinity, found one {where}: send null"
    return f"malformed JSON {where}: {fault.msg[:100]}"
