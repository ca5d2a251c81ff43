"""Messages between the front and its model processes: a length, then a marshalled tuple, on a Unix stream socket.

    model process -> front   ("ready", pid, slot, batch)                once, when it is warm
    front -> model process   [(id, content_type, accept, headers, arrived, body), ...]
                             []                                         while it streams: nobody reads any more
    model process -> front   ("replies", [(status, body, content_type, headers, fault, stages), ...])
                             ("begin", reply without body), ("piece", bytes)..., ("end", whole)

A body is bytes, or (offset, length) in the arena. Both ends are of one build on one machine, so marshal fits; what a client
sends is only ever a string or bytes within.
"""

from __future__ import annotations

import marshal
import socket
import struct
from typing import Any

from serving.execution.arena import Arena
from serving.invocation import Reply, Request

_LENGTH = struct.Struct("<Q")


def frame(message: Any) -> bytes:
    """A message as bytes to send."""
    data = marshal.dumps(message)
    return _LENGTH.pack(len(data)) + data


def receive(sock: socket.socket) -> Any:
    """The next message of a blocking socket, or None at its end; TimeoutError where none begins in time."""
    head = _exactly(sock, _LENGTH.size)
    if head is None:
        return None
    data = _exactly(sock, _LENGTH.unpack(head)[0])
    return None if data is None else marshal.loads(data)


def pack_request(request: Request, arena: Arena) -> tuple[Any, ...]:
    """A request as a tuple; a body in the arena goes by its place."""
    body = request.body
    place = arena.place(body) if isinstance(body, memoryview) else None
    sent = place or bytes(body)
    return (request.id, request.content_type, request.accept, list(request.headers), request.arrived, sent)


def unpack_request(packed: tuple[Any, ...], arena: Arena) -> Request:
    """The request of such a tuple."""
    id, content_type, accept, headers, arrived, body = packed
    return Request(arena.at(*body) if isinstance(body, tuple) else body, content_type, accept, headers, id, arrived)


def pack_reply(reply: Reply, body: bytes) -> tuple[Any, ...]:
    """A reply as a tuple, with this body."""
    return (reply.status, body, reply.content_type, [tuple(h) for h in reply.headers], reply.fault, reply.stages)


def unpack_reply(packed: tuple[Any, ...]) -> Reply:
    """The reply of such a tuple."""
    status, body, content_type, headers, fault, stages = packed
    reply = Reply(body, content_type, status, headers, fault)
    reply.stages = stages
    return reply


class Inbox:
    """Puts messages together from the pieces that a non-blocking socket gives."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> list[Any]:
        """The messages that are whole now."""
        self._data += data
        messages = []
        while len(self._data) >= _LENGTH.size:
            end = _LENGTH.size + _LENGTH.unpack_from(self._data)[0]
            if len(self._data) < end:
                break
            messages.append(marshal.loads(memoryview(self._data)[_LENGTH.size : end]))
            del self._data[:end]
        return messages


def _exactly(sock: socket.socket, length: int) -> bytearray | None:
    data = bytearray(length)
    view = memoryview(data)
    while view:
        try:
            count = sock.recv_into(view)
        except TimeoutError:
            if len(view) == length and length == _LENGTH.size:
                raise
            continue
        if not count:
            return None
        view = view[count:]
    return data
