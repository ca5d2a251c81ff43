"""A call at the server: what its handler sees of it, and answers it by."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from struct import Struct
from typing import TYPE_CHECKING, Any, Protocol

from serving.accelerators.errors import Code, one_line
from serving.accelerators.rpc import frames
from serving.accelerators.rpc.frames import END_HEADERS, END_STREAM, Buffer, Fault, StreamFault
from serving.accelerators.rpc.heads import AGENT, block, escaped, gunzip
from serving.accelerators.rpc.stream import Stream

if TYPE_CHECKING:
    from serving.accelerators.rpc.request import RequestHead
    from serving.accelerators.rpc.server import ServerConnection

log = logging.getLogger("ei.rpc")


@dataclass(frozen=True)
class Limits:
    """What clients may take. Bytes are held from a message's prefix to its call's end, over all connections."""

    max_message: int = 256 << 20
    max_held: int = 1 << 30
    max_streams: int = 1024
    max_header_list: int = 16 << 10
    max_connections: int = 1024
    preface_seconds: float = 10
    stall_seconds: float = 30
    write_seconds: float = 60


class Handler(Protocol):
    """What answers calls; its methods are called on the loop and must not block."""

    def is_streaming(self, path: str) -> bool:
        """Whether calls of a path have many messages; asked once for a header block, so it must not change."""

    def handle(self, call: Call, body: Buffer) -> None:
        """A message is there: all that a unary call has to say, or one of a stream."""

    def half_closed(self, call: Call) -> None:
        """A stream's client has said its last message."""

    def closed(self, call: Call) -> None:
        """A stream is over before it was finished: cancelled, past its deadline, or its connection lost."""


_OPEN = block([(":status", "200"), ("content-type", "application/grpc")])
_OK = block([("grpc-status", "0")])
_BEFORE, _AFTER = Struct(f">IBI{len(_OPEN)}s"), Struct(f">IBI{len(_OK)}s")


class Call(Stream):
    """One call. Answer it once: `reply` or `fail`; a stream by `send` as often as needed, then `finish` or `fail`.

    Answers to a call that is over are thrown away. Pieces are not copied where the peer is slow: leave them as they are.
    `deadline` is on `time.monotonic`'s clock. `on_cancel` is called once, where nobody waits for the answer any more;
    `on_drained` whenever a stream's client has read what `writable` said was waiting.
    """

    connection: ServerConnection
    __slots__ = (
        *("_begun", "_body", "_held", "_head", "_queued", "cancelled", "deadline", "metadata"),
        *("on_cancel", "on_drained", "path", "state"),
    )

    def __init__(self, connection: ServerConnection, number: int, head: RequestHead) -> None:
        super().__init__(connection, number)
        self._head = head
        self.path, self.metadata = head.path, head.metadata
        self.deadline = None if head.timeout is None else self.touched + head.timeout
        self.cancelled = False
        self.on_cancel: Callable[[], None] | None = None
        self.on_drained: Callable[[], None] | None = None
        self.state: Any = None
        self._begun, self._held, self._queued = False, 0, 0
        self._body: Buffer | None = None

    @property
    def peer(self) -> str:
        """Where the call comes from."""
        return self.connection.peer

    @property
    def client(self) -> str | int:
        """Whose call it is: a process of ours by its name, however many connections it has; else the connection."""
        agent = self.metadata.get("user-agent", "")
        return agent if agent.startswith(AGENT) else self.connection.key

    @property
    def writable(self) -> bool:
        """Whether nothing that was sent is waiting for the peer to read."""
        return self.outgoing is None

    @property
    def unsaid(self) -> bool:
        """Whether a unary call's message is still to come."""
        return not self.ended and not self._head.streaming

    # ---- what comes

    def admit(self, length: int) -> None:
        """Hold memory for a message, or refuse the call."""
        server = self.connection.server
        if length > server.limits.max_message:
            self._refuse(f"a message of {length} bytes: this server takes {server.limits.max_message}")
        if server.held + length > server.limits.max_held:
            self._refuse(f"no room for a message of {length} bytes: {server.held} of {server.limits.max_held} are taken")
        if self._held and not self._head.streaming:
            self.fail(Code.INTERNAL, "a second message in a unary call")
            raise StreamFault(Fault.NO_ERROR, "a second message")
        self._held += length
        server.held += length

    def _refuse(self, why: str) -> None:
        self.fail(Code.RESOURCE_EXHAUSTED, why)
        raise StreamFault(Fault.NO_ERROR, why)

    def message(self, compressed: int, body: Buffer) -> None:
        """A message is there."""
        if compressed:
            plain = self._plain(compressed, body)
            if plain is None:
                return
            body = plain
        if not self._head.streaming:
            if self._body is not None:
                self.fail(Code.INTERNAL, "a second message in a unary call")
            self._body = body
            return
        self.connection.server.held -= self._held
        self._held = 0
        self._hand(body)

    def _plain(self, compressed: int, body: Buffer) -> bytes | None:
        server = self.connection.server
        if compressed != 1 or self._head.encoding != "gzip":
            self.fail(Code.INTERNAL, "a message marked as compressed in a call that is not")
            return None
        limit = min(server.limits.max_message, server.limits.max_held - server.held)
        try:
            plain = gunzip(body, limit)
        except ValueError as error:
            self.fail(Code.INVALID_ARGUMENT, str(error))
            return None
        if plain is None:
            self.fail(Code.RESOURCE_EXHAUSTED, f"a compressed message that grows beyond {limit} bytes")
            return None
        self._held += len(plain)
        server.held += len(plain)
        return plain

    def half_closed(self) -> None:
        """The client has said all it has to say."""
        if not self._head.streaming:
            body, self._body = self._body, None
            if body is None:
                self.fail(Code.INTERNAL, "a unary call without a message")
            else:
                self._hand(body)
            return
        try:
            self.connection.server.handler.half_closed(self)
        except Exception:
            self._failed()

    def _hand(self, body: Buffer) -> None:
        try:
            self.connection.server.handler.handle(self, body)
        except Exception:
            self._failed()

    def _failed(self) -> None:
        log.exception("%s failed", self.path)
        self.fail(Code.INTERNAL, "internal error: see the server's log")

    def stopped(self, fault: int, why: str) -> None:
        """The client has gone, or taken its call back."""
        self._release()
        self.cancelled = True
        callback, self.on_cancel = self.on_cancel, None
        try:
            if callback is not None:
                callback()
            if self._head.streaming:
                self.connection.server.handler.closed(self)
        except Exception:
            log.exception("%s failed while it was cancelled", self.path)

    def expire(self) -> None:
        """Its deadline has passed."""
        self.fail(Code.DEADLINE_EXCEEDED, "the deadline has passed")
        self.stopped(Fault.CANCEL, "the deadline has passed")

    # ---- what goes

    def reply(self, pieces: list[Buffer]) -> None:
        """Answer a unary call with a message, the pieces together."""
        if self.closed:
            return
        number = self.number
        before = b"" if self._begun else _BEFORE.pack(len(_OPEN) << 8 | frames.HEADERS, END_HEADERS, number, _OPEN)
        self._begun = True
        after = _AFTER.pack(len(_OK) << 8 | frames.HEADERS, END_HEADERS | END_STREAM, number, _OK)
        self.connection.send(self, pieces, before, after)
        if self.outgoing is not None:
            self._count_queued()

    def drained(self) -> None:
        """All of it is out: if the trailers were, the call is over."""
        self.connection.server.held -= self._queued
        self._queued = 0
        if self.tail:
            self._over()
        elif self.on_drained is not None:
            self.on_drained()

    def _count_queued(self) -> None:
        """Answers that are not read are held too."""
        server, left = self.connection.server, self.outgoing.left if self.outgoing is not None else 0
        server.held += left - self._queued
        self._queued = left

    def send(self, pieces: list[Buffer]) -> None:
        """Answer a stream with one more message."""
        if self.closed or self.tail:
            return
        before = b"" if self._begun else _BEFORE.pack(len(_OPEN) << 8 | frames.HEADERS, END_HEADERS, self.number, _OPEN)
        self._begun = True
        self.connection.send(self, pieces, before)
        if self.outgoing is not None:
            self._count_queued()
            if self.connection.server.held > self.connection.server.limits.max_held:
                self.fail(Code.RESOURCE_EXHAUSTED, "the answers are not read")
                self.stopped(Fault.CANCEL, "the answers are not read")

    def finish(self) -> None:
        """End a stream, after what was sent."""
        self._trail(Code.OK, "")

    def fail(self, code: Code, message: str) -> None:
        """End a call with an error; what was to be sent is dropped."""
        if self.closed:
            return
        self.outgoing, self.tail = None, b""
        self._trail(code, one_line(message))

    def _trail(self, code: Code, message: str) -> None:
        if self.closed or self.tail:
            return
        fields = [] if self._begun else [(":status", str(self._head.http_status)), ("content-type", "application/grpc")]
        fields += [("grpc-status", str(int(code))), *([("grpc-message", escaped(message))] if message else [])]
        if code == Code.UNIMPLEMENTED and self._head.encoding not in ("identity", "gzip"):
            fields.append(("grpc-accept-encoding", "identity,gzip"))
        trailers = frames.frame(frames.HEADERS, END_HEADERS | END_STREAM, self.number, block(fields))
        if self.outgoing is not None:
            self.tail = trailers
        else:
            self.connection.write(trailers)
            self._over()

    def pause(self) -> None:
        """Let a stream's client send no more than its window holds, until `resume`."""
        self.paused = True

    def resume(self) -> None:
        """Go on."""
        self.paused = False
        if not self.closed and not self.ended:
            self.top_up()

    def _over(self) -> None:
        if not self.ended:  # whatever the client still sends is thrown away
            self.connection.write(frames.reset(self.number, Fault.NO_ERROR))
        self.connection.close(self)
        self._release()

    def _release(self) -> None:
        self.connection.server.held -= self._held + self._queued
        self._held, self._queued, self._body = 0, 0, None
