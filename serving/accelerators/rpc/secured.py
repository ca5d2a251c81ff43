"""Listening with TLS: every connection's handshake on its own, and one line in the log for each that fails.

The loops' own servers say nothing of those: a client that comes without TLS would go unexplained.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable, Coroutine
from typing import Any

log = logging.getLogger("ei.rpc")
MAX_HANDSHAKES = 256
"""At a time; further connections wait to be accepted."""
RETRY_SECONDS = 0.5


class Secured:
    """Sockets that listen, and the handshakes under way."""

    def __init__(self, accepted: Callable[[], asyncio.BaseProtocol], context: ssl.SSLContext, seconds: float) -> None:
        context.set_alpn_protocols(["h2"])
        self._accepted, self._context, self._seconds = accepted, context, seconds
        self._loop = asyncio.get_running_loop()
        self._free = asyncio.Semaphore(MAX_HANDSHAKES)
        self._tasks: set[asyncio.Task[None]] = set()

    @classmethod
    async def listen(
        cls, accepted: Callable[[], asyncio.BaseProtocol], address: tuple[str, int], context: ssl.SSLContext, seconds: float
    ) -> Secured:
        """Listen on every address of a host."""
        self = cls(accepted, context, seconds)
        found = await self._loop.getaddrinfo(*address, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, where in {(one[0], one[4]) for one in found}:
            listener = socket.create_server(where[:2], family=family, backlog=1024)
            listener.setblocking(False)
            self._begin(self._accept(listener))
        return self

    def _begin(self, job: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(job)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(self, listener: socket.socket) -> None:
        with listener:
            while True:
                await self._free.acquire()
                try:
                    sock, peer = await self._loop.sock_accept(listener)
                except OSError as error:  # no file descriptors are left, for one
                    self._free.release()
                    log.warning("no connection can be accepted: %s", error)
                    await asyncio.sleep(RETRY_SECONDS)
                    continue
                self._begin(self._shake(sock, peer))

    async def _shake(self, sock: socket.socket, peer: object) -> None:
        try:
            await self._loop.connect_accepted_socket(
                self._accepted, sock, ssl=self._context, ssl_handshake_timeout=self._seconds
            )
        except OSError as error:
            log.warning("%s: no TLS: %s; the connection is closed", peer, " ".join(str(error).split()) or "it hung up")
            sock.close()
        finally:
            self._free.release()

    def close(self) -> None:
        """Listen no more."""
        for task in list(self._tasks):
            task.cancel()
