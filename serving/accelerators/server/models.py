"""A loaded model as the front knows it: its tensors, the calls that wait for it, and its statistics."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from serving.accelerators.errors import AcceleratorError, Code
from serving.accelerators.protocol.tensors import Buffer, Head, Spec
from serving.accelerators.rpc.server import Call
from serving.accelerators.server.stream import Part

LOADING, READY, UNAVAILABLE = "LOADING", "READY", "UNAVAILABLE"
MAX_WAITING = 1024
MAX_CLIENT_WAITING = 512
"""Calls that may wait for a model, and of one client: more are refused, so that a flood cannot shut out the others."""
MAX_KNOWN = 256


@dataclass(eq=False, slots=True)
class Pending:
    """A call that waits: `rows` is 0 where it may not be stacked; `tries` counts the passes that died under it."""

    call: Call | Part
    model: Model
    head: Head
    id: str
    contents: list[Buffer]
    rows: int
    arrived: float
    tries: int = 0


@dataclass(slots=True)
class Statistics:
    """Counts, and nanoseconds, as ModelStatistics has them."""

    rows: int = 0
    passes: int = 0
    succeeded: int = 0
    failed: int = 0
    success_ns: int = 0
    fail_ns: int = 0
    queue_ns: int = 0
    compute_ns: int = 0
    last: float = 0.0
    batches: dict[int, list[int]] = field(default_factory=dict)
    """By rows of a pass: [passes, nanoseconds]."""


class Model:
    """A model by its name. `key` is what the engine calls it: another for each load."""

    def __init__(self, name: str, framework: str, folder: Path, config: tuple[int, dict[str, str]]) -> None:
        self.name, self.framework, self.folder = name, framework, folder
        self.max_batch, self.options = config
        self.key, self.state, self.reason, self.report = "", LOADING, "", ""
        self.inputs: tuple[Spec, ...] = ()
        self.outputs: tuple[Spec, ...] = ()
        self.needs = 0
        self.used = time.monotonic()
        self.statistics = Statistics()
        self.growth = Growth()
        self.reply_bytes: dict[tuple[Spec, ...], int] = {}
        self._clients: dict[Hashable, deque[Pending]] = {}
        self._turns = Turns()
        self._waiting = 0
        self._known: dict[int, tuple[Head, int]] = {}

    def describe(self, told: dict[str, Any]) -> None:
        """Take what the engine says of it at load."""
        self.inputs, self.outputs = ([Spec(n, t, tuple(s)) for n, t, s in told[key]] for key in ("inputs", "outputs"))  # type: ignore[assignment]
        self.max_batch, self.report, self.needs = told["max_batch"], told["report"], told["needs"]

    def rows(self, head: Head) -> int:
        """Rows of a call that may share a pass, 0 of one that may not. INVALID_ARGUMENT where it contradicts the metadata."""
        known = self._known.get(id(head))
        if known is not None and known[0] is head:
            return known[1]
        found = self._checked(head)
        if len(self._known) >= MAX_KNOWN:
            self._known.clear()
        self._known[id(head)] = head, found
        return found

    def _checked(self, head: Head) -> int:
        given = {spec.name: spec for spec in head.tensors}
        if len(given) != len(head.tensors):
            raise AcceleratorError(Code.INVALID_ARGUMENT, "the call gives an input twice")
        for spec in self.inputs:
            if spec.name in given:
                _fits(spec, given[spec.name])
        if self.max_batch > 0:
            missing = [spec.name for spec in self.inputs if spec.name not in given]
            unknown = sorted(given.keys() - {spec.name for spec in self.inputs})
            if missing or unknown:
                why = f"missing {missing}, unknown {unknown}; the model has {[spec.name for spec in self.inputs]}"
                raise AcceleratorError(Code.INVALID_ARGUMENT, f"wrong inputs: {why}"[:400])
        counts = {spec.shape[0] if spec.shape else 0 for spec in head.tensors}
        return counts.pop() if self.max_batch > 1 and len(counts) == 1 else 0

    # ---- the queue

    def put(self, pending: Pending) -> None:
        """Queue a call. UNAVAILABLE where too many wait."""
        mine = self._clients.get(pending.call.client, ())
        if self._waiting >= MAX_WAITING or len(mine) >= MAX_CLIENT_WAITING:
            why = f"the queue is full: {self._waiting} calls wait for the model, {len(mine)} of this client"
            raise AcceleratorError(Code.UNAVAILABLE, why)
        self._line(pending.call.client).append(pending)

    def put_back(self, pending: Pending) -> None:
        """Queue a call again, before its client's others."""
        self._line(pending.call.client).appendleft(pending)

    @property
    def waiting(self) -> int:
        """Calls that wait."""
        return self._waiting

    def take(self) -> list[Pending]:
        """The calls of the next pass: of the client whose turn it is, and what may be stacked with it, of each in turn."""
        first = self._next_of(self._turns.next(self._clients))
        batch = [first]
        most, rows = min(self.growth.limit, self.max_batch), first.rows
        passed = not rows
        while not passed and self._clients:
            passed = True
            for client in sorted(self._clients, key=self._turns.of):
                following = self._clients[client][0]
                if rows + following.rows <= most and _alike(first, following):
                    batch.append(self._next_of(client))
                    rows += following.rows
                    passed = False
        return batch

    def _line(self, client: Hashable) -> deque[Pending]:
        self._waiting += 1
        if client not in self._clients:
            self._turns.enter(client)
            self._clients[client] = deque()
        return self._clients[client]

    def _next_of(self, client: Hashable) -> Pending:
        mine = self._clients[client]
        pending = mine.popleft()
        if not mine:
            del self._clients[client]
        self._turns.serve(client)
        self._waiting -= 1
        return pending

    def remove(self, is_over: Any) -> list[Pending]:
        """Take out the calls that a function says are over."""
        found = []
        for client, mine in list(self._clients.items()):
            over = [pending for pending in mine if is_over(pending)]
            if over:
                found += over
                kept = deque(pending for pending in mine if pending not in over)
                self._waiting -= len(over)
                if kept:
                    self._clients[client] = kept
                else:
                    del self._clients[client]
        return found


class Turns:
    """Whose turn it is: start-time fair queueing, with each call counted as one.

    A client's calls are tagged one after the other from when it came; the lowest tag is next, and is the time. So one that
    seldom calls is next behind the pass that runs, and one that floods has no more than its share.
    [P. Goyal, H. M. Vin, H. Cheng: Start-time Fair Queuing, 1996]
    """

    def __init__(self) -> None:
        self._now = 0
        self._tags: dict[Hashable, int] = {}

    def enter(self, client: Hashable) -> None:
        """A client that had nothing waiting has something."""
        self._tags[client] = max(self._now, self._tags.get(client, 0))

    def next(self, clients: Iterable[Hashable]) -> Hashable:
        """The client whose turn it is, of those that wait."""
        turn = min(clients, key=self.of)
        self._now = max(self._now, self.of(turn))
        return turn

    def of(self, client: Hashable) -> int:
        """A client's tag."""
        return self._tags.get(client, 0)

    def serve(self, client: Hashable) -> None:
        """A call of the client is taken."""
        self._tags[client] = self.of(client) + 1
        if len(self._tags) > MAX_WAITING:
            self._tags = {known: tag for known, tag in self._tags.items() if tag > self._now - 1}


class Growth:
    """How many rows a pass is worth stacking to, found out by doing: twice as many, as long as a row gets cheaper by it.

    A tiny model's pass costs nearly the same for 64 rows as for one; one of ResNet-50 on a CPU costs 64 times as much, and
    stacking would only make the first wait for the last. The first pass of a size is not counted: it binds.
    """

    GAIN, PASSES, AGAIN = 0.85, 3, 4096

    def __init__(self) -> None:
        self.limit = 2
        self._seconds: dict[int, list[float]] = {}
        self._passes = 0

    def note(self, rows: int, seconds: float) -> None:
        """Take a pass' time into account; every few thousand passes all is found out anew."""
        self._passes += 1
        if self._passes % self.AGAIN == 0:
            self._seconds, self.limit = {}, max(2, self.limit)
        size = 1 << (rows - 1).bit_length() if rows else 1
        times = self._seconds.setdefault(size, [])
        if len(times) <= self.PASSES:
            times.append(seconds)
            if size == self.limit and len(times) > self.PASSES:
                self._decide(size)

    def _decide(self, size: int) -> None:
        smaller = [min(times[1:]) / at for at, times in self._seconds.items() if len(times) > 1 and at < size]
        pays = not smaller or min(self._seconds[size][1:]) / size < self.GAIN * min(smaller)
        self.limit = size * 2 if pays else max(1, size // 2)


def _alike(one: Pending, other: Pending) -> bool:
    """Whether two calls can share a pass: the same tensors but for their rows, and the same outputs."""
    if one.head is other.head:
        return True
    if not other.rows or one.head.outputs != other.head.outputs or len(one.head.tensors) != len(other.head.tensors):
        return False
    pairs = zip(one.head.tensors, other.head.tensors, strict=True)
    return all(a.name == b.name and a.datatype == b.datatype and a.shape[1:] == b.shape[1:] for a, b in pairs)


def _fits(spec: Spec, given: Spec) -> None:
    """INVALID_ARGUMENT where a tensor contradicts the metadata: its datatype, or a size that the model fixes."""
    if spec.shape == (-1,):
        fits = True
    else:
        fits = len(spec.shape) == len(given.shape)
        fits = fits and all(want in (-1, size) for want, size in zip(spec.shape, given.shape, strict=True))
    if not fits or given.datatype != spec.datatype:
        told, wanted = (f"{one.datatype[:20]} {list(one.shape)}" for one in (given, spec))
        raise AcceleratorError(
            Code.INVALID_ARGUMENT, f"input {spec.name!r} is {told}; the model takes {wanted}, where -1 is any size"
        )
