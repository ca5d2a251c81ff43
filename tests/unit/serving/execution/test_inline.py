"""The inline placement: one run of the line for each turn of the loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from serving.errors import DeadlinePassed, Overloaded
from serving.execution.inline import QUEUE_SIZE, Inline
from serving.invocation import Request
from serving.telemetry.metrics import Metrics
from serving.telemetry.record import Recorder

Talk = Callable[[Inline], Awaitable[None]]


def run(service: Any, talk: Talk, queue_size: int = 0) -> Inline:
    """An inline placement after a talk on its loop."""

    async def main() -> Inline:
        inline = Inline(service, Recorder(Metrics(1), None), asyncio.get_running_loop(), queue_size)
        await talk(inline)
        return inline

    return asyncio.run(main())


async def turns(count: int) -> None:
    """Let the loop turn."""
    for _ in range(count):
        await asyncio.sleep(0)


def test_one_turn_one_run(service: Any, new_sink: Any) -> None:
    """What arrived within one turn goes through one run; what comes later waits for no one, and no one for it."""
    sinks = [new_sink() for _ in range(4)]

    async def talk(inline: Inline) -> None:
        for sink, body in zip(sinks[:3], (b"a", b"bad", b"c"), strict=True):
            inline.submit(sink, Request(body))
        assert inline.busy
        assert not any(sink.replies for sink in sinks)
        await turns(1)
        assert not inline.busy
        inline.submit(sinks[3], Request(b"d"))
        await turns(1)

    run(service, talk)
    assert [sink.status for sink in sinks] == [200, 400, 200, 200]
    assert [sinks[at].replies[0].body for at in (0, 2, 3)] == [b"A", b"C", b"D"]
    assert service.passes == [2, 1]


def test_overload(service: Any, new_sink: Any) -> None:
    """More than may wait for one turn are refused at once; those that wait are answered."""
    sinks = [new_sink() for _ in range(3)]

    async def talk(inline: Inline) -> None:
        for sink in sinks[:2]:
            inline.submit(sink, Request(b"a"))
        with pytest.raises(Overloaded, match="try again"):
            inline.submit(sinks[2], Request(b"a"))
        await turns(1)
        inline.submit(sinks[2], Request(b"a"))
        await turns(1)

    run(service, talk, queue_size=2)
    assert [sink.status for sink in sinks] == [200, 200, 200]


def test_the_usual_queue(service: Any, new_sink: Any) -> None:
    """Unless set, a thousand may wait."""

    async def talk(inline: Inline) -> None:
        for _ in range(QUEUE_SIZE):
            inline.submit(new_sink(), Request(b"a"))
        with pytest.raises(Overloaded):
            inline.submit(new_sink(), Request(b"a"))
        await turns(1)

    run(service, talk)
    assert service.passes == [QUEUE_SIZE]


def test_answers_are_counted(service: Any, new_sink: Any) -> None:
    """Every answer of a run is in the metrics, the run once."""

    async def talk(inline: Inline) -> None:
        for body in (b"a", b"bad"):
            inline.submit(new_sink(), Request(body))
        await turns(1)
        families = {family.name: family.samples for family in inline._recorder.metrics.collect()}
        assert {s.labels["status"]: s.value for s in families["ei_invocations"]} == {"200": 1, "400": 1}
        assert families["ei_passes"][0].value == 1

    run(service, talk)


def test_memory_is_the_process_own(service: Any) -> None:
    """A body's memory is allocated as asked for."""

    async def talk(inline: Inline) -> None:
        body = inline.allocate(10)
        body[:] = b"0123456789"
        inline.release(body)

    assert run(service, talk).ready


# ---- streams


def test_streams(service: Any, new_sink: Any) -> None:
    """Pieces go out one a turn, so that others are served between them; then the stream ends whole."""
    streamed, other = new_sink(), new_sink()

    async def talk(inline: Inline) -> None:
        inline.submit(streamed, Request(b"stream"))
        await turns(2)
        assert (streamed.stream, inline.busy) == ([b"one"], True)
        inline.submit(other, Request(b"a"))
        await turns(4)
        assert not inline.busy

    run(service, talk)
    assert (streamed.stream, streamed.whole, other.status) == ([b"one", b"two"], True, 200)
    assert service.ended == ["STREAM"]


def test_a_stream_that_breaks_off(service: Any, new_sink: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A script that fails in the middle ends its stream as broken; the reason is in the log."""
    sink = new_sink()

    async def talk(inline: Inline) -> None:
        inline.submit(sink, Request(b"broken"))
        await turns(5)
        assert not inline.busy

    run(service, talk)
    assert (sink.stream, sink.whole) == ([b"one"], False)
    assert "ValueError: broken" in caplog.text


def test_a_stream_to_a_client_that_goes(service: Any, new_sink: Any) -> None:
    """No more pieces are made for a client that has gone, and the script's generator is closed."""
    sink = new_sink()

    async def talk(inline: Inline) -> None:
        inline.submit(sink, Request(b"stream"))
        await turns(2)
        sink.closed = True
        await turns(2)
        assert not inline.busy

    run(service, talk)
    assert (sink.stream, service.ended) == ([b"one"], ["STREAM"])


def test_a_stream_to_a_slow_client(service: Any, new_sink: Any) -> None:
    """While a client does not read, none of its pieces is made; it gets the rest when it does."""
    sink = new_sink()

    async def talk(inline: Inline) -> None:
        inline.submit(sink, Request(b"stream"))
        sink.writable = False
        await turns(5)
        assert (sink.stream, inline.busy) == ([], True)
        sink.writable = True
        while inline.busy:
            await asyncio.sleep(0.001)

    run(service, talk)
    assert (sink.stream, sink.whole) == ([b"one", b"two"], True)


# ---- deadlines


class Bell:
    """An alarm that rings where the test says so; the real one has tests of its own."""

    def __init__(self) -> None:
        self.rang = False
        self.ring_after = False
        self.uses = 0

    def __enter__(self) -> None:
        self.uses += 1
        self.rang = False

    def __exit__(self, *_: object) -> None:
        if self.ring_after:
            self.ring()

    def ring(self) -> None:
        """Time is up."""
        self.rang = True
        raise DeadlinePassed


def alarmed(service: Any, bell: Bell, talk: Talk) -> list[str]:
    """What an inline placement with this alarm did besides answering."""
    did: list[str] = []

    async def main(inline: Inline) -> None:
        inline.alarm, inline.retire = bell, lambda: did.append("retire")  # type: ignore[assignment]
        await talk(inline)
        await turns(2)

    run(service, main)
    return did


def test_a_request_that_overruns(service: Any, new_sink: Any) -> None:
    """User code that overruns its deadline fails its run with a 504, and its process is replaced afterwards."""
    bell, sinks = Bell(), [new_sink(), new_sink()]
    service.on["late"] = bell.ring

    async def talk(inline: Inline) -> None:
        inline.submit(sinks[0], Request(b"late"))
        await turns(1)
        inline.submit(sinks[1], Request(b"a"))

    assert alarmed(service, bell, talk) == ["retire"]
    assert [sink.status for sink in sinks] == [504, 200]
    assert bell.uses == 2


def test_a_deadline_between_two_requests(service: Any, new_sink: Any) -> None:
    """An alarm that rings in nobody's code is answered too: nobody is left waiting."""
    bell, sinks = Bell(), [new_sink(), new_sink()]
    bell.ring_after = True

    async def talk(inline: Inline) -> None:
        for sink in sinks:
            inline.submit(sink, Request(b"a"))

    assert alarmed(service, bell, talk) == ["retire"]
    assert [sink.status for sink in sinks] == [504, 504]


def test_a_piece_that_overruns(service: Any, new_sink: Any) -> None:
    """A stream has its deadline for each piece; one that overruns breaks off."""
    bell, sink = Bell(), new_sink()

    async def talk(inline: Inline) -> None:
        inline.submit(sink, Request(b"stream"))
        await turns(2)
        bell.ring_after = True

    assert alarmed(service, bell, talk) == ["retire"]
    assert (sink.stream, sink.whole) == ([b"one"], False)
