"""Frames at random, from fixed seeds: what comes of them is an error of their own call or connection, and nothing else."""

from __future__ import annotations

import logging
from random import Random
from typing import Any

import pytest
from hpack import Encoder

from serving.accelerators.errors import AcceleratorError
from serving.accelerators.rpc import frames
from serving.accelerators.rpc.heads import block
from serving.accelerators.rpc.server import Limits
from tests.integration.faults.server import until
from tests.unit.serving.accelerators.rpc.peers import Raw, Scripted, calling, message, opening, served

PATHS = ("/t/Echo", "/t/Big", "/t/Later", "/t/Never", "/t/Wrong", "/t/Twice", "/t/Stream", "/t/StreamFail", "/t/Nowhere")


def data(random: Random, stream: int) -> bytes:
    """A DATA frame: a message, a part of one, padding, or nothing like it."""
    body = random.choice((b"70000", random.randbytes(random.choice((0, 1, 4, 5, 9, 100, 40_000, 300_000)))))
    flags = random.choice((0, frames.END_STREAM))
    kind = random.randrange(5)
    if kind == 0:
        return message(body, stream, flags, random.choice((0, 0, 0, 1, 7)))
    if kind == 1:
        return frames.frame(
            frames.DATA, flags, stream, frames.PREFIX.pack(0, random.randrange(1 << random.randrange(33))) + body
        )
    if kind == 2:
        return frames.frame(frames.DATA, flags | frames.PADDED, stream, bytes((random.randrange(256),)) + body)
    return frames.frame(frames.DATA, flags, stream, body)


def headers(random: Random, stream: int) -> bytes:
    """A HEADERS frame, often a call's, with parts left out, added or cut."""
    path, kind = random.choice(PATHS), random.randrange(6)
    if kind < 3:
        return opening(path, stream, random.choice((4, 4, 4, 5, 0)), random.choice((0.01, 1, 30)))
    fields = [(":method", "POST"), (":scheme", "http"), (":path", path), ("content-type", "application/grpc")]
    fields += random.choices((("grpc-encoding", "gzip"), ("grpc-timeout", "1S"), ("x", "y" * 200), (":path", "/")), k=2)
    random.shuffle(fields)
    packed = Encoder().encode(fields) if kind == 3 else block(fields) if kind == 4 else random.randbytes(random.randrange(60))
    return frames.frame(
        frames.HEADERS, random.choice((4, 5, 0, 0x0C, 0x24, 0x2D)), stream, packed[: random.randrange(len(packed) + 1)]
    )


def answer(random: Random, stream: int) -> bytes:
    """What a server may say: a head, trailers, or something like them."""
    fields = [(":status", "200"), ("content-type", "application/grpc"), ("grpc-status", random.choice(("0", "5", "x")))]
    packed = block(fields[: random.randrange(4)] if random.random() < 0.5 else fields[2:])
    return frames.frame(frames.HEADERS, random.choice((4, 4, 5, 5, 0)), stream, packed)


def control(random: Random, stream: int) -> bytes:
    """Any other frame, mostly well-formed."""
    number = random.choice((0, 1, 65_535, (1 << 31) - 1, 1 << 31))
    return random.choice(
        (
            frames.settings({random.randrange(9): number}),
            frames.settings({frames.INITIAL_WINDOW_SIZE: random.randrange(200_000)}),
            frames.SETTINGS_ACK,
            frames.frame(frames.PING, random.randrange(2), 0, bytes(random.choice((8, 8, 8, 7)))),
            frames.window_update(random.choice((0, stream)), random.choice((number & 0x7FFFFFFF, 1000, 100_000))),
            frames.frame(frames.RST_STREAM, 0, stream, random.randbytes(random.choice((4, 4, 4, 3)))),
            frames.goaway(stream, frames.Fault.NO_ERROR),
            frames.frame(frames.PRIORITY, 0, stream, bytes(5)),
            frames.frame(frames.CONTINUATION, random.choice((0, 4)), stream, random.randbytes(random.randrange(20))),
            frames.frame(random.randrange(256), random.randrange(256), stream, random.randbytes(random.randrange(50))),
            random.randbytes(random.randrange(30)),
        )
    )


def talk(random: Random, kinds: tuple[Any, ...]) -> bytes:
    """Frames of some few streams, of which now and then a byte is wrong."""
    said = bytearray()
    for turn in range(random.randrange(1, 30)):
        stream = random.choice((1, 1, 3, 5, 2 * turn + 1, 0, 2))
        said += random.choice(kinds)(random, stream)
    for _ in range(random.choice((0, 0, 0, 1, 5)) if said else 0):
        said[random.randrange(len(said))] = random.randrange(256)
    return bytes(said)


def send(peer: Raw, random: Random, said: bytes) -> None:
    """Send bytes in parts."""
    while said:
        count = random.choice((1, 7, 100, 10_000, 1_000_000))
        peer.send(said[:count])
        said = said[count:]


@pytest.mark.parametrize("seed", range(12))
def test_the_server_stands(seed: int, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever peers say, the server answers others, raises nothing and holds nothing in the end."""
    random = Random(seed)
    limits = Limits(max_message=1 << 20, max_held=8 << 20, max_streams=20, stall_seconds=1, write_seconds=1)
    with served(limits=limits) as server, Raw(server.port) as other:
        big = server.handler.big
        server.handler.big = lambda call, body: big(call, body if body == b"70000" else b"3")  # type: ignore[method-assign]
        for turn in range(25):
            with Raw(server.port, greet=random.random() < 0.95) as peer:
                send(peer, random, talk(random, (headers, headers, data, data, control)))
                assert server.server.held <= limits.max_held + limits.max_message
            stream = 2 * turn + 1
            other.send(opening("/t/Echo", stream), message(b"on", stream))
            assert other.until(frames.DATA, stream)[5:] == b"on"
        until(lambda: len(server.server.connections) == 1, "the others are gone")
        assert server.server.held == 0
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


@pytest.mark.parametrize("kind", ["direct", "multiplexed"])
@pytest.mark.parametrize("seed", range(8))
def test_clients_end(kind: str, seed: int, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever a server says, a call ends with an answer or an error of its own, and by its deadline."""
    random = Random(seed)

    def script(peer: Raw) -> None:
        peer.socket.sendall(frames.settings({}))
        for _ in range(5):
            send(peer, random, talk(random, (answer, answer, data, control)))
        peer.socket.settimeout(0.2)
        try:
            while peer.socket.recv(1 << 16):
                pass
        except OSError:
            return

    with Scripted(script) as server, calling(kind, server.address) as channel:
        for _ in range(25):
            try:
                channel.call("/t/Echo", [random.randbytes(random.choice((0, 10, 100_000)))], 0.5)
            except AcceleratorError as error:
                assert "\n" not in error.message  # noqa: PT017
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
