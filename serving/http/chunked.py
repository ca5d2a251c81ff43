"""Chunked request bodies (RFC 9112, section 7.1), strictly: what is not exactly the grammar is a 400.

httptools cannot say where a message ends within its input, which pipelining needs; so chunks are undone here, and a test
compares every outcome with llhttp's.
"""

from __future__ import annotations

import re

from serving.errors import BadRequest, PayloadTooLarge

MAX_LINE = 4096
"""Bytes of a chunk-size line with its extensions, and of the trailer section."""

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_QUOTED = rb'"(?:[\t\x20\x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t\x20-\x7e\x80-\xff])*"'
_EXTENSION = rb"[ \t]*;[ \t]*" + _TOKEN + rb"(?:[ \t]*=[ \t]*(?:" + _TOKEN + rb"|" + _QUOTED + rb"))?"
_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,16})(?:" + _EXTENSION + rb")*")
_TRAILER_LINE = re.compile(_TOKEN + rb":[\t\x20-\x7e\x80-\xff]*")
_TRAILERS, _DONE = -1, -2


class Chunked:
    """Undoes one chunked body, fed as it arrives: `body` grows, `done` turns true, `rest` is what follows it."""

    def __init__(self, limit: int) -> None:
        self.body = bytearray()
        self.done = False
        self.rest = b""
        self._limit = limit
        self._left = 0  # of the current chunk, its CRLF included; or a state below zero
        self._pending = b""
        self._trailer_bytes = 0

    def feed(self, data: bytes) -> None:
        """Take more bytes; BadRequest where they break the grammar, PayloadTooLarge beyond the limit."""
        data = self._pending + data
        self._pending = b""
        at = 0
        while not self.done:
            if self._left > 0:
                step = self._chunk(data, at)
            elif self._left == _TRAILERS:
                step = self._trailer(data, at)
            else:
                step = self._size_line(data, at)
            if step < 0:
                self._pending = data[at:]
                return
            at = step
        self.rest = data[at:]

    def _size_line(self, data: bytes, at: int) -> int:
        """Past the size line, or -1 where it is not all here."""
        line, end = _line(data, at, MAX_LINE)
        if end < 0:
            return end
        match = _SIZE_LINE.fullmatch(line)
        if match is None:
            raise BadRequest("malformed chunk size or extension")
        size = int(match[1], 16)
        if len(self.body) + size > self._limit:
            raise PayloadTooLarge(f"the body is over the limit of {self._limit} bytes")
        self._left = size + 2 if size else _TRAILERS
        return end

    def _chunk(self, data: bytes, at: int) -> int:
        """Past what is here of the chunk and its CRLF, or -1 where the CRLF is not all here."""
        content = self._left - 2
        if content > 0:
            part = data[at : at + content]
            if not part:
                return -1
            self.body += part
            self._left -= len(part)
            return at + len(part)
        if len(data) - at < 2:
            return -1
        if data[at : at + 2] != b"\r\n":
            raise BadRequest("a chunk is longer than its size")
        self._left = 0
        return at + 2

    def _trailer(self, data: bytes, at: int) -> int:
        line, end = _line(data, at, MAX_LINE - self._trailer_bytes)
        if end < 0:
            return end
        if not line:
            self._left, self.done = _DONE, True
        elif _TRAILER_LINE.fullmatch(line) is None:
            raise BadRequest("malformed trailer")
        self._trailer_bytes += len(line) + 2
        return end


def _line(data: bytes, at: int, limit: int) -> tuple[bytes, int]:
    """The line that starts at `at` and where the next one does; -1 where its CRLF is not here yet."""
    end = data.find(b"\n", at)
    if end < 0:
        if len(data) - at > limit:
            raise BadRequest("a line of the chunked body is too long")
        return b"", -1
    if end - at > limit:
        raise BadRequest("a line of the chunked body is too long")
    if end == at or data[end - 1] != 0x0D or b"\r" in data[at : end - 1]:
        raise BadRequest("a line of the chunked body does not end in CRLF")
    return data[at : end - 1], end + 1
