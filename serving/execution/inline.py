"""The inline placement: the line runs on the event loop, in one process per core, each with its own share of the listener.

Everything that arrived in one turn of the loop goes through one run of the line. It never waits to fill a batch.
"""

from __future__ import annotations

import asyncio
import logging
import mmap
from collections.abc import Callable, Iterator
from time import perf_counter

from serving.errors import DeadlinePassed, Overloaded
from serving.execution.alarm import Alarm
from serving.execution.base import RETRY_HINT, Sink
from serving.invocation import Reply, Request, Service, failure, invoke
from serving.telemetry.record import Recorder

log = logging.getLogger("ei.execution")
LAZY_BYTES = 1 << 16
QUEUE_SIZE = 1024
"""Invocations that may wait for one turn of the loop, unless set: a turn of them takes a tiny model a few milliseconds."""


def own_memory(length: int) -> memoryview:
    """Memory for a body; large ones take pages as their bytes come, not when they are announced."""
    return memoryview(bytearray(length) if length < LAZY_BYTES else mmap.mmap(-1, length))


class Inline:
    """Runs the line for what gathered since the loop's last turn."""

    def __init__(self, service: Service, recorder: Recorder, loop: asyncio.AbstractEventLoop, queue_size: int) -> None:
        self.ready = True
        self.alarm: Alarm | None = None
        self.retire: Callable[[], None] = lambda: None
        self._service, self._recorder, self._loop = service, recorder, loop
        self._queue_size = queue_size or QUEUE_SIZE
        self._pending: list[tuple[Sink, Request]] = []
        self._streams = 0

    @property
    def busy(self) -> bool:
        """Whether an accepted invocation is still to be answered."""
        return bool(self._pending or self._streams)

    def allocate(self, length: int) -> memoryview:
        """Memory of the process' own."""
        return own_memory(length)

    def release(self, body: memoryview) -> None:
        """Nothing to do: the memory goes with its last user."""

    def submit(self, sink: Sink, request: Request) -> None:
        """Take the request into the next run of the line."""
        if not self._pending:
            self._loop.call_soon(self._flush)
        elif len(self._pending) >= self._queue_size:
            raise Overloaded(RETRY_HINT)
        self._pending.append((sink, request))

    def sweep(self, now: float) -> None:
        """Nothing waits here beyond one turn of the loop; a pass that hangs is the alarm's matter."""

    def close(self) -> None:
        """Nothing is held."""

    def _flush(self) -> None:
        batch, self._pending = self._pending, []
        requests = [request for _, request in batch]
        begin = perf_counter()
        replies = invoke(self._service, requests) if self.alarm is None else self._guarded(self.alarm, requests)
        for (sink, _), reply in zip(batch, replies, strict=True):
            if reply.body.__class__ is bytes:
                sink.answer(reply)
            else:
                self._start_stream(sink, reply)
        self._recorder.batch(requests, replies, begin)

    def _guarded(self, alarm: Alarm, requests: list[Request]) -> list[Reply]:
        """The replies of user code, under the deadline."""
        try:
            with alarm:
                replies = invoke(self._service, requests)
        except DeadlinePassed as error:  # it rang between two requests, where no one of them could be blamed
            replies = [failure(error, request) for request in requests]
        if alarm.rang:
            self._loop.call_soon(self.retire)
        return replies

    def _start_stream(self, sink: Sink, reply: Reply) -> None:
        assert not isinstance(reply.body, bytes)
        self._streams += 1
        sink.begin_stream(reply)
        self._loop.call_soon(self._pump, sink, reply.body)

    def _pump(self, sink: Sink, pieces: Iterator[bytes]) -> None:
        """Send one piece, then let the loop turn; a slow client makes its stream wait, nobody else."""
        if sink.closed:
            self._streams -= 1
            return
        if not sink.writable:
            self._loop.call_later(0.01, self._pump, sink, pieces)
            return
        try:
            piece = self._next_piece(pieces)
        except (Exception, DeadlinePassed):
            log.exception("a streamed answer broke off")
            self._streams -= 1
            sink.end_stream(whole=False)
            return
        if piece is None:
            self._streams -= 1
            sink.end_stream(whole=True)
            return
        sink.send_piece(piece)
        self._loop.call_soon(self._pump, sink, pieces)

    def _next_piece(self, pieces: Iterator[bytes]) -> bytes | None:
        """The next piece, None at the end; user code has until the deadline for each."""
        if self.alarm is None:
            return next(pieces, None)
        try:
            with self.alarm:
                return next(pieces, None)
        finally:
            if self.alarm.rang:
                self._loop.call_soon(self.retire)
