"""One connection of the blocking client: a call at a time, in the caller's thread.

    sendmsg [HEADERS, DATA head, pieces]  ->  recv_into until the trailers

In between it answers what servers ask: settings, pings, windows.
"""

from __future__ import annotations

import socket
import ssl
import struct
import time
from contextlib import suppress

from serving.accelerators.errors import AcceleratorError, Code
from serving.accelerators.rpc import frames
from serving.accelerators.rpc.answer import Answer
from serving.accelerators.rpc.connection import CONNECTION_WINDOW, FRAME, MORE
from serving.accelerators.rpc.frames import HEAD, HEAD_SIZE, PREFIX, PREFIX_SIZE, Buffer, ConnectionFault, Fault
from serving.accelerators.rpc.heads import Heads
from serving.accelerators.rpc.outgoing import Outgoing, size_of
from serving.accelerators.rpc.response import ResponseHead, read_head, reset_error
from serving.accelerators.rpc.stream import WINDOW

BUFFER = 64 << 10
GATHERED = 512
"""Pieces that one sendmsg takes; the kernel's own limit is 1024."""
HEADER_LIMIT = 64 << 10
ACCURACY = 0.01
"""Seconds that a deadline may be late."""
HELLO = frames.PREFACE + frames.settings(
    {frames.ENABLE_PUSH: 0, frames.INITIAL_WINDOW_SIZE: WINDOW, frames.MAX_FRAME_SIZE: FRAME}
)
_TIMEVAL = struct.Struct("@ll")


class Unprocessed(Exception):
    """The server has not looked at the call: it may be made again elsewhere."""


class Broken(Exception):
    """The connection ended; `answered` is whether anything of this call's answer had come."""

    def __init__(self, why: str, answered: bool) -> None:
        super().__init__(why)
        self.answered = answered


class Wire:
    """A connection. `usable` is whether another call can be made on it."""

    def __init__(self, sock: socket.socket, address: str) -> None:
        self._socket, self._address = sock, address
        self._secure = isinstance(sock, ssl.SSLSocket)
        self._memory = bytearray(BUFFER)
        self._buffer = memoryview(self._memory)
        self._start = self._end = 0
        self._armed = -1.0
        self._number = 1
        self._window = self._peer_window = frames.DEFAULT_WINDOW
        self._peer_frame = frames.DEFAULT_FRAME
        self._received = 0
        self._heads: Heads[ResponseHead] = Heads(read_head, HEADER_LIMIT)
        self._block: tuple[int, int, bytes] | None = None
        self._settled = self._leaving = False
        self._call = Answer(0, 0)
        self._call.waited = True
        self._dying = False
        self.since = 0.0
        self.calls = 0

    @property
    def usable(self) -> bool:
        """Whether another call can be made here."""
        return not self._leaving and self._number < frames.MAX_STREAM

    def greet(self, deadline: float) -> None:
        """Exchange settings: the server's say how much it takes at once."""
        self._send([HELLO + MORE], deadline)
        while not self._settled:
            self._step(deadline)

    def is_open(self) -> bool:
        """Whether a connection that has rested is still one: what came meanwhile is read."""
        if self._secure:
            return not self._leaving  # a call finds out
        try:
            while self._socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT):
                self._step(time.monotonic() + 1)
        except (BlockingIOError, InterruptedError):
            return self.usable
        except (OSError, Broken, ConnectionFault, AcceleratorError):
            return False
        return False

    def call(self, block: bytes, pieces: list[Buffer], seconds: float) -> Buffer:
        """A unary call. Unprocessed or Broken where it may be made again, else AcceleratorError."""
        number, self._number = self._number, self._number + 2
        answer = self._call = Answer(number, self._peer_window)
        deadline = time.monotonic() + seconds
        self.calls += 1
        if self._armed != seconds:
            self._arm(seconds)
        try:
            self._ask(number, block, pieces, deadline)
            while not answer.over:
                self._step(deadline)
        except TimeoutError:
            self._abandon(number)
            raise AcceleratorError(Code.DEADLINE_EXCEEDED, f"{self._address} has not answered within {seconds:g} s") from None
        except ConnectionFault as fault:
            self._leaving = True
            raise AcceleratorError(Code.INTERNAL, f"{self._address} does not speak gRPC: {fault}") from None
        if answer.unprocessed:
            raise Unprocessed(f"{self._address} takes no more calls on this connection")
        if answer.fault is not None:
            raise reset_error(answer.fault, self._address)
        return answer.result(self._address)

    def close(self) -> None:
        """Close it."""
        with suppress(OSError):
            self._socket.close()

    # ---- sending

    def _ask(self, number: int, block: bytes, pieces: list[Buffer], deadline: float) -> None:
        size = size_of(pieces)
        total = size + PREFIX_SIZE
        head = HEAD.pack(len(block) << 8 | frames.HEADERS, frames.END_HEADERS, number) + block
        prefix = PREFIX.pack(0, size)
        if total <= self._peer_window and total <= self._window and total <= self._peer_frame:
            self._window -= total
            self._send([head + HEAD.pack(total << 8, frames.END_STREAM, number) + prefix, *pieces], deadline)
            return
        self._send([head], deadline)
        out, answer = Outgoing(), self._call
        out.add([prefix, *pieces])
        while out.left and not answer.over:
            burst: list[Buffer] = []
            while out.left and len(burst) < GATHERED // 2:
                count = min(out.left, answer.window, self._window, self._peer_frame)
                if count <= 0:
                    break
                answer.window -= count
                self._window -= count
                burst.append(HEAD.pack(count << 8, frames.END_STREAM if count == out.left else 0, number))
                burst += out.take(count)
            if burst:
                self._send(burst, deadline)
            else:
                self._step(deadline)
        if out.left:  # the server has answered before it heard all of it, and wants no more
            self._send([frames.reset(number, Fault.NO_ERROR)], deadline)

    def _send(self, parts: list[Buffer], deadline: float) -> None:
        try:
            if self._secure or len(parts) > GATHERED:
                self._socket.sendall(b"".join(parts))
                return
            sent, size = self._socket.sendmsg(parts), size_of(parts)
            if sent < size:
                rest = Outgoing()
                rest.add(parts)
                rest.take(sent)
                while rest.left:
                    if time.monotonic() > deadline:
                        raise TimeoutError
                    some = b"".join(rest.take(min(rest.left, 1 << 20)))
                    self._socket.sendall(some)
        except (TimeoutError, BlockingIOError, ssl.SSLWantWriteError):
            self._leaving = True  # half a frame may be out
            raise TimeoutError from None
        except OSError as error:
            self._leaving = True
            self._last_words()
            if not self._call.over:
                raise Broken(str(error), self._call.begun) from None

    def _last_words(self) -> None:
        """What a server that hung up had to say: an answer, or why."""
        if self._dying:
            return
        self._dying = True
        with suppress(OSError, Broken, ConnectionFault):
            while not self._call.over:
                self._step(time.monotonic() + 1)

    def _abandon(self, number: int) -> None:
        """Take a call back. The connection ends with it: a server that has vanished must not hold up the next call too."""
        if not self._leaving:
            self._leaving = True
            with suppress(OSError, Broken):
                self._send([frames.reset(number, Fault.CANCEL)], time.monotonic() + 1)

    def _arm(self, seconds: float) -> None:
        """Let the socket's own calls end after so long."""
        self._armed = seconds
        seconds = max(seconds, 1e-3)
        if self._secure:
            self._socket.settimeout(seconds)
            return
        value = _TIMEVAL.pack(int(seconds), int(seconds % 1 * 1e6))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, value)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, value)

    # ---- receiving

    def _step(self, deadline: float) -> None:
        """Wait for bytes and read the frames that they complete."""
        if self._start == self._end:
            self._start = self._end = 0
        elif self._end == BUFFER:
            self._buffer[: self._end - self._start] = bytes(self._buffer[self._start : self._end])
            self._start, self._end = 0, self._end - self._start
        self._end += self._receive(self._buffer[self._end :], deadline)
        buffer, start = self._buffer, self._start
        while self._end - start >= HEAD_SIZE:
            word, flags, number = HEAD.unpack_from(buffer, start)
            kind, length = word & 0xFF, word >> 8
            if kind == frames.DATA and length <= FRAME:
                try:
                    start = self._data(flags, number & frames.MAX_STREAM, length, start + HEAD_SIZE, deadline)
                except (TimeoutError, AcceleratorError):
                    self._leaving = True  # within a frame
                    raise
                continue
            if length > frames.DEFAULT_FRAME:
                raise ConnectionFault(Fault.FRAME_SIZE_ERROR, _foreign(bytes(buffer[start : start + 200]), length))
            if self._end - start < HEAD_SIZE + length:
                break
            start += HEAD_SIZE
            self._frame(kind, flags, number & frames.MAX_STREAM, buffer[start : start + length], deadline)
            start += length
        self._start = start

    def _receive(self, where: memoryview, deadline: float) -> int:
        answer = self._call
        if answer.waited:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            if left < self._armed - ACCURACY or self._armed < 0:
                self._arm(left)
        answer.waited = True
        try:
            count = self._socket.recv_into(where)
        except (TimeoutError, BlockingIOError, ssl.SSLWantReadError):
            raise TimeoutError from None
        except OSError as error:
            self._leaving = True
            raise Broken(str(error), answer.begun) from None
        if not count:
            self._leaving = True
            raise Broken("the server has closed the connection", answer.begun)
        return count

    def _data(self, flags: int, number: int, length: int, start: int, deadline: float) -> int:
        """A DATA frame, the rest of it received where it belongs: where the buffer goes on."""
        if not self._settled or not number:
            raise ConnectionFault(Fault.PROTOCOL_ERROR, "a DATA frame where none may be")
        self._received += length
        if self._received > CONNECTION_WINDOW // 2:
            self._send([frames.window_update(0, self._received)], deadline)
            self._received = 0
        padding = 0
        if flags & frames.PADDED:
            if start >= self._end:
                start, self._end = 0, self._receive(self._buffer, deadline)
            padding, length, start = self._buffer[start], length - 1, start + 1
            if padding > length:
                raise ConnectionFault(Fault.PROTOCOL_ERROR, "padding longer than its frame")
        left, answer = length - padding, self._call
        mine = number == answer.number and not answer.over
        have = min(left, self._end - start)
        if mine:
            answer.take(self._buffer[start : start + have])
        start, left = start + have, left - have
        while left:
            where = (answer.incoming.message if mine else None) or self._buffer
            at = answer.incoming.filled if where is not self._buffer else 0
            into = where[at : at + left]
            count = self._receive(into, deadline)
            left -= count
            if where is not self._buffer:
                answer.fill(count)
            elif mine:
                answer.take(into[:count])
        skip = padding
        while skip:
            if start >= self._end:
                start, self._end = 0, self._receive(self._buffer, deadline)
            have = min(skip, self._end - start)
            start, skip = start + have, skip - have
        if mine:
            if flags & frames.END_STREAM:
                answer.over = True
            elif answer.credit < WINDOW // 2:
                self._send([frames.window_update(number, WINDOW - answer.credit)], deadline)
                answer.credit = WINDOW
        return start

    def _frame(self, kind: int, flags: int, number: int, payload: memoryview, deadline: float) -> None:
        """Any frame but DATA."""
        answer = self._call
        if not self._settled and kind != frames.SETTINGS:
            raise ConnectionFault(Fault.PROTOCOL_ERROR, _foreign(bytes(payload[:200]), len(payload)))
        if self._block is not None and kind != frames.CONTINUATION:
            raise ConnectionFault(Fault.PROTOCOL_ERROR, "a header block that another frame interrupts")
        if kind == frames.HEADERS or kind == frames.CONTINUATION:
            self._headers(kind, flags, number, payload)
        elif kind == frames.SETTINGS and not flags & frames.ACK:
            self._settings(payload, deadline)
        elif kind == frames.PING and not flags & frames.ACK:
            self._send([frames.frame(frames.PING, frames.ACK, 0, bytes(payload))], deadline)
        elif kind == frames.WINDOW_UPDATE:
            more = frames.number(payload, "WINDOW_UPDATE")
            if not number:
                self._window += more
            elif number == answer.number:
                answer.window += more
        elif kind == frames.RST_STREAM and number == answer.number and not answer.over:
            answer.fault, answer.over = frames.number(payload, "RST_STREAM"), True
            answer.unprocessed = answer.fault == Fault.REFUSED_STREAM
        elif kind == frames.GOAWAY:
            self._leaving = True
            if frames.read_goaway(payload)[0] < answer.number and not answer.over:
                answer.unprocessed = answer.over = True

    def _settings(self, payload: memoryview, deadline: float) -> None:
        values = frames.read_settings(payload)
        self._peer_frame = values.get(frames.MAX_FRAME_SIZE, self._peer_frame)
        window = values.get(frames.INITIAL_WINDOW_SIZE, self._peer_window)
        self._call.window += window - self._peer_window
        self._peer_window = window
        self._settled = True
        self._send([frames.SETTINGS_ACK], deadline)

    def _headers(self, kind: int, flags: int, number: int, payload: memoryview) -> None:
        if kind == frames.HEADERS:
            block = bytes(frames.unpadded(flags, payload))
        elif self._block is None or self._block[0] != number:
            raise ConnectionFault(Fault.PROTOCOL_ERROR, "a CONTINUATION frame that continues nothing")
        else:
            flags |= self._block[1] & frames.END_STREAM
            block = self._block[2] + payload
        if len(block) > HEADER_LIMIT:
            raise ConnectionFault(Fault.ENHANCE_YOUR_CALM, "a header block beyond the limit")
        if not flags & frames.END_HEADERS:
            self._block = number, flags, block
            return
        self._block = None
        head = self._heads.read(block)
        if number == self._call.number and not self._call.over:
            self._call.head(head, flags & frames.END_STREAM)


def _foreign(start: bytes, length: int) -> str:
    if start.startswith(b"HTTP/"):
        return "it answers in HTTP/1"
    return f"a frame of {length} bytes before its settings"
