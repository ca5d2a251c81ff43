"""Our server and peers that break the protocol: each costs its own stream or connection, and no other anything."""

from __future__ import annotations

import gzip
import logging
import socket
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hpack import Encoder

from serving.accelerators.errors import Code
from serving.accelerators.rpc import frames
from serving.accelerators.rpc.frames import Fault
from serving.accelerators.rpc.heads import Heads, block
from serving.accelerators.rpc.response import ResponseHead, read_head
from serving.accelerators.rpc.server import Limits
from tests.integration.faults.server import until
from tests.unit.serving.accelerators.rpc.peers import Raw, Served, message, opening, secure, served

END = frames.END_HEADERS | frames.END_STREAM
Setting = dict[int, int]


@pytest.fixture
def peer(ours: Served) -> Iterator[Raw]:
    """A socket to our server."""
    with Raw(ours.port) as peer:
        yield peer


def trailers(peer: Raw, stream: int = 1) -> ResponseHead:
    """The end of a call's answer."""
    return Heads(read_head, 1 << 16).read(peer.until(frames.HEADERS, stream, frames.END_STREAM))


def echoes(peer: Raw, stream: int) -> None:
    """The connection still answers calls."""
    peer.send(opening("/t/Echo", stream), message(b"on", stream))
    assert peer.until(frames.DATA, stream) == frames.PREFIX.pack(0, 2) + b"on"
    assert trailers(peer, stream).status == 0


CONNECTION_FAULTS: dict[str, tuple[bytes, Fault]] = {
    "data on stream 0": (frames.frame(frames.DATA, 0, 0, b"x"), Fault.PROTOCOL_ERROR),
    "data on an idle stream": (frames.frame(frames.DATA, 0, 5, b"x"), Fault.PROTOCOL_ERROR),
    "headers on stream 0": (frames.frame(frames.HEADERS, END, 0, b"\x83"), Fault.PROTOCOL_ERROR),
    "an even stream": (opening("/t/Echo", 2), Fault.PROTOCOL_ERROR),
    "a block without sense": (frames.frame(frames.HEADERS, END, 1, b"\xff" * 40), Fault.COMPRESSION_ERROR),
    "a block that is cut": (frames.frame(frames.HEADERS, END, 1, b"\x40\x05ab"), Fault.COMPRESSION_ERROR),
    "a table too large": (frames.frame(frames.HEADERS, END, 1, b"\x3f\xff\xff\x7f"), Fault.COMPRESSION_ERROR),
    "padding too long": (frames.frame(frames.HEADERS, END | frames.PADDED, 1, b"\x09abc"), Fault.PROTOCOL_ERROR),
    "priority cut off": (frames.frame(frames.HEADERS, END | frames.PRIORITISED, 1, b"abc"), Fault.FRAME_SIZE_ERROR),
    "a continuation of nothing": (frames.frame(frames.CONTINUATION, END, 1, b"x"), Fault.PROTOCOL_ERROR),
    "an interrupted block": (
        opening("/t/Echo", 1, 0) + frames.frame(frames.PING, 0, 0, bytes(8)),
        Fault.PROTOCOL_ERROR,
    ),
    "data within a block": (opening("/t/Echo", 1, 0) + frames.frame(frames.DATA, 0, 1, b"x"), Fault.PROTOCOL_ERROR),
    "another stream's continuation": (
        opening("/t/Echo", 1, 0) + frames.frame(frames.CONTINUATION, frames.END_HEADERS, 3, b""),
        Fault.PROTOCOL_ERROR,
    ),
    "settings in a stream": (frames.frame(frames.SETTINGS, 0, 1, b""), Fault.PROTOCOL_ERROR),
    "settings cut off": (frames.frame(frames.SETTINGS, 0, 0, b"abc"), Fault.FRAME_SIZE_ERROR),
    "an acknowledgement with settings": (frames.frame(frames.SETTINGS, frames.ACK, 0, bytes(6)), Fault.FRAME_SIZE_ERROR),
    "a window too large": (frames.settings({frames.INITIAL_WINDOW_SIZE: 1 << 31}), Fault.FLOW_CONTROL_ERROR),
    "frames too small": (frames.settings({frames.MAX_FRAME_SIZE: 100}), Fault.PROTOCOL_ERROR),
    "push that is neither": (frames.settings({frames.ENABLE_PUSH: 2}), Fault.PROTOCOL_ERROR),
    "a short ping": (frames.frame(frames.PING, 0, 0, b"short"), Fault.FRAME_SIZE_ERROR),
    "a ping in a stream": (frames.frame(frames.PING, 0, 1, bytes(8)), Fault.PROTOCOL_ERROR),
    "a short goaway": (frames.frame(frames.GOAWAY, 0, 0, b"abc"), Fault.FRAME_SIZE_ERROR),
    "a window of nothing": (frames.window_update(0, 0), Fault.PROTOCOL_ERROR),
    "a window that overflows": (frames.window_update(0, (1 << 31) - 1), Fault.FLOW_CONTROL_ERROR),
    "a short window": (frames.frame(frames.WINDOW_UPDATE, 0, 0, b"abc"), Fault.FRAME_SIZE_ERROR),
    "a window of an idle stream": (frames.window_update(9, 1), Fault.PROTOCOL_ERROR),
    "a reset of an idle stream": (frames.reset(9, Fault.CANCEL), Fault.PROTOCOL_ERROR),
    "a short reset": (frames.frame(frames.RST_STREAM, 0, 1, b"abc"), Fault.FRAME_SIZE_ERROR),
    "priority of nothing": (frames.frame(frames.PRIORITY, 0, 0, bytes(5)), Fault.PROTOCOL_ERROR),
    "a promise": (frames.frame(frames.PUSH_PROMISE, frames.END_HEADERS, 1, bytes(8)), Fault.PROTOCOL_ERROR),
    "a frame too large": (frames.HEAD.pack(20_000 << 8 | frames.HEADERS, END, 1), Fault.FRAME_SIZE_ERROR),
    "data too large": (opening("/t/Echo") + frames.HEAD.pack(((1 << 24) - 1) << 8, 0, 1), Fault.FRAME_SIZE_ERROR),
    "padded data of nothing": (opening("/t/Echo") + frames.frame(frames.DATA, frames.PADDED, 1), Fault.PROTOCOL_ERROR),
    "data of padding alone": (
        opening("/t/Echo") + frames.frame(frames.DATA, frames.PADDED, 1, b"\x05abc"),
        Fault.PROTOCOL_ERROR,
    ),
}


@pytest.mark.parametrize("name", CONNECTION_FAULTS)
def test_connection_faults(ours: Served, peer: Raw, name: str) -> None:
    """A frame that breaks the protocol ends its connection with the code that RFC 9113 names, and no other connection."""
    data, fault = CONNECTION_FAULTS[name]
    with Raw(ours.port) as other:
        peer.send(data)
        assert peer.goodbye() == fault
        echoes(other, 1)


STREAM_FAULTS: dict[str, tuple[bytes, Fault]] = {
    "data after the end": (opening("/t/Never") + message(b"x") + message(b"x"), Fault.STREAM_CLOSED),
    "an end within a message": (
        opening("/t/Echo") + frames.frame(frames.DATA, frames.END_STREAM, 1, frames.PREFIX.pack(0, 9) + b"abc"),
        Fault.PROTOCOL_ERROR,
    ),
    "an end within a prefix": (
        opening("/t/Echo") + frames.frame(frames.DATA, frames.END_STREAM, 1, b"\0\0"),
        Fault.PROTOCOL_ERROR,
    ),
    "no path": (
        frames.frame(frames.HEADERS, END, 1, block([(":method", "POST"), (":scheme", "http")])),
        Fault.PROTOCOL_ERROR,
    ),
    "capitals": (
        frames.frame(frames.HEADERS, END, 1, block([(":method", "POST"), (":scheme", "http"), (":path", "/"), ("X", "1")])),
        Fault.PROTOCOL_ERROR,
    ),
    "a hop-by-hop header": (
        frames.frame(
            frames.HEADERS, END, 1, block([(":method", "POST"), (":scheme", "http"), (":path", "/"), ("connection", "x")])
        ),
        Fault.PROTOCOL_ERROR,
    ),
    "a pseudo-header too late": (
        frames.frame(frames.HEADERS, END, 1, block([(":method", "POST"), ("a", "1"), (":scheme", "http"), (":path", "/")])),
        Fault.PROTOCOL_ERROR,
    ),
    "a stream's window of nothing": (opening("/t/Echo") + frames.window_update(1, 0), Fault.PROTOCOL_ERROR),
    "a stream's window that overflows": (
        opening("/t/Echo") + frames.window_update(1, (1 << 31) - 1),
        Fault.FLOW_CONTROL_ERROR,
    ),
    "headers twice": (opening("/t/Echo") + opening("/t/Echo"), Fault.PROTOCOL_ERROR),
}


@pytest.mark.parametrize("name", STREAM_FAULTS)
def test_stream_faults(peer: Raw, name: str) -> None:
    """A fault in one stream resets it with the code that RFC 9113 names; the connection goes on."""
    data, fault = STREAM_FAULTS[name]
    peer.send(data)
    assert int.from_bytes(peer.until(frames.RST_STREAM, 1), "big") == fault
    echoes(peer, 3)


CALL_FAULTS: dict[str, tuple[bytes, Code]] = {
    "no message": (opening("/t/Echo", 1, END), Code.INTERNAL),
    "no message in data": (opening("/t/Echo") + frames.frame(frames.DATA, frames.END_STREAM, 1), Code.INTERNAL),
    "two messages": (opening("/t/Echo") + message(b"a", flags=0) + message(b"b"), Code.INTERNAL),
    "two messages, one of them empty": (opening("/t/Echo") + message(b"", flags=0) + message(b"b"), Code.INTERNAL),
    "compressed, though it is not": (opening("/t/Echo") + message(gzip.compress(b"a"), compressed=1), Code.INTERNAL),
    "too much": (opening("/t/Echo") + frames.frame(frames.DATA, 0, 1, frames.PREFIX.pack(0, 1 << 31)), Code.RESOURCE_EXHAUSTED),
    "a timeout without sense": (
        frames.frame(frames.HEADERS, frames.END_HEADERS, 1, opening("/t/Echo")[9:] + block([("grpc-timeout", "soon")])),
        Code.INVALID_ARGUMENT,
    ),
}


@pytest.mark.parametrize("name", CALL_FAULTS)
def test_call_faults(peer: Raw, ours: Served, name: str) -> None:
    """What gRPC does not allow is answered with a gRPC status; the connection goes on, and nothing stays held."""
    data, code = CALL_FAULTS[name]
    peer.send(data)
    assert trailers(peer).status == code
    echoes(peer, 3)
    assert ours.server.held == 0


def test_gzip_that_is_none(peer: Raw) -> None:
    """Bytes that gzip cannot read are the client's mistake."""
    head = opening("/t/Echo")[9:] + block([("grpc-encoding", "gzip")])
    for number, body in enumerate((b"none", gzip.compress(b"abc")[:-3], gzip.compress(b"abc") + b"more")):
        stream = 2 * number + 1
        peer.send(frames.frame(frames.HEADERS, frames.END_HEADERS, stream, head), message(body, stream, compressed=1))
        assert trailers(peer, stream).status == Code.INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ([(":method", "GET"), (":scheme", "http"), (":path", "/"), ("content-type", "application/grpc")], 405),
        ([(":method", "POST"), (":scheme", "http"), (":path", "/"), ("content-type", "text/html")], 415),
        ([(":method", "POST"), (":scheme", "http"), (":path", "/")], 415),
    ],
)
def test_http_2_that_is_no_grpc(peer: Raw, fields: list[tuple[str, str]], status: int) -> None:
    """HTTP/2 requests that are not gRPC's get an HTTP status."""
    peer.send(frames.frame(frames.HEADERS, END, 1, block(fields)))
    assert trailers(peer).http_status == status


def test_padding_and_priority(peer: Raw) -> None:
    """Padding and priorities are allowed, and mean nothing."""
    blocked = opening("/t/Echo")[9:]
    body = frames.PREFIX.pack(0, 3) + b"abc"
    peer.send(
        frames.frame(frames.PRIORITY, 0, 7, bytes(5)),
        frames.frame(frames.HEADERS, 0x2C, 1, b"\x04" + bytes(5) + blocked + bytes(4)),
        frames.frame(frames.DATA, frames.PADDED, 1, b"\x02" + body[:4] + bytes(2)),
        frames.frame(frames.DATA, frames.PADDED, 1, b"\x00"),
        frames.frame(frames.DATA, frames.PADDED | frames.END_STREAM, 1, b"\xff" + body[4:] + bytes(255)),
    )
    assert peer.until(frames.DATA, 1) == body


def test_padding_of_large_messages(peer: Raw) -> None:
    """Padding of frames that are received in parts belongs to no message."""
    body = frames.PREFIX.pack(0, 300_000) + bytes(range(250)) * 1200
    framed = frames.frame(frames.DATA, frames.PADDED | frames.END_STREAM, 1, b"\xff" + body + bytes(255))
    for at in (9, 10, 12, 100_000, len(framed) - 300, len(framed) - 100):
        stream = peer.received[-1][2] + 2 if peer.received and peer.received[-1][2] else 1
        peer.send(frames.settings({frames.INITIAL_WINDOW_SIZE: 1 << 20}), frames.window_update(0, 1 << 20))
        sent = frames.frame(frames.DATA, frames.PADDED | frames.END_STREAM, stream, framed[9:])
        peer.send(opening("/t/Size", stream), sent[:at])
        time.sleep(0.01)  # so that the server receives the two parts apart
        peer.send(sent[at:])
        assert peer.until(frames.DATA, stream) == frames.PREFIX.pack(0, 6) + b"300000"
        assert trailers(peer, stream).status == 0


def test_byte_by_byte(peer: Raw) -> None:
    """Frames may come in pieces of any size."""
    data = opening("/t/Echo") + message(b"hello" * 20)
    for at in range(len(data)):
        peer.send(data[at : at + 1])
    assert peer.until(frames.DATA, 1)[5:] == b"hello" * 20


def test_blocks_in_parts(peer: Raw) -> None:
    """A header block may go on in CONTINUATION frames, empty ones among them."""
    blocked = opening("/t/Echo")[9:]
    peer.send(
        frames.frame(frames.HEADERS, 0, 1, blocked[:7]),
        frames.frame(frames.CONTINUATION, 0, 1, b""),
        frames.frame(frames.CONTINUATION, 0, 1, blocked[7:20]),
        frames.frame(frames.CONTINUATION, frames.END_HEADERS, 1, blocked[20:]),
        message(b"x"),
    )
    assert peer.until(frames.DATA, 1)[5:] == b"x"


def test_trailers_of_a_request(peer: Raw) -> None:
    """A client may end its stream with trailers."""
    peer.send(opening("/t/Echo"), message(b"x", flags=0), frames.frame(frames.HEADERS, END, 1, block([("a", "b")])))
    assert peer.until(frames.DATA, 1)[5:] == b"x"


def test_the_table_is_followed(peer: Raw) -> None:
    """Blocks that change HPACK's table, and those that lean on it, are never taken for what they meant before."""
    encoder = Encoder()
    for stream in range(1, 41, 2):
        fields = [(":method", "POST"), (":scheme", "http"), (":path", "/t/Metadata"), ("content-type", "application/grpc")]
        fields += [("te", "trailers"), ("x-turn", str(stream // 6)), (f"x-{stream % 5}", "y" * (stream * 37 % 900))]
        peer.send(frames.frame(frames.HEADERS, frames.END_HEADERS, stream, encoder.encode(fields)), message(b"", stream))
        said = peer.until(frames.DATA, stream)[5:].decode()
        assert f"('x-turn', '{stream // 6}')" in said
        assert f"('x-{stream % 5}', '{'y' * (stream * 37 % 900)}')" in said


def test_unknown_frames(peer: Raw) -> None:
    """Frames of a kind that nobody knows are passed over."""
    peer.send(frames.frame(0x42, 0xFF, 77, b"whatever"))
    echoes(peer, 1)


def test_the_peers_windows(peer: Raw) -> None:
    """Answers wait for the peer's windows, the stream's and the connection's, and go on where they stopped."""
    peer.send(frames.settings({frames.INITIAL_WINDOW_SIZE: 10}), opening("/t/Big"), message(b"100000"))
    assert len(peer.until(frames.DATA, 1)) == 10
    peer.is_answered()
    assert not any(kind == frames.DATA for kind, *_ in peer.received[-1:])
    peer.send(frames.settings({frames.INITIAL_WINDOW_SIZE: 30}))
    assert len(peer.until(frames.DATA, 1)) == 20
    peer.send(frames.window_update(1, 1_000_000))
    got = 30
    while got < 65_535:
        got += len(peer.until(frames.DATA, 1))
    assert got == 65_535
    peer.send(frames.window_update(0, 1_000_000))
    while got < 100_005:
        data = peer.until(frames.DATA, 1)
        assert len(data) <= frames.DEFAULT_FRAME
        got += len(data)
    assert got == 100_005
    assert trailers(peer).status == 0


def test_a_window_below_zero(peer: Raw) -> None:
    """A window that shrinks below what was sent is paid back before more is sent."""
    peer.send(frames.settings({frames.INITIAL_WINDOW_SIZE: 1000}), opening("/t/Big"), message(b"5000"))
    assert len(peer.until(frames.DATA, 1)) == 1000
    peer.send(frames.settings({frames.INITIAL_WINDOW_SIZE: 0}), frames.window_update(1, 1000), frames.window_update(1, 7))
    assert len(peer.until(frames.DATA, 1)) == 7


def test_more_than_the_window() -> None:
    """A stream that sends more than its window is reset; its message counts for nothing."""
    with served(limits=Limits(max_message=1 << 30, max_held=1 << 30)) as server, Raw(server.port) as peer:
        peer.send(opening("/t/Size"), frames.frame(frames.DATA, 0, 1, frames.PREFIX.pack(0, 500 << 20)))
        until(lambda: server.server.held == 500 << 20, "the message is admitted")
        connection = next(iter(server.server.connections))
        server.do(setattr, connection.streams[1], "paused", True)
        for _ in range(17):
            peer.send(frames.frame(frames.DATA, 0, 1, bytes(1 << 20)))
        assert int.from_bytes(peer.until(frames.RST_STREAM, 1), "big") == Fault.FLOW_CONTROL_ERROR
        assert server.server.held == 0
        echoes(peer, 3)


def test_an_upload_that_is_refused(ours: Served) -> None:
    """A message too large is refused by its prefix; what still comes of it is thrown away, and costs no memory."""
    with served(limits=Limits(max_message=1000)) as server, Raw(server.port) as peer:
        peer.send(opening("/t/Size"), frames.frame(frames.DATA, 0, 1, frames.PREFIX.pack(0, 4_000_000_000)))
        assert trailers(peer).status == Code.RESOURCE_EXHAUSTED
        assert int.from_bytes(peer.until(frames.RST_STREAM, 1), "big") == Fault.NO_ERROR
        for _ in range(40):
            peer.send(frames.frame(frames.DATA, 0, 1, bytes(1 << 20)))
        echoes(peer, 3)
        assert server.server.held == 0


def test_the_sum_is_limited() -> None:
    """All connections together hold no more than the limit; what is beyond is refused, and fits again later."""
    limits = Limits(max_message=1000, max_held=2500)
    with served(limits=limits) as server, Raw(server.port) as first, Raw(server.port) as second:
        first.send(opening("/t/Never"), message(bytes(1000)), opening("/t/Never", 3), message(bytes(1000), 3))
        until(lambda: server.server.held == 2000, "two messages are held")
        second.send(opening("/t/Echo"), message(bytes(1000)))
        assert trailers(second).status == Code.RESOURCE_EXHAUSTED
        first.send(frames.reset(1, Fault.CANCEL))
        until(lambda: server.server.held == 1000, "one is left")
        echoes(second, 3)
        first.socket.close()
        until(lambda: server.server.held == 0, "none is left")
        assert server.handler.cancelled == ["/t/Never", "/t/Never"]


def test_streams_at_once() -> None:
    """Streams beyond the limit are refused so that their client may try again; those before it go on."""
    with served(limits=Limits(max_streams=3)) as server, Raw(server.port) as peer:
        for stream in (1, 3, 5, 7):
            peer.send(opening("/t/Never", stream), message(b"x", stream))
        assert int.from_bytes(peer.until(frames.RST_STREAM, 7), "big") == Fault.REFUSED_STREAM
        peer.send(frames.reset(3, Fault.CANCEL))
        echoes(peer, 9)


def test_header_lists() -> None:
    """A header list beyond the limit ends the connection, however it comes: long, in parts without end, or out of the table."""
    table = Encoder().encode([("x", "y" * 3000)])
    long = block([("x", "y" * 9000)])
    blasts = (
        frames.frame(frames.HEADERS, END, 1, long),
        frames.frame(frames.HEADERS, 0, 1, b"") + frames.frame(frames.CONTINUATION, 0, 1, b"\x00" * 5000) * 3,
        frames.frame(frames.HEADERS, END, 1, table + b"\xbe" * 100),
    )
    for blast in blasts:
        with served(limits=Limits(max_header_list=8000)) as server, Raw(server.port) as peer:
            peer.send(blast)
            assert peer.goodbye() == Fault.ENHANCE_YOUR_CALM


FLOODS: dict[str, Callable[[int], bytes]] = {
    "pings": lambda turn: frames.frame(frames.PING, 0, 0, bytes(8)),
    "settings": lambda turn: frames.settings({frames.MAX_CONCURRENT_STREAMS: turn % 7}),
    "resets": lambda turn: (
        opening("/t/Never", 2 * turn + 1) + message(b"", 2 * turn + 1) + frames.reset(2 * turn + 1, Fault.CANCEL)
    ),
    "priorities": lambda turn: frames.frame(frames.PRIORITY, 0, 1, bytes(5)),
    "unknown frames": lambda turn: frames.frame(0x99, 0, 0),
    "refused streams": lambda turn: opening("/t/Never", 2 * turn + 1),
    "malformed requests": lambda turn: frames.frame(frames.HEADERS, END, 2 * turn + 1, b"\x83"),
    "empty data": lambda turn: (opening("/t/Never") if not turn else b"") + frames.frame(frames.DATA, 0, 1),
    "empty continuations": lambda turn: frames.frame(frames.CONTINUATION if turn else frames.HEADERS, 0, 1),
}


@pytest.mark.parametrize("name", FLOODS)
def test_floods(name: str, caplog: pytest.LogCaptureFixture) -> None:
    """A peer that floods is told to calm down and cut off; meanwhile others are answered, and nothing stays behind.

    [CVE-2019-9512, CVE-2019-9515, CVE-2019-9518, CVE-2023-44487, CVE-2024-27316]
    """
    with served(limits=Limits(max_streams=100)) as server, Raw(server.port) as peer, Raw(server.port) as other:
        peer.socket.settimeout(0.5)
        for start in range(0, 40_000, 500):
            peer.send(b"".join(map(FLOODS[name], range(start, start + 500))))
        peer.socket.settimeout(20)
        while peer.next() is not None:
            pass
        assert "too many frames that no call comes of" in caplog.text  # a GOAWAY may be lost on a connection that is cut
        echoes(other, 1)
        until(lambda: len(server.server.connections) == 1, "the flooding connection is gone")
        assert server.server.held == 0


def test_a_peer_that_does_not_read() -> None:
    """A connection whose answers are not read is cut after a while; what it held is free again."""
    with served(limits=Limits(write_seconds=0.5)) as server, Raw(server.port) as peer, Raw(server.port) as other:
        until(lambda: len(server.server.connections) == 2, "both are accepted")
        peer.send(frames.settings({frames.INITIAL_WINDOW_SIZE: (1 << 31) - 1}), frames.window_update(0, 1 << 30))
        for stream in range(1, 9, 2):
            peer.send(opening("/t/Big", stream), message(b"50000000", stream))
        until(lambda: len(server.server.connections) == 1, "the connection is cut")
        assert server.server.held == 0
        echoes(other, 1)


def test_an_answer_that_is_not_wanted() -> None:
    """An answer whose window never opens is given up after a while; the connection goes on."""
    with served(limits=Limits(write_seconds=0.5)) as server, Raw(server.port) as peer:
        peer.send(frames.settings({frames.INITIAL_WINDOW_SIZE: 0}), opening("/t/Big"), message(b"50000"))
        assert trailers(peer).status == Code.DEADLINE_EXCEEDED
        assert server.server.held == 0
        peer.is_answered()


def test_a_stream_that_is_not_read() -> None:
    """A stream's answers that pile up beyond the limit end it, before they take the memory."""
    with served(limits=Limits(max_held=20 << 20)) as server, Raw(server.port) as peer:
        peer.send(opening("/t/StreamFlood"), message(b"x", flags=0))
        until(lambda: server.handler.closed_streams == ["/t/StreamFlood"], "the stream is given up")
        assert server.server.held == 0


def test_a_message_that_stops() -> None:
    """A message that does not go on is given up, whether it has begun or not; the connection goes on."""
    with served(limits=Limits(stall_seconds=0.5)) as server, Raw(server.port) as peer:
        peer.send(opening("/t/Echo"), frames.frame(frames.DATA, 0, 1, frames.PREFIX.pack(0, 9) + b"abc"), opening("/t/Echo", 3))
        ends = {}
        while len(ends) < 2:
            found = peer.next()
            assert found is not None
            if found[0] == frames.HEADERS:
                ends[found[2]] = Heads(read_head, 1 << 16).read(found[3]).status
        assert ends == {1: Code.DEADLINE_EXCEEDED, 3: Code.DEADLINE_EXCEEDED}
        assert server.server.held == 0
        echoes(peer, 5)


def test_deadlines_of_the_server() -> None:
    """A deadline counts at the server too, for clients that do not."""
    with served() as server, Raw(server.port) as peer:
        peer.send(opening("/t/Never", seconds=0.1), message(b"x"))
        assert trailers(peer).status == Code.DEADLINE_EXCEEDED
        assert server.handler.cancelled == ["/t/Never"]


STRANGERS = {
    "http/1": (b"GET / HTTP/1.1\r\nhost: x\r\n\r\n", b"HTTP/1.1 400 ", "HTTP/1"),
    "a post": (b"POST /invocations HTTP/1.1\r\n", b"HTTP/1.1 400 ", "HTTP/1"),
    "tls": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200), b"", "TLS"),
    "garbage": (b"\x00\x01\x02garbage", b"", "neither"),
    "nearly the preface": (frames.PREFACE[:-1] + b"X", b"", "neither"),
}


@pytest.mark.parametrize("name", STRANGERS)
def test_strangers(ours: Served, name: str, caplog: pytest.LogCaptureFixture) -> None:
    """What is no HTTP/2 is closed, with one line in the log; HTTP/1 is told where it has come."""
    said, answer, word = STRANGERS[name]
    with Raw(ours.port, greet=False) as peer, caplog.at_level(logging.WARNING, "ei.rpc"):
        peer.send(said)
        peer.socket.settimeout(20)
        got = b""
        while data := peer.socket.recv(1000):
            got += data
    assert got.startswith(answer)
    assert got or not answer
    assert len(caplog.records) == 1
    assert word in caplog.text
    if answer:
        head, _, body = got.partition(b"\r\n\r\n")
        assert f"content-length: {len(body)}".encode() in head


def test_silence() -> None:
    """A connection that says nothing, or not all of the preface, is closed after a while."""
    limits = Limits(preface_seconds=0.3)
    with served(limits=limits) as server, Raw(server.port, False) as silent, Raw(server.port, False) as slow:
        slow.send(frames.PREFACE[:10])
        assert silent.socket.recv(1) == b""
        assert slow.socket.recv(1) == b""


def test_plain_text_to_tls(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Plain text on a port with TLS is closed, with one line in the log; those who speak TLS are served."""
    context, _ = secure(tmp_path)
    with served(ssl_context=context) as server, caplog.at_level(logging.WARNING, "ei.rpc"):
        with Raw(server.port) as peer:
            while peer.socket.recv(1000):
                pass
        until(lambda: caplog.records, "the line is there")
        assert "no TLS" in caplog.text
        assert len(caplog.records) == 1


def test_connections_are_limited() -> None:
    """Connections beyond the limit are sent away; those before it go on."""
    with served(limits=Limits(max_connections=2)) as server, Raw(server.port) as first, Raw(server.port) as second:
        echoes(first, 1)
        echoes(second, 1)
        with Raw(server.port) as third:
            assert third.goodbye() == Fault.ENHANCE_YOUR_CALM
        echoes(first, 3)


def test_vanished_peers(ours: Served) -> None:
    """A connection that is cut in the middle of a message leaves nothing behind."""
    for _ in range(20):
        peer = Raw(ours.port)
        peer.send(opening("/t/Echo"), frames.frame(frames.DATA, 0, 1, frames.PREFIX.pack(0, 900_000) + bytes(100_000)))
        peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.socket.close()
    until(lambda: ours.server.held == 0, "nothing is held")


def test_goodbyes() -> None:
    """A server that ends says so, waits for the answer, refuses what came too late and closes when all is answered."""
    with served() as server, Raw(server.port) as peer:
        peer.send(opening("/t/Never"), message(b"x"))
        until(lambda: server.handler.calls, "the call is there")
        server.loop.call_soon_threadsafe(lambda: server.loop.create_task(server.server.close(20)))
        last, fault, _ = frames.read_goaway(peer.until(frames.GOAWAY))
        assert (last, fault) == (frames.MAX_STREAM, Fault.NO_ERROR)
        ping = peer.until(frames.PING)
        peer.send(frames.frame(frames.PING, frames.ACK, 0, ping))
        assert frames.read_goaway(peer.until(frames.GOAWAY))[0] == 1
        peer.send(opening("/t/Echo", 3))
        assert int.from_bytes(peer.until(frames.RST_STREAM, 3), "big") == Fault.REFUSED_STREAM
        server.do(server.handler.calls[0].reply, [b"done"])
        assert peer.until(frames.DATA, 1)[5:] == b"done"
        assert trailers(peer).status == 0
        assert peer.next() is None
