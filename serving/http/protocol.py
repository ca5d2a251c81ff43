"""One client connection: bytes to requests, replies to bytes. One request at a time, in order; later ones wait in `_rest`.

    HEAD -> BODY | CHUNKED -> WAIT (the request is being answered) -> HEAD
      any fault that leaves the framing unsure -> answer -> LINGER -> closed

A body whose length is known is received straight into the memory that its reader reads (`get_buffer`): it is not copied.
"""

from __future__ import annotations

import asyncio
import fcntl
import socket
import struct
import sys
import termios
from time import perf_counter
from typing import Protocol

from serving.errors import HeadersTooLarge, PayloadTooLarge, RequestTimeout, ServingError
from serving.http import head as heads
from serving.http import reply as replies
from serving.http.chunked import Chunked
from serving.http.head import END, Head
from serving.http.limits import LAST_REQUEST_SECONDS, LINGER_SECONDS, MAX_PIPELINED_BYTES, READ_BUFFER_BYTES, Limits
from serving.invocation import Reply, Request, failure

HEAD, BODY, CHUNKED, WAIT, LINGER = range(5)
_buffer = memoryview(bytearray(READ_BUFFER_BYTES))  # every read of a head lands here and is taken out in the same call


class Host(Protocol):
    """What a connection needs of the process that holds it (`http/worker.py`)."""

    limits: Limits
    loop: asyncio.AbstractEventLoop
    draining: bool
    connections: set[Connection]

    def new_id(self) -> str:
        """A request id that no other process of this server gives."""

    def precheck(self, head: Head) -> ServingError | None:
        """What can be refused by the head alone."""

    def allocate(self, length: int) -> memoryview:
        """Memory for a body; Overloaded where none is left."""

    def release(self, body: memoryview) -> None:
        """Give back what `allocate` gave, where no request was made of it."""

    def route(self, connection: Connection, head: Head, request: Request) -> None:
        """Start answering; `connection.answer` or a stream follows."""

    def refused(self, request: Request, reply: Reply) -> None:
        """Note a request that was answered without its body."""


class Connection(asyncio.BufferedProtocol):
    """A client connection's state."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.state = HEAD
        self.since = 0.0  # when the current state began, on the perf_counter clock
        self.progress = 0.0  # when the last bytes of a body came
        self.closed = False
        self.writable = True
        self.request_id = ""  # of the request that is being read or answered; empty until its head is known
        self.arrived = 0.0
        self._rest = b""
        self._ended = False  # the client has sent all that it will send
        self._due = False  # a request in `_rest` waits for the loop's next turn
        self._chunks = False  # the stream that is being sent is chunked
        self._checked = 0
        self._unsent = 0  # bytes of answers that the client had not taken, when that last changed
        self._taken = 0.0
        self._body: memoryview | None = None

    @property
    def in_flight(self) -> bool:
        """Whether a request of this connection is being received, answered or sent."""
        return self.state in (BODY, CHUNKED, WAIT) or bool(self._rest) or self.transport.get_write_buffer_size() > 0

    @property
    def may_ask(self) -> bool:
        """Whether the client's next request may be on its way; `expire` closes the connections that have been quiet."""
        return self.state == HEAD

    # ---- what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, or close it where there are too many."""
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]
        self.since = perf_counter()
        if len(self.host.connections) >= self.host.limits.connections:
            self.closed = True
            self.transport.abort()
            return
        self.host.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection; a request of it that is still being answered finds `closed`."""
        self.closed = True
        self.host.connections.discard(self)
        self._drop_body()

    def pause_writing(self) -> None:
        """The client reads slower than its answer is made."""
        self.writable = False

    def resume_writing(self) -> None:
        """The client caught up."""
        self.writable = True

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the next bytes go: into the body itself once it has begun."""
        if self.state == BODY:
            assert self._body is not None
            return self._body[self._filled :]
        return _buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Bytes have come."""
        if self.state == HEAD:
            data = bytes(_buffer[:nbytes])
            self._on_head(self._rest + data if self._rest else data)
        elif self.state == BODY:
            assert self._body is not None
            self._filled += nbytes
            self.progress = perf_counter()
            if self._filled == len(self._body):
                self._dispatch(self._body)
        elif self.state == CHUNKED:
            self._on_chunked(bytes(_buffer[:nbytes]))
        elif self.state == WAIT:
            self._rest += bytes(_buffer[:nbytes])
            if len(self._rest) > MAX_PIPELINED_BYTES:
                self.transport.pause_reading()

    def eof_received(self) -> bool:
        """The client will send no more; what it has asked is still answered."""
        self._ended = True
        return self.state == WAIT or self._due

    # ---- from bytes to a request

    def _on_head(self, data: bytes) -> None:
        data = _without_empty_lines(data)
        end = data.find(END)
        self._rest, self.request_id = b"", ""
        try:
            if end < 0:
                self._on_partial_head(data)
                return
            if end > self.host.limits.header_bytes:
                raise HeadersTooLarge(f"the request head is over {self.host.limits.header_bytes} bytes")
            self._head = head = heads.parse(data[: end + 4])
        except ServingError as error:
            self.refuse(error)
            return
        self._checked = 0
        self._begin(head, data, end + 4)

    def _on_partial_head(self, data: bytes) -> None:
        if not self._rest and not self._checked and data:
            self.since = perf_counter()
        if len(data) > self.host.limits.header_bytes:
            raise HeadersTooLarge(f"the request head is over {self.host.limits.header_bytes} bytes")
        if len(data) >= 2 * self._checked and data:
            heads.check_partial(data)
            self._checked = len(data)
        self._rest = data

    def _begin(self, head: Head, data: bytes, at: int) -> None:
        """A head is complete: find its body, or refuse it before it is read."""
        self._keep_alive = head.keep_alive and self.host.limits.idle_seconds > 0 and not self.host.draining
        self.arrived = self.since = self.progress = perf_counter()
        self.request_id = head.request_id or self.host.new_id()
        length = head.length
        if length is not None and at + length <= len(data):
            self._rest = data[at + length :]
            self._dispatch(data[at : at + length])
            return
        fault = self.host.precheck(head)
        if fault is None and length is not None and length > self.host.limits.body_bytes:
            fault = PayloadTooLarge(f"the body of {length} bytes is over the limit of {self.host.limits.body_bytes}")
        if fault is not None:
            self.refuse(fault)
            return
        if head.expects and head.minor:
            self.transport.write(replies.CONTINUE)
        try:
            self._receive(length, data[at:])
        except ServingError as error:
            self.refuse(error)

    def _receive(self, length: int | None, present: bytes) -> None:
        """Go on to a body that is not all here."""
        if length is None:
            self.state = CHUNKED
            self._chunked = Chunked(self.host.limits.body_bytes)
            if present:
                self._on_chunked(present)
            return
        self._body = self.host.allocate(length)
        self._body[: len(present)] = present
        self._filled = len(present)
        self.state = BODY

    def _on_chunked(self, data: bytes) -> None:
        self.progress = perf_counter()
        try:
            self._chunked.feed(data)
        except ServingError as error:
            self.refuse(error)
            return
        if self._chunked.done:
            self._rest = self._chunked.rest
            body = self._chunked.body
            del self._chunked
            self._dispatch(bytes(body))

    def _dispatch(self, body: bytes | memoryview) -> None:
        head = self._head
        self.state = WAIT
        self._body = None
        request = Request(body, head.content_type, head.accept, head.headers, self.request_id, self.arrived)
        self.host.route(self, head, request)

    # ---- from a reply to bytes

    def answer(self, reply: Reply) -> None:
        """Send a whole reply and go on to the next request."""
        if self.closed:
            return
        body = reply.body
        assert isinstance(body, bytes)
        without = self._head.method == "HEAD" or reply.status in replies.NO_BODY
        keep = self._keeps
        raw = replies.head(reply, self.request_id, keep, len(body))
        self.transport.write(raw if without else raw + body)
        self._next(keep)

    def begin_stream(self, reply: Reply) -> None:
        """Send the head of a reply whose body follows in pieces."""
        self._chunks = self._head.minor > 0
        self._keep_alive = self._keep_alive and self._chunks
        if not self.closed:
            length = None if self._chunks else replies.UNTIL_CLOSE
            self.transport.write(replies.head(reply, self.request_id, self._keeps, length))

    def send_piece(self, data: bytes) -> None:
        """Send a piece of a stream's body."""
        if not self.closed:
            self.transport.write(replies.chunk(data) if self._chunks else data)

    def end_stream(self, whole: bool) -> None:
        """End a stream; one that broke off ends without its last chunk, so that the client can tell."""
        if self.closed:
            return
        if not whole:
            self._break_off()
            return
        if self._chunks:
            self.transport.write(replies.LAST_CHUNK)
        self._next(self._keeps)

    def refuse(self, error: ServingError) -> None:
        """Answer a request that cannot be read to its end, and close: what follows it cannot be told apart."""
        if self.closed:
            return
        request = Request(b"", id=self.request_id or self.host.new_id(), arrived=self.arrived or self.since)
        reply = failure(error, request)
        assert isinstance(reply.body, bytes)
        self.transport.write(replies.head(reply, request.id, False, len(reply.body)) + reply.body)
        self.host.refused(request, reply)
        self._linger()

    def expire(self, now: float) -> None:
        """Hold the connection against its limits: called by the sweep."""
        limits, age = self.host.limits, now - self.since
        if self._is_stuck(now):
            self.transport.abort()
        elif self.state == HEAD and not self._rest:
            patience = limits.idle_seconds or limits.header_seconds  # 0 closes after each answer, not before the first
            if age > (min(patience, LAST_REQUEST_SECONDS) if self.host.draining else patience):
                self.transport.close()
        elif self.state == HEAD and age > limits.header_seconds:
            self.refuse(RequestTimeout(f"the request head did not come within {limits.header_seconds:g} s"))
        elif self.state in (BODY, CHUNKED) and (age > limits.body_seconds or now - self.progress > limits.header_seconds):
            self.refuse(RequestTimeout("the request body came too slowly"))
        elif self.state == LINGER and age > LINGER_SECONDS:
            self.transport.abort()

    def _is_stuck(self, now: float) -> bool:
        """Whether the client has taken nothing of its answer for as long as it may pause in sending."""
        unsent = self.transport.get_write_buffer_size()
        sock = self.transport.get_extra_info("socket") if unsent else None
        if sock is not None:  # the kernel's share shrinks as a slow client reads; ours, only by large steps
            unsent += int.from_bytes(fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, b"\0" * 4), sys.byteorder)
        if unsent != self._unsent:
            self._unsent, self._taken = unsent, now
        return unsent > 0 and now - self._taken > self.host.limits.header_seconds

    def _break_off(self) -> None:
        """End a stream so that the client can tell: an HTTP/1.0 client by a reset, others miss the last chunk."""
        sock = self.transport.get_extra_info("socket")
        if sock is not None and not self._chunks:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    @property
    def _keeps(self) -> bool:
        """Whether the connection outlives the answer: not for a client that has sent its last request."""
        return self._keep_alive and not self.host.draining and (bool(self._rest) or not self._ended)

    def _next(self, keep: bool) -> None:
        if not keep:
            self._linger() if self._rest else self.transport.close()
            return
        self.state = HEAD
        self.since = perf_counter()
        self.arrived = 0.0
        if self._rest:
            self.transport.resume_reading()
            self._due = True
            self.host.loop.call_soon(self._next_pipelined)

    def _next_pipelined(self) -> None:
        self._due = False
        if self._rest and self.state == HEAD and not self.closed:
            data, self._rest = self._rest, b""
            self._on_head(data)
            if self._ended and self.state in (HEAD, BODY, CHUNKED) and not self._due:
                self.transport.close()  # the rest of this request will never come

    def _drop_body(self) -> None:
        if self._body is not None:
            self.host.release(self._body)
            self._body = None

    def _linger(self) -> None:
        self._drop_body()
        self.state, self.since, self._rest = LINGER, perf_counter(), b""
        if self.transport.can_write_eof() and not self._ended:
            self.transport.write_eof()
        else:
            self.transport.close()


def _without_empty_lines(data: bytes) -> bytes:
    """What follows the empty lines before a request line, which are skipped (RFC 9112, section 2.2)."""
    at = 0
    while data.startswith(b"\r\n", at):
        at += 2
    return data[at:] if at else data
