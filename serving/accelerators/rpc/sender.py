"""The sending half of a connection: messages in frames, as far as the peer's windows and its socket take them."""

from __future__ import annotations

import asyncio
import time
from typing import Generic, TypeVar, cast

from serving.accelerators.rpc import frames
from serving.accelerators.rpc.frames import HEAD, Buffer
from serving.accelerators.rpc.outgoing import Outgoing, size_of
from serving.accelerators.rpc.stream import Stream

JOINED = 32 << 10
"""Up to here it is cheaper to join what is written than to gather it."""
TURN = 256 << 10
"""What a stream sends before the next has its turn."""
HIGH_WATER = 1 << 20
S = TypeVar("S", bound=Stream)


class Sender(Generic[S]):
    """What a connection knows of its peer's windows. `stuck` is since when the peer has not read, if it does not."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport = cast(asyncio.Transport, None)
        self.peer = ""
        self.streams: dict[int, S] = {}
        self.waiting: dict[int, S] = {}
        self.window = self.peer_window = frames.DEFAULT_WINDOW
        self.peer_frame, self.peer_streams = frames.DEFAULT_FRAME, frames.MAX_STREAM
        self.closing = False
        self.stuck: float | None = None

    def send(self, stream: S, pieces: list[Buffer], before: bytes, after: bytes = b"", ends: int = 0) -> None:
        """Send a message, with frames before it and after it, at once or as the peer's windows open."""
        stream.tail, stream.ends = after, ends
        size = size_of(pieces)
        total = size + frames.PREFIX_SIZE
        free = self.stuck is None and not self.waiting and stream.outgoing is None
        if free and total <= stream.window and total <= self.window and total <= self.peer_frame:
            stream.window -= total
            self.window -= total
            head = before + HEAD.pack(total << 8, ends, stream.number) + frames.PREFIX.pack(0, size)
            self._put([head, *pieces, after] if after else [head, *pieces], total)
            stream.drained()
            return
        if before:
            self.write(before)
        if stream.outgoing is None:
            stream.outgoing = Outgoing()
        stream.outgoing.add([frames.PREFIX.pack(0, size), *pieces])
        stream.touched = time.monotonic()
        self.waiting[stream.number] = stream
        self.flush()

    def flush(self) -> None:
        """Send what waits, a turn of each stream, as far as the windows go."""
        moved = True
        while moved and self.stuck is None and not self.closing:
            moved = False
            for number, stream in list(self.waiting.items()):
                out = stream.outgoing
                assert out is not None
                count = min(out.left, stream.window, self.window, self.peer_frame, TURN)
                if count <= 0 or self.stuck is not None:
                    continue
                moved = True
                stream.window -= count
                self.window -= count
                last = count == out.left
                parts: list[Buffer] = [HEAD.pack(count << 8, stream.ends if last else 0, number), *out.take(count)]
                if last:
                    del self.waiting[number]
                    stream.outgoing = None
                    parts.append(stream.tail)
                stream.touched = time.monotonic()
                self._put(parts, count)
                if last:
                    stream.drained()

    def _put(self, parts: list[Buffer], size: int) -> None:
        if self.closing:
            return
        if size <= JOINED:
            self.transport.write(b"".join(parts))
        else:
            self.transport.writelines(parts)

    def write(self, data: bytes) -> None:
        """Write frames that no window holds back."""
        if not self.closing:
            self.transport.write(data)

    def hang_up(self) -> None:
        """Close the connection once what was written has gone out."""
        self.closing = True
        self.stuck = self.stuck or time.monotonic()
        self.transport.close()

    def pause_writing(self) -> None:
        """The peer reads too slowly: what is to be sent waits."""
        self.stuck = time.monotonic()

    def resume_writing(self) -> None:
        """Go on."""
        if not self.closing:
            self.stuck = None
            self.flush()
