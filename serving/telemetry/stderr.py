"""stderr that holds nobody up: where its reader has stopped reading, lines are dropped, and counted.

A front that blocked in a log line would answer nobody, not even `/ping`. What is written is a pipe's atomic piece at a time,
each when there is room for it; the file descriptor itself stays blocking, since it is shared with whoever started us.
"""

from __future__ import annotations

import logging
import os
import select
from typing import TextIO

PATIENCE_SECONDS = 0.1
"""How long a slow reader is waited for, once; until it reads again, nothing waits for it."""


class Stderr(logging.StreamHandler[TextIO]):
    """Writes records to a stream's file descriptor; to the stream itself where it has none, as in tests."""

    _dropped = 0
    _is_cut = False

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record, or count it where nobody reads."""
        try:
            fd = self.stream.fileno()
        except (OSError, ValueError):
            super().emit(record)
            return
        try:
            self._write(fd, self.format(record))
        except Exception:
            self.handleError(record)

    def _write(self, fd: int, line: str) -> None:
        patience = 0.0 if self._dropped else PATIENCE_SECONDS
        told = f"{self._dropped} lines of this process were dropped: its log was not read\n" if self._dropped else ""
        rest = memoryview(("\n" * self._is_cut + told + line + "\n").encode("utf-8", "backslashreplace"))
        size = len(rest)
        try:
            while rest and select.select([], [fd], [], patience)[1]:
                rest = rest[os.write(fd, rest[: select.PIPE_BUF]) :]
        except OSError:
            pass  # the reader has gone for good
        if len(rest) < size:
            self._dropped, self._is_cut = 0, bool(rest)
        self._dropped += bool(rest)
