"""One call's stream, at either end: its message as it comes, its windows, and what waits to be sent."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from serving.accelerators.rpc.frames import PREFIX, PREFIX_SIZE, Buffer, Fault, StreamFault, window_update
from serving.accelerators.rpc.incoming import Incoming
from serving.accelerators.rpc.outgoing import Outgoing

if TYPE_CHECKING:
    from serving.accelerators.rpc.connection import Connection

WINDOW = 16 << 20
"""What a peer may send ahead in one stream. No memory stands behind it: a message is admitted by its prefix, else thrown away."""


class Stream:
    """A stream of a connection; an end of a call is made of it by `admit`, `message`, `half_closed` and `stopped`."""

    __slots__ = (
        *("_credit", "_incoming", "closed", "connection", "ended", "ends", "number", "outgoing", "paused", "tail"),
        *("touched", "window"),
    )

    def __init__(self, connection: Connection[Any], number: int) -> None:
        self.connection, self.number = connection, number
        self.window = connection.peer_window
        self._credit = WINDOW
        self._incoming: Incoming | None = None
        self.outgoing: Outgoing | None = None
        self.tail, self.ends = b"", 0
        self.ended = self.closed = self.paused = False
        self.touched = time.monotonic()

    def admit(self, length: int) -> None:
        """A message of this length is coming; raise to refuse it."""

    def message(self, compressed: int, body: Buffer) -> None:
        """A message is there."""

    def half_closed(self) -> None:
        """The peer sends nothing more."""

    def stopped(self, fault: int, why: str) -> None:
        """The stream is over before its time: reset, or its connection is gone."""

    def drained(self) -> None:
        """All that waited has been handed to the socket."""

    def charge(self, length: int) -> None:
        """A DATA frame of this length is coming."""
        self._credit -= length
        if self._credit < 0:
            raise StreamFault(Fault.FLOW_CONTROL_ERROR, "more data than the stream's window allows")
        if self.ended:
            raise StreamFault(Fault.STREAM_CLOSED, "data after the end of the stream")

    def receive(self, data: memoryview, ends: int) -> None:
        """Some of the stream's bytes; `ends` where they are the last."""
        if len(data) >= PREFIX_SIZE and not self.partial:
            compressed, length = PREFIX.unpack_from(data)
            if length == len(data) - PREFIX_SIZE:  # all of a message in one frame: no memory is set up for it
                self.admit(length)
                self.message(compressed, bytes(data[PREFIX_SIZE:]))
                self.frame_over(ends)
                return
        if self._incoming is None:
            self._incoming = Incoming(self.admit)
        self.touched = time.monotonic()
        for compressed, body in self._incoming.feed(data):
            if self.closed:
                return
            self.message(compressed, body)
        self.frame_over(ends)

    def frame_over(self, ends: int) -> None:
        """All of a DATA frame is there, or as much of it as there is yet."""
        if self.closed:
            return
        if ends:
            self.end()
        else:
            self.top_up()

    def end(self) -> None:
        """The peer's last byte is there."""
        self.ended = True
        if self.partial:
            raise StreamFault(Fault.PROTOCOL_ERROR, "a stream that ends within a message")
        self.half_closed()

    def top_up(self) -> None:
        """Let the peer send on, if it may have come to the half of its window."""
        if self._credit < WINDOW // 2 and not self.paused:
            self.connection.write(window_update(self.number, WINDOW - self._credit))
            self._credit = WINDOW

    @property
    def partial(self) -> bool:
        """Whether a message has begun and not ended."""
        return self._incoming is not None and self._incoming.partial

    def filling(self, left: int) -> memoryview | None:
        """The memory that the next `left` bytes of the frame belong into, if a message is under way."""
        if self._incoming is None or self._incoming.message is None or self.closed:
            return None
        at = self._incoming.filled
        return self._incoming.message[at : at + left]

    def filled(self, count: int) -> None:
        """So many bytes have been received into what `filling` gave."""
        self.touched = time.monotonic()
        if self.closed or self._incoming is None:
            return
        compressed, body = self._incoming.compressed, self._incoming.fill(count)
        if body is not None:
            self.message(compressed, body)
