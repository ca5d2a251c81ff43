"""A connection without a network, for tests that say exactly which bytes come in which read and what the clock shows.

The transport is a stand-in because no real socket lets a test choose where reads are cut, or see an abort apart from a
close; `test_protocol_socket.py` runs the same protocol over real ones.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from serving.errors import Overloaded, ServingError
from serving.http import head as heads
from serving.http.head import Head
from serving.http.limits import Limits
from serving.http.protocol import Connection
from serving.invocation import Reply, Request

LIMITS = Limits(header_bytes=2048, body_bytes=1 << 20, header_seconds=15, body_seconds=60, idle_seconds=75, connections=3)


class Transport(asyncio.Transport):
    """Records what a connection does to its client."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""
        self.writes: list[bytes] = []
        self.did: list[str] = []
        self.unsent = 0

    def write(self, data: Any) -> None:
        """Take bytes for the client."""
        self.writes.append(bytes(data))
        self.sent += bytes(data)

    def close(self) -> None:
        """Close after what is written."""
        self.did.append("close")

    def abort(self) -> None:
        """Close at once."""
        self.did.append("abort")

    def write_eof(self) -> None:
        """Close the sending half."""
        self.did.append("eof")

    def can_write_eof(self) -> bool:
        """A TCP connection can."""
        return True

    def pause_reading(self) -> None:
        """Read no more."""
        self.did.append("pause")

    def resume_reading(self) -> None:
        """Read again."""
        self.did.append("resume")

    def get_write_buffer_size(self) -> int:
        """Bytes that the client has not taken."""
        return self.unsent


class Host:
    """Holds connections and keeps what they route; its loop runs a turn when the test says so."""

    def __init__(self) -> None:
        self.limits = LIMITS
        self.draining = False
        self.connections: set[Connection] = set()
        self.routed: list[tuple[Connection, Head, Request]] = []
        self.refusals: list[tuple[Request, Reply]] = []
        self.held: list[memoryview] = []
        self.full = False
        self.fault: ServingError | None = None
        self.loop: Any = self
        self._turns: list[Callable[[], None]] = []
        self._ids = 0

    def call_soon(self, function: Callable[[], None]) -> None:
        """What an event loop does, by hand."""
        self._turns.append(function)

    def turn(self) -> None:
        """One turn of the loop."""
        turns, self._turns = self._turns, []
        for function in turns:
            function()

    def new_id(self) -> str:
        """The next id."""
        self._ids += 1
        return f"made-{self._ids}"

    def precheck(self, head: Head) -> ServingError | None:
        """The fault that the test has set, or the head's."""
        return self.fault or head.fault

    def allocate(self, length: int) -> memoryview:
        """Memory that counts as held until it is released."""
        if self.full:
            raise Overloaded("too many bytes of requests are held")
        self.held.append(memoryview(bytearray(length)))
        return self.held[-1]

    def release(self, body: memoryview) -> None:
        """Let go."""
        self.held = [held for held in self.held if held is not body]

    def route(self, connection: Connection, head: Head, request: Request) -> None:
        """Keep the request for the test to answer."""
        self.routed.append((connection, head, request))

    def refused(self, request: Request, reply: Reply) -> None:
        """Keep the refusal."""
        self.refusals.append((request, reply))


class Wire:
    """One connection of a host, fed by hand."""

    def __init__(self, host: Host) -> None:
        self.host, self.transport, self.connection = host, Transport(), Connection(host)
        self.connection.connection_made(self.transport)

    def feed(self, data: bytes, step: int = 0) -> Wire:
        """Give bytes as the loop does, in reads of `step` bytes, or of as many as there is room for."""
        while data:
            buffer = self.connection.get_buffer(-1)
            count = min(len(buffer), len(data), step or len(data))
            buffer[:count] = data[:count]
            self.connection.buffer_updated(count)
            data = data[count:]
        return self

    @property
    def requests(self) -> list[Request]:
        """What was routed."""
        return [request for _, _, request in self.host.routed]

    @property
    def bodies(self) -> list[bytes]:
        """The bodies of what was routed."""
        return [bytes(request.body) for request in self.requests]

    @property
    def status(self) -> int:
        """The status of the first answer."""
        return int(self.transport.sent.split(b" ", 2)[1])

    @property
    def answer(self) -> dict[str, Any]:
        """The JSON body of the only answer."""
        document: dict[str, Any] = json.loads(self.transport.sent.partition(b"\r\n\r\n")[2])
        return document


@pytest.fixture(autouse=True)
def _no_remembered_heads() -> None:
    """Each test parses its heads itself."""
    heads.forget()


@pytest.fixture
def host() -> Host:
    """A host of connections."""
    return Host()


@pytest.fixture
def wire(host: Host) -> Wire:
    """A connection of the host."""
    return Wire(host)


@pytest.fixture
def another(host: Host) -> Callable[[], Wire]:
    """A function that opens one more connection of the same host."""
    return lambda: Wire(host)


@pytest.fixture
def wire_to() -> Callable[[Any], Wire]:
    """A function that opens a connection of any host."""
    return Wire
