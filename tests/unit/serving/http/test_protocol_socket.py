"""Connections over real sockets, on the loop that serves: what the transport of the other tests only stands in for."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import uvloop

from serving.http.protocol import Connection
from serving.invocation import Reply

POST = b"POST /invocations HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%b"
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[bytes]]


def converse(host: Any, talk: Talk) -> bytes:
    """What a client's talk with a connection of this host returns, both ends on one loop."""

    async def meet() -> bytes:
        host.loop = asyncio.get_running_loop()
        server = await host.loop.create_server(lambda: Connection(host), "127.0.0.1", 0)
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            said = await asyncio.wait_for(talk(reader, writer), 10)
            writer.close()
            for connection in list(host.connections):
                connection.transport.abort()
        return said

    return uvloop.run(meet())


@pytest.fixture
def echo(host: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A host that answers every request with its body."""
    monkeypatch.setattr(host, "route", lambda connection, head, request: connection.answer(Reply(bytes(request.body))))
    return host


def test_a_large_body(echo: Any) -> None:
    """Megabytes come and go whole, over reads and writes of any size."""
    body = bytes(range(256)) * 4000

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(POST % (len(body), body))
        await reader.readuntil(b"\r\n\r\n")
        return await reader.readexactly(len(body))

    assert converse(echo, talk) == body


def test_pipelined_and_half_closed(echo: Any) -> None:
    """A client that writes all its requests and ends gets all answers, then the end."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(b"".join(POST % (2, b"%02d" % number) for number in range(20)))
        writer.write_eof()
        return await reader.read()

    said = converse(echo, talk)
    assert [part[-2:] for part in said.split(b"HTTP/1.1 200 OK\r\n")[1:]] == [b"%02d" % number for number in range(20)]


def test_a_refused_client_reads_its_answer(echo: Any) -> None:
    """The answer arrives whole and then the end, not a reset, though the client goes on sending."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(b"POST /invocations HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999\r\n\r\n" + b"x" * 500_000)
        return await reader.read()

    said = converse(echo, talk)
    assert said.startswith(b"HTTP/1.1 413 ")
    assert said.endswith(b"}")


def test_a_reset_is_noticed(host: Any) -> None:
    """A client that resets its connection in mid-request leaves nothing behind."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(POST % (100_000, b"x"))
        lost = asyncio.get_running_loop().create_future()
        while not host.held:
            await asyncio.sleep(0)
        (connection,) = host.connections
        forget = connection.connection_lost
        connection.connection_lost = lambda error: (forget(error), lost.set_result(None))
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        writer.transport.abort()
        await lost
        return b""

    converse(host, talk)
    assert (host.held, host.connections, host.routed) == ([], set(), [])
