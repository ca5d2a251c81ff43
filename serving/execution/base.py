"""What both placements are to the HTTP side, and what the HTTP side is to them."""

from __future__ import annotations

from typing import Protocol

from serving.invocation import Reply, Request

RETRY_HINT = "the queue is full: try again in a second"


class Sink(Protocol):
    """Where a request's reply goes: the client's connection."""

    closed: bool
    writable: bool

    def answer(self, reply: Reply) -> None:
        """Send a whole reply."""

    def begin_stream(self, reply: Reply) -> None:
        """Send the head of a reply whose body follows."""

    def send_piece(self, data: bytes) -> None:
        """Send a piece of the body."""

    def end_stream(self, whole: bool) -> None:
        """End the body; not whole means that it broke off."""


class Nobody:
    """The sink of a request that has been answered already: what its pass still gives is dropped."""

    closed = True
    writable = True

    def answer(self, reply: Reply) -> None:
        """Drop it."""

    def begin_stream(self, reply: Reply) -> None:
        """Drop it."""

    def send_piece(self, data: bytes) -> None:
        """Drop it."""

    def end_stream(self, whole: bool) -> None:
        """Drop it."""


class Executor(Protocol):
    """A placement, in the process that holds the connections."""

    @property
    def ready(self) -> bool:
        """Whether the next invocation would be answered."""

    @property
    def busy(self) -> bool:
        """Whether an accepted invocation is still to be answered."""

    def allocate(self, length: int) -> memoryview:
        """Memory for a request body of this many bytes; Overloaded where too many are held."""

    def release(self, body: memoryview) -> None:
        """Give back a body that no request was made of."""

    def submit(self, sink: Sink, request: Request) -> None:
        """Answer the request to the sink, by the deadline; Overloaded where the queue is full."""

    def sweep(self, now: float) -> None:
        """Hold what is queued and running against its deadline (perf_counter clock)."""

    def close(self) -> None:
        """Let go of what the placement holds, after the last answer."""
