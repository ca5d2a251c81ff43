"""What a user's function receives of a request's body, and the reply made of what it returns.

Request -> (str or bytes, content type)          body or (body, content type) -> Reply
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import orjson

from serving.codecs import charset, negotiate
from serving.errors import NotAcceptable, ServingError, UnsupportedMediaType, UserCodeError
from serving.handlers import faults
from serving.handlers.context import Context, emit_metrics, response_headers
from serving.invocation import Reply, Request

JSON = "application/json"
TEXT_TYPES = (JSON, "text/csv")
"""What a script receives as str; all else is bytes [aws/sagemaker-inference-toolkit transformer.py]."""

WITHOUT_BODY = (204, 304)
"""Statuses that have no body: what a script returns beside one of them is not sent (RFC 9110, section 15)."""

EXPECTED = "a body (str, bytes, or an iterator of them; dict and list become JSON) or (body, content_type)"


def received(request: Request) -> tuple[str | bytes, str]:
    """The body as a script expects it and its content type.

    JSON and CSV come as str in their charset, with the bare type, since scripts compare it as a whole; everything else comes
    as bytes, with its type as it was sent (a multipart boundary is in it). No content type counts as JSON, as for the codecs.
    """
    content_type, params = _told(request.content_type)
    if params is None:
        return (request.body if type(request.body) is bytes else bytes(request.body)), content_type
    return charset.text(request.body, params), content_type


@lru_cache(maxsize=256)
def _told(header: str) -> tuple[str, Mapping[str, str] | None]:
    """The content type to tell a script, and the parameters of its text; None where it gets bytes."""
    try:
        content_type, params = negotiate.parse(header)
    except UnsupportedMediaType:  # no media type, but perhaps one that the script knows
        return header, None
    return (content_type, params) if content_type in TEXT_TYPES else (header, None)


@lru_cache(maxsize=256)
def preferred(accept: str, default: str) -> str:
    """The one type that a script is asked for: of the highest q, the first; `default` where any will do.

    NotAcceptable where the header refuses everything (RFC 9110, section 12.5.1).
    """
    best, best_q = "", 0.0
    for part in accept.split(",") if accept.strip() else ("*/*",):
        wanted, q = _weighted(part)
        if wanted in ("*/*", "*") or (wanted.endswith("/*") and default.startswith(wanted[:-1])):
            wanted = default
        if q > best_q and "/" in wanted and "*" not in wanted:
            best, best_q = wanted, q
    if not best:
        raise NotAcceptable(f"the Accept header leaves no type to answer in: {accept[:100]!r}")
    return best


def _weighted(part: str) -> tuple[str, float]:
    """One member of an Accept header without its q, and the q (1 where it is no number, as in `negotiate`)."""
    kept, q = [], 1.0
    for piece in part.split(";"):
        name, _, value = piece.strip().partition("=")
        if name.lower() != "q":
            kept.append(piece.strip())
            continue
        try:
            q = min(float(value), 1.0)
        except ValueError:
            q = 1.0
    return "; ".join(kept), q


def reply(returned: Any, function: str, accept: str, context: Context | None, request: Request) -> Reply:
    """The reply for what `function` returned; UserCodeError names the function and the type where it is neither.

    The content type is that of the pair, or the one set on the context, or the one accepted (JSON for a dict or a list).
    """
    content_type = context.get_response_content_type(0) if context is not None else None
    if isinstance(returned, tuple):
        if len(returned) != 2 or not isinstance(returned[1], str | None):
            raise faults.wrong_type(function, returned, EXPECTED)
        returned, content_type = returned[0], returned[1] or content_type
    if isinstance(returned, dict | list):
        answer = Reply(to_json(returned, function), content_type or JSON)
    else:
        answer = Reply(_body(returned, function, request), content_type or accept)
    return finish(answer, context)


def finish(answer: Reply, context: Context | None) -> Reply:
    """The reply with the status and the headers that the script set on its context; its metrics go to the log.

    UserCodeError where a header, or the content type, would break the reply apart.
    """
    if context is not None:
        emit_metrics(context)
        answer.headers = [*answer.headers, *response_headers(context)]
        status, phrase = context.get_response_status(0)
        if isinstance(status, int) and 200 <= status <= 599 and status != 200:
            answer.status = int(status)  # perhaps an HTTPStatus; messages between processes carry plain types alone
            answer.fault = str(phrase or "") if status >= 400 else ""
        if answer.status in WITHOUT_BODY:
            answer.body = b""
    answer.content_type = str.__str__(answer.content_type)  # perhaps a member of an Enum
    _check_value("Content-Type", answer.content_type)
    for name, value in answer.headers:
        if not _is_token(name):
            raise UserCodeError(f"the script set a header with an invalid name: {name[:40]!r}")
        _check_value(name, value)
    return answer


@lru_cache(maxsize=256)
def _check_value(name: str, value: str) -> None:
    if any(ord(c) < 0x20 or ord(c) == 0x7F or ord(c) > 0xFF for c in value):
        raise UserCodeError(f"the script set the header {name} to a value that no header can have: {value[:80]!r}")


def _is_token(name: str) -> bool:
    return name.isascii() and name.replace("-", "").replace("_", "").isalnum()


def to_json(value: Any, function: str) -> bytes:
    """A JSON document of plain objects and arrays; NaN is null. UserCodeError where there is no JSON for it."""
    try:
        return orjson.dumps(value, _plain, orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS)
    except orjson.JSONEncodeError as error:
        raise faults.of(
            function, TypeError(f"what it returned cannot be written as JSON: {error.__cause__ or error}")
        ) from error


def _plain(value: Any) -> Any:
    """What orjson does not know: framework arrays, numpy scalars and arrays it has no type for, text as bytes."""
    if hasattr(value, "asnumpy"):
        return value.asnumpy().tolist()
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, bytes):
        return value.decode()
    raise TypeError(f"a value of type {type(value).__name__}")


def _body(returned: Any, function: str, request: Request) -> bytes | Iterator[bytes]:
    if isinstance(returned, str):
        return returned.encode()
    if type(returned) is bytes:
        return returned
    if isinstance(returned, bytes | bytearray | memoryview):
        return bytes(returned)
    if hasattr(returned, "__next__"):
        return _streamed(returned, function, request)
    raise faults.wrong_type(function, returned, EXPECTED)


def _streamed(chunks: Iterator[Any], function: str, request: Request) -> bytes | Iterator[bytes]:
    """The chunks as bytes. The first is taken at once: a fault before it still has a status of its own."""
    first = _next(chunks, function, request)
    return b"" if first is None else _rest(first, chunks, function, request)


def _rest(first: bytes, chunks: Iterator[Any], function: str, request: Request) -> Iterator[bytes]:
    chunk: bytes | None = first
    try:
        while chunk is not None:
            if chunk:  # an empty chunk would end a chunked body
                yield chunk
            chunk = _next(chunks, function, request)
    finally:
        close = getattr(chunks, "close", None)
        if close is not None:
            close()


def _next(chunks: Iterator[Any], function: str, request: Request) -> bytes | None:
    """The next chunk, None at the end; a ServingError for whatever the user's generator raises."""
    try:
        chunk = next(chunks)
    except StopIteration:
        return None
    except BaseException as error:
        raise _stream_fault(function, error, request) from error
    if isinstance(chunk, str):
        return chunk.encode()
    if isinstance(chunk, bytes | bytearray | memoryview):
        return bytes(chunk)
    raise faults.wrong_type(function, chunk, "chunks of str or bytes")


def _stream_fault(function: str, error: BaseException, request: Request) -> ServingError:
    return faults.of(function, error, request.id)
