"""What a placement answers to, without connections, and a service whose every fault can be asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from serving.errors import BadRequest
from serving.invocation import Reply, Request


class Sink:
    """A client: keeps what it is sent. Connections have tests of their own."""

    def __init__(self) -> None:
        self.closed = False
        self.writable = True
        self.replies: list[Reply] = []
        self.stream: list[bytes] = []
        self.whole: bool | None = None

    def answer(self, reply: Reply) -> None:
        """A whole reply."""
        self.replies.append(reply)

    def begin_stream(self, reply: Reply) -> None:
        """The head of a stream: its body is not the client's to hold."""
        self.replies.append(Reply(b"", reply.content_type, reply.status, reply.headers))

    def send_piece(self, data: bytes) -> None:
        """A piece."""
        self.stream.append(data)

    def end_stream(self, whole: bool) -> None:
        """The end."""
        assert self.whole is None
        self.whole = whole

    @property
    def status(self) -> int:
        """The status of the one reply."""
        (reply,) = self.replies
        return reply.status


class Upper:
    """Upper-cases text; "bad" is refused, "stream" is answered in pieces, "broken" in pieces that break off."""

    def __init__(self) -> None:
        self.passes: list[int] = []
        self.ended: list[str] = []
        self.on: dict[str, Callable[[], None]] = {}

    def decode(self, request: Request) -> str:
        """The text."""
        text = bytes(request.body).decode()
        if text == "bad":
            raise BadRequest("bad")
        return text

    def predict(self, inputs: list[str], requests: list[Request]) -> list[Any]:
        """The text in capitals; a hook may be called for it."""
        self.passes.append(len(inputs))
        for text in inputs:
            self.on.get(text, lambda: None)()
        return [text.upper() for text in inputs]

    def encode(self, output: str, request: Request) -> Reply:
        """As text."""
        if output in ("STREAM", "BROKEN"):
            return Reply(self._pieces(output), "text/plain")
        return Reply(output.encode(), "text/plain", headers=[("X-A", "1")])

    def _pieces(self, kind: str) -> Iterator[bytes]:
        try:
            yield b"one"
            if kind == "BROKEN":
                raise ValueError("broken")
            yield b"two"
        finally:
            self.ended.append(kind)


@pytest.fixture
def service() -> Upper:
    """A service of texts."""
    return Upper()


@pytest.fixture
def new_sink() -> Callable[[], Sink]:
    """A function that makes clients."""
    return Sink
