"""HTTP/2 on an asyncio transport, either end: frames in, windows both ways, frames out.

What a large message's DATA frames carry is received straight into the message's memory; all else passes through one buffer of
the loop's thread, which no connection keeps. A peer that breaks the protocol ends its own connection and no other.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from typing import cast

from serving.accelerators.rpc import frames
from serving.accelerators.rpc.frames import HEAD, HEAD_SIZE, ConnectionFault, Fault, StreamFault
from serving.accelerators.rpc.sender import HIGH_WATER, S, Sender
from serving.accelerators.rpc.stream import WINDOW

log = logging.getLogger("ei.rpc")

SCRATCH = 256 << 10
FRAME = 1 << 20
"""The largest DATA frame that a peer may send."""
SMALL_FRAME = 16_384
"""The largest of any other frame."""
CONNECTION_WINDOW = 64 << 20
DIRECT = 32 << 10
"""Bytes of a frame that are worth a receive of their own."""
CALM = 10_000
"""Frames in a second that no call comes of, before the peer is told to calm down; a reset counts tenfold."""


class Connection(Sender[S], asyncio.BufferedProtocol):
    """An end of a connection. `head` and `opened` make a server or a client of it."""

    def __init__(self, header_limit: int) -> None:
        super().__init__()
        self._header_limit = header_limit
        self._scratch = _scratch()
        self._received, self._calm, self._calmed = 0, CALM, time.monotonic()
        self._rest = b""
        self._block: tuple[int, int, bytearray] | None = None  # stream, flags and bytes of a header block that goes on
        self._left = self._padding = self._ends = 0  # of the DATA frame under way
        self._into: S | None = None
        self._filling: memoryview | None = None

    def head(self, number: int, block: bytes, ends: int) -> None:
        """A header block has come in a stream."""
        raise NotImplementedError

    def opened(self) -> None:
        """The transport is there."""

    def going_away(self, last: int, why: str) -> None:
        """The peer takes no streams after the last one."""

    def pong(self, payload: bytes) -> None:
        """The peer has answered a PING of ours."""

    def settled(self) -> None:
        """The peer's settings are there, or have changed."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a transport over."""
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(HIGH_WATER)
        self.peer = str(transport.get_extra_info("peername") or "a local socket")
        self.opened()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the next bytes go."""
        return self._scratch if self._filling is None else self._filling

    def buffer_updated(self, nbytes: int) -> None:
        """Bytes have come; nothing that they say may raise from here."""
        try:
            if self._filling is not None:
                self._filled(nbytes)
            else:
                self.received(self._scratch[:nbytes])
        except ConnectionFault as fault:
            self.fail(fault)
        except Exception:
            log.exception("%s: gRPC failed; the connection is closed", self.peer)
            self.fail(ConnectionFault(Fault.INTERNAL_ERROR, "internal error"))

    def received(self, data: memoryview) -> None:
        """Read frames as far as they are there."""
        if self._rest:
            data, self._rest = memoryview(self._rest + data), b""
        at, end = 0, len(data)
        if self._left or self._padding:
            at = self._payload(data, 0)
        while end - at >= HEAD_SIZE and not self.closing:
            word, flags, number = HEAD.unpack_from(data, at)
            kind, length = word & 0xFF, word >> 8
            if kind == frames.DATA:
                after = self._data(flags, number & frames.MAX_STREAM, length, data[at + HEAD_SIZE :])
                if after is None:
                    break
                at += HEAD_SIZE + after
                continue
            if length > SMALL_FRAME:
                raise ConnectionFault(Fault.FRAME_SIZE_ERROR, f"a frame of kind {kind} of {length} bytes")
            if end - at < HEAD_SIZE + length:
                break
            at += HEAD_SIZE
            self._frame(kind, flags, number & frames.MAX_STREAM, data[at : at + length])
            at += length
        if at < end and not self.closing:
            self._rest = bytes(data[at:])

    def _data(self, flags: int, number: int, length: int, data: memoryview) -> int | None:
        """Begin a DATA frame: how much of what is there has been taken; None where its padding is still to come."""
        if length > FRAME:
            raise ConnectionFault(Fault.FRAME_SIZE_ERROR, f"a DATA frame of {length} bytes")
        if self._block is not None or not number:
            raise ConnectionFault(Fault.PROTOCOL_ERROR, "a DATA frame where none may be")
        padding = 0
        if flags & frames.PADDED:
            if not data and length:
                return None
            padding = 1 + data[0] if length else 1
            if padding > length:
                raise ConnectionFault(Fault.PROTOCOL_ERROR, "padding longer than its frame")
        self._received += length
        if self._received > CONNECTION_WINDOW // 2:
            self.write(frames.window_update(0, self._received))
            self._received = 0
        if length < HEAD_SIZE and not flags & frames.END_STREAM:
            self.calm(1)
        stream = self.streams.get(number)
        if stream is None:
            self._stray(number)
        else:
            try:
                stream.charge(length)
            except StreamFault as fault:
                self.reset(stream, fault)
                stream = None
        ends = flags & frames.END_STREAM
        if not padding and length <= len(data):
            if stream is not None:
                self._deliver(stream, data[:length], ends)
            return length
        skipped = 1 if padding else 0
        self._into, self._ends = stream, ends
        self._left, self._padding = length - padding, padding - skipped
        return skipped + self._payload(data[skipped:], 0)

    def _payload(self, data: memoryview, at: int) -> int:
        """Go on with a DATA frame's payload: where in the data it ends."""
        count = min(self._left, len(data) - at)
        self._left -= count
        last = 0 if self._left else self._ends
        if self._into is not None and not self._into.closed and (count or last):
            self._deliver(self._into, data[at : at + count], last)
        if last:
            self._into = None
        padding = min(self._padding, len(data) - at - count)
        self._padding -= padding
        if self._left > DIRECT and self._into is not None:
            self._filling = self._into.filling(self._left)
        return at + count + padding

    def _filled(self, count: int) -> None:
        """A large message's bytes have been received where they belong."""
        stream, filling = self._into, self._filling
        assert stream is not None
        assert filling is not None
        self._left -= count
        self._filling = filling[count:] if count < len(filling) else None
        try:
            stream.filled(count)
            if self._filling is None and not stream.closed:
                stream.frame_over(0 if self._left else self._ends)
        except StreamFault as fault:
            self.reset(stream, fault)

    def _deliver(self, stream: S, data: memoryview, ends: int) -> None:
        try:
            stream.receive(data, ends)
        except StreamFault as fault:
            self.reset(stream, fault)

    def _stray(self, number: int) -> None:
        """Data for a stream that is over are thrown away; one that never began is an error."""
        if self.never_opened(number):
            raise ConnectionFault(Fault.PROTOCOL_ERROR, f"a frame for stream {number}, which is not open")

    def never_opened(self, number: int) -> bool:
        """Whether a stream has not begun yet."""
        raise NotImplementedError

    def _frame(self, kind: int, flags: int, number: int, payload: memoryview) -> None:
        """Any frame but DATA."""
        if self._block is not None and kind != frames.CONTINUATION:
            raise ConnectionFault(Fault.PROTOCOL_ERROR, "a header block that another frame interrupts")
        if kind == frames.HEADERS:
            self._headers(flags, number, payload)
        elif kind == frames.CONTINUATION:
            self._continuation(flags, number, payload)
        else:
            reader = _READERS.get(kind)
            self.calm(1)
            if reader is not None:  # a kind that nobody knows is passed over
                reader(self, flags, number, payload)

    def _headers(self, flags: int, number: int, payload: memoryview) -> None:
        if not number:
            raise ConnectionFault(Fault.PROTOCOL_ERROR, "a HEADERS frame without a stream")
        block = bytes(frames.unpadded(flags, payload))
        if flags & frames.END_HEADERS:
            self._head(number, block, flags)
        else:
            self._block = number, flags, bytearray(block)

    def _continuation(self, flags: int, number: int, payload: memoryview) -> None:
        self.calm(1)
        if self._block is None or self._block[0] != number:
            raise ConnectionFault(Fault.PROTOCOL_ERROR, "a CONTINUATION frame that continues nothing")
        number, first, block = self._block
        block += payload
        if len(block) > self._header_limit:
            raise ConnectionFault(Fault.ENHANCE_YOUR_CALM, "a header block beyond the limit")
        if flags & frames.END_HEADERS:
            self._block = None
            self._head(number, bytes(block), first)

    def _head(self, number: int, block: bytes, flags: int) -> None:
        try:
            self.head(number, block, flags & frames.END_STREAM)
        except StreamFault as fault:
            stream = self.streams.get(number)
            if stream is None:
                self.write(frames.reset(number, fault.fault))
            else:
                self.reset(stream, fault)

    def _settings(self, flags: int, number: int, payload: memoryview) -> None:
        if number:
            raise ConnectionFault(Fault.PROTOCOL_ERROR, "a SETTINGS frame in a stream")
        if flags & frames.ACK:
            if payload:
                raise ConnectionFault(Fault.FRAME_SIZE_ERROR, "an acknowledgement with settings in it")
            return
        self.calm(10)
        values = frames.read_settings(payload)
        self.peer_frame = values.get(frames.MAX_FRAME_SIZE, self.peer_frame)
        self.peer_streams = values.get(frames.MAX_CONCURRENT_STREAMS, self.peer_streams)
        window = values.get(frames.INITIAL_WINDOW_SIZE, self.peer_window)
        more, self.peer_window = window - self.peer_window, window
        self.write(frames.SETTINGS_ACK)
        if more:
            for stream in self.streams.values():
                self._widen(stream, more)
            self.flush()
        self.settled()

    def _widen(self, stream: S, more: int) -> None:
        stream.window += more
        if stream.window > frames.MAX_WINDOW:
            raise ConnectionFault(Fault.FLOW_CONTROL_ERROR, "a window beyond 2^31-1")

    def _ping(self, flags: int, number: int, payload: memoryview) -> None:
        if number:
            raise ConnectionFault(Fault.PROTOCOL_ERROR, "a PING frame in a stream")
        if len(payload) != 8:
            raise ConnectionFault(Fault.FRAME_SIZE_ERROR, "a PING frame that is not 8 bytes long")
        if flags & frames.ACK:
            self.pong(bytes(payload))
        else:
            self.write(frames.frame(frames.PING, frames.ACK, 0, bytes(payload)))

    def _goaway(self, flags: int, number: int, payload: memoryview) -> None:
        if number:
            raise ConnectionFault(Fault.PROTOCOL_ERROR, "a GOAWAY frame in a stream")
        last, _, message = frames.read_goaway(payload)
        self.going_away(last, message)

    def _window_update(self, flags: int, number: int, payload: memoryview) -> None:
        more = frames.number(payload, "WINDOW_UPDATE") & frames.MAX_WINDOW
        stream = self.streams.get(number) if number else None
        if not number:
            if not more:
                raise ConnectionFault(Fault.PROTOCOL_ERROR, "a WINDOW_UPDATE of 0")
            self.window += more
            if self.window > frames.MAX_WINDOW:
                raise ConnectionFault(Fault.FLOW_CONTROL_ERROR, "a window beyond 2^31-1")
        elif stream is None:
            self._stray(number)
        elif not more:
            self.reset(stream, StreamFault(Fault.PROTOCOL_ERROR, "a WINDOW_UPDATE of 0"))
        elif stream.window + more > frames.MAX_WINDOW:
            self.reset(stream, StreamFault(Fault.FLOW_CONTROL_ERROR, "a window beyond 2^31-1"))
        else:
            stream.window += more
        if self.waiting:
            self.flush()

    def _rst_stream(self, flags: int, number: int, payload: memoryview) -> None:
        fault = frames.number(payload, "RST_STREAM")
        stream = self.streams.get(number)
        self.calm(9)
        if stream is None:
            self._stray(number)
        else:
            self.close(stream)
            stream.stopped(fault, "the peer has reset the stream")

    def _priority(self, flags: int, number: int, payload: memoryview) -> None:
        if not number or len(payload) != 5:
            raise ConnectionFault(Fault.PROTOCOL_ERROR, "a PRIORITY frame that is none")

    def _push_promise(self, flags: int, number: int, payload: memoryview) -> None:
        raise ConnectionFault(Fault.PROTOCOL_ERROR, "a PUSH_PROMISE frame")

    def calm(self, cost: int) -> None:
        """Count frames that no call comes of."""
        self._calm -= cost
        if self._calm < 0:
            now = time.monotonic()
            if now - self._calmed < 1:
                raise ConnectionFault(Fault.ENHANCE_YOUR_CALM, "too many frames that no call comes of")
            self._calm, self._calmed = CALM, now

    def reset(self, stream: S, fault: StreamFault) -> None:
        """End a stream for its peer's fault."""
        if stream.closed:
            return
        self.write(frames.reset(stream.number, fault.fault))
        self.close(stream)
        stream.stopped(fault.fault, str(fault))

    def close(self, stream: S) -> None:
        """Forget a stream."""
        stream.closed = True
        self.streams.pop(stream.number, None)
        self.waiting.pop(stream.number, None)
        if self._calm < CALM:
            self._calm += 4

    def fail(self, fault: ConnectionFault) -> None:
        """End the connection for its peer's fault, and say why."""
        if not self.closing:
            log.warning("%s: %s; the connection is closed", self.peer, fault)
            self.write(frames.goaway(self.last_seen(), fault.fault, str(fault)))
            self.hang_up()

    def last_seen(self) -> int:
        """The peer's last stream that was begun."""
        return 0

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone, and its streams with it."""
        self.closing = True
        streams, self.streams = list(self.streams.values()), {}
        self.waiting.clear()
        for stream in streams:
            stream.closed = True
            stream.stopped(Fault.CANCEL, f"the connection is lost: {exc}" if exc else "the connection is closed")


def _scratch() -> memoryview:
    """The buffer of this thread: two loops would receive into one at once."""
    found: memoryview | None = getattr(_threads, "scratch", None)
    if found is None:
        found = _threads.scratch = memoryview(bytearray(SCRATCH))
    return found


_threads = threading.local()
_READERS = {
    frames.SETTINGS: Connection._settings,
    frames.PING: Connection._ping,
    frames.GOAWAY: Connection._goaway,
    frames.WINDOW_UPDATE: Connection._window_update,
    frames.RST_STREAM: Connection._rst_stream,
    frames.PRIORITY: Connection._priority,
    frames.PUSH_PROMISE: Connection._push_promise,
}

GREETING = {
    frames.INITIAL_WINDOW_SIZE: WINDOW,
    frames.MAX_FRAME_SIZE: FRAME,
}
"""Settings of ours, either end."""
MORE = frames.window_update(0, CONNECTION_WINDOW - frames.DEFAULT_WINDOW)
"""The connection's window, widened; goes with the settings."""
