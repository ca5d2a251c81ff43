"""A client's end of a connection on an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from serving.accelerators.errors import AcceleratorError, Code
from serving.accelerators.rpc import frames
from serving.accelerators.rpc.connection import GREETING, MORE, Connection
from serving.accelerators.rpc.frames import END_HEADERS, END_STREAM, HEAD, Buffer, Fault
from serving.accelerators.rpc.heads import Heads
from serving.accelerators.rpc.response import MAX_MESSAGE, ResponseHead, error_of, plain, read_head, reset_error
from serving.accelerators.rpc.stream import Stream

HEADER_LIMIT = 64 << 10
PROBE_SECONDS = 5.0
PROBE = b"anybody?"
Ended = Callable[[Buffer | None, Exception | None], None]


class Unprocessed(Exception):
    """The server has not looked at the call: it may be made again."""


class ClientCall(Stream):
    """A unary call's stream."""

    connection: ClientConnection
    __slots__ = ("_compressed", "_message", "ended_by", "encoding")

    def __init__(self, connection: ClientConnection, number: int, ended_by: Ended) -> None:
        super().__init__(connection, number)
        self.ended_by = ended_by
        self.encoding = "identity"
        self._compressed = 0
        self._message: Buffer | None = None

    def admit(self, length: int) -> None:
        """An answer of this length is coming."""
        if length > MAX_MESSAGE or self._message is not None:
            self.connection.write(frames.reset(self.number, Fault.CANCEL))
            self.connection.close(self)
            why = "a second message" if self._message is not None else f"an answer of {length} bytes"
            self.ended_by(None, AcceleratorError(Code.RESOURCE_EXHAUSTED, why))
            raise frames.StreamFault(Fault.CANCEL, why)

    def message(self, compressed: int, body: Buffer) -> None:
        """The answer is there; the trailers say whether it counts."""
        self._compressed, self._message = compressed, body

    def half_closed(self) -> None:
        """The stream ended without trailers."""
        self.trailers(None)

    def trailers(self, head: ResponseHead | None) -> None:
        """The call is over."""
        connection, address = self.connection, self.connection.address
        if self.outgoing is not None:  # the server has heard enough
            connection.write(frames.reset(self.number, Fault.NO_ERROR))
        connection.close(self)
        error: AcceleratorError | None = None
        message: Buffer | None = None
        if head is None:
            error = AcceleratorError(Code.INTERNAL, f"{address} ended the call without a status")
        elif head.status != 0:
            error = error_of(head, address)
        elif self._message is None:
            error = AcceleratorError(Code.INTERNAL, f"{address} answered without a message")
        else:
            try:
                message = plain(self._compressed, self._message, self.encoding)
            except AcceleratorError as found:
                error = found
        self.ended_by(message, error)

    def stopped(self, fault: int, why: str) -> None:
        """The stream was reset, or its connection is gone."""
        if self.connection.lost:
            self.ended_by(None, ConnectionError(why))
        elif fault == Fault.REFUSED_STREAM:
            self.ended_by(None, Unprocessed("the server takes no more calls"))
        else:
            self.ended_by(None, reset_error(fault, self.connection.address))


class ClientConnection(Connection[ClientCall]):
    """A connection; `free` is called whenever it may take another call, or none any more."""

    def __init__(self, address: str, free: Callable[[ClientConnection], None]) -> None:
        super().__init__(HEADER_LIMIT)
        self.address = address
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.leaving = self.lost = False
        self._free = free
        self._heads: Heads[ResponseHead] = Heads(read_head, HEADER_LIMIT)
        self._number = 1
        self._probing: asyncio.TimerHandle | None = None

    @property
    def takes_more(self) -> bool:
        """Whether another call can be made now."""
        return not self.leaving and not self.closing and len(self.streams) < self.peer_streams

    def opened(self) -> None:
        """Say hello."""
        secured = self.transport.get_extra_info("ssl_object")
        if secured is not None and secured.selected_alpn_protocol() != "h2":
            self.ready.set_exception(OSError("it does not offer HTTP/2 over TLS"))
            return
        self.transport.write(frames.PREFACE + frames.settings({frames.ENABLE_PUSH: 0, **GREETING}) + MORE)

    def received(self, data: memoryview) -> None:
        """Frames, if the server speaks HTTP/2 at all."""
        if not self.ready.done() and bytes(data[:5]) == b"HTTP/":
            self.ready.set_exception(OSError("it answers in HTTP/1"))
            self.hang_up()
            return
        super().received(data)

    def settled(self) -> None:
        """The server's settings are there."""
        if not self.ready.done():
            self.ready.set_result(None)

    def ask(self, block: bytes, pieces: list[Buffer], ended: Ended) -> int:
        """Begin a call: its stream's number."""
        number, self._number = self._number, self._number + 2
        if self._number >= frames.MAX_STREAM:
            self.leaving = True
        call = self.streams[number] = ClientCall(self, number, ended)
        before = HEAD.pack(len(block) << 8 | frames.HEADERS, END_HEADERS, number) + block
        self.send(call, pieces, before, b"", END_STREAM)
        return number

    def take_back(self, number: int) -> None:
        """Nobody waits for a call any more."""
        call = self.streams.get(number)
        if call is not None:
            self.write(frames.reset(number, Fault.CANCEL))
            self.close(call)

    def drop(self) -> None:
        """Give up a connection that has not been made, or not all of it."""
        if self.transport is not None:
            self.closing = True
            self.transport.abort()

    def probe(self) -> None:
        """A call was not answered in time: find out whether the server still is."""
        if self._probing is None and not self.closing:
            self.write(frames.frame(frames.PING, 0, 0, PROBE))
            self._probing = asyncio.get_running_loop().call_later(PROBE_SECONDS, self.transport.abort)

    def pong(self, payload: bytes) -> None:
        """The server is there."""
        if self._probing is not None:
            self._probing.cancel()
            self._probing = None

    def head(self, number: int, block: bytes, ends: int) -> None:
        """An answer's head, or its trailers."""
        head = self._heads.read(block)
        call = self.streams.get(number)
        if call is None:
            return
        if head.status is not None or head.http_status not in (None, 200):
            call.trailers(head)
        elif ends:
            call.trailers(None)
        else:
            call.encoding = head.encoding

    def never_opened(self, number: int) -> bool:
        """Whether a stream has not begun yet."""
        return number >= self._number or not number & 1

    def close(self, stream: ClientCall) -> None:
        """Forget a call; another may take its place."""
        super().close(stream)
        if self.leaving and not self.streams and not self.closing:
            self.hang_up()
        self._free(self)

    def going_away(self, last: int, why: str) -> None:
        """The server takes no calls after the last one: those are made again elsewhere."""
        self.leaving = True
        for number, call in list(self.streams.items()):
            if number > last:
                self.close(call)
                call.ended_by(None, Unprocessed(why or "the server takes no more calls"))
        self._free(self)
        if not self.streams and not self.closing:
            self.hang_up()

    def connection_lost(self, exc: Exception | None) -> None:
        """The server is gone."""
        self.leaving = self.lost = True
        if self._probing is not None:
            self._probing.cancel()
        if not self.ready.done():
            self.ready.set_exception(ConnectionError(f"the connection is lost: {exc}" if exc else "it hung up"))
        super().connection_lost(exc)
        self._free(self)
