"""A lane: the models of one framework, the engine that runs them, and the order in which their calls get there.

    Pending -> its model's queue -> the next pass (models in turn, clients in turn) -> engine -> answers

A pass that its engine died under is run again, each of its calls by itself, in the engine that takes over; the second death
is the call's own answer. Nothing else is lost: what waits here goes on waiting.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from typing import Any

from serving.accelerators.engines import link
from serving.accelerators.errors import AcceleratorError, Code
from serving.accelerators.protocol import tensors
from serving.accelerators.protocol.tensors import Buffer, Spec
from serving.accelerators.server import engines
from serving.accelerators.server.engines import EngineProcess, Shared
from serving.accelerators.server.models import READY, UNAVAILABLE, Model, Pending
from serving.accelerators.server.options import Options
from serving.errors import Overloaded, PayloadTooLarge

log = logging.getLogger("ei.accelerator")
SHORT_SECONDS = 0.003
"""A pass shorter than this has the next one sent behind it: the way there and back would be felt."""
MAX_DEATHS, DEATHS_SECONDS = 8, 60.0


class Lane:
    """One framework's engine and models. It starts at the first load."""

    def __init__(self, framework: str, options: Options, shared: Shared) -> None:
        self.framework = framework
        self.models: dict[str, Model] = {}
        self.engine: EngineProcess | None = None
        self.deaths = 0
        self._options, self._shared = options, shared
        self._loop = asyncio.get_running_loop()
        self._spare: EngineProcess | None = None
        self._order: deque[Model] = deque()
        self._under_way = 0
        self._last = 0.0
        self._planned = False
        self._recent: deque[float] = deque()
        self._starting = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    # ---- models

    async def load(self, model: Model, budget: int) -> None:
        """Load a model; AcceleratorError where it cannot be, and RESOURCE_EXHAUSTED where the engine died of it."""
        engine = await self._working()
        try:
            await self._load(engine, model, budget)
        except AcceleratorError as error:
            if error.code != Code.ABORTED:
                raise
            why = f"{error.message} while it loaded the model: its files are broken, or it outgrows the {_mb(budget)} that are free"
            raise AcceleratorError(Code.RESOURCE_EXHAUSTED, why) from None
        self.models[model.key] = model

    async def unload(self, model: Model) -> None:
        """Give a model's memory back; what waits for it is answered."""
        self.models.pop(model.key, None)
        for pending in model.remove(lambda pending: True):
            pending.call.fail(Code.NOT_FOUND, f"model {model.name!r} was unloaded")
        if self.engine is not None and self.engine.is_alive:
            (self.engine.held,) = await self.engine.ask("unload", model.key)

    async def _load(self, engine: EngineProcess, model: Model, budget: int) -> None:
        (told,) = await engine.ask("load", model.key, str(model.folder), model.max_batch, model.options, budget)
        model.describe(told)
        engine.held = told["held"]
        model.state, model.reason = READY, ""

    # ---- engines

    async def _working(self) -> EngineProcess:
        async with self._starting:
            if self.engine is None or not self.engine.is_alive:
                self.engine = await self._start()
                self._spawn(self._keep_spare())
            return self.engine

    async def _start(self) -> EngineProcess:
        spare, self._spare = self._spare, None
        if spare is not None and spare.is_alive:
            engine = spare
        else:
            engine = await engines.start(self.framework, self._options, self._shared)
        engine.on_death = self._died
        return engine

    async def _keep_spare(self) -> None:
        """Have a process wait for the day when the first one dies."""
        if self._options.spare and self._spare is None:
            try:
                self._spare = await engines.start(self.framework, self._options, self._shared)
            except AcceleratorError as error:
                log.warning("no spare engine: %s", error.message)

    def _died(self, engine: EngineProcess) -> None:
        if engine is not self.engine:
            return
        self.deaths += 1
        self._under_way = 0
        log.error("the %s engine died; %d models are loaded again", self.framework, len(self.models))
        self._spawn(self._replace())

    async def _replace(self) -> None:
        """Load every model into the engine that takes over; those that kill it, or cannot be loaded, are unavailable."""
        now = self._loop.time()
        self._recent.append(now)
        while self._recent[0] < now - DEATHS_SECONDS:
            self._recent.popleft()
        if len(self._recent) > MAX_DEATHS:
            await asyncio.sleep(min(10.0, 0.25 * 2 ** (len(self._recent) - MAX_DEATHS)))
        try:
            engine = await self._working()
            for model in list(self.models.values()):
                try:
                    await self._load(engine, model, self._options.type.memory)
                except AcceleratorError as error:
                    if not engine.is_alive:
                        return  # its own death is being dealt with
                    model.state, model.reason = UNAVAILABLE, error.message
        except AcceleratorError as error:
            log.error("the %s engine does not start: %s", self.framework, error.message)
            await asyncio.sleep(1.0)
            self._spawn(self._replace())
            return
        self.plan()

    def _spawn(self, work: Any) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # ---- calls

    def put(self, pending: Pending) -> None:
        """Queue a call; UNAVAILABLE where too many wait."""
        pending.model.put(pending)
        if pending.model not in self._order:
            self._order.append(pending.model)
        self.plan()

    def plan(self) -> None:
        """Give passes to the engine, behind whatever else has arrived in this turn of the loop."""
        if not self._planned:
            self._planned = True
            self._loop.call_soon(self._pump)

    def sweep(self) -> None:
        """Take calls out of the queues that are over: their client has gone, or the connection has ended them at their deadline."""
        for model in self.models.values():
            if model.waiting:
                for pending in model.remove(lambda pending: pending.call.cancelled):
                    fail(pending, AcceleratorError(Code.CANCELLED, "the call was over before its turn"))

    def _pump(self) -> None:
        self._planned = False
        while self._order and self.engine is not None and self.engine.is_alive:
            if self._under_way >= (2 if self._last < SHORT_SECONDS else 1):
                return
            model = self._order.popleft()
            if not model.waiting:
                continue
            if model.state != READY:
                self._order.append(model)
                if all(other.state != READY for other in self._order):
                    return
                continue
            batch = [pending for pending in model.take() if not pending.call.cancelled]
            if model.waiting:
                self._order.append(model)
            if batch:
                self._send(model, batch)

    def _send(self, model: Model, batch: list[Pending]) -> None:
        assert self.engine is not None
        now = time.perf_counter()
        blocks: list[memoryview] = []
        try:
            calls = [self._packed(pending, blocks) for pending in batch]
            expected = sum(model.reply_bytes.get(pending.head.tensors, 0) for pending in batch)
            place = self._allocate(expected, blocks) if expected else None
        except (Overloaded, PayloadTooLarge) as error:
            self._release(blocks)
            for pending in batch:
                fail(pending, AcceleratorError(Code.RESOURCE_EXHAUSTED, f"too many bytes of calls are held: {error.message}"))
            return
        self._under_way += 1
        engine = self.engine
        for pending in batch:
            model.statistics.queue_ns += int(1e9 * (now - pending.arrived))
        engine.send("infer", model.key, calls, place, then=lambda answer: self._answered(engine, batch, blocks, answer))

    def _answered(self, engine: EngineProcess, batch: list[Pending], blocks: list[memoryview], answer: Any) -> None:
        if isinstance(answer, AcceleratorError):
            self._release(blocks)
            if answer.code == Code.ABORTED:
                self._again(batch, answer)
                return
            answers: list[Any] = [(int(answer.code), answer.message)] * len(batch)
            seconds = 0.0
        else:
            answers, seconds, held = answer
            engine.held = held or engine.held
        if engine is self.engine:
            self._under_way -= 1
            self._last = seconds
        model = batch[0].model
        rows = sum(pending.rows for pending in batch)
        if model.max_batch > 1:
            model.growth.note(rows, seconds)
        note(model, batch, seconds)
        for pending, found in zip(batch, answers, strict=True):
            if isinstance(found, tuple):
                fail(pending, AcceleratorError(Code(found[0]), found[1]))
            else:
                self._reply(pending, found)
        self._release(blocks)
        if self._order:
            self._pump()

    def _again(self, batch: list[Pending], death: AcceleratorError) -> None:
        for pending in reversed(batch):
            pending.tries += 1
            pending.rows = 0  # whichever of them it was, it shall not take others along again
            if pending.tries > 1:
                fail(pending, AcceleratorError(Code.INTERNAL, f"{death.message} twice while it ran this call"))
            elif pending.model.key in self.models:
                pending.model.put_back(pending)
                if pending.model not in self._order:
                    self._order.appendleft(pending.model)
            else:
                fail(pending, death)

    def _reply(self, pending: Pending, found: list[tuple[Any, link.Contents]]) -> None:
        memory = memoryview(self._shared.memory)
        specs = tuple([Spec(name, datatype, tuple(shape)) for (name, datatype, shape), _ in found])
        # A copy: the block is another call's in a moment, and the connection may take its time.
        contents = [bytes(link.contents(memory, sent)) if isinstance(sent, tuple) else sent for _, sent in found]
        large = sum(-(-len(data) // 64) * 64 for data in contents if len(data) > link.INLINE_BYTES)
        if large:
            known = pending.model.reply_bytes
            if len(known) > 64:
                known.clear()
            known[pending.head.tensors] = large
        pending.call.reply(tensors.response_of(pending.model.name, specs, contents, pending.id))
        took = int(1e9 * (time.perf_counter() - pending.arrived))
        pending.model.statistics.succeeded += 1
        pending.model.statistics.success_ns += took

    # ---- shared memory

    def _packed(self, pending: Pending, blocks: list[memoryview]) -> tuple[Any, ...]:
        specs = [tuple(spec) for spec in pending.head.tensors]
        return specs, [self._placed(data, blocks) for data in pending.contents], list(pending.head.outputs)

    def _placed(self, data: Buffer, blocks: list[memoryview]) -> link.Contents:
        if len(data) <= link.INLINE_BYTES:
            return bytes(data)
        place = self._allocate(len(data), blocks)
        blocks[-1][:] = data
        return place

    def _allocate(self, size: int, blocks: list[memoryview]) -> tuple[int, int]:
        block = self._shared.arena.allocate(size)
        blocks.append(block)
        place = self._shared.arena.place(block)
        assert place is not None
        return place

    def _release(self, blocks: list[memoryview]) -> None:
        for block in blocks:
            self._shared.arena.free(block)


def note(model: Model, batch: list[Pending], seconds: float) -> None:
    """Count a pass."""
    statistics, took = model.statistics, int(1e9 * seconds)
    rows = sum(max(1, pending.rows) for pending in batch)
    statistics.rows += rows
    statistics.passes += 1
    statistics.compute_ns += took
    statistics.last = time.time()
    model.used = time.monotonic()
    entry = statistics.batches.setdefault(rows, [0, 0])
    entry[0] += 1
    entry[1] += took


def fail(pending: Pending, error: AcceleratorError) -> None:
    """Answer a call with an error, and count it."""
    pending.model.statistics.failed += 1
    pending.model.statistics.fail_ns += int(1e9 * (time.perf_counter() - pending.arrived))
    pending.call.fail(error.code, error.message)


def _mb(size: float) -> str:
    return f"{size / 1e6:,.0f} MB"
