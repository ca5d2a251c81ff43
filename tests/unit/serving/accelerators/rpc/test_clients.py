"""Our clients, blocking and awaited, as servers answer them: ours and grpcio's."""

from __future__ import annotations

import http.server
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from serving.accelerators.errors import UNDETECTED, AcceleratorError, Code
from tests.integration.faults.server import free_port, until
from tests.unit.serving.accelerators.rpc.peers import Served, calling, grpcio_server, pattern, secure, served

ROOT = Path(__file__).parents[5]
KINDS = ("direct", "multiplexed", "grpcio")
by_each = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(params=["ours", "grpcio"])
def server(request: pytest.FixtureRequest, ours: Served, foreign: str) -> str:
    """The address of either server."""
    return ours.address if request.param == "ours" else foreign


@pytest.fixture(params=KINDS)
def channel(request: pytest.FixtureRequest, server: str) -> Iterator[Any]:
    """Each channel to each server."""
    with calling(request.param, server) as channel:
        yield channel


def fails(channel: Any, path: str, body: bytes = b"x", seconds: float = 20) -> AcceleratorError:
    """The error of a call."""
    with pytest.raises(AcceleratorError) as error:
        channel.call(path, [body], seconds)
    assert "\n" not in error.value.message
    return error.value


def test_messages_of_every_size(channel: Any) -> None:
    """What is sent comes back, whatever its size is to windows and frames."""
    for size in (0, 1, 5, 16_384, 65_530, 65_535, 200_000, 602_112, 5_000_001):
        assert bytes(channel.call("/t/Echo", [pattern(size)], 20)) == pattern(size)


def test_large_messages(channel: Any) -> None:
    """Messages larger than every window go through, both ways."""
    assert bytes(channel.call("/t/Size", [bytes(70_000_000)], 20)) == b"70000000"
    assert bytes(channel.call("/t/Big", [b"50000000"], 20)) == pattern(50_000_000)


def test_pieces(channel: Any) -> None:
    """The pieces of a message are put together, whatever kind of buffer they are."""
    body = pattern(100_003)
    pieces = [
        b"",
        body[:10],
        bytearray(body[10:20]),
        memoryview(body)[20:50_000],
        *(body[i : i + 9] for i in range(50_000, 100_003, 9)),
    ]
    assert bytes(channel.call("/t/Echo", pieces, 20)) == body


def test_errors_have_their_text(channel: Any) -> None:
    """A server's error arrives with its status and its letters."""
    error = fails(channel, "/t/Wrong")
    assert error.code == Code.FAILED_PRECONDITION
    assert error.message.startswith("ü 100% no")


def test_unknown_paths(channel: Any) -> None:
    """A path that nobody serves is UNIMPLEMENTED, and the channel goes on."""
    assert fails(channel, "/t/Nowhere").code == Code.UNIMPLEMENTED
    assert bytes(channel.call("/t/Echo", [b"on"], 20)) == b"on"


def test_deadlines(channel: Any) -> None:
    """A call that is not answered in time is DEADLINE_EXCEEDED, and the channel goes on."""
    assert fails(channel, "/t/Never", seconds=0.1).code == Code.DEADLINE_EXCEEDED
    assert bytes(channel.call("/t/Echo", [b"on"], 20)) == b"on"


@by_each
def test_servers_limits(kind: str) -> None:
    """A message that the server does not take is RESOURCE_EXHAUSTED, and the channel goes on."""
    with grpcio_server(limit=1000) as address, calling(kind, address) as channel:
        for size in (2000, 30_000_000):
            assert fails(channel, "/t/Echo", bytes(size)).code == Code.RESOURCE_EXHAUSTED
        assert bytes(channel.call("/t/Echo", [b"on"], 20)) == b"on"


@by_each
def test_nobody_there(kind: str) -> None:
    """Where nobody listens, calls are UNAVAILABLE with the phrase that users search for, and work once somebody does."""
    port = free_port()
    with calling(kind, f"127.0.0.1:{port}") as channel:
        error = fails(channel, "/t/Echo")
        assert error.code == Code.UNAVAILABLE
        assert error.message.startswith(UNDETECTED)
        with served("127.0.0.1", port):
            until(lambda: answers(channel, kind), "the channel comes back")


def answers(channel: Any, kind: str) -> bool:
    """Whether a call is answered; grpcio waits a while before it connects again."""
    try:
        return bytes(channel.call("/t/Echo", [b"on"], 20)) == b"on"
    except AcceleratorError:
        if kind != "grpcio":
            raise
        return False


@pytest.mark.parametrize("kind", ["direct", "multiplexed"])
def test_a_server_that_was_restarted(kind: str) -> None:
    """A connection that its server closed while it rested costs no call an error."""
    port = free_port()
    with calling(kind, f"127.0.0.1:{port}") as channel:
        for _ in range(3):
            with served("127.0.0.1", port):
                assert bytes(channel.call("/t/Echo", [b"on"], 20)) == b"on"


@by_each
def test_http_1(kind: str) -> None:
    """A port that speaks HTTP/1 is UNAVAILABLE at once, not a hang."""
    server = http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        with calling(kind, f"127.0.0.1:{server.server_port}") as channel:
            assert fails(channel, "/t/Echo").code == Code.UNAVAILABLE
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@by_each
def test_tokens(kind: str) -> None:
    """The target's token goes along with every call."""
    with served(token="right") as server:
        with calling(kind, server.address, token="right") as channel:
            assert bytes(channel.call("/t/Echo", [b"in"], 20)) == b"in"
        with calling(kind, server.address, token="wrong") as channel:
            assert fails(channel, "/t/Echo").code == Code.UNAUTHENTICATED


@by_each
def test_tls(kind: str, tmp_path: Path) -> None:
    """Where the target names an authority calls go by TLS, and not to servers of another authority or name."""
    context, authority = secure(tmp_path / "right")
    _, other = secure(tmp_path / "other")
    with served(ssl_context=context) as server:
        with calling(kind, f"localhost:{server.port}", ca=authority) as channel:
            for size in (0, 1000, 700_000, 5_000_000):
                assert bytes(channel.call("/t/Echo", [pattern(size)], 20)) == pattern(size)
            assert fails(channel, "/t/Never", seconds=0.1).code == Code.DEADLINE_EXCEEDED
            assert bytes(channel.call("/t/Echo", [b"on"], 20)) == b"on"
        with calling(kind, f"localhost:{server.port}", ca=other) as channel:
            assert fails(channel, "/t/Echo").code == Code.UNAVAILABLE
        with calling(kind, f"localhost:{server.port}", ca=authority, server_name="elsewhere") as channel:
            assert fails(channel, "/t/Echo").code == Code.UNAVAILABLE
        with calling(kind, f"127.0.0.1:{server.port}", ca=authority, server_name="localhost") as channel:
            assert bytes(channel.call("/t/Echo", [b"named"], 20)) == b"named"


@by_each
def test_sockets_of_this_machine(kind: str, tmp_path: Path) -> None:
    """`unix:/path` is reached by all of them."""
    with served(f"unix:{tmp_path}/s"), calling(kind, f"unix:{tmp_path}/s") as channel:
        assert bytes(channel.call("/t/Echo", [pattern(700_000)], 20)) == pattern(700_000)


def test_many_threads(channel: Any) -> None:
    """Calls of many threads get each its own answer."""
    wrong: list[int] = []

    def work(number: int) -> None:
        for turn in range(20):
            body = pattern(5000 * number + 37 * turn + 1)
            if bytes(channel.call("/t/Echo", [body], 20)) != body:
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_streams(ours: Served) -> None:
    """A direct channel streams too."""
    with calling("direct", ours.address) as channel:
        assert list(channel.stream("/t/Stream", [b"a", b"b"], 20)) == [b"a", b"b"]


def test_forked_children(ours: Served) -> None:
    """A child that is forked with connections open makes its own; its parent's go on."""
    program = f"""
        import os
        from serving.accelerators.rpc import channels
        from serving.accelerators.rpc.target import Target
        channel = channels.open(Target({ours.address!r}))
        assert bytes(channel.call("/t/Echo", [b"before"], 20)) == b"before"
        children = [os.fork() for _ in range(1)]
        for turn in range(50):
            body = b"%d %d" % (os.getpid(), turn)
            assert bytes(channel.call("/t/Echo", [body], 20)) == body
        if children[0]:
            assert os.waitpid(children[0], 0)[1] == 0
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], cwd=ROOT, check=True, timeout=60)
