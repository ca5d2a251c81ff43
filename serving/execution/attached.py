"""The attached placement: the loop decodes, validates and encodes; the pass runs on an accelerator, and is awaited.

    request -> decode -> waits, by the shape of its rows -> call (many in flight) -> split -> encode -> client

No pool stands between, so that the accelerator sees the calls of every client of every container at once. Where stacking
was measured to pay, a few calls are kept in flight, and what comes meanwhile gathers into the next one: it never waits
while a call is free.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Protocol

import numpy as np

from serving.accelerators.errors import AcceleratorError, Code
from serving.errors import DeadlineExceeded, Overloaded, PayloadTooLarge
from serving.execution.base import RETRY_HINT, Nobody, Sink
from serving.execution.inline import own_memory
from serving.handlers.default_service import split
from serving.invocation import Inputs, Outputs, Reply, Request, Service, failure
from serving.telemetry.record import Recorder

log = logging.getLogger("ei.execution")
QUEUE_SIZE = 1024
"""Invocations that may wait for an accelerator in one process, unless set."""
CALLS, STACKED_CALLS = 64, 2
"""Calls in flight: of requests that go alone, and of stacks, where more would only make each of them smaller."""
TURN_SECONDS = 0.003
"""How long one turn of the loop decodes: `/ping` waits for it."""
NOT_THE_REQUEST = (Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED, Code.CANCELLED, Code.UNAUTHENTICATED, Code.PERMISSION_DENIED)
"""Failures that a stack's requests would meet one by one as well."""

STACKED = "stacked"
"""The key of all requests that stack: the model does so with rows of one shape."""

NOBODY = Nobody()


class Handle(Protocol):
    """A call under way."""

    def cancel(self) -> Any:
        """Take it back."""


class Remote(Protocol):
    """The model, as the loop sees it."""

    def start(self, inputs: Inputs, seconds: float, done: Callable[[Outputs | None, AcceleratorError | None], None]) -> Handle:
        """Begin a pass, which tells `done` how it ended."""

    def close(self) -> None:
        """Let the connections go."""


@dataclass(frozen=True)
class Limits:
    """`rows` that a stack may have, 1 where stacking does not pay; `deadline` in seconds; `held` bytes of all bodies."""

    rows: int = 1
    deadline: float = 55.0
    queue: int = QUEUE_SIZE
    held: int = 512 << 20

    @property
    def calls(self) -> int:
        """Calls that may be in flight."""
        return STACKED_CALLS if self.rows > 1 else CALLS


@dataclass(eq=False, slots=True)
class Job:
    """A request on its way: its decoded inputs, and the seconds that decoding took. `sink` is NOBODY once it is answered."""

    sink: Sink
    request: Request
    inputs: Inputs
    rows: int
    decoding: float
    counted: bool = True


class Call:
    """Jobs that share a call of the accelerator, since `began`."""

    __slots__ = ("began", "handle", "jobs")

    def __init__(self, jobs: list[Job], began: float) -> None:
        self.jobs, self.began = jobs, began
        self.handle: Handle | None = None


class Attached:
    """The requests of one process, in front of one model on an accelerator."""

    def __init__(self, service: Service, remote: Remote, recorder: Recorder, limits: Limits) -> None:
        self.ready = True
        self._service, self._remote, self._recorder, self._limits = service, remote, recorder, limits
        self._loop = asyncio.get_running_loop()
        self._stacks: Callable[[Inputs], bool] = service.model.stacks  # type: ignore[attr-defined]
        self._arrived: deque[tuple[Sink, Request]] = deque()
        self._waiting: OrderedDict[str | None, deque[Job]] = OrderedDict()
        self._calls: set[Call] = set()
        self._calling = False
        self._count = self._held = 0

    @property
    def busy(self) -> bool:
        """Whether an accepted invocation is still to be answered."""
        return bool(self._arrived or self._waiting or self._calls)

    def allocate(self, length: int) -> memoryview:
        """Memory of the process' own; Overloaded where the bodies that wait have taken what all may have."""
        if length > self._limits.held:
            raise PayloadTooLarge(
                f"the body of {length} bytes is over the {self._limits.held} that all bodies may have (EI_QUEUE_MB)"
            )
        if self._held + length > self._limits.held:
            raise Overloaded("too many bytes of requests are held: try again in a second")
        self._held += length
        return own_memory(length)

    def release(self, body: memoryview) -> None:
        """Give back a body that no request was made of, or whose request is answered."""
        self._held -= len(body)

    def submit(self, sink: Sink, request: Request) -> None:
        """Take the request; Overloaded where too many wait."""
        if self._count >= self._limits.queue:
            raise Overloaded(RETRY_HINT)
        if not self._arrived:
            self._loop.call_soon(self._turn)
        self._count += 1
        self._arrived.append((sink, request))

    def sweep(self, now: float) -> None:
        """Answer what has waited too long, and cancel the calls that nobody waits for any more."""
        late = DeadlineExceeded(f"the accelerator did not answer within {self._limits.deadline:g} s")
        for key, jobs in list(self._waiting.items()):
            kept = deque(job for job in jobs if not self._is_over(job, now, late))
            if kept:
                self._waiting[key] = kept
            else:
                del self._waiting[key]
        for call in list(self._calls):
            if all([self._is_over(job, now, late) for job in call.jobs]):
                self._cancel(call)
        self._call()

    def close(self) -> None:
        """Cancel what is still in flight, and let the connections go."""
        for call in list(self._calls):
            self._cancel(call)
        self._remote.close()

    # ---- from requests to calls

    def _turn(self) -> None:
        """Decode what has arrived since the loop's last turn, and call; large bodies are left to the next turn."""
        arrived, service, waiting = self._arrived, self._service, self._waiting
        began = done = perf_counter()
        while arrived and done - began < TURN_SECONDS:
            begin = done
            sink, request = arrived.popleft()
            try:
                inputs = service.decode(request)
                key, rows = self._kind(inputs)
            except Exception as error:
                self._refuse(sink, request, error)
                continue
            done = perf_counter()
            job = Job(sink, request, inputs, rows, done - begin)
            found = waiting.get(key)
            if found is None:
                waiting[key] = deque((job,))
            else:
                found.append(job)
        if arrived:
            self._loop.call_soon(self._turn)
        self._call()

    def _kind(self, inputs: Inputs) -> tuple[str | None, int]:
        """What requests must share to share a call, None where they share none; and the rows of this one."""
        if self._limits.rows == 1 or not self._stacks(inputs):
            return None, 0
        for array in inputs.values():
            return STACKED, len(array)
        return None, 0

    def _call(self) -> None:
        """Make calls while there are some to make and some are free, of each kind of rows in turn."""
        if self._calling:  # a call that ended at once, within the loop below
            return
        self._calling = True
        waiting, most = self._waiting, self._limits.calls
        while waiting and len(self._calls) < most:
            key, queue = next(iter(waiting.items()))
            jobs = self._next(queue, stacked=key is not None)
            if not queue:
                del waiting[key]
            else:
                waiting.move_to_end(key)
            if jobs:
                self._start(jobs)
        self._calling = False

    def _next(self, queue: deque[Job], stacked: bool) -> list[Job]:
        """The jobs of the next call: as many as stack, or one."""
        jobs: list[Job] = []
        rows = 0
        while queue and (not jobs or (stacked and rows + queue[0].rows <= self._limits.rows)):
            job = queue.popleft()
            if job.sink.closed:  # the client has gone: nobody would read the answer
                self._forget(job)
                continue
            jobs.append(job)
            rows += job.rows
        return jobs

    def _start(self, jobs: list[Job]) -> None:
        """One call; it may take as long as the youngest of its requests has."""
        call = Call(jobs, perf_counter())
        self._calls.add(call)
        if len(jobs) == 1:
            inputs, youngest = jobs[0].inputs, jobs[0].request.arrived
        else:
            inputs = {name: np.concatenate([job.inputs[name] for job in jobs]) for name in jobs[0].inputs}
            youngest = max([job.request.arrived for job in jobs])
        left = max(0.001, youngest + self._limits.deadline - call.began)
        try:
            call.handle = self._remote.start(inputs, left, lambda outputs, error: self._ended(call, outputs, error))
        except AcceleratorError as error:
            self._ended(call, None, error)

    def _ended(self, call: Call, outputs: Outputs | None, error: AcceleratorError | None) -> None:
        """A call has its outputs, or its error. A stack that fails is tried again one by one."""
        now = perf_counter()
        self._calls.discard(call)
        self._recorder.metrics.accelerated(1, now - call.began)
        jobs = call.jobs
        found: list[Any] | None = None
        if outputs is not None:
            found = [outputs] if len(jobs) == 1 else _parts(outputs, [job.rows for job in jobs])
        elif len(jobs) == 1 or (error is not None and error.code in NOT_THE_REQUEST):
            found = [error] * len(jobs)
        if found is None:
            for job in jobs:
                self._start([job])
            return
        self._call()  # first: the accelerator need not wait while answers are encoded
        self._answer(jobs, found, call.began, now)

    def _cancel(self, call: Call) -> None:
        self._calls.discard(call)
        if call.handle is not None:
            call.handle.cancel()

    # ---- from outputs to answers

    def _answer(self, jobs: list[Job], outputs: list[Any], begin: float, answered: float) -> None:
        live = [(job, output) for job, output in zip(jobs, outputs, strict=True) if job.sink is not NOBODY]
        if not live:
            return
        replies = [self._reply(output, job.request) for job, output in live]
        stages = (sum(job.decoding for job, _ in live), answered - begin, perf_counter() - answered)
        for (job, _), reply in zip(live, replies, strict=True):
            reply.stages = stages
            self._forget(job)
            job.sink.answer(reply)
        begin = max(begin - stages[0], max(job.request.arrived for job, _ in live))
        self._recorder.batch([job.request for job, _ in live], replies, begin)

    def _reply(self, output: Any, request: Request) -> Reply:
        try:
            if isinstance(output, BaseException):
                raise output
            return self._service.encode(output, request)
        except Exception as error:
            return failure(error, request)

    def _is_over(self, job: Job, now: float, late: DeadlineExceeded) -> bool:
        """Whether nobody waits for the job: its client has gone, or its deadline has passed, which is its answer then."""
        if job.sink is NOBODY or job.sink.closed:
            self._forget(job)
            job.sink = NOBODY
            return True
        if now - job.request.arrived <= self._limits.deadline:
            return False
        self._forget(job)
        sink, job.sink = job.sink, NOBODY
        self._say(sink, job.request, late)
        return True

    def _forget(self, job: Job) -> None:
        """The job no longer counts among those that wait, nor does its body; once."""
        if job.counted:
            job.counted = False
            self._drop(job.request)

    def _drop(self, request: Request) -> None:
        self._count -= 1
        if isinstance(request.body, memoryview):
            self.release(request.body)

    def _refuse(self, sink: Sink, request: Request, error: Exception) -> None:
        self._drop(request)
        self._say(sink, request, error)

    def _say(self, sink: Sink, request: Request, error: Exception) -> None:
        reply = failure(error, request)
        sink.answer(reply)
        self._recorder.refusal(request, reply)


def _parts(outputs: Outputs, rows: list[int]) -> list[Outputs] | None:
    """The outputs of each job of a stack; None where they do not count its rows."""
    total = sum(rows)
    for array in outputs.values():
        if array.shape[:1] != (total,):
            return None
    return split(outputs, rows)
