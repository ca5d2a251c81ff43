"""A model process at its end of the channel: real sockets, the process itself in a thread."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from serving.execution import channel, model_process
from serving.execution.arena import Arena
from serving.execution.model_process import ModelProcess
from serving.invocation import Request

HELLO = (77, 2, 4)


class Front:
    """A front's listening socket, and a process that runs until it is told to stop."""

    def __init__(self, service: Any) -> None:
        self.arena = Arena(1 << 16)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind("")
        self.listener.listen()
        self.listener.settimeout(10)
        self.alive, self.beats = True, 0
        self.process = ModelProcess(service, self.arena, self.listener.getsockname(), HELLO)
        self.thread = threading.Thread(target=self.process.run, args=(lambda: self.alive, self._beat, 0.01), daemon=True)

    def _beat(self) -> None:
        self.beats += 1

    def accept(self) -> socket.socket:
        """A process' connection, after its greeting."""
        link, _ = self.listener.accept()
        link.settimeout(10)
        assert channel.receive(link) == ("ready", *HELLO)
        return link

    def ask(self, link: socket.socket, *bodies: bytes | memoryview) -> Any:
        """The first message that comes back for these requests."""
        link.sendall(channel.frame([channel.pack_request(Request(body, id="id-1"), self.arena) for body in bodies]))
        return channel.receive(link)


@pytest.fixture
def front(service: Any) -> Iterator[Front]:
    """A front whose process has started; it ends with the test."""
    made = Front(service)
    made.thread.start()
    yield made
    made.alive = False
    made.listener.close()
    made.thread.join(10)
    assert not made.thread.is_alive()


def test_requests_are_answered(front: Front, service: Any) -> None:
    """Requests of one message run together, and their replies come back in one, in order."""
    with front.accept() as link:
        kind, packed = front.ask(link, b"a", b"bad", b"c")
        replies = [channel.unpack_reply(one) for one in packed]
    assert kind == "replies"
    assert [reply.status for reply in replies] == [200, 400, 200]
    assert (replies[0].body, replies[2].headers, replies[1].fault) == (b"A", [("X-A", "1")], "bad")
    assert service.passes == [2]


def test_bodies_in_the_arena(front: Front) -> None:
    """A body is read where the front has received it."""
    body = front.arena.allocate(3)
    body[:] = b"abc"
    with front.accept() as link:
        assert channel.unpack_reply(front.ask(link, body)[1][0]).body == b"ABC"


def test_streams(front: Front) -> None:
    """A streamed answer comes piece by piece, with its head before and its end after."""
    with front.accept() as link:
        kind, packed = front.ask(link, b"stream")
        assert (kind, channel.unpack_reply(packed).content_type) == ("begin", "text/plain")
        assert [channel.receive(link) for _ in range(3)] == [("piece", b"one"), ("piece", b"two"), ("end", True)]
        assert front.ask(link, b"next")[0] == "replies"


def test_a_stream_that_breaks_off(front: Front, caplog: pytest.LogCaptureFixture) -> None:
    """A script that fails in the middle ends its stream as broken, and the process serves on."""
    with front.accept() as link:
        assert front.ask(link, b"broken")[0] == "begin"
        assert [channel.receive(link) for _ in range(2)] == [("piece", b"one"), ("end", False)]
        assert front.ask(link, b"next")[0] == "replies"
    assert "ValueError: broken" in caplog.text


def test_a_stream_that_nobody_reads(front: Front, service: Any) -> None:
    """Told to stop, the process makes no more pieces, closes the script's generator, and serves on."""
    request = channel.pack_request(Request(b"stream"), front.arena)
    with front.accept() as link:
        link.sendall(channel.frame([request]) + channel.frame([]))
        messages = [channel.receive(link) for _ in range(3)]
        assert [message[0] for message in messages] == ["begin", "piece", "end"]
        assert messages[2] == ("end", False)
        assert front.ask(link, b"next")[0] == "replies"
    assert service.ended == ["STREAM"]


def test_a_stop_that_comes_too_late(front: Front) -> None:
    """A word to stop that crosses with the end of its stream is passed over."""
    with front.accept() as link:
        link.sendall(channel.frame([]))
        assert front.ask(link, b"a")[0] == "replies"


def test_it_outlives_its_front(front: Front) -> None:
    """When its front ends, between messages or within one, the process greets the next."""
    front.accept().close()
    with front.accept() as link:
        link.sendall(b"\x05")
    with front.accept() as link:
        assert front.ask(link, b"a")[0] == "replies"


def test_it_beats_while_nothing_is_to_do(front: Front) -> None:
    """The arbiter hears of an idle process again and again."""
    with front.accept() as link:
        seen = front.beats
        while front.beats < seen + 3:
            assert front.ask(link, b"a")[0] == "replies"


def test_a_front_that_is_not_there_yet(service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process whose front is being started tries again until there is one."""
    front = Front(service)
    address = front.listener.getsockname()
    front.listener.close()
    tries: list[float] = []

    def wait(seconds: float) -> None:
        tries.append(seconds)
        if len(tries) == 2:
            front.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            front.listener.bind(address)
            front.listener.listen()

    monkeypatch.setattr(model_process.time, "sleep", wait)
    front.thread.start()
    while len(tries) < 2:
        threading.Event().wait(0.001)
    with front.accept():
        front.alive = False
    front.thread.join(10)
    front.listener.close()
    assert tries == [model_process.CONNECT_SECONDS] * 2


def test_a_process_that_is_told_to_stop(service: Any) -> None:
    """Where it is not to run any more it does not even connect."""
    front = Front(service)
    front.alive = False
    front.thread.start()
    front.thread.join(10)
    front.listener.settimeout(0)
    with pytest.raises(BlockingIOError):
        front.listener.accept()
    front.listener.close()
