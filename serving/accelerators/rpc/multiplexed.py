"""The near side of gRPC on an event loop: one connection, many calls on it at once, none with a task of its own.

    start(path, pieces, seconds, done) -> Ask -> a stream of the connection -> done(message, error)

A connection is made for the first call, and again after it was lost; the calls that were on it have failed then.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from serving.accelerators.errors import AcceleratorError, Code, unreachable
from serving.accelerators.rpc.channels import Buffer
from serving.accelerators.rpc.client_connection import ClientConnection, Unprocessed
from serving.accelerators.rpc.request_blocks import RequestBlocks
from serving.accelerators.rpc.target import Target
from serving.accelerators.rpc.tls import client_context, server_name

Done = Callable[[Buffer | None, AcceleratorError | None], None]
CONNECT_SECONDS = 10.0
ATTEMPTS = 3
"""Connections that one call tries, where the server has not looked at it."""


class Ask:
    """A call under way. `cancel` takes it back: `done` is not called then."""

    __slots__ = ("_channel", "_timer", "attempts", "block", "done", "pieces", "seconds", "stream")

    def __init__(self, channel: MultiplexedChannel, block: bytes, pieces: list[Buffer], seconds: float) -> None:
        self._channel, self.block, self.pieces, self.seconds = channel, block, pieces, seconds
        self.attempts = 0
        self.stream: tuple[ClientConnection, int] | None = None
        self.done: Done | None = None
        self._timer = channel.loop.call_later(seconds, self._late)

    def finish(self, message: Buffer | None, error: AcceleratorError | None) -> None:
        """It has ended, one way or the other."""
        self._timer.cancel()
        self.stream = None
        done, self.done = self.done, None
        if done is not None:
            done(message, error)

    def cancel(self) -> None:
        """Nobody waits any more."""
        self._timer.cancel()
        self.done = None
        self._take_back()

    def _late(self) -> None:
        connection = self._take_back()
        if connection is not None:
            connection.probe()
        address = self._channel.target.address
        self.finish(None, AcceleratorError(Code.DEADLINE_EXCEEDED, f"{address} has not answered within {self.seconds:g} s"))

    def _take_back(self) -> ClientConnection | None:
        if self.stream is None:
            return None
        connection, number = self.stream
        connection.take_back(number)
        return connection

    def ended(self, message: Buffer | None, error: Exception | None) -> None:
        """The stream is over."""
        self.stream = None
        address = self._channel.target.address
        if isinstance(error, Unprocessed) and self.done is not None and self.attempts < ATTEMPTS:
            self._channel.again(self)
        elif error is None or isinstance(error, AcceleratorError):
            self.finish(message, error)
        else:
            self.finish(None, unreachable(address, str(error)))


class MultiplexedChannel:
    """One connection to a target, of the loop that makes the calls."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.loop = asyncio.get_running_loop()
        self._blocks = RequestBlocks(target)
        self._connection: ClientConnection | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._queue: deque[Ask] = deque()
        self._closed = False

    async def call(self, path: str, pieces: list[Buffer], timeout: float) -> Buffer:
        """One unary call. AcceleratorError with the status of whatever went wrong; cancelling it cancels the call."""
        future: asyncio.Future[Buffer] = self.loop.create_future()

        def done(message: Buffer | None, error: AcceleratorError | None) -> None:
            if future.done():
                return
            if error is not None:
                future.set_exception(error)
            elif message is not None:
                future.set_result(message)

        ask = self.start(path, pieces, timeout, done)
        try:
            return await future
        except asyncio.CancelledError:
            ask.cancel()
            raise

    def start(self, path: str, pieces: list[Buffer], timeout: float, done: Done) -> Ask:
        """Begin a unary call; `done` is called on the loop with its message or its error, perhaps at once."""
        ask = Ask(self, self._blocks(path, timeout), pieces, timeout)
        ask.done = done
        self.again(ask)
        return ask

    def again(self, ask: Ask) -> None:
        """Make a call, on this connection or the next."""
        if self._closed:
            ask.finish(None, AcceleratorError(Code.CANCELLED, "the channel is closed"))
            return
        connection = self._connection
        if connection is not None and connection.takes_more and not self._queue:
            self._send(connection, ask)
            return
        self._queue.append(ask)
        if connection is None and self._connecting is None:
            self._connecting = self.loop.create_task(self._connect())

    def _send(self, connection: ClientConnection, ask: Ask) -> None:
        ask.attempts += 1
        ask.stream = connection, connection.ask(ask.block, ask.pieces, ask.ended)

    def free(self, connection: ClientConnection) -> None:
        """A connection takes another call, or is gone."""
        if connection.leaving and connection is self._connection:
            self._connection = None
            if self._queue and self._connecting is None and not self._closed:
                self._connecting = self.loop.create_task(self._connect())
        while self._queue and self._connection is not None and self._connection.takes_more:
            ask = self._queue.popleft()
            if ask.done is not None:
                self._send(self._connection, ask)

    async def _connect(self) -> None:
        connection = ClientConnection(self.target.address, self.free)
        try:
            await asyncio.wait_for(self._open(connection), CONNECT_SECONDS)
        except (OSError, ConnectionError, AcceleratorError) as error:
            self._connecting = None
            why = "no answer in time" if isinstance(error, TimeoutError) else str(error)
            connection.drop()
            waiting, self._queue = list(self._queue), deque()
            for ask in waiting:
                ask.finish(None, unreachable(self.target.address, why))
            return
        except asyncio.CancelledError:
            connection.drop()
            raise
        self._connecting = None
        if self._closed:
            connection.hang_up()
            return
        self._connection = connection
        self.free(connection)

    async def _open(self, connection: ClientConnection) -> None:
        target = self.target
        context: ssl.SSLContext | None = client_context(target)
        name = server_name(target) if context is not None else None
        if target.path is not None:
            await self.loop.create_unix_connection(lambda: connection, target.path, ssl=context, server_hostname=name)
        else:
            host, port = target.host_and_port
            await self.loop.create_connection(lambda: connection, host, port, ssl=context, server_hostname=name)
        await connection.ready

    def close(self) -> None:
        """Close the connection; calls under way fail."""
        self._closed = True
        if self._connection is not None:
            self._connection.hang_up()
        if self._connecting is not None:
            self._connecting.cancel()
        waiting, self._queue = list(self._queue), deque()
        for ask in waiting:
            with suppress(Exception):
                ask.finish(None, AcceleratorError(Code.CANCELLED, "the channel is closed"))
