"""Answers in pieces: sent as they are made, broken off so that the client can tell, and stopped where nobody reads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.faults.client import Client, invocation
from tests.integration.faults.server import Server, until

pytestmark = pytest.mark.fault
Start = Callable[..., Server]


LIMITS = {
    "EI_DEADLINE_SECONDS": "1",
    "EI_HEADER_TIMEOUT_SECONDS": "0.5",
    "EI_BODY_TIMEOUT_SECONDS": "1",
    "EI_WORKERS": "1",
}
"""Short enough to wait for; one process, so that a stream that held it would be noticed."""


@pytest.fixture(scope="module")
def model(with_script: Callable[[str], Path], placement: str) -> Path:
    """The model directory of the streaming script."""
    return with_script("streams")


@pytest.fixture(scope="module")
def server(start_shared: Start, model: Path, placement: str) -> Server:
    """A server of the streaming script; each test leaves it answering."""
    return start_shared(model, EI_PLACEMENT=placement, **LIMITS)


def answers_on(server: Server, model: Path) -> None:
    """The server streams a whole answer to the next client."""
    (model / "open").touch()

    def whole() -> bool:
        try:
            return server.ask("open").body == b"first second third"
        except (AssertionError, OSError):
            return False

    until(whole, "the next request is answered whole")


def test_pieces_as_they_are_made(server: Server, model: Path) -> None:
    """The first piece is here before the second is made: the test lets the script go on only when it has it."""
    for number in range(2):
        with server.connect() as client:
            client.invoke(f"gate{number}")
            status, headers = client.head()
            assert (status, headers["transfer-encoding"]) == (200, "chunked")
            assert "content-length" not in headers
            assert client.piece() == b"first "
            (model / f"gate{number}").touch()
            assert [client.piece(), client.piece(), client.piece()] == [b"second ", b"third", b""]
            client.invoke(f"gate{number}")
            assert client.response().body == b"first second third", "the connection is kept"


def test_whole_answer_to_old_clients(server: Server, model: Path) -> None:
    """An HTTP/1.0 client gets the pieces without chunks, and the end of the connection as their end."""
    (model / "open").touch()
    with server.connect() as client:
        client.send(invocation("open", version="1.0"))
        reply = client.response()
    assert "transfer-encoding" not in reply.headers
    assert reply.body == b"first second third"


@pytest.mark.parametrize("connection", ["keep-alive", "close"])
def test_iterator_that_raises(server: Server, model: Path, connection: str) -> None:
    """A stream that breaks off ends without its last chunk, whether or not the client asked to close; the log has why."""
    with server.connect() as client:
        client.invoke("raise", ("Connection", connection))
        reply = client.response()
    assert (reply.status, reply.whole) == (200, False)
    assert b"ValueError" not in reply.body
    assert "nothing after the first piece" in server.logged()
    answers_on(server, model)


def test_iterator_that_hangs(server: Server, model: Path) -> None:
    """A stream whose next piece does not come by the deadline is broken off, its process replaced; the next request works."""
    before = set(server.children())
    with server.connect() as client:
        client.invoke("hang")
        reply = client.response()
    assert (reply.body, reply.whole) == (b"first ", False)
    until(lambda: len(set(server.children()) - before) == 1 and len(server.children()) == len(before), "it is replaced")
    answers_on(server, model)


def leave(client: Client) -> None:
    """Take the head and leave."""
    client.head()
    client.close()


def stop_reading(client: Client) -> None:
    """Take the head and read no more, keeping the connection."""
    client.head()


@pytest.mark.parametrize("act", [leave, stop_reading])
def test_endless_stream_to_nobody(server: Server, model: Path, act: Callable[[Client], None]) -> None:
    """A stream whose client leaves, or does not read, is stopped: the script's iterator is closed, the process goes on."""
    (model / "closed").unlink(missing_ok=True)
    before = server.children()
    client = server.connect()
    client.invoke("endless")
    act(client)
    until(lambda: (model / "closed").exists(), "the iterator is closed", 10)
    answers_on(server, model)
    assert server.children() == before
    client.close()


def test_stop_during_a_stream(start: Start, with_script: Callable[[str], Path], placement: str) -> None:
    """A stream that has begun when SIGTERM comes is sent to its end."""
    model = with_script("streams")
    server = start(model, EI_PLACEMENT=placement, **LIMITS)
    with server.connect() as client:
        client.invoke("gate")
        client.head()
        assert client.piece() == b"first "
        server.process.terminate()
        (model / "gate").touch()
        assert client.pieces() == (b"second third", True)
    assert server.process.wait(10) == 0
