"""The pool placement: one front that never computes, and model processes that each take one request at a time.

    connection -> queue -> narrow model process (one thread each), as they fall free
                       -> wide model process (all cores' threads), for a request that is alone

The front's loop only moves bytes, so `/ping` answers in milliseconds under any load. A model process that dies or overruns
a deadline takes down what is inside it and nothing else; the arbiter forks the next one.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
import signal
import socket
import struct
from collections import deque
from contextlib import suppress
from time import perf_counter
from typing import Any

from serving.errors import DeadlineExceeded, ModelProcessDied, Overloaded, ServingError
from serving.execution import channel
from serving.execution.arena import Arena
from serving.execution.base import RETRY_HINT, Nobody, Sink
from serving.invocation import Request, failure
from serving.telemetry.record import Recorder

log = logging.getLogger("ei.execution")
QUEUE_SIZE = 100
"""Invocations that may wait for a model process, unless set (as the MXNet container's job queue)."""
INLINE_BODY_BYTES = 1 << 15
"""Bodies up to this size travel in the message; larger ones are received into the arena."""

WIDE_SECONDS = 0.25
"""How long the other model processes leave the cores to a wide pass."""
CROWD_SECONDS = 0.05
"""How long a body that is being received counts as a request that will not leave another one alone."""
RESTART_SECONDS = 2.0
"""How long the pool counts as ready without a model process, once it had one: a fork takes a few milliseconds."""

NOBODY = Nobody()

Job = tuple[Sink, Request]


class Link(asyncio.Protocol):
    """The front's end of one model process."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.pid, self.slot, self.batch = 0, -1, 1
        self.jobs: list[Job] = []
        self.began = 0.0
        self.overran = False
        self.streaming = False
        self.stopped = False
        self._inbox = channel.Inbox()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A process has connected; it says who it is in its first message."""
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]
        peer: socket.socket = transport.get_extra_info("socket")
        _, uid, _ = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        if uid != os.geteuid():
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """The process has ended."""
        self.pool.ended(self)

    def data_received(self, data: bytes) -> None:
        """Messages, or parts of them."""
        for message in self._inbox.feed(data):
            self.pool.heard(self, message)

    def send(self, jobs: list[Job], arena: Arena) -> None:
        """Hand requests over."""
        self.jobs, self.began, self.stopped = jobs, perf_counter(), False
        self.transport.write(channel.frame([channel.pack_request(request, arena) for _, request in jobs]))

    def stop_stream(self) -> None:
        """Ask for no more of a stream, once; the process says when it has ended it."""
        if not self.stopped:
            self.stopped = True
            self.transport.write(channel.frame([]))


class Pool:
    """The front's view of the queue and of the model processes."""

    def __init__(self, arena: Arena, recorder: Recorder, narrow: int, deadline: float, queue_size: int) -> None:
        self._arena, self._recorder, self._narrow = arena, recorder, narrow
        self._deadline, self._queue_size = deadline, queue_size or QUEUE_SIZE
        self.seen = -RESTART_SECONDS  # when a model process was last there, on the perf_counter clock
        self._queue: deque[Job] = deque()
        self._idle: list[Link] = []
        self._wide: Link | None = None
        self._running: set[Link] = set()
        self._coming, self._announced = 0, -CROWD_SECONDS  # bodies that are being received, and when the last one began

    @property
    def ready(self) -> bool:
        """Whether a model process is there to answer, or was a moment ago: the next one is being forked then."""
        if any(link.slot <= self._narrow for link in (*self._idle, *self._running)):
            self.seen = perf_counter()
        return perf_counter() - self.seen < RESTART_SECONDS

    @property
    def busy(self) -> bool:
        """Whether an accepted invocation is still to be answered."""
        return bool(self._queue or self._running)

    def allocate(self, length: int) -> memoryview:
        """Memory for a body: in the arena where it is worth it."""
        body = memoryview(bytearray(length)) if length <= INLINE_BODY_BYTES else self._arena.allocate(length)
        self._coming += 1
        self._announced = perf_counter()
        return body

    def release(self, body: memoryview) -> None:
        """Give back a body that no request was made of."""
        self._coming -= 1
        self._arena.free(body)

    def submit(self, sink: Sink, request: Request) -> None:
        """Queue the request; Overloaded where the queue is full."""
        if len(self._queue) >= self._queue_size:
            self._drop(request)
            raise Overloaded(RETRY_HINT)  # whoever called releases the body
        if isinstance(request.body, memoryview):
            self._coming -= 1
        self._queue.append((sink, request))
        self._hand_out()

    def sweep(self, now: float) -> None:
        """Answer what has waited or run too long; a process that overran is ended, and the arbiter starts the next."""
        overdue = [job for job in self._queue if now - job[1].arrived > self._deadline]  # a slow upload may be behind others
        for job in overdue:
            self._queue.remove(job)
            self._refuse([job], DeadlineExceeded(f"no model process was free within {self._deadline:g} s"))
        for link in list(self._running):
            if now - link.began > self._deadline and not link.overran:
                link.overran = True
                log.error("model process %d overran the deadline of %g s and is ended", link.pid, self._deadline)
                self._fail(link, DeadlineExceeded(f"the model did not answer within {self._deadline:g} s"))
                with suppress(ProcessLookupError):  # it has ended by itself, and its socket's end is yet to be heard
                    os.kill(link.pid, signal.SIGKILL)
            elif not link.streaming:
                self._give_up(link, now)
        self._hand_out()  # what waited for a wide pass that takes long

    def close(self) -> None:
        """Let the model processes go."""
        for link in (*self._idle, *self._running, *([self._wide] if self._wide else [])):
            link.transport.close()

    # ---- what links report

    def heard(self, link: Link, message: tuple[Any, ...]) -> None:
        """A message of a model process."""
        kind = message[0]
        if link.overran:  # it has been answered for, and is being ended
            return
        if kind == "replies":
            self._answer(link, message[1])
        elif kind == "ready":
            _, link.pid, link.slot, link.batch = message
            self._free(link)
        elif kind == "begin":
            self._begin_stream(link, message[1])
        elif kind == "piece":
            self._piece(link, message[1])
        elif kind == "end":
            self._end_stream(link, message[1])

    def ended(self, link: Link) -> None:
        """A model process has gone: what was inside it fails, nothing else does."""
        if link in self._idle:
            self._idle.remove(link)
        if link is self._wide:
            self._wide = None
        if link in self._running:
            self._recorder.metrics.model_process_ended()
            cause = "was killed, crashed or ran out of memory"
            self._fail(link, ModelProcessDied(f"the model process {cause} while it answered; it is being restarted"))
            self._running.discard(link)

    # ---- the queue

    def _hand_out(self) -> None:
        """Give waiting requests to free processes: the wide one where a request is alone."""
        while self._queue:
            if self._wide is not None and self._is_alone():
                link, self._wide = self._wide, None
            elif self._idle and self._narrow_running() < self._narrow and not self._wide_has_the_cores():
                link = self._idle.pop()
            else:
                return
            jobs = self._next_jobs(link.batch)
            if not jobs:
                self._free_only(link)
                return
            self._running.add(link)
            link.send(jobs, self._arena)

    def _is_alone(self) -> bool:
        """Whether the waiting request is the only one: none runs, none has just begun to come in."""
        others = self._running or (self._coming and perf_counter() - self._announced < CROWD_SECONDS)
        return not others and len(self._queue) == 1

    def _wide_has_the_cores(self) -> bool:
        """Whether a wide pass has just begun: beside it all would be slower. One that takes long is not waited for."""
        now = perf_counter()
        return any(
            link.slot > self._narrow and not link.streaming and now - link.began < WIDE_SECONDS for link in self._running
        )

    def _narrow_running(self) -> int:
        return sum(1 for link in self._running if link.slot <= self._narrow)

    def _next_jobs(self, most: int) -> list[Job]:
        jobs: list[Job] = []
        while self._queue and len(jobs) < most:
            sink, request = self._queue.popleft()
            if sink.closed:  # the client has gone: nobody would read the answer
                self._drop(request)
            else:
                jobs.append((sink, request))
        return jobs

    def _free(self, link: Link) -> None:
        self._free_only(link)
        self._hand_out()

    def _free_only(self, link: Link) -> None:
        self._running.discard(link)
        if link.slot > self._narrow:
            self._wide = link
        else:
            self._idle.append(link)

    def _answer(self, link: Link, packed: list[tuple[Any, ...]]) -> None:
        jobs, link.jobs = link.jobs, []
        began = link.began
        self._free(link)  # first: the process need not wait for the client's write
        answered = []
        for (sink, request), one in zip(jobs, packed, strict=True):
            self._drop(request)
            if sink is not NOBODY:
                answered.append((request, channel.unpack_reply(one)))
                sink.answer(answered[-1][1])
        if answered:
            self._recorder.batch([request for request, _ in answered], [reply for _, reply in answered], began)

    def _begin_stream(self, link: Link, packed: tuple[Any, ...]) -> None:
        link.streaming = True
        reply = channel.unpack_reply(packed)
        sink, request = link.jobs[0]
        if sink is not NOBODY:
            sink.begin_stream(reply)
            self._recorder.batch([request], [reply], link.began)
        self._hand_out()  # nothing waits for a stream on the wide process

    def _piece(self, link: Link, data: bytes) -> None:
        sink = link.jobs[0][0]
        if sink.closed:  # its deadline stands: a script that makes pieces for nobody is stopped, or ended
            link.stop_stream()
            return
        link.began = perf_counter()  # a stream's deadline is from piece to piece
        sink.send_piece(data)
        if not sink.writable:  # the process waits in its send while nobody reads here
            link.began = math.inf
            link.transport.pause_reading()
            asyncio.get_running_loop().call_later(0.01, self._resume, link, sink)

    def _resume(self, link: Link, sink: Sink) -> None:
        if sink.writable or sink.closed:
            link.began = perf_counter()
            link.transport.resume_reading()
        else:
            asyncio.get_running_loop().call_later(0.01, self._resume, link, sink)

    def _end_stream(self, link: Link, whole: bool) -> None:
        sink, request = link.jobs[0]
        link.jobs, link.streaming = [], False
        self._drop(request)
        sink.end_stream(whole)
        self._free(link)

    def _give_up(self, link: Link, now: float) -> None:
        """Answer requests whose deadline, which began with their head, passes while they run; their pass goes on."""
        for at, (sink, request) in enumerate(link.jobs):
            if sink is not NOBODY and now - request.arrived > self._deadline:
                error = DeadlineExceeded(f"it waited for a model process and was not answered within {self._deadline:g} s")
                self._refused(sink, request, error)
                link.jobs[at] = (NOBODY, request)

    def _fail(self, link: Link, error: ServingError) -> None:
        jobs, link.jobs = link.jobs, []
        if link.streaming:
            link.streaming = False
            for sink, request in jobs:
                self._drop(request)
                sink.end_stream(whole=False)
            return
        self._refuse(jobs, error)

    def _refuse(self, jobs: list[Job], error: ServingError) -> None:
        for sink, request in jobs:
            self._drop(request)
            if sink is not NOBODY:
                self._refused(sink, request, error)

    def _refused(self, sink: Sink, request: Request, error: ServingError) -> None:
        reply = failure(error, request)
        sink.answer(reply)
        self._recorder.refusal(request, reply)

    def _drop(self, request: Request) -> None:
        """Give the body's memory back; the log still asks for its length."""
        body = request.body
        if isinstance(body, memoryview):
            self._arena.free(body)


async def listen(pool: Pool, sock: socket.socket) -> asyncio.AbstractServer:
    """Let model processes connect to the pool on this listening Unix socket."""
    loop = asyncio.get_running_loop()
    return await loop.create_unix_server(lambda: Link(pool), sock=sock)
