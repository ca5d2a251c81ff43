"""Which request goes where: `/ping` and `/invocations` here, the rest to the control plane.

    GET, HEAD /ping        200 exactly when the next invocation would be answered, else 503
    POST /invocations      the request line
    anything else          the Flask app, in a thread

What can be refused by the head alone is refused before the body is read.
"""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Callable
from time import perf_counter

from serving.errors import MethodNotAllowed, Overloaded, ServingError
from serving.execution.base import Executor
from serving.http import reply as replies
from serving.http.head import Head
from serving.http.limits import Limits
from serving.http.protocol import Connection
from serving.invocation import Reply, Request, failure
from serving.telemetry.record import Recorder

Control = Callable[[Head, Request], "asyncio.Future[Reply]"]
Check = Callable[[str, str], None]
"""Raises what a service can refuse by a request's Content-Type and Accept alone."""


class Routes:
    """The host of this process' connections (`protocol.Host`)."""

    def __init__(self, limits: Limits, executor: Executor, recorder: Recorder, control: Control, check: Check) -> None:
        self.limits, self.executor, self.recorder = limits, executor, recorder
        self.loop = asyncio.get_running_loop()
        self.draining = False
        self.attached = True  # the processes beside this server that run its models, if any, answer
        self.gone: ServingError | None = None  # why no accelerator is there any more, of those that run its models
        self.connections: set[Connection] = set()
        self._control, self._check = control, check
        self._ids = itertools.count(int.from_bytes(os.urandom(5), "big"))
        self._prefix = f"{os.getpid():x}-{int.from_bytes(os.urandom(3), 'big'):06x}-"
        self._waiting: set[asyncio.Future[Reply]] = set()

    def new_id(self) -> str:
        """A request id that no other process of this server gives."""
        return f"{self._prefix}{next(self._ids):x}"

    def precheck(self, head: Head) -> ServingError | None:
        """What can be refused by the head alone, before the body is read."""
        if head.fault is None and head.path == "/invocations":
            if head.method != "POST":
                return _not_post(head)
            try:
                self._check(head.content_type, head.accept)
            except ServingError as error:
                return error
        return head.fault

    def allocate(self, length: int) -> memoryview:
        """Memory for a body."""
        return self.executor.allocate(length)

    def release(self, body: memoryview) -> None:
        """Give back memory that no request was made of."""
        self.executor.release(body)

    def route(self, connection: Connection, head: Head, request: Request) -> None:
        """Start answering a whole request."""
        if head.path == "/invocations" and head.method == "POST" and head.fault is None:
            if self.gone is not None:
                self._refuse(connection, request, self.gone)
                return
            try:
                self.executor.submit(connection, request)
            except Overloaded as error:
                self._refuse(connection, request, error)
        elif head.path == "/ping":
            if isinstance(request.body, memoryview):
                self.executor.release(request.body)
            connection.answer(self._ping(head, request))
        elif head.fault is not None or head.path == "/invocations":
            self._refuse(connection, request, self.precheck(head) or _not_post(head))
        else:
            self._to_control(connection, head, request)

    def refused(self, request: Request, reply: Reply) -> None:
        """Note a request that was answered without its body."""
        self.recorder.refusal(request, reply)

    def sweep(self) -> None:
        """Hold connections and requests against their times; called at the limits' interval."""
        now = perf_counter()
        replies.tick()
        for connection in list(self.connections):
            connection.expire(now)
        self.executor.sweep(now)
        self.recorder.flush()

    @property
    def idle(self) -> bool:
        """Whether everything accepted has been answered."""
        return not self.executor.busy and not self._waiting and not any(c.in_flight for c in self.connections)

    def _ping(self, head: Head, request: Request) -> Reply:
        if head.method not in ("GET", "HEAD"):
            return failure(MethodNotAllowed(f"{head.method} is not allowed for /ping", "GET, HEAD"), request)
        if self.gone is not None:
            return failure(self.gone, request)
        ready = self.executor.ready and self.attached and not self.draining
        return Reply(b"{}\n" if ready else b'{"status": "not ready"}\n', "application/json", 200 if ready else 503)

    def _refuse(self, connection: Connection, request: Request, error: ServingError) -> None:
        if isinstance(request.body, memoryview):
            self.executor.release(request.body)
        reply = failure(error, request)
        connection.answer(reply)
        self.recorder.refusal(request, reply)

    def _to_control(self, connection: Connection, head: Head, request: Request) -> None:
        future = self._control(head, request)
        self._waiting.add(future)

        def done(answered: asyncio.Future[Reply]) -> None:
            self._waiting.discard(answered)
            if isinstance(request.body, memoryview):
                self.executor.release(request.body)
            error = answered.exception()
            connection.answer(failure(error, request) if error else answered.result())

        future.add_done_callback(done)


def _not_post(head: Head) -> MethodNotAllowed:
    return MethodNotAllowed(f"{head.method} is not allowed for /invocations", "POST")
