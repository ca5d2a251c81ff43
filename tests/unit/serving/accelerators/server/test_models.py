"""The queue of a model: clients in turn, calls that share a pass, and how large a pass is worth being."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from serving.accelerators.errors import AcceleratorError, Code
from serving.accelerators.protocol.tensors import Head, Spec
from serving.accelerators.server.models import MAX_CLIENT_WAITING, Growth, Model, Pending


def model(max_batch: int = 0) -> Model:
    """A model of one input."""
    made = Model("m", "mxnet", Path(), (max_batch, {}))
    told: dict[str, Any] = {"inputs": [("x", "FP32", (-1, 4))], "outputs": [("y", "FP32", (-1, 2))]}
    made.describe({**told, "max_batch": max_batch, "report": "", "needs": 0})
    return made


def head(rows: int = 1, width: int = 4, outputs: tuple[str, ...] = ()) -> Head:
    """A call's head."""
    return Head("m", (Spec("x", "FP32", (rows, width)),), outputs)


def waiting(queue: Model, client: str, rows: int = 1, given: Head | None = None) -> Pending:
    """Queue a call of a client. The call itself is a stand-in: only whose it is counts here."""
    given = given or head(rows)
    call: Any = SimpleNamespace(client=client, cancelled=False, deadline=None)
    pending = Pending(call, queue, given, "", [], queue.rows(given), 0.0)
    queue.put(pending)
    return pending


def clients(batch: list[Pending]) -> list[object]:
    """Whose calls a pass has."""
    return [pending.call.client for pending in batch]


def test_clients_take_turns() -> None:
    """Behind a client that floods the queue another waits for one call, not for all."""
    queue = model()
    for _ in range(6):
        waiting(queue, "flood")
    running = queue.take()
    waiting(queue, "calm")
    assert clients(running) == ["flood"]
    assert clients(queue.take()) == ["calm"]
    waiting(queue, "calm")
    assert [clients(queue.take()) for _ in range(3)] == [["flood"], ["calm"], ["flood"]]


def test_a_flood_is_refused_and_others_are_not() -> None:
    """One client cannot fill the queue."""
    queue = model()
    for _ in range(MAX_CLIENT_WAITING):
        waiting(queue, "flood")
    with pytest.raises(AcceleratorError) as error:
        waiting(queue, "flood")
    assert error.value.code == Code.UNAVAILABLE
    waiting(queue, "calm")


def test_alike_calls_share_a_pass() -> None:
    """Calls of equal rows' shapes go together up to the limit; another shape, or other outputs, has a pass of its own."""
    queue = model(max_batch=8)
    queue.growth.limit = 8
    for client in "abc":
        waiting(queue, client, rows=2)
    waiting(queue, "d", given=head(outputs=("y",)))
    waiting(queue, "e", rows=4)
    assert clients(queue.take()) == ["a", "b", "c"]
    assert clients(queue.take()) == ["d"]
    assert clients(queue.take()) == ["e"]


def test_passes_grow_while_rows_get_cheaper() -> None:
    """Where a pass costs the same for any number of rows the limit doubles; where it costs as many times as much it falls to one."""
    cheap, dear = Growth(), Growth()
    for _ in range(60):
        for rows in (1, cheap.limit):
            cheap.note(rows, 0.001)
        for rows in (1, dear.limit):
            dear.note(rows, 0.01 * rows)
    assert cheap.limit >= 64
    assert dear.limit == 1


def test_what_contradicts_the_metadata() -> None:
    """A call is checked once for each head: shapes, and where calls are stacked names."""
    with pytest.raises(AcceleratorError, match=r"FP32 \[1, 5\].*\[-1, 4\]"):
        model().rows(head(width=5))
    with pytest.raises(AcceleratorError, match="missing"):
        model(max_batch=4).rows(Head("m", (Spec("z", "FP32", (1, 4)),)))
    assert model(max_batch=4).rows(head(rows=3)) == 3
    assert model().rows(head(rows=3)) == 0
