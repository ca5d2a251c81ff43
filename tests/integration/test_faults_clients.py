"""Clients that are slow, stop reading, or leave in the middle: nothing of theirs stays, and others are served meanwhile."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration.faults.client import invocation
from tests.integration.faults.server import Server, until

pytestmark = pytest.mark.fault
Start = Callable[..., Server]

LIMITS = {
    "EI_HEADER_TIMEOUT_SECONDS": "0.5",
    "EI_BODY_TIMEOUT_SECONDS": "1",
    "EI_KEEP_ALIVE_SECONDS": "1",
    "EI_QUEUE_MB": "4",
    "EI_WORKERS": "1",
}
"""Short enough to wait for. Four MiB of bodies at once: a leak of a few is noticed."""
BODY = b"x" * (1 << 20)
MOST = b"y" * (3 << 20)
"""Fits only where no other body's memory is held."""
LARGE = 64 << 20
"""An answer that no socket buffer takes."""


@contextmanager
def nothing_stays(server: Server) -> Iterator[None]:
    """After the block the server has no more sockets open than before, room for as many bytes, and answers."""
    pid = server.children()[0]
    sockets = server.own_sockets(pid)
    yield
    until(lambda: server.sockets(pid) <= sockets, "the server lets go of the clients' sockets")
    until(lambda: server.ask(MOST).body == MOST, "the server lets go of the clients' bodies")
    assert server.children()[0] == pid


@pytest.fixture(scope="module")
def server(start_shared: Start, with_script: Callable[[str], Path], placement: str) -> Server:
    """A server with limits that can be waited for; each test proves that nothing of it stays."""
    return start_shared(with_script("obeys"), EI_PLACEMENT=placement, **LIMITS)


def test_slow_clients(server: Server) -> None:
    """Heads and bodies that do not come in time are a 408, silence is a close, and others are answered meanwhile."""
    raw = invocation(BODY)
    chunked = b"POST /invocations HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    with nothing_stays(server):
        beginnings = [raw[:20], raw[:-10], raw[: 1 << 18], chunked, chunked + b"5\r\nab"]
        slow = [server.connect() for _ in beginnings]
        for client, beginning in zip(slow, beginnings, strict=True):
            client.send(beginning)
        with server.connect() as silent:
            assert server.ask("fine").body == b"fine"
            for client in slow:
                reply = client.response()
                assert (reply.status, reply.headers["connection"]) == (408, "close")
                assert reply.json["request_id"] == reply.headers["x-request-id"]
                assert client.at_end()
                client.close()
            assert silent.at_end()


def test_trickling_body(server: Server) -> None:
    """A body that comes a byte at a time is cut off at the time for a whole body, however steady it is."""
    with nothing_stays(server), server.connect() as client:
        raw = invocation(b"x" * 100_000)
        client.send(raw[:200])
        client.socket.settimeout(0.05)
        for at in range(200, 1000):
            try:
                client.send(raw[at : at + 1])
                if client.socket.recv(1, socket.MSG_PEEK):
                    break
            except TimeoutError:
                continue
        client.socket.settimeout(30)
        assert client.response().status == 408


def test_leaving_in_a_body(server: Server) -> None:
    """Clients that leave in the middle of a body leave no memory behind, by a reset or by a half-closed connection."""
    raw = invocation(BODY)
    with nothing_stays(server):
        for n in range(12):
            with server.connect() as client:
                client.send(raw[: len(raw) - 1 - 10_000 * n])
                if n % 3 == 0:
                    client.socket.shutdown(socket.SHUT_WR)
                    assert client.at_end()
                elif n % 3 == 1:
                    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def test_leaving_before_the_answer(server: Server, placement: str) -> None:
    """Requests whose clients have left are dropped, or answered to nobody: their memory comes back."""
    with nothing_stays(server):
        for _ in range(3):
            with server.connect() as client:
                client.invoke(b"sleep 0.05".ljust(1 << 20))
        if placement == "pool":  # three bodies in four MiB: the queue let go of them before their turn, or after it
            until(lambda: server.ask(BODY).status == 200, "there is room again")


def test_half_closed(server: Server) -> None:
    """A client that shuts down its sending side gets the answers to all that it has sent."""
    with nothing_stays(server), server.connect() as client:
        client.send(invocation("one") + invocation("two") + invocation("three"))
        client.socket.shutdown(socket.SHUT_WR)
        assert [client.response().body for _ in range(3)] == [b"one", b"two", b"three"]
        assert client.at_end()


def test_leaving_in_an_answer(server: Server) -> None:
    """Clients that leave in the middle of a large answer, or at its first byte, leave nothing behind."""
    with nothing_stays(server):
        for taken in (1, 1000, 1 << 20):
            with server.connect() as client:
                client.invoke(f"big {LARGE}")
                client.stream.read(taken)


def test_never_reading(server: Server) -> None:
    """A client that never reads a large answer is cut off; others are answered meanwhile."""
    with nothing_stays(server):
        pid = server.children()[0]
        sockets = server.own_sockets(pid)
        deaf = server.connect()
        deaf.invoke(f"big {LARGE}")
        deaf.stream.read(1)
        assert server.ask("fine").body == b"fine"
        until(lambda: server.sockets(pid) <= sockets, "the client that does not read is cut off", 15)
        deaf.close()


def test_stop_with_a_client_that_does_not_read(start: Start, with_script: Callable[[str], Path], placement: str) -> None:
    """A client that reads no answer keeps the server from ending no longer than the limits let it."""
    server = start(with_script("obeys"), EI_PLACEMENT=placement, **LIMITS)
    with server.connect() as deaf:
        deaf.invoke(f"big {LARGE}")
        deaf.stream.read(1)
        server.process.terminate()
        assert server.process.wait(10) == 0
