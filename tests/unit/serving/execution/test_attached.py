"""The attached placement: what shares a call, what waits for one, and whom a failure belongs to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Any

import numpy as np
import orjson
import pytest

from serving.accelerators.errors import AcceleratorError, Code
from serving.errors import Overloaded, PayloadTooLarge
from serving.execution import attached
from serving.execution.attached import Attached, Limits
from serving.handlers.default_service import DefaultService
from serving.invocation import Array, Inputs, Outputs, Request
from serving.models.signature import Signature, Tensor
from serving.telemetry.metrics import Metrics
from serving.telemetry.record import Recorder

Done = Callable[[Outputs | None, AcceleratorError | None], None]


class Model:
    """Two numbers a row; rows may share a call."""

    signature = Signature((Tensor("x", (None, 2), np.dtype("float32")),))
    stackable = True

    def stacks(self, inputs: Inputs) -> bool:
        """Whatever is valid does, save rows that begin with -1."""
        return bool((inputs["x"][:, 0] != -1).all())

    def forward(self, inputs: Inputs) -> Outputs:
        """Nothing runs here."""
        raise AssertionError

    def close(self) -> None:
        """Nothing is held."""


class Remote:
    """An accelerator that doubles what it is sent, once it is let go; rows of 9 fail, the more so in a stack."""

    def __init__(self) -> None:
        self.calls: list[list[float]] = []
        self.timeouts: list[float] = []
        self.cancelled = 0
        self.closed = False
        self.open = asyncio.Event()
        self.open.set()
        self.error: AcceleratorError | None = None
        self.answer: Callable[[Array], Array] = lambda x: x[:, :1] * 2

    def start(self, inputs: Inputs, seconds: float, done: Done) -> asyncio.Task[None]:
        """Begin a pass."""
        self.calls.append(inputs["x"][:, 0].tolist())
        self.timeouts.append(seconds)
        return asyncio.get_running_loop().create_task(self._pass(inputs, done))

    async def _pass(self, inputs: Inputs, done: Done) -> None:
        try:
            await self.open.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.error is not None:
            done(None, self.error)
        elif (inputs["x"] == 9).any():
            done(None, AcceleratorError(Code.INVALID_ARGUMENT, "nine"))
        else:
            done({"y": self.answer(inputs["x"])}, None)

    def close(self) -> None:
        """Note it."""
        self.closed = True


def run(talk: Callable[[Attached, Remote], Awaitable[None]], **limits: Any) -> Metrics:
    """A talk with an executor on its loop; the metrics after it."""
    metrics = Metrics(1)

    async def main() -> None:
        remote = Remote()
        limited = Limits(**{"rows": 4, **limits})
        await talk(Attached(DefaultService(Model()), remote, Recorder(metrics, None), limited), remote)

    asyncio.run(main())
    return metrics


def asked(*firsts: float) -> Request:
    """A request of as many rows."""
    return Request(orjson.dumps([[first, 0] for first in firsts]), "application/json", arrived=perf_counter())


def body(sink: Any) -> Any:
    """The JSON of a sink's answer."""
    (reply,) = sink.replies
    return orjson.loads(reply.body)


async def turns(count: int = 8) -> None:
    """Let the loop turn."""
    for _ in range(count):
        await asyncio.sleep(0)


def test_what_comes_together_shares_a_call(new_sink: Any) -> None:
    """Rows that arrive in one turn of the loop go in one call, and everyone gets their own back."""
    sinks = [new_sink() for _ in range(3)]

    async def talk(executor: Attached, remote: Remote) -> None:
        for sink, request in zip(sinks, (asked(1), asked(2, 3), asked(4)), strict=True):
            executor.submit(sink, request)
        assert executor.busy
        await turns()
        assert remote.calls == [[1, 2, 3, 4]]
        assert not executor.busy

    metrics = run(talk)
    assert [body(sink) for sink in sinks] == [[[2.0]], [[4.0], [6.0]], [[8.0]]]
    assert metrics.accelerator_calls == 1
    assert all(sink.replies[0].stages[1] > 0 for sink in sinks)


def test_nothing_waits_while_a_call_is_free(new_sink: Any) -> None:
    """A second turn's request does not wait for the first one's answer; a third's gathers, and no call has more rows than may be."""
    sinks = [new_sink() for _ in range(8)]

    async def talk(executor: Attached, remote: Remote) -> None:
        remote.open.clear()
        for sink, first in zip(sinks[:2], (1, 2), strict=True):
            executor.submit(sink, asked(first))
            await turns()
        assert remote.calls == [[1], [2]]
        for sink, first in zip(sinks[2:], range(3, 9), strict=True):
            executor.submit(sink, asked(first))
            await turns()
        assert remote.calls == [[1], [2]]
        remote.open.set()
        await turns(20)
        assert remote.calls == [[1], [2], [3, 4, 5, 6], [7, 8]]

    run(talk)
    assert [body(sink) for sink in sinks] == [[[2.0 * first]] for first in range(1, 9)]


def test_what_does_not_stack(new_sink: Any) -> None:
    """Requests whose rows may not share a call have one each, at once, beside those that may."""
    sinks = [new_sink() for _ in range(4)]

    async def talk(executor: Attached, remote: Remote) -> None:
        for sink, first in zip(sinks, (-1, 1, -1, 2), strict=True):
            executor.submit(sink, asked(first))
        await turns(20)
        assert sorted(remote.calls) == [[-1], [-1], [1, 2]]

    run(talk)
    assert [body(sink) for sink in sinks] == [[[-2.0]], [[2.0]], [[-2.0]], [[4.0]]]


def test_without_stacking_many_are_in_flight(new_sink: Any) -> None:
    """Where stacking does not pay each request is a call, and the accelerator sees all of them at once."""
    sinks = [new_sink() for _ in range(10)]

    async def talk(executor: Attached, remote: Remote) -> None:
        remote.open.clear()
        for at, sink in enumerate(sinks):
            executor.submit(sink, asked(at + 20))
        await turns()
        assert remote.calls == [[at + 20] for at in range(10)]
        remote.open.set()
        await turns()

    run(talk, rows=1)
    assert [sink.status for sink in sinks] == [200] * 10


def test_calls_in_flight_are_bounded(new_sink: Any) -> None:
    """More than that wait here."""

    async def talk(executor: Attached, remote: Remote) -> None:
        remote.open.clear()
        for _ in range(attached.CALLS + 5):
            executor.submit(new_sink(), asked(1))
        await turns()
        assert len(remote.calls) == attached.CALLS
        remote.open.set()
        await turns(20)
        assert len(remote.calls) == attached.CALLS + 5
        assert not executor.busy

    run(talk, rows=1)


def test_a_failed_stack(new_sink: Any) -> None:
    """A stack that fails is tried again one by one: the fault is its request's, and nobody else's."""
    sinks = [new_sink() for _ in range(3)]

    async def talk(executor: Attached, remote: Remote) -> None:
        for sink, first in zip(sinks, (1, 9, 3), strict=True):
            executor.submit(sink, asked(first))
        await turns(20)
        assert remote.calls == [[1, 9, 3], [1], [9], [3]]

    run(talk)
    assert [sink.status for sink in sinks] == [200, 400, 200]
    assert body(sinks[1])["message"] == "nine"


def test_an_accelerator_that_is_gone(new_sink: Any) -> None:
    """What every request would meet as well is not tried one by one: all are 503."""
    sinks = [new_sink() for _ in range(3)]

    async def talk(executor: Attached, remote: Remote) -> None:
        remote.error = AcceleratorError(Code.UNAVAILABLE, "gone")
        for sink in sinks:
            executor.submit(sink, asked(1))
        await turns(20)
        assert len(remote.calls) == 1

    run(talk)
    assert [(sink.status, body(sink)["message"]) for sink in sinks] == [(503, "gone")] * 3


def test_bad_requests_are_answered_at_once(new_sink: Any) -> None:
    """What does not decode or fit is a 400 without a call."""
    sinks = [new_sink() for _ in range(2)]

    async def talk(executor: Attached, remote: Remote) -> None:
        executor.submit(sinks[0], Request(b"{", "application/json", arrived=perf_counter()))
        executor.submit(sinks[1], Request(b"[[1, 2, 3]]", "application/json", arrived=perf_counter()))
        await turns()
        assert (remote.calls, executor.busy) == ([], False)

    metrics = run(talk)
    assert [sink.status for sink in sinks] == [400, 400]
    assert metrics.accelerator_calls == 0


def test_an_answer_that_does_not_fit_the_rows(new_sink: Any) -> None:
    """Outputs that do not count the stack's rows are asked for again, alone."""
    sinks = [new_sink() for _ in range(2)]

    async def talk(executor: Attached, remote: Remote) -> None:
        remote.answer = lambda x: (x[:, :1] * 2).sum(axis=0, keepdims=True)
        for sink, first in zip(sinks, (1, 2), strict=True):
            executor.submit(sink, asked(first))
        await turns(20)

    run(talk)
    assert [body(sink) for sink in sinks] == [[[2.0]], [[4.0]]]


def test_the_queue_is_bounded(new_sink: Any) -> None:
    """More than may wait are refused at once, until answers make room."""

    async def talk(executor: Attached, remote: Remote) -> None:
        remote.open.clear()
        for _ in range(3):
            executor.submit(new_sink(), asked(1))
        with pytest.raises(Overloaded, match="try again"):
            executor.submit(new_sink(), asked(1))
        remote.open.set()
        await turns(20)
        executor.submit(new_sink(), asked(1))
        await turns(20)

    run(talk, queue=3)


def test_bodies_are_bounded(new_sink: Any) -> None:
    """All bodies together have what EI_QUEUE_MB says; one that is larger by itself is a 413; answers give theirs back."""

    async def talk(executor: Attached, remote: Remote) -> None:
        with pytest.raises(PayloadTooLarge, match="EI_QUEUE_MB"):
            executor.allocate(101)
        held = executor.allocate(60)
        with pytest.raises(Overloaded, match="held"):
            executor.allocate(60)
        executor.release(held)
        body = executor.allocate(90)
        body[:] = b"[[1, 2]]".ljust(90)
        executor.submit(new_sink(), Request(body, "application/json", arrived=perf_counter()))
        await turns()
        executor.allocate(100)

    run(talk, held=100)


def test_deadlines(new_sink: Any) -> None:
    """The accelerator is told how long the youngest has; whoever waits longer is a 504, once, and a call for nobody is cancelled."""
    sinks = [new_sink() for _ in range(3)]

    async def talk(executor: Attached, remote: Remote) -> None:
        remote.open.clear()
        for sink in sinks:
            executor.submit(sink, asked(-1))
        await turns()
        assert len(remote.calls) == 3
        assert all(0 < seconds <= 5 for seconds in remote.timeouts)
        executor.sweep(perf_counter())
        assert not any(sink.replies for sink in sinks)
        executor.sweep(perf_counter() + 6)
        assert [sink.status for sink in sinks] == [504] * 3
        await turns()
        assert (remote.cancelled, executor.busy) == (3, False)

    run(talk, deadline=5.0, rows=1)


def test_waiting_requests_have_deadlines_too(new_sink: Any) -> None:
    """A request that no call was made for yet is a 504 as well, and none is made for it later."""
    sinks = [new_sink() for _ in range(3)]

    async def talk(executor: Attached, remote: Remote) -> None:
        remote.open.clear()
        for sink in sinks:
            executor.submit(sink, asked(1))
            await turns()
        assert len(remote.calls) == attached.STACKED_CALLS
        executor.sweep(perf_counter() + 6)
        assert [sink.status for sink in sinks] == [504] * 3
        await turns()
        assert len(remote.calls) == attached.STACKED_CALLS
        assert not executor.busy

    run(talk, deadline=5.0)


def test_clients_that_have_gone(new_sink: Any) -> None:
    """No call is made for them; one that is under way for nobody else is cancelled, one of others' goes on."""
    gone, waiting, stays = new_sink(), new_sink(), new_sink()

    async def talk(executor: Attached, remote: Remote) -> None:
        remote.open.clear()
        executor.submit(gone, asked(1))
        await turns()
        executor.submit(gone, asked(2))
        executor.submit(stays, asked(3))
        await turns()
        executor.submit(waiting, asked(4))
        await turns()
        gone.closed = waiting.closed = True
        executor.sweep(perf_counter())
        await turns()
        assert remote.cancelled == 1
        remote.open.set()
        await turns()
        assert remote.calls == [[1], [2, 3]]
        assert not executor.busy

    run(talk)
    assert body(stays) == [[6.0]]
    assert not gone.replies


def test_the_end(new_sink: Any) -> None:
    """Closing lets the connections go."""

    async def talk(executor: Attached, remote: Remote) -> None:
        remote.open.clear()
        executor.submit(new_sink(), asked(1))
        await turns()
        executor.close()
        await turns()
        assert (remote.closed, remote.cancelled) == (True, 1)

    run(talk)


def test_large_bodies_take_turns(new_sink: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Decoding leaves the loop to others after a moment, and goes on in its next turn."""
    monkeypatch.setattr(attached, "TURN_SECONDS", 1e-9)
    sinks = [new_sink() for _ in range(4)]

    async def talk(executor: Attached, remote: Remote) -> None:
        for sink in sinks:
            executor.submit(sink, asked(1))
        await turns(2)
        assert len(remote.calls) < 4
        await turns(20)

    metrics = run(talk, rows=1)
    assert [sink.status for sink in sinks] == [200] * 4
    assert metrics.accelerator_calls == 4
