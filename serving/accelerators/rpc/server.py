"""A gRPC server on an event loop: `await serve(handler, host, port)`.

    connection -> preface, settings -> streams -> Call -> handler.handle(call, message) ... call.reply(pieces)

A handler is called without a task of its own, and an answer is one write: what a call costs here is told in
docs/decisions/0009-grpc-by-hand.md.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import socket
import ssl
import time
from contextlib import suppress

from serving.accelerators.errors import Code
from serving.accelerators.rpc import frames
from serving.accelerators.rpc.calls import Call, Handler, Limits
from serving.accelerators.rpc.connection import GREETING, MORE, Connection
from serving.accelerators.rpc.frames import PREFACE, ConnectionFault, Fault, StreamFault
from serving.accelerators.rpc.heads import Heads
from serving.accelerators.rpc.request import RequestHead, RequestReader
from serving.accelerators.rpc.secured import Secured

__all__ = ["Call", "Handler", "Limits", "Server", "serve"]

log = logging.getLogger("ei.rpc")
SWEEP_SECONDS = 0.25
BACKLOG = 1024
LAST_WORDS = b"goodbye!"
"""The PING that goes with the first GOAWAY: once it comes back, the client knows not to begin streams."""
LEAVE_SECONDS = 0.5
"""How long is waited for that: clients that rest do not read."""
NOT_HERE = (
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\ncontent-length: 51\r\nconnection: close\r\n\r\n"
    b"This is a gRPC port: it speaks HTTP/2, not HTTP/1.\n"
)
_keys = itertools.count(1)


class ServerConnection(Connection[Call]):
    """A client's connection."""

    def __init__(self, server: Server) -> None:
        super().__init__(server.limits.max_header_list)
        self.server = server
        self.key = next(_keys)
        self.since = time.monotonic()
        self._heads: Heads[RequestHead] = Heads(server.reader, server.limits.max_header_list)
        self._last = 0
        self._greeted = self._leaving = False

    def opened(self) -> None:
        """Count it; one too many is sent away."""
        self.server.connections.add(self)
        sock = self.transport.get_extra_info("socket")
        if sock is not None:
            _keep_alive(sock)
        if len(self.server.connections) > self.server.limits.max_connections:
            self.write(frames.settings({}))
            self.fail(ConnectionFault(Fault.ENHANCE_YOUR_CALM, "too many connections"))

    def received(self, data: memoryview) -> None:
        """The preface first, then frames."""
        if self._greeted:
            super().received(data)
            return
        given = self._rest + bytes(data)
        self._rest = b""
        if given.startswith(PREFACE):
            self._greet()
            super().received(memoryview(given)[len(PREFACE) :])
        elif PREFACE.startswith(given):
            self._rest = given
        else:
            self._turn_away(given)

    def _greet(self) -> None:
        self._greeted = True
        limits = self.server.limits
        more = {frames.MAX_CONCURRENT_STREAMS: limits.max_streams, frames.MAX_HEADER_LIST_SIZE: limits.max_header_list}
        self.write(frames.settings({**GREETING, **more}) + MORE)
        if self.server.closing:
            self.leave()

    def _turn_away(self, given: bytes) -> None:
        line = given[:200].split(b"\r\n")[0]
        if given[:2] == b"\x16\x03":
            what = "TLS on a port without it"
        elif b" HTTP/1." in line or line.partition(b" ")[0] in (b"GET", b"HEAD", b"POST", b"PUT", b"OPTIONS"):
            what = "HTTP/1 on a gRPC port"
            self.write(NOT_HERE)
        else:
            what = "neither HTTP/2 nor anything else known"
        log.warning("%s: %s; the connection is closed", self.peer, what)
        self.hang_up()

    def head(self, number: int, block: bytes, ends: int) -> None:
        """A call begins, or a stream's trailers have come."""
        head = self._heads.read(block)
        call = self.streams.get(number)
        if call is not None:
            if not ends or call.ended:
                raise StreamFault(Fault.PROTOCOL_ERROR, "headers within a stream")
            call.end()
            return
        if number <= self._last:
            self.calm(1)
            return
        if not number & 1:
            raise ConnectionFault(Fault.PROTOCOL_ERROR, f"a client's stream of the even number {number}")
        self._last = number
        if self.server.closing and self._leaving or len(self.streams) >= self.server.limits.max_streams:
            self.calm(10)
            raise StreamFault(Fault.REFUSED_STREAM, "no more streams")
        if head.malformed:
            self.calm(10)
            raise StreamFault(Fault.PROTOCOL_ERROR, head.malformed)
        call = self.streams[number] = Call(self, number, head)
        if head.refused is not None:
            call.ended = bool(ends)
            call.fail(*head.refused)
        elif ends:
            call.end()

    def never_opened(self, number: int) -> bool:
        """Whether a stream has not begun yet."""
        return number > self._last or not number & 1

    def last_seen(self) -> int:
        """The client's last stream."""
        return self._last

    def close(self, stream: Call) -> None:
        """Forget a call; the last one of a connection that is to end ends it."""
        super().close(stream)
        if self._leaving and not self.streams and not self.closing:
            self.hang_up()

    def pause_writing(self) -> None:
        """The client reads too slowly: read nothing from it either, or what answers it would pile up."""
        super().pause_writing()
        if not self.closing:
            self.transport.pause_reading()

    def resume_writing(self) -> None:
        """Go on."""
        if not self.closing:
            self.transport.resume_reading()
        super().resume_writing()

    def leave(self) -> None:
        """Take no new calls, and close once those that run are answered."""
        if not self._greeted:
            self.hang_up()
        elif not self.closing:
            self.write(frames.goaway(frames.MAX_STREAM, Fault.NO_ERROR) + frames.frame(frames.PING, 0, 0, LAST_WORDS))
            asyncio.get_running_loop().call_later(LEAVE_SECONDS, self.pong, LAST_WORDS)

    def pong(self, payload: bytes) -> None:
        """The client knows that we leave."""
        if payload == LAST_WORDS and self.server.closing and not self._leaving and not self.closing:
            self._leaving = True
            self.write(frames.goaway(self._last, Fault.NO_ERROR))
            if not self.streams:
                self.hang_up()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        super().connection_lost(exc)
        self.server.connections.discard(self)

    def sweep(self, now: float) -> None:
        """End what has waited too long."""
        limits = self.server.limits
        if self.stuck is not None and now - self.stuck > limits.write_seconds:
            log.warning("%s: it does not read what it is sent; the connection is cut", self.peer)
            self.transport.abort()
        elif not self._greeted and now - self.since > limits.preface_seconds and not self.closing:
            log.warning("%s: it says nothing; the connection is closed", self.peer)
            self.hang_up()
        for call in list(self.streams.values()):
            if call.deadline is not None and call.deadline < now:
                call.expire()
            elif call.outgoing is not None:
                if now - call.touched > limits.write_seconds:
                    call.fail(Code.DEADLINE_EXCEEDED, "the answer was not read")
            elif (call.partial or call.unsaid) and now - call.touched > limits.stall_seconds:
                call.fail(Code.DEADLINE_EXCEEDED, f"the message stopped half way for {limits.stall_seconds:g} s")


class Server:
    """A listening server. `held` are the bytes of messages that are on their way or being answered."""

    def __init__(self, handler: Handler, token: str | None, limits: Limits) -> None:
        self.handler, self.limits = handler, limits
        self.reader = RequestReader(token, handler.is_streaming)
        self.connections: set[ServerConnection] = set()
        self.held = 0
        self.closing = False
        self._listener: asyncio.Server | None = None
        self._path = ""
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(SWEEP_SECONDS, self._sweep)
        self._secured: Secured | None = None

    async def listen(self, host: str, port: int, context: ssl.SSLContext | None) -> None:
        """Listen on a port, or where `unix:/path` says."""

        def accepted() -> ServerConnection:
            return ServerConnection(self)

        if host.startswith("unix:"):
            self._path = host.removeprefix("unix:").replace("///", "/", 1)
            with suppress(FileNotFoundError):
                os.unlink(self._path)
            self._listener = await self._loop.create_unix_server(accepted, self._path, backlog=BACKLOG)
        elif context is None:
            self._listener = await self._loop.create_server(accepted, host, port, backlog=BACKLOG)
        else:
            self._secured = await Secured.listen(accepted, (host, port), context, self.limits.preface_seconds)

    def _sweep(self) -> None:
        now = time.monotonic()
        for connection in list(self.connections):
            connection.sweep(now)
        self._timer = self._loop.call_later(SWEEP_SECONDS, self._sweep)

    async def close(self, grace: float = 0) -> None:
        """Take no more calls, answer those that run within `grace` seconds, and close."""
        self.closing = True
        if self._listener is not None:
            self._listener.close()
        if self._secured is not None:
            self._secured.close()
        for connection in list(self.connections):
            connection.leave()
        end = time.monotonic() + grace
        while self.connections and time.monotonic() < end:
            await asyncio.sleep(0.01)
        for connection in list(self.connections):
            for call in list(connection.streams.values()):
                call.fail(Code.UNAVAILABLE, "the server is stopping")
            connection.hang_up()
        await asyncio.sleep(0)
        for connection in list(self.connections):
            connection.transport.abort()
        self._timer.cancel()
        if self._path:
            with suppress(FileNotFoundError):
                os.unlink(self._path)


async def serve(
    handler: Handler,
    *address: str | int,
    ssl_context: ssl.SSLContext | None = None,
    token: str | None = None,
    limits: Limits | None = None,
) -> Server:
    """Listen on `host, port` or on `unix:/path`; a token is what calls must bring along."""
    host, port = (*address, 0)[:2]
    server = Server(handler, token, limits or Limits())
    await server.listen(str(host), int(port), ssl_context)
    return server


def _keep_alive(sock: socket.socket) -> None:
    """Find out about peers that vanished without a word."""
    with suppress(OSError, AttributeError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in ((socket.TCP_KEEPIDLE, 60), (socket.TCP_KEEPINTVL, 20), (socket.TCP_KEEPCNT, 3)):
            sock.setsockopt(socket.IPPROTO_TCP, option, value)
