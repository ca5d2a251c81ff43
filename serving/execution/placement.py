"""Which placement: measured at load on warm passes, once, and said in the log.

Inline is right for passes under about a millisecond: the loop is held for less than it costs to hand a request over. For
everything else the pool keeps the loop free. A model whose parameters alone take longer than that to read from memory is
not measured: its kernels would be built here for nothing.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from serving.invocation import Service
from serving.models import warmup
from serving.settings import Settings

log = logging.getLogger("ei.execution")
INLINE_SECONDS = 0.001
MAX_INLINE_BYTES = 20 << 20
"""Parameters that a core reads in about two milliseconds at 10 GB/s."""
BATCH_CANDIDATES = (4, 16, 64)
WORTH_BATCHING_SECONDS = 0.02
"""A pass longer than this is not batched: its neighbours would wait for the whole of it."""
GAIN = 1.5


@dataclass(frozen=True)
class Placement:
    """`kind` is inline or pool; `seconds` is a warm pass of one row, where it was measured; `why` is for the log."""

    kind: str
    why: str
    seconds: float | None = None


def choose(service: Service, settings: Settings) -> Placement:
    """The placement of this service, by the setting or by measurement."""
    if settings.placement != "auto":
        return Placement(settings.placement, "as EI_PLACEMENT says")
    if warmup.measurable(service):
        heavy = by_size(service.parameter_bytes)
        if heavy is not None:
            return heavy
        seconds = warmup.time_pass(service, 1)
    else:
        seconds = warmup.time_script(service, getattr(service, "signature", None))
    if seconds is None:
        return Placement("pool", "no sample request could be made to measure a pass with")
    kind = "inline" if seconds < INLINE_SECONDS else "pool"
    return Placement(kind, f"a warm pass takes {seconds * 1e3:.2f} ms", seconds)


def by_size(parameter_bytes: int) -> Placement | None:
    """The pool for a model of so many parameters that nothing need be measured, else None."""
    if parameter_bytes <= MAX_INLINE_BYTES:
        return None
    return Placement("pool", f"{parameter_bytes >> 20} MB of parameters are more than a millisecond's work")


def unmeasured(settings: Settings) -> Placement:
    """The placement of a service that this process has not loaded; an event loop does not wait for TF Serving."""
    if settings.tfs_address:
        return Placement("pool", f"TF Serving at {settings.tfs_address} runs the models")
    if settings.accelerators:
        return Placement("pool", "processes wait for the accelerator, and the event loop does not")
    if settings.placement != "auto":
        return Placement(settings.placement, "as EI_PLACEMENT says")
    return Placement("pool", "every process loads the model for itself")


def warm_inline(service: Service) -> None:
    """Bind the executors of every batch size that a turn of the loop can bring."""
    if warmup.measurable(service):
        rows = 1
        while rows <= min(service.max_batch, BATCH_CANDIDATES[-1]):
            warmup.time_pass(service, rows, times=1)
            rows *= 2


def warm_pool(service: Service) -> int:
    """Warm one model process; returns how many requests it wants at once, where a larger pass was measured to pay."""
    if not warmup.measurable(service):
        warmup.time_script(service, getattr(service, "signature", None), times=1)
        return 1
    alone = warmup.time_pass(service, 1, times=1)
    if alone is None or alone > WORTH_BATCHING_SECONDS or not service.stackable:
        return 1
    best = 1
    for rows in BATCH_CANDIDATES:
        seconds = warmup.time_pass(service, rows, times=2)
        if seconds is None or seconds > WORTH_BATCHING_SECONDS or seconds / rows * GAIN > alone:
            break
        best = rows
    return best
