"""The pool: who gets which request, and what becomes of it when a model process is slow, dies, or streams."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator
from time import perf_counter
from typing import Any

import pytest

from serving.errors import Overloaded
from serving.execution import channel
from serving.execution import pool as pools
from serving.execution.arena import Arena
from serving.execution.pool import INLINE_BODY_BYTES, QUEUE_SIZE, RESTART_SECONDS, WIDE_SECONDS, Link, Pool, listen
from serving.invocation import Reply, Request
from serving.telemetry.metrics import Metrics
from serving.telemetry.record import Recorder

NARROW = 2
DEADLINE = 5.0


class Wire:
    """A link's transport: keeps what the front sends. A real socket would leave open when it is heard."""

    peer: socket.socket

    def __init__(self) -> None:
        self.sent: list[Any] = []
        self.reading = True
        self.did: list[str] = []
        self.inbox = channel.Inbox()

    def get_extra_info(self, name: str) -> Any:
        """A socket of this user's."""
        assert name == "socket"
        return self.peer

    def write(self, data: bytes) -> None:
        """Messages for the process."""
        self.sent += self.inbox.feed(data)

    def pause_reading(self) -> None:
        """The process waits in its send."""
        self.reading = False

    def resume_reading(self) -> None:
        """It goes on."""
        self.reading = True

    def close(self) -> None:
        """Let the process go."""
        self.did.append("close")

    def abort(self) -> None:
        """Cut it off."""
        self.did.append("abort")


class Process:
    """A model process as its front sees it."""

    def __init__(self, pool: Pool, slot: int, batch: int = 1) -> None:
        self.wire, self.link = Wire(), Link(pool)
        self.link.connection_made(self.wire)  # type: ignore[arg-type]
        self.hear("ready", 1000 + slot, slot, batch)

    def hear(self, *message: Any) -> None:
        """Let the front hear a message, cut in two."""
        data = channel.frame(message)
        self.link.data_received(data[:5])
        self.link.data_received(data[5:])

    @property
    def given(self) -> list[list[str]]:
        """Ids of the requests of each message so far."""
        return [[packed[0] for packed in message] for message in self.wire.sent]

    def answer(self, *bodies: bytes) -> None:
        """Reply to what it was given last."""
        self.hear("replies", [channel.pack_reply(Reply(body, "text/plain"), body) for body in bodies])

    def die(self) -> None:
        """End."""
        self.link.connection_lost(None)


class Front:
    """A pool, its clients and its clock."""

    def __init__(self, new_sink: Callable[[], Any], queue_size: int = 0, narrow: int = NARROW) -> None:
        self.arena, self.metrics = Arena(1 << 22), Metrics(1)
        self.pool = Pool(self.arena, Recorder(self.metrics, None), narrow, DEADLINE, queue_size)
        self._new_sink = new_sink

    def process(self, slot: int, batch: int = 1) -> Process:
        """A process that has just come up."""
        return Process(self.pool, slot, batch)

    def ask(self, id: str, body: bytes | memoryview = b"", arrived: float | None = None) -> Any:
        """A client whose request has been submitted."""
        sink = self._new_sink()
        self.pool.submit(sink, Request(body, id=id, arrived=perf_counter() if arrived is None else arrived))
        return sink

    def late(self, seconds: float = DEADLINE + 1) -> None:
        """A sweep, so much later."""
        self.pool.sweep(perf_counter() + seconds)

    def counted(self, family: str) -> float:
        """The sum of a metric's samples."""
        return float(sum(s.value for f in self.metrics.collect() if f.name == family for s in f.samples))


@pytest.fixture
def front(new_sink: Any) -> Front:
    """A pool of two narrow model processes that have not come up yet."""
    return Front(new_sink)


@pytest.fixture(autouse=True, scope="module")
def _peer() -> Iterator[None]:
    """A real Unix socket for all wires, whose peer is this user."""
    Wire.peer, other = socket.socketpair()
    yield
    Wire.peer.close()
    other.close()


@pytest.fixture(autouse=True)
def kills(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """What was killed; these processes' ids are made up."""
    killed: list[tuple[int, int]] = []
    monkeypatch.setattr(pools.os, "kill", lambda pid, number: killed.append((pid, number)))
    return killed


def body_of(front: Front, text: bytes = b"x" * (INLINE_BODY_BYTES + 1)) -> memoryview:
    """A body that was received into the arena."""
    body = front.pool.allocate(len(text))
    body[:] = text
    assert front.arena.place(body) is not None
    return body


# ---- who gets which request


def test_one_request_at_a_time(front: Front) -> None:
    """Each process holds one request; others wait, and go in order to whoever falls free."""
    first, second = front.process(1), front.process(2)
    sinks = [front.ask(name) for name in "abcd"]
    assert sorted(first.given + second.given) == [["a"], ["b"]]
    holds_a = first if first.given == [["a"]] else second
    holds_a.answer(b"A")
    assert holds_a.given == [["a"], ["c"]]
    assert (sinks[0].replies[0].body, sinks[1].replies) == (b"A", [])
    holds_a.answer(b"C")
    assert holds_a.given[-1] == ["d"]


def test_a_lone_request_gets_all_cores(front: Front) -> None:
    """A request that is alone goes to the wide process; others wait a moment for it, then go to narrow ones."""
    narrow, wide = front.process(1), front.process(NARROW + 1)
    front.ask("alone")
    assert (wide.given, narrow.given) == ([["alone"]], [])
    front.ask("second")
    assert narrow.given == []
    wide.link.began -= WIDE_SECONDS
    front.late(0)
    assert narrow.given == [["second"]]
    wide.answer(b"")
    front.ask("third")
    assert (len(wide.given), len(narrow.given)) == (1, 1)
    narrow.answer(b"")
    assert (wide.given, narrow.given) == ([["alone"], ["third"]], [["second"]])


def test_a_request_beside_bodies_on_their_way_is_not_alone(front: Front) -> None:
    """While another body has just begun to come in a request goes to a narrow process; the wide one gets what comes after it."""
    narrow, wide = front.process(1), front.process(3)
    coming, body = body_of(front), body_of(front)
    front.ask("first", body)
    assert (narrow.given, wide.given) == ([["first"]], [])
    front.pool.release(coming)
    narrow.answer(b"1")
    front.ask("alone")
    assert wide.given == [["alone"]]


def test_a_body_that_takes_long_is_not_waited_for(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that sends slowly does not keep others from the wide process."""
    _, wide = front.process(1), front.process(3)
    body_of(front)
    now = perf_counter()
    monkeypatch.setattr(pools, "perf_counter", lambda: now + pools.CROWD_SECONDS)
    front.ask("alone")
    assert wide.given == [["alone"]]


def test_a_stream_on_the_wide_process_holds_nobody_up(front: Front) -> None:
    """A lone request whose answer is a stream keeps the wide process; others go to narrow ones from its first byte on."""
    narrow, wide = front.process(1), front.process(NARROW + 1)
    front.ask("stream")
    front.ask("second")
    assert (wide.given, narrow.given) == ([["stream"]], [])
    wide.hear("begin", channel.pack_reply(Reply(b"", "text/plain"), b""))
    wide.hear("piece", b"x")
    assert narrow.given == [["second"]]


def test_waiting_requests_do_not_go_wide(front: Front) -> None:
    """What has gathered before any process came up goes to narrow processes: it is not alone."""
    sinks = [front.ask(name) for name in "ab"]
    wide = front.process(NARROW + 1)
    assert wide.given == []
    narrow = front.process(1)
    assert narrow.given == [["a"]]
    narrow.answer(b"A")
    assert [len(sink.replies) for sink in sinks] == [1, 0]


def test_batches(front: Front) -> None:
    """A process that asked for several gets as many as wait, and each client its own reply."""
    process = front.process(1, batch=3)
    sinks = [front.ask(name) for name in "abcde"]
    assert process.given == [["a"]]
    process.answer(b"A")
    assert process.given == [["a"], ["b", "c", "d"]]
    process.answer(b"B", b"C", b"D")
    assert [sink.replies[0].body for sink in sinks[:4]] == [b"A", b"B", b"C", b"D"]
    assert process.given[-1] == ["e"]


def test_clients_that_have_gone_are_passed_over(front: Front) -> None:
    """A request whose client left while it waited is not run, and its body's memory is given back."""
    process = front.process(1)
    front.ask("a")
    body = body_of(front)
    gone = front.ask("b", body)
    front.ask("c")
    gone.closed = True
    process.answer(b"A")
    assert process.given == [["a"], ["c"]]
    assert front.arena.place(body) is None


def test_only_clients_that_have_gone(front: Front) -> None:
    """Where nobody is left the process is free for the next."""
    process = front.process(1)
    front.ask("a")
    front.ask("b").closed = True
    process.answer(b"A")
    front.ask("c")
    assert process.given == [["a"], ["c"]]


@pytest.mark.parametrize("size", [2, 0], ids=["set", "usual"])
def test_a_full_queue(new_sink: Any, size: int) -> None:
    """A request over the queue's size is refused at once, its memory given back; the others wait on."""
    front = Front(new_sink, queue_size=size)
    for _ in range(size or QUEUE_SIZE):
        front.ask("waits")
    body = body_of(front)
    with pytest.raises(Overloaded, match="try again"):
        front.ask("too many", body)
    assert front.arena.place(body) is None
    assert front.process(1).given == [["waits"]]


# ---- bodies


def test_bodies(front: Front) -> None:
    """A large body is received into shared memory and told by its place; a small one travels in the message."""
    process = front.process(1)
    large = body_of(front)
    sink = front.ask("a", large)
    assert process.wire.sent[0][0][-1] == front.arena.place(large)
    process.answer(b"A")
    assert (sink.status, front.arena.place(large)) == (200, None)
    small = front.pool.allocate(3)
    small[:] = b"abc"
    front.ask("b", small)
    assert process.wire.sent[1][0][-1] == b"abc"


def test_bodies_are_held_until_they_are_answered(front: Front) -> None:
    """While a process reads a body its memory is nobody else's."""
    process = front.process(1)
    body = body_of(front)
    front.ask("a", body)
    place = front.arena.place(body)
    assert front.arena.place(body_of(front)) != place
    process.die()
    assert front.arena.place(body) is None


# ---- time and death


def test_deadline_in_the_queue(front: Front) -> None:
    """A request that waited too long is a 504, its memory is given back, and it never reaches a process."""
    process = front.process(1)
    front.ask("a")
    body = body_of(front)
    waiting = front.ask("b", body, arrived=perf_counter() - DEADLINE + 1)
    front.late(0)
    assert waiting.replies == []
    front.late(1.5)
    assert waiting.status == 504
    assert front.arena.place(body) is None
    process.answer(b"A")
    assert process.given == [["a"]]


def test_deadline_in_a_process(front: Front, kills: list[tuple[int, int]], caplog: pytest.LogCaptureFixture) -> None:
    """A process that overruns is killed, once; its client gets a 504 at once, the others wait for the next process."""
    process = front.process(1)
    overran, waiting = front.ask("a"), front.ask("b")
    front.late(DEADLINE - 1)
    assert overran.replies == []
    waiting_since = front.pool._queue[0][1]
    waiting_since.arrived += 100
    front.late()
    front.late()
    assert (overran.status, waiting.replies) == (504, [])
    assert kills == [(1001, signal.SIGKILL)]
    assert "1001 overran the deadline" in caplog.text
    process.die()
    assert front.process(1).given == [["b"]]
    assert front.counted("ei_model_processes_ended") == 1


def test_deadline_in_both(front: Front, kills: list[tuple[int, int]]) -> None:
    """A deadline counts from the request's head: one that passes during a short pass is a 504, once, and nobody is killed."""
    process = front.process(1)
    body = body_of(front)
    sink = front.ask("a", body, arrived=perf_counter() - DEADLINE + 1)
    front.late(1.5)
    front.late(1.5)
    assert (sink.status, len(sink.replies), kills) == (504, 1, [])
    assert front.arena.place(body) is not None  # the process still reads it
    process.answer(b"A")
    assert (len(sink.replies), front.arena.place(body)) == (1, None)
    assert front.counted("ei_invocations") == 1
    front.ask("b")
    assert process.given == [["a"], ["b"]]


def test_a_reply_after_the_deadline(front: Front) -> None:
    """What an overrunning process still says before it dies is passed over: its client has been answered, nobody waits on it."""
    process = front.process(1)
    sink = front.ask("a")
    front.late()
    front.ask("b")
    process.answer(b"A")
    assert sink.status == 504
    assert process.given == [["a"]]


def test_a_process_that_is_gone_already(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that ends between its deadline and the kill does no harm."""

    def gone(pid: int, number: int) -> None:
        raise ProcessLookupError

    front.process(1)
    sink = front.ask("a")
    monkeypatch.setattr(pools.os, "kill", gone)
    front.late()
    assert sink.status == 504


def test_death_fails_only_what_was_inside(front: Front) -> None:
    """The request inside a process that dies is a 500 that names the cause; its neighbours and the queue go on."""
    first, second = front.process(1), front.process(2)
    sinks = {name: front.ask(name) for name in "abc"}
    dead, lives = (first, second) if first.given == [["a"]] else (second, first)
    dead.die()
    assert sinks["a"].status == 500
    assert b"killed, crashed or ran out of memory" in sinks["a"].replies[0].body
    assert b'"request_id":"a"' in sinks["a"].replies[0].body
    lives.answer(b"B")
    lives.answer(b"C")
    assert (sinks["b"].status, sinks["c"].status) == (200, 200)
    assert front.counted("ei_model_processes_ended") == 1


@pytest.mark.parametrize("slot", [1, NARROW + 1], ids=["narrow", "wide"])
def test_death_of_an_idle_process(front: Front, slot: int) -> None:
    """A process that ends with nothing inside fails nobody, and gets nothing more."""
    process, other = front.process(slot), front.process(2)
    process.die()
    front.ask("a")
    assert (process.given, other.given) == ([], [["a"]])
    assert front.counted("ei_model_processes_ended") == 0


def test_ready(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ready from the first narrow process on; for a moment without one, while the next is forked; then no more."""
    now = [100.0]
    monkeypatch.setattr(pools, "perf_counter", lambda: now[0])
    assert not front.pool.ready
    front.process(NARROW + 1)
    assert not front.pool.ready
    process = front.process(1)
    assert front.pool.ready
    process.die()
    now[0] += RESTART_SECONDS - 0.1
    assert front.pool.ready
    now[0] += 0.2
    assert not front.pool.ready
    front.process(1)
    assert front.pool.ready


def test_busy(front: Front) -> None:
    """Busy while a request waits or runs."""
    assert not front.pool.busy
    front.ask("a")
    assert front.pool.busy
    process = front.process(1)
    assert front.pool.busy
    process.answer(b"A")
    assert not front.pool.busy


def test_close(front: Front) -> None:
    """All processes are let go: idle, running and wide."""
    processes = [front.process(slot) for slot in (1, 2, NARROW + 1)]
    front.ask("a")
    front.pool.close()
    assert [process.wire.did for process in processes] == [["close"]] * 3


def test_strangers_are_cut_off(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection of another user's process is not a model process."""
    monkeypatch.setattr(pools.os, "geteuid", lambda: 12345)
    link, wire = Link(front.pool), Wire()
    link.connection_made(wire)  # type: ignore[arg-type]
    assert wire.did == ["abort"]


# ---- answers in the metrics


def test_answers_are_counted(front: Front) -> None:
    """Answers and failures are counted, a run of the line once for its batch."""
    process = front.process(1)
    front.ask("a")
    process.answer(b"A")
    front.ask("b")
    process.die()
    counts = {s.labels["status"]: s.value for f in front.metrics.collect() if f.name == "ei_invocations" for s in f.samples}
    assert counts == {"200": 1, "500": 1}
    assert front.counted("ei_passes") == 1


# ---- streams


def begin(front: Front) -> tuple[Process, Any]:
    """A process that has begun a stream, and its client."""
    process = front.process(1)
    sink = front.ask("a")
    process.hear("begin", channel.pack_reply(Reply(b"", "text/plain"), b""))
    return process, sink


def test_streams(front: Front) -> None:
    """Pieces pass through as they come; at the end the process is free again."""
    process, sink = begin(front)
    assert sink.replies[0].content_type == "text/plain"
    process.hear("piece", b"one")
    assert (sink.stream, sink.whole, front.pool.busy) == ([b"one"], None, True)
    process.hear("end", True)
    assert (sink.whole, front.pool.busy) == (True, False)
    front.ask("b")
    assert process.given == [["a"], ["b"]]


def test_a_stream_whose_process_dies(front: Front) -> None:
    """It breaks off: a client that has the head can be told nothing else."""
    process, sink = begin(front)
    process.die()
    assert (sink.whole, len(sink.replies)) == (False, 1)


def test_deadline_of_a_stream(front: Front, kills: list[tuple[int, int]]) -> None:
    """The deadline counts from piece to piece: a long stream lives, a stuck one is ended."""
    process, sink = begin(front)
    for _ in range(3):
        process.link.began -= DEADLINE - 1
        process.hear("piece", b"x")
        front.late(DEADLINE - 1)
    assert (sink.whole, kills) == (None, [])
    front.late()
    assert (sink.whole, kills) == (False, [(1001, signal.SIGKILL)])


def test_a_stream_to_a_client_that_goes(front: Front) -> None:
    """The process is asked once to stop, and is free when it has."""
    process, sink = begin(front)
    sink.closed = True
    process.hear("piece", b"x")
    process.hear("piece", b"y")
    assert (process.given[1:], sink.stream) == ([[]], [])
    process.hear("end", False)
    front.ask("b")
    assert process.given[-1] == ["b"]


def test_a_stream_to_a_client_that_goes_and_a_script_that_does_not_stop(front: Front, kills: list[tuple[int, int]]) -> None:
    """Pieces for nobody do not put the deadline off."""
    process, sink = begin(front)
    sink.closed = True
    process.link.began -= DEADLINE - 1
    process.hear("piece", b"x")
    front.late(2)
    assert kills == [(1001, signal.SIGKILL)]


def test_a_stream_to_a_slow_client(front: Front, kills: list[tuple[int, int]]) -> None:
    """While a client does not read, its process waits, without a deadline, and goes on when the client does."""

    async def talk() -> None:
        process, sink = begin(front)
        sink.writable = False
        process.hear("piece", b"one")
        assert not process.wire.reading
        front.late(100)
        sink.writable = True
        while not process.wire.reading:
            await asyncio.sleep(0.001)
        process.hear("piece", b"two")
        process.hear("end", True)
        assert (sink.stream, sink.whole, kills) == ([b"one", b"two"], True, [])

    asyncio.run(talk())


# ---- over a socket


def meet(front: Front, talk: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]) -> None:
    """Let a real process' end of the socket talk to the pool."""

    async def main() -> None:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.bind("")
        async with await listen(front.pool, sock):
            reader, writer = await asyncio.open_unix_connection(sock.getsockname())
            await asyncio.wait_for(talk(reader, writer), 10)
            front.pool.close()
            writer.close()
            await writer.wait_closed()

    asyncio.run(main())


def test_over_a_socket(front: Front) -> None:
    """A process that connects and greets is given requests, and its replies reach the clients."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sink = front.ask("a", b"body")
        writer.write(channel.frame(("ready", 1, 1, 1)))
        inbox, messages = channel.Inbox(), []
        while not messages:
            messages = inbox.feed(await reader.read(1 << 16))
        assert messages[0][0][-1] == b"body"
        writer.write(channel.frame(("replies", [channel.pack_reply(Reply(b"A"), b"A")])))
        while not sink.replies:
            await asyncio.sleep(0.001)
        assert sink.replies[0].body == b"A"

    meet(front, talk)
