"""The near side of gRPC without the grpcio library, for one host or a socket of this machine: in the caller's thread.

    call -> a connection that rests, or a new one -> `Wire.call` -> the connection rests again

docs/decisions/0009-grpc-by-hand.md says why, in figures.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterable
from contextlib import suppress

from serving.accelerators.errors import AcceleratorError, Code, unreachable
from serving.accelerators.rpc.channels import Buffer, Channel
from serving.accelerators.rpc.frames import ConnectionFault
from serving.accelerators.rpc.request_blocks import RequestBlocks
from serving.accelerators.rpc.target import Target
from serving.accelerators.rpc.tls import client_context, server_name
from serving.accelerators.rpc.wire import Broken, Unprocessed, Wire

RESTING_SECONDS = 0.5
"""A connection that has rested for longer is looked at before it is used: the server may have closed it."""
CONNECT_SECONDS = 10.0
ATTEMPTS = 3
"""New connections that one call tries, where servers close them before they look at it."""


class DirectChannel:
    """Connections to a target, a call at a time on each; a forked child begins with none."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._blocks = RequestBlocks(target)
        self._resting: list[Wire] = []
        self._process = os.getpid()
        self._streams: Channel | None = None
        self._lock = threading.Lock()
        self._closed = False

    def call(self, path: str, pieces: list[Buffer], timeout: float) -> Buffer:
        """One unary call."""
        end, attempts = time.monotonic() + timeout, 0
        wire = self._rested()
        while True:
            fresh = wire is None
            if wire is None:
                attempts += 1
                wire = self._connect(end)
            try:
                answer = wire.call(self._blocks(path, timeout), pieces, timeout)
            except Unprocessed as why:
                self._put_back(wire)
                if attempts == ATTEMPTS:
                    raise unreachable(self._target.address, str(why)) from None
            except Broken as why:
                wire.close()
                if fresh or why.answered:
                    raise unreachable(self._target.address, str(why)) from None
                self._forget()  # its neighbours are as old
            except AcceleratorError:
                self._put_back(wire)
                raise
            except BaseException:
                wire.close()
                raise
            else:
                self._put_back(wire)
                return answer
            timeout = end - time.monotonic()
            if timeout <= 0:
                raise AcceleratorError(Code.DEADLINE_EXCEEDED, f"{self._target.address} has not answered in time")
            wire = None

    def stream(self, path: str, messages: Iterable[bytes], timeout: float) -> Iterable[Buffer]:
        """A streamed call, by the grpcio library."""
        with self._lock:
            if self._streams is None:
                from serving.accelerators.rpc.grpcio import GrpcChannel

                self._streams = GrpcChannel(self._target)
        return self._streams.stream(path, messages, timeout)

    def close(self) -> None:
        """Close the connections that rest; those in use close after their calls."""
        self._closed = True
        self._forget()
        if self._streams is not None:
            self._streams.close()

    def _rested(self) -> Wire | None:
        if self._process != os.getpid():
            self._forget()  # the parent goes on using its own
            self._process, self._lock, self._streams = os.getpid(), threading.Lock(), None
            self._blocks = RequestBlocks(self._target)  # they name the process
        while True:
            try:
                wire = self._resting.pop()
            except IndexError:
                return None
            if time.monotonic() - wire.since < RESTING_SECONDS or wire.is_open():
                return wire
            wire.close()

    def _put_back(self, wire: Wire) -> None:
        if wire.usable and not self._closed:
            wire.since = time.monotonic()
            self._resting.append(wire)
        else:
            wire.close()

    def _forget(self) -> None:
        while self._resting:
            with suppress(IndexError):
                self._resting.pop().close()

    def _connect(self, end: float) -> Wire:
        try:
            wire = Wire(self._socket(max(min(end - time.monotonic(), CONNECT_SECONDS), 1e-3)), self._target.address)
            try:
                wire.greet(min(end, time.monotonic() + CONNECT_SECONDS))
            except BaseException:
                wire.close()
                raise
        except (OSError, Broken, ConnectionFault) as error:
            raise unreachable(
                self._target.address, "no answer in time" if isinstance(error, TimeoutError) else str(error)
            ) from None
        return wire

    def _socket(self, seconds: float) -> socket.socket:
        target = self._target
        if target.path is not None:
            plain = socket.socket(socket.AF_UNIX)
            plain.settimeout(seconds)
            try:
                plain.connect(target.path)
            except OSError:
                plain.close()
                raise
        else:
            plain = socket.create_connection(target.host_and_port, seconds)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        context = client_context(target)
        if context is None:
            plain.settimeout(None)
            return plain
        try:
            secured = context.wrap_socket(plain, server_hostname=server_name(target))
        except BaseException:
            plain.close()
            raise
        if secured.selected_alpn_protocol() != "h2":
            secured.close()
            raise OSError("it does not offer HTTP/2 over TLS")
        return secured
