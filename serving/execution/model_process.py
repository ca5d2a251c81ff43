"""A model process of the pool: takes requests from the front as it falls free, runs the line, sends the replies back.

It touches the framework from its one thread. It outlives its front: when the front's socket ends it connects to the next
one, unless it was told to stop.
"""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

from serving.execution import channel
from serving.execution.arena import Arena
from serving.invocation import Reply, Service, invoke

log = logging.getLogger("ei.execution")

CONNECT_SECONDS = 0.02
"""Between two tries to reach a front that is being started."""


class ModelProcess:
    """Serves one front after the other at an address. `hello` is what it tells each: (pid, slot, batch)."""

    def __init__(self, service: Service, arena: Arena, address: bytes, hello: tuple[Any, ...]) -> None:
        self._service, self._arena, self._address, self._hello = service, arena, address, hello
        self.answered: Callable[[int], None] = lambda requests: None
        """Called after each message, with the number of its requests."""

    def run(self, alive: Callable[[], bool], beat: Callable[[], None], patience: float) -> None:
        """Serve while `alive()`, calling `beat` at least every `patience` seconds while nothing is to do."""
        while alive():
            beat()
            front = self._connect()
            if front is None:
                time.sleep(CONNECT_SECONDS)
                continue
            with front:
                self._serve(front, beat, patience)

    def _connect(self) -> socket.socket | None:
        front = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            front.connect(self._address)
            front.sendall(channel.frame(("ready", *self._hello)))
        except OSError:
            front.close()
            return None
        return front

    def _serve(self, front: socket.socket, beat: Callable[[], None], patience: float) -> None:
        """Until the front ends: a front that drains still needs answers after SIGTERM has come here."""
        while True:
            beat()
            front.settimeout(patience)
            try:
                message = channel.receive(front)
            except TimeoutError:
                continue
            except OSError:
                return
            if message is None:
                return
            if not message:  # the stream that was to be stopped had ended
                continue
            front.settimeout(None)
            try:
                self._answer(front, message)
            except (BrokenPipeError, ConnectionResetError):
                return

    def _answer(self, front: socket.socket, message: list[tuple[Any, ...]]) -> None:
        replies = invoke(self._service, [channel.unpack_request(packed, self._arena) for packed in message])
        if len(replies) == 1 and not isinstance(replies[0].body, bytes):
            _stream(front, replies[0], replies[0].body)
            self.answered(1)
            return
        packed = [channel.pack_reply(reply, _whole(reply)) for reply in replies]
        front.sendall(channel.frame(("replies", packed)))
        self.answered(len(packed))


def _stream(front: socket.socket, reply: Reply, pieces: Iterator[bytes]) -> None:
    front.sendall(channel.frame(("begin", channel.pack_reply(reply, b""))))
    whole = True
    try:
        for piece in pieces:
            front.sendall(channel.frame(("piece", piece)))
            if _is_unread(front):
                whole = False
                break
    except (BrokenPipeError, ConnectionResetError):
        raise
    except Exception:
        log.exception("a streamed answer broke off")
        whole = False
    front.sendall(channel.frame(("end", whole)))


def _is_unread(front: socket.socket) -> bool:
    """Whether the front has said that nobody reads the stream, or has gone: it says nothing else meanwhile."""
    try:
        front.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    return True


def _whole(reply: Reply) -> bytes:
    return reply.body if isinstance(reply.body, bytes) else b"".join(reply.body)
