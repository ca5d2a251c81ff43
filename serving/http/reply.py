"""Replies as bytes: head and body in one piece, or a chunked stream (RFC 9112, section 7.1)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from email.utils import formatdate
from http import HTTPStatus

from serving.invocation import Header, Reply

_PHRASES = {status.value: status.phrase for status in HTTPStatus}
_OWN = frozenset({"content-length", "transfer-encoding", "connection", "date", "content-type"})
NO_BODY = (204, 304)
"""Statuses whose replies end with their head (RFC 9112, section 6.3)."""
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"
UNTIL_CLOSE = -1
"""The length of a stream to an HTTP/1.0 client: up to the end of the connection."""

_prefixes: dict[tuple[int, str], bytes] = {}
_date = b""


def tick() -> None:
    """Renew the Date header; called once a second."""
    global _date
    _date = b"Date: " + formatdate(time.time(), usegmt=True).encode() + b"\r\n"
    _prefixes.clear()


def head(reply: Reply, request_id: str, keep_alive: bool, length: int | None) -> bytes:
    """The reply's head; a length of None means chunked."""
    parts = [_prefix(reply.status, reply.content_type)]
    if reply.status in NO_BODY:
        pass  # no Content-Length either (RFC 9110, section 8.6)
    elif length is None:
        parts.append(b"Transfer-Encoding: chunked\r\n")
    elif length != UNTIL_CLOSE:
        parts.append(b"Content-Length: %d\r\n" % length)
    if request_id:
        parts.append(b"X-Request-Id: %b\r\n" % request_id.encode("ascii"))
    if reply.headers:
        parts.append(_extra(reply.headers))
    parts.append(b"\r\n" if keep_alive else b"Connection: close\r\n\r\n")
    return b"".join(parts)


def chunk(data: bytes) -> bytes:
    """One chunk of a stream; empty data would end it and is dropped."""
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


def _prefix(status: int, content_type: str) -> bytes:
    """Status line, Content-Type and Date: made once a second for each pair."""
    key = (status, content_type)
    prefix = _prefixes.get(key)
    if prefix is None:
        if not _date:
            tick()
        line = f"HTTP/1.1 {status} {_PHRASES.get(status, 'Unknown')}\r\n"
        typed = f"Content-Type: {content_type}\r\n" if content_type else ""
        prefix = _prefixes[key] = (line + typed).encode("latin-1", "replace") + _date
    return prefix


def _extra(headers: Sequence[Header]) -> bytes:
    return "".join(f"{name}: {value}\r\n" for name, value in headers if name.lower() not in _OWN).encode("latin-1")
