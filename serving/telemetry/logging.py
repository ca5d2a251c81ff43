"""Log lines: one an invocation on stdout, the rest on stderr, as text or JSON.

Invocation lines are made in the process that answered and written by a thread that wakes a few times a second: a reader of
the log that has stopped reading holds up no answer. Lines that it will not take are dropped, and counted.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections import deque

import orjson

from serving.invocation import Reply, Request
from serving.settings import Settings
from serving.telemetry.stderr import Stderr

MAX_WAITING = 4096
"""Pieces that may wait for a slow reader of the log."""
MAX_WAITING_BYTES = 8 << 20
FLUSH_SECONDS = 0.2


def configure(settings: Settings) -> None:
    """Send the `ei` loggers and warnings to stderr in the settings' format; idempotent."""
    handler = Stderr(sys.stderr)
    handler.setFormatter(_JsonFormatter() if settings.log_format == "json" else _TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(settings.log_level, logging.INFO) if settings.log_level < logging.INFO else settings.log_level)
    logging.getLogger("ei").setLevel(settings.log_level)
    logging.captureWarnings(True)


class _TextFormatter(logging.Formatter):
    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s [%(process)d] %(message)s")


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {"time": _clock(record.created), "level": record.levelname, "logger": record.name, "pid": record.process}
        line["message"] = _utf8(record.getMessage())
        if record.exc_info:
            line["traceback"] = _utf8(self.formatException(record.exc_info))
        return orjson.dumps(line).decode()


class AccessLog:
    """The invocation lines of one process; start it after the fork."""

    def __init__(self, model: str, as_json: bool, fd: int = 1) -> None:
        self._model, self._json, self._fd = model, as_json, fd
        self._lines: list[str] = []
        self._waiting: deque[bytes] = deque()
        self._dropped = 0
        self._wake = threading.Event()
        self._stopped = False
        self._thread = threading.Thread(target=self._write, name="access-log", daemon=True)
        self._thread.start()

    def add(self, request: Request, reply: Reply, queue: float, total: float) -> None:
        """One invocation: durations in seconds."""
        decode, forward, encode = reply.stages
        if self._json:
            self._lines.append(self._as_json(request, reply, queue, total))
            return
        trace = _trace(request)
        self._lines.append(
            f"{_clock(time.time())} {request.id} model={self._model} status={reply.status} in={len(request.body)}"
            f" queue={queue * 1e3:.3f} decode={decode * 1e3:.3f} forward={forward * 1e3:.3f} encode={encode * 1e3:.3f}"
            f" total={total * 1e3:.3f}{f' trace={_safe(trace)}' if trace else ''}{f' fault={_safe(reply.fault)}' if reply.fault else ''}"
        )

    def flush(self) -> None:
        """Hand what has gathered to the writing thread; called a few times a second."""
        if not self._lines and not self._dropped:
            return
        lines, self._lines = self._lines, []
        if len(self._waiting) >= MAX_WAITING or sum(map(len, self._waiting)) > MAX_WAITING_BYTES:
            self._dropped += len(lines)
            return
        if self._dropped:
            lines.append(f"{_clock(time.time())} - {self._dropped} invocation lines were dropped: the log was not read")
            self._dropped = 0
        self._waiting.append("\n".join(lines).encode() + b"\n")
        self._wake.set()

    def close(self) -> None:
        """Write what is left, waiting at most a second for it."""
        self.flush()
        self._stopped = True
        self._wake.set()
        self._thread.join(timeout=1.0)

    def _write(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            while self._waiting:
                piece = memoryview(self._waiting.popleft())
                while piece:
                    try:
                        piece = piece[os.write(self._fd, piece) :]
                    except BlockingIOError:
                        time.sleep(FLUSH_SECONDS)
                    except OSError:
                        break  # nobody reads any more
            if self._stopped:
                return

    def _as_json(self, request: Request, reply: Reply, queue: float, total: float) -> str:
        decode, forward, encode = reply.stages
        line = {
            "time": _clock(time.time()),
            "request_id": request.id,
            "model": self._model,
            "status": reply.status,
            "content_type": request.content_type,
            "bytes_in": len(request.body),
            "queue_ms": round(queue * 1e3, 3),
            "decode_ms": round(decode * 1e3, 3),
            "forward_ms": round(forward * 1e3, 3),
            "encode_ms": round(encode * 1e3, 3),
            "total_ms": round(total * 1e3, 3),
        }
        if trace := _trace(request):
            line["traceparent"] = trace
        if reply.fault:
            line["fault"] = _utf8(reply.fault)
        return orjson.dumps(line).decode()


def _trace(request: Request) -> str | None:
    """The request's `traceparent` (W3C Trace Context, section 3.2), found without lowering every header's name."""
    return next((value for name, value in request.headers if len(name) == 11 and name.lower() == "traceparent"), None)


def _utf8(text: str) -> str:
    """The text, with a mark for what has no UTF-8: JSON cannot hold half a surrogate pair."""
    return text.encode("utf-8", "replace").decode()


def _safe(text: str) -> str:
    """The text on one line and in quotes where it has spaces: a client's words cannot forge a line."""
    plain = "".join(c if c.isprintable() else "?" for c in text)[:500]
    return orjson.dumps(plain).decode() if " " in plain or '"' in plain else plain


_second = 0
_stamp = ""


def _clock(now: float) -> str:
    """UTC with milliseconds, as RFC 3339 has it."""
    global _second, _stamp
    whole = int(now)
    if whole != _second:
        _second, _stamp = whole, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole))
    return f"{_stamp}.{int((now - whole) * 1000):03d}Z"
