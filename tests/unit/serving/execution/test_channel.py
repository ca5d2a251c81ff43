"""Messages between the front and its model processes."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.execution import channel
from serving.execution.arena import Arena
from serving.invocation import Reply, Request

Pair = tuple[socket.socket, socket.socket]
MESSAGES: list[Any] = [("ready", 7, 1, 4), [], ("piece", b"x" * 5000), [("id", "", "", [("A", "b")], 1.5, b"")]]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Two ends of a Unix stream socket."""
    ends = socket.socketpair()
    yield ends
    for end in ends:
        end.close()


@pytest.mark.parametrize("step", [1, 3, 7, 8, 9, 4096, 1 << 20])
def test_split_reads(step: int) -> None:
    """Messages come out whole and in order, however a stream of them is cut."""
    data = b"".join(channel.frame(message) for message in MESSAGES)
    inbox, found = channel.Inbox(), []
    for at in range(0, len(data), step):
        found += inbox.feed(data[at : at + step])
    assert found == MESSAGES


@given(st.lists(st.lists(st.binary(max_size=20), max_size=3), max_size=5), st.lists(st.integers(1, 40), max_size=20))
def test_any_cuts(messages: list[list[bytes]], cuts: list[int]) -> None:
    """The same for any messages and any cuts."""
    data = b"".join(channel.frame(message) for message in messages)
    inbox, found, at = channel.Inbox(), [], 0
    for cut in [*cuts, len(data)]:
        found += inbox.feed(data[at : at + cut])
        at += cut
    assert found == messages


def test_nothing_is_kept_of_what_was_read() -> None:
    """The inbox holds only what is not whole yet."""
    inbox = channel.Inbox()
    inbox.feed(channel.frame(["a"]) + b"\x05")
    assert bytes(inbox._data) == b"\x05"


def test_receive(pair: Pair) -> None:
    """A blocking end reads one message after the other, and None where the other end has closed."""
    front, process = pair
    for message in MESSAGES:
        front.sendall(channel.frame(message))
    front.close()
    assert [channel.receive(process) for _ in MESSAGES] == MESSAGES
    assert channel.receive(process) is None


@pytest.mark.parametrize("length", [3, 8, 12], ids=["in the length", "before the message", "in the message"])
def test_the_other_end_goes_in_mid_message(pair: Pair, length: int) -> None:
    """A message that breaks off is the end, not an error."""
    front, process = pair
    front.sendall(channel.frame(("piece", b"abc"))[:length])
    front.close()
    assert channel.receive(process) is None


def test_nothing_comes_in_time(pair: Pair) -> None:
    """Where no message begins within the socket's timeout the caller may look after other things."""
    pair[1].settimeout(0.001)
    with pytest.raises(TimeoutError):
        channel.receive(pair[1])


def test_a_message_that_has_begun_is_waited_for(pair: Pair) -> None:
    """A timeout in the middle of a message loses nothing of it: the rest is waited for."""
    front, process = pair
    data = channel.frame(("piece", b"abc"))
    rest = [data[3:9], data[9:]]

    class Slow:
        """The process' end, which hears more of the message at each timeout: no clock takes part."""

        def recv_into(self, view: memoryview) -> int:
            """What is there, or a timeout."""
            try:
                return process.recv_into(view)
            except BlockingIOError:
                front.sendall(rest.pop(0))
                raise TimeoutError from None

    process.setblocking(False)
    front.sendall(data[:3])
    assert channel.receive(Slow()) == ("piece", b"abc")  # type: ignore[arg-type]


@pytest.mark.parametrize("where", ["bytes", "memory", "arena"])
def test_requests_arrive_as_they_were(where: str) -> None:
    """A request is the same on the other side; a body in the arena is not copied but told by its place."""
    arena = Arena(1 << 16)
    body: Any = b"hello" if where == "bytes" else memoryview(bytearray(b"hello"))
    if where == "arena":
        body = arena.allocate(5)
        body[:] = b"hello"
    headers = [("X-A", "caf\xe9"), ("x-a", "2")]
    packed = channel.pack_request(Request(body, "text/csv", "a/b", headers, "id-1", 12.5), arena)
    (message,) = channel.Inbox().feed(channel.frame([packed]))
    request = channel.unpack_request(message[0], arena)
    assert bytes(request.body) == b"hello"
    assert (request.content_type, request.accept, request.headers) == ("text/csv", "a/b", headers)
    assert (request.id, request.arrived) == ("id-1", 12.5)
    if where == "arena":
        body[:] = b"HELLO"
        assert bytes(request.body) == b"HELLO"


def test_an_empty_body_in_the_arena() -> None:
    """A body of no bytes goes by its place like any other."""
    arena = Arena(1 << 16)
    packed = channel.pack_request(Request(arena.allocate(0)), arena)
    assert bytes(channel.unpack_request(packed, arena).body) == b""


def test_replies_arrive_as_they_were() -> None:
    """A reply is the same on the other side, with what the log says of it."""
    reply = Reply(b"unused", "text/plain", 418, [("A", "1")], "a fault")
    reply.stages = (0.1, 0.2, 0.3)
    (message,) = channel.Inbox().feed(channel.frame(("begin", channel.pack_reply(reply, b"body"))))
    found = channel.unpack_reply(message[1])
    assert (found.body, found.content_type, found.status, found.headers) == (b"body", "text/plain", 418, [("A", "1")])
    assert (found.fault, found.stages) == ("a fault", (0.1, 0.2, 0.3))
