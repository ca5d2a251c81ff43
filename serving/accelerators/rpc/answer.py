"""A unary call's answer at the blocking client, as it comes."""

from __future__ import annotations

from serving.accelerators.errors import AcceleratorError, Code
from serving.accelerators.rpc.frames import PREFIX, PREFIX_SIZE, Buffer
from serving.accelerators.rpc.incoming import Incoming
from serving.accelerators.rpc.response import MAX_MESSAGE, ResponseHead, error_of, plain
from serving.accelerators.rpc.stream import WINDOW


class Answer:
    """What has come of a call's answer."""

    __slots__ = (
        *("begun", "compressed", "credit", "encoding", "fault", "incoming", "message", "number", "over", "trailers"),
        *("unprocessed", "waited", "window"),
    )

    def __init__(self, number: int, window: int) -> None:
        self.number, self.window, self.credit = number, window, WINDOW
        self.begun = self.over = self.unprocessed = self.waited = False
        self.incoming = Incoming(_admit)
        self.compressed = 0
        self.message: Buffer | None = None
        self.encoding = "identity"
        self.trailers: ResponseHead | None = None
        self.fault: int | None = None

    def head(self, head: ResponseHead, ends: int) -> None:
        """The answer's head, or its trailers."""
        self.begun = True
        if head.status is not None or head.http_status not in (None, 200):
            self.trailers = head
            self.over = True
        elif ends:
            self.over = True
        else:
            self.encoding = head.encoding

    def take(self, data: memoryview) -> None:
        """Some bytes of the message."""
        self.credit -= len(data)
        if self.message is None and not self.incoming.partial and len(data) >= PREFIX_SIZE:
            compressed, length = PREFIX.unpack_from(data)
            if length == len(data) - PREFIX_SIZE:
                self.compressed, self.message = compressed, bytes(data[PREFIX_SIZE:])
                return
        for compressed, body in self.incoming.feed(data):
            self.compressed, self.message = compressed, body

    def fill(self, count: int) -> None:
        """So many bytes were received into the message itself."""
        self.credit -= count
        compressed, body = self.incoming.compressed, self.incoming.fill(count)
        if body is not None:
            self.compressed, self.message = compressed, body

    def result(self, address: str) -> Buffer:
        """The message, or the error that the trailers tell."""
        if self.trailers is None:
            raise AcceleratorError(Code.INTERNAL, f"{address} ended the call without a status")
        if self.trailers.status != 0:
            raise error_of(self.trailers, address)
        if self.message is None:
            raise AcceleratorError(Code.INTERNAL, f"{address} answered without a message")
        return plain(self.compressed, self.message, self.encoding)


def _admit(length: int) -> None:
    if length > MAX_MESSAGE:
        raise AcceleratorError(Code.RESOURCE_EXHAUSTED, f"an answer of {length} bytes")
