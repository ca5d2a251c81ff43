"""`ei advise`: estimate a model's need, measure it in a process of its own, time a call, and recommend a type."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from statistics import median

import numpy as np

from serving import settings as knobs
from serving.accelerators import attached
from serving.accelerators.client import Accelerator
from serving.accelerators.protocol.messages import message
from serving.accelerators.sizing import advice, loopback, measured
from serving.accelerators.sizing.advice import Advice, Call
from serving.accelerators.sizing.loopback import Running
from serving.accelerators.sizing.measured import Candidate, Measured, Setting
from serving.accelerators.sizing.subject import values
from serving.invocation import Inputs

CALLS, WARM = 50, 5
CALL_SECONDS = 5.0


@dataclass(frozen=True)
class Ways:
    """How to find out: with so many threads a pass; `is_proved`: run once more inside the type's memory.

    `accelerator` is the one that calls are timed to: "" one of our own on this host, None none.
    """

    threads: int = 1
    accelerator: str | None = ""
    is_proved: bool = False


def advise(candidate: Candidate, ways: Ways, say: Callable[[str], None] = lambda _: None) -> Advice:
    """The advice for a model. AcceleratorError where it cannot be run."""
    guess = measured.estimate(candidate)
    estimate = guess[0] if guess else None
    told = "no estimate of a SavedModel" if estimate is None else f"estimated {advice.megabytes(estimate)}"
    say(f"{told}; running it in a process of its own")
    found = measured.measure(candidate, Setting(ways.threads))
    given = advice.advise(estimate, found.need)
    if ways.is_proved and given.best is not None:
        say(f"running it inside {given.best.name}'s memory")
        measured.measure(candidate, Setting(ways.threads, given.best.memory, 3))
    if ways.accelerator is None or given.best is None:
        return given
    say("timing calls to an accelerator")
    return replace(given, call=_call(candidate, found, ways, given.best.name))


def _call(candidate: Candidate, found: Measured, ways: Ways, kind: str) -> Call:
    """What a call adds, beyond the pass that it waits for."""
    inputs = made(candidate, found)
    place: AbstractContextManager[Running] = nullcontext(Running(ways.accelerator or "", 0))
    if not ways.accelerator:
        place = loopback.accelerator(kind, ways.threads)
    with place as there:
        accelerator = connected(there.address)
        try:
            model = accelerator.load(candidate.artifact)
            for _ in range(WARM):
                model(inputs)
            before = _passes(accelerator, model.name)
            times = _timed(lambda: model(inputs))
            count, seconds = (b - a for a, b in zip(before, _passes(accelerator, model.name), strict=True))
        finally:
            accelerator.close()
    return Call(found.seconds, max(0.0, median(times) - seconds / max(1, count)))


def connected(address: str) -> Accelerator:
    """The accelerator of an address, with the environment's token and authority."""
    (target,) = attached.targets(knobs.read((), {**knobs.environment(), "EI_ACCELERATORS": address}))
    return Accelerator(target)


def _timed(call: Callable[[], object]) -> list[float]:
    times: list[float] = []
    end = time.perf_counter() + CALL_SECONDS
    while not times or (len(times) < CALLS and time.perf_counter() < end):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return times


def _passes(accelerator: Accelerator, name: str) -> tuple[int, float]:
    """How many passes of a model the accelerator has made, and the seconds that they took."""
    reply = accelerator.call("ModelStatistics", message("ModelStatisticsRequest")(name=name), CALL_SECONDS)
    stats = reply.model_stats[0].inference_stats.compute_infer
    return int(stats.count), stats.ns / 1e9


def made(candidate: Candidate, found: Measured) -> Inputs:
    """Inputs of a call, as they were measured with."""
    return {name: values(tuple(shape), np.dtype(found.dtypes[name])) for name, shape in found.shapes.items()}
