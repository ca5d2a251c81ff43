"""Our clients and servers that do what servers may, and what they may not."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from typing import Any

import pytest

from serving.accelerators.errors import AcceleratorError, Code
from serving.accelerators.rpc import frames
from serving.accelerators.rpc.frames import Fault
from serving.accelerators.rpc.heads import block
from tests.unit.serving.accelerators.rpc.peers import Raw, Scripted, calling, message

END = frames.END_HEADERS | frames.END_STREAM
OPEN = block([(":status", "200"), ("content-type", "application/grpc")])
OK = block([("grpc-status", "0")])
Script = Callable[[Raw], None]


@pytest.fixture(params=["direct", "multiplexed"])
def kind(request: pytest.FixtureRequest) -> str:
    """Each of our clients."""
    found: str = request.param
    return found


def head(stream: int, fields: bytes = OPEN, flags: int = frames.END_HEADERS) -> bytes:
    """An answer's head."""
    return frames.frame(frames.HEADERS, flags, stream, fields)


def end(stream: int, fields: bytes = OK) -> bytes:
    """An answer's trailers."""
    return frames.frame(frames.HEADERS, END, stream, fields)


def asked(peer: Raw) -> tuple[int, bytes]:
    """The next call: its stream and its message."""
    body = b""
    while True:
        found = peer.next()
        assert found is not None
        if found[0] == frames.DATA:
            body += found[3]
            if found[1] & frames.END_STREAM:
                return found[2], body[5:]


def honest(peer: Raw) -> None:
    """Answer every call with its message."""
    peer.greeted()
    while (found := peer.next()) is not None:
        if found[0] == frames.DATA and found[1] & frames.END_STREAM:
            peer.send(head(found[2]), message(found[3][5:], found[2], 0), end(found[2]))


def answering(*parts: bytes | Callable[[int], bytes]) -> Script:
    """A script that answers the first call with these frames, of stream 1, and waits for the client's end."""

    def script(peer: Raw) -> None:
        peer.greeted()
        stream, _ = asked(peer)
        for part in parts:
            peer.send(part if isinstance(part, bytes) else part(stream))
        while peer.next() is not None:
            pass

    return script


def fails(channel: Any, seconds: float = 20, body: bytes = b"x") -> AcceleratorError:
    """A call's error."""
    with pytest.raises(AcceleratorError) as error:
        channel.call("/t/Echo", [body], seconds)
    assert "\n" not in error.value.message
    return error.value


ANSWERS: dict[str, tuple[bytes, bytes]] = {
    "in one piece": (head(1) + message(b"abc", 1, 0) + end(1), b"abc"),
    "empty": (head(1) + message(b"", 1, 0) + end(1), b""),
    "in many frames": (
        head(1) + b"".join(frames.frame(frames.DATA, 0, 1, bytes((c,))) for c in message(b"abc", 1, 0)[9:]) + end(1),
        b"abc",
    ),
    "with empty frames": (
        head(1) + frames.frame(frames.DATA, 0, 1) + message(b"abc", 1, 0) + frames.frame(frames.DATA, 0, 1) + end(1),
        b"abc",
    ),
    "padded": (
        head(1)
        + frames.frame(frames.DATA, frames.PADDED, 1, b"\x64" + frames.PREFIX.pack(0, 3) + b"abc" + bytes(100))
        + end(1),
        b"abc",
    ),
    "with blocks in parts": (
        head(1, OPEN[:5], 0)
        + frames.frame(frames.CONTINUATION, frames.END_HEADERS, 1, OPEN[5:])
        + message(b"abc", 1, 0)
        + frames.frame(frames.HEADERS, frames.END_STREAM, 1, OK[:3])
        + frames.frame(frames.CONTINUATION, frames.END_HEADERS, 1, OK[3:]),
        b"abc",
    ),
    "with pings and settings in between": (
        head(1)
        + frames.frame(frames.PING, 0, 0, b"12345678")
        + message(b"abc", 1, 0)
        + frames.settings({frames.HEADER_TABLE_SIZE: 0, frames.MAX_CONCURRENT_STREAMS: 1})
        + frames.window_update(0, 1000)
        + frames.window_update(1, 1000)
        + frames.frame(0x77, 0xFF, 0, b"unknown")
        + end(1),
        b"abc",
    ),
    "with a farewell": (frames.goaway(1, Fault.NO_ERROR) + head(1) + message(b"abc", 1, 0) + end(1), b"abc"),
    "with a reset after it": (head(1) + message(b"abc", 1, 0) + end(1) + frames.reset(1, Fault.NO_ERROR), b"abc"),
    "compressed": (
        head(1, OPEN + block([("grpc-encoding", "gzip")])) + message(gzip.compress(b"abc"), 1, 0, 1) + end(1),
        b"abc",
    ),
    "large, padded, in large frames": (
        head(1)
        + frames.frame(frames.DATA, frames.PADDED, 1, b"\xff" + frames.PREFIX.pack(0, 500_000) + bytes(300_000) + bytes(255))
        + frames.frame(frames.DATA, frames.PADDED, 1, b"\xff" + bytes(200_000) + bytes(255))
        + end(1),
        bytes(500_000),
    ),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_answers(kind: str, name: str) -> None:
    """An answer may come in any way that HTTP/2 allows."""
    data, body = ANSWERS[name]
    with Scripted(answering(data)) as server, calling(kind, server.address) as channel:
        assert bytes(channel.call("/t/Echo", [b"x"], 20)) == body


@pytest.mark.parametrize("name", [name for name, (data, _) in ANSWERS.items() if len(data) < 2000])
def test_answers_byte_by_byte(kind: str, name: str) -> None:
    """It may come in parts of any size, too."""
    data, body = ANSWERS[name]
    parts = [data[at : at + 1] for at in range(len(data))]
    with Scripted(answering(*parts)) as server, calling(kind, server.address) as channel:
        assert bytes(channel.call("/t/Echo", [b"x"], 20)) == body


ERRORS: dict[str, tuple[bytes, Code]] = {
    "trailers alone": (end(1, OPEN + block([("grpc-status", "5"), ("grpc-message", "%C3%BC")])), Code.NOT_FOUND),
    "a status of no number": (end(1, OPEN + block([("grpc-status", "x")])), Code.UNKNOWN),
    "a status that nobody knows": (end(1, OPEN + block([("grpc-status", "99")])), Code.UNKNOWN),
    "no status": (head(1) + message(b"abc", 1, frames.END_STREAM), Code.INTERNAL),
    "no message": (head(1) + end(1), Code.INTERNAL),
    "a proxy's answer": (head(1, block([(":status", "503")]), END), Code.UNAVAILABLE),
    "a proxy's page": (head(1, block([(":status", "404")])) + frames.frame(frames.DATA, 1, 1, b"<html>"), Code.UNIMPLEMENTED),
    "a reset": (frames.reset(1, Fault.INTERNAL_ERROR), Code.INTERNAL),
    "a reset to calm down": (head(1) + frames.reset(1, Fault.ENHANCE_YOUR_CALM), Code.RESOURCE_EXHAUSTED),
    "a reset that nobody knows": (frames.reset(1, 99), Code.INTERNAL),  # type: ignore[arg-type]
    "compressed unasked": (head(1) + message(b"abc", 1, 0, 1) + end(1), Code.INTERNAL),
    "no gzip": (head(1, OPEN + block([("grpc-encoding", "gzip")])) + message(b"abc", 1, 0, 1) + end(1), Code.INTERNAL),
    "too much": (head(1) + frames.frame(frames.DATA, 0, 1, frames.PREFIX.pack(0, 1 << 31)), Code.RESOURCE_EXHAUSTED),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(kind: str, name: str) -> None:
    """What a server answers instead of a message is an error with a status, and the next call is made."""
    data, code = ERRORS[name]

    def script(peer: Raw) -> None:
        peer.greeted()
        stream, _ = asked(peer)
        peer.send(data)
        while (found := peer.next()) is not None:
            if found[0] == frames.DATA and found[1] & frames.END_STREAM:
                peer.send(head(found[2]), message(found[3][5:], found[2], 0), end(found[2]))

    with Scripted(script, honest) as server, calling(kind, server.address) as channel:
        assert fails(channel).code == code
        assert bytes(channel.call("/t/Echo", [b"on"], 20)) == b"on"


BROKEN: dict[str, bytes] = {
    "a closed connection": b"",
    "half an answer": head(1) + message(b"abc", 1, 0)[:11],
    "a block without sense": head(1, b"\xff" * 30),
    "padding too long": head(1) + frames.frame(frames.DATA, frames.PADDED, 1, b"\x99abc"),
    "a frame too large": frames.HEAD.pack(((1 << 24) - 1) << 8 | frames.SETTINGS, 0, 0),
    "a continuation of nothing": frames.frame(frames.CONTINUATION, END, 1, b"x"),
    "a block that is interrupted": head(1, OPEN, 0) + frames.frame(frames.PING, 0, 0, bytes(8)),
    "settings without sense": frames.settings({frames.MAX_FRAME_SIZE: 1}),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_connections(kind: str, name: str) -> None:
    """A server that breaks off, or the protocol, fails the call at once; the next call has a connection of its own."""

    def script(peer: Raw) -> None:
        peer.greeted()
        asked(peer)
        peer.send(BROKEN[name])

    with Scripted(script, honest) as server, calling(kind, server.address) as channel:
        assert fails(channel).code in (Code.UNAVAILABLE, Code.INTERNAL)
        assert bytes(channel.call("/t/Echo", [b"on"], 20)) == b"on"


def test_data_before_settings(kind: str) -> None:
    """A server that begins with data instead of its settings fails the call, and its connection is closed."""

    def script(peer: Raw) -> None:
        peer.send(frames.frame(frames.DATA, 0, 0, b"\0\xff\xff\xff\xff"))
        while peer.next() is not None:
            pass

    with Scripted(script) as server, calling(kind, server.address) as channel:
        assert fails(channel).code == Code.UNAVAILABLE


def leaving(*parts: bytes) -> Script:
    """A script that takes a call and says that it was not looked at."""

    def script(peer: Raw) -> None:
        peer.greeted()
        asked(peer)
        peer.send(*parts)
        while peer.next() is not None:
            pass

    return script


@pytest.mark.parametrize("farewell", [frames.goaway(0, Fault.NO_ERROR), frames.reset(1, Fault.REFUSED_STREAM)])
def test_calls_that_were_not_looked_at(kind: str, farewell: bytes) -> None:
    """A call that its server says it has not looked at is made again, unseen by the caller."""
    with (
        Scripted(leaving(farewell, frames.goaway(0, Fault.NO_ERROR)), honest) as server,
        calling(kind, server.address) as channel,
    ):
        assert bytes(channel.call("/t/Echo", [b"again"], 20)) == b"again"
        assert server.connections == 2


def test_servers_that_never_look(kind: str) -> None:
    """A server that refuses every call fails it as UNAVAILABLE, after a few tries."""
    with Scripted(leaving(frames.goaway(0, Fault.NO_ERROR))) as server, calling(kind, server.address) as channel:
        assert fails(channel).code == Code.UNAVAILABLE
        assert 1 < server.connections < 6


def test_a_connection_that_rests_too_long(kind: str) -> None:
    """A connection that its server closed without a word costs the next call nothing."""

    def once(peer: Raw) -> None:
        peer.greeted()
        stream, body = asked(peer)
        peer.send(head(stream), message(body, stream, 0), end(stream))

    with Scripted(once, once, once, honest) as server, calling(kind, server.address) as channel:
        for _ in range(4):
            assert bytes(channel.call("/t/Echo", [b"on"], 20)) == b"on"


def test_the_servers_windows(kind: str) -> None:
    """A message goes out as the server's windows and frames allow, and no faster."""
    said: list[int] = []

    def script(peer: Raw) -> None:
        peer.greeted({frames.INITIAL_WINDOW_SIZE: 100, frames.MAX_FRAME_SIZE: 20_000})
        got = len(peer.until(frames.DATA, 1))
        assert got == 100
        peer.send(frames.frame(frames.PING, 0, 0, bytes(8)))
        peer.until(frames.PING, 0, frames.ACK)
        peer.send(frames.settings({frames.INITIAL_WINDOW_SIZE: 300}))
        got += len(peer.until(frames.DATA, 1))
        assert got == 300
        peer.send(frames.window_update(1, 1_000_000))
        while got < 65_535:
            data = peer.until(frames.DATA, 1)
            assert len(data) <= 20_000
            got += len(data)
        assert got == 65_535
        peer.send(frames.window_update(0, 1_000_000))
        while got < 500_005:
            got += len(peer.until(frames.DATA, 1))
        said.append(got)
        peer.send(head(1), message(b"thanks", 1, 0), end(1))
        while peer.next() is not None:
            pass

    with Scripted(script) as server, calling(kind, server.address) as channel:
        assert bytes(channel.call("/t/Echo", [bytes(500_000)], 20)) == b"thanks"
    assert said == [500_005]


def test_answers_before_the_end(kind: str) -> None:
    """A server may answer before it has heard all: the rest is not sent, and the connection goes on."""

    def script(peer: Raw) -> None:
        peer.greeted({frames.INITIAL_WINDOW_SIZE: 1000})
        peer.until(frames.DATA, 1)
        peer.send(end(1, OPEN + block([("grpc-status", "8"), ("grpc-message", "too much")])))
        peer.until(frames.RST_STREAM, 1)
        stream, body = asked(peer)
        assert stream == 3
        peer.send(head(3), message(body, 3, 0), end(3))
        while peer.next() is not None:
            pass

    with Scripted(script) as server, calling(kind, server.address) as channel:
        error = fails(channel, body=bytes(1_000_000))
        assert (error.code, error.message) == (Code.RESOURCE_EXHAUSTED, "too much")
        assert bytes(channel.call("/t/Echo", [b"on"], 20)) == b"on"


def test_deadlines_in_between(kind: str) -> None:
    """A deadline counts over the whole of an answer, however often parts of it come; the server hears that it is over."""
    heard: list[int] = []

    def script(peer: Raw) -> None:
        peer.greeted()
        asked(peer)
        peer.send(head(1), frames.frame(frames.DATA, 0, 1, frames.PREFIX.pack(0, 1 << 20)))
        peer.socket.settimeout(0.05)
        while not heard:
            peer.send(frames.frame(frames.DATA, 0, 1, b"x"))
            try:
                found = peer.next()
            except TimeoutError:
                continue
            if found is None or found[0] == frames.RST_STREAM:
                heard.append(found[2] if found else 0)

    with Scripted(script) as server, calling(kind, server.address) as channel:
        assert fails(channel, seconds=0.3).code == Code.DEADLINE_EXCEEDED
    assert heard == [1]


def test_deadlines_while_sending(kind: str) -> None:
    """A message that the server does not take ends with the deadline."""

    def script(peer: Raw) -> None:
        peer.greeted({frames.INITIAL_WINDOW_SIZE: 0}).until(frames.RST_STREAM, 1)

    with Scripted(script) as server, calling(kind, server.address) as channel:
        assert fails(channel, seconds=0.3, body=bytes(1_000_000)).code == Code.DEADLINE_EXCEEDED


def test_deadlines_while_connecting(kind: str) -> None:
    """A server that accepts and never says a word ends with the deadline."""

    def silent(peer: Raw) -> None:
        while peer.socket.recv(1000):
            pass

    with Scripted(silent) as server, calling(kind, server.address) as channel:
        assert fails(channel, seconds=0.3).code in (Code.DEADLINE_EXCEEDED, Code.UNAVAILABLE)


def test_what_is_said_on_the_wire(kind: str) -> None:
    """A call says what gRPC asks of it: method, path, content type, its timeout."""
    fields: list[Any] = []

    def script(peer: Raw) -> None:
        from hpack import Decoder

        peer.greeted()
        fields.extend(Decoder().decode(peer.until(frames.HEADERS, 1)))
        peer.until(frames.DATA, 1)
        peer.send(head(1), message(b"ok", 1, 0), end(1))
        while peer.next() is not None:
            pass

    with Scripted(script) as server, calling(kind, server.address, token="t") as channel:
        channel.call("/t/Echo", [b"x"], 12.5)
    said = dict(fields)
    assert said[":method"] == "POST"
    assert said[":path"] == "/t/Echo"
    assert said[":authority"] == server.address
    assert said["te"] == "trailers"
    assert said["content-type"] == "application/grpc"
    assert said["authorization"] == "Bearer t"
    assert said["grpc-timeout"] == "13000000u"
    assert [name for name, _ in fields[:3]] == [":method", ":scheme", ":path"]
