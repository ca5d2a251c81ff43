"""A model's start on an accelerator: sent, tried and measured in a child, before the processes are forked that will call it.

service -> child: send -> may rows share a call? -> a pass of one row, of 4, 16, 64 -> Placement("attached")
"""

from __future__ import annotations

from typing import Any

from serving.errors import ModelError
from serving.execution import probe
from serving.execution.placement import BATCH_CANDIDATES, GAIN, WORTH_BATCHING_SECONDS, Placement
from serving.models import warmup
from serving.settings import Settings


def place(service: Any, settings: Settings) -> Placement:
    """The placement of a service whose model is a `backends.attached` one, which learns how many rows may share a call.

    ModelError where the accelerator does not take the model, or a pass of zeros fails there.
    """
    told = probe.ask(lambda: _measured(service, settings))
    service.model.stacked(told["rows"])
    if settings.placement == "pool":
        return Placement("pool", "as EI_PLACEMENT says", told["seconds"])
    taken = f"a warm call takes {told['seconds'] * 1e3:.2f} ms" if told["seconds"] is not None else "it was not measured"
    stacked = f"up to {told['rows']} rows share one" if told["rows"] > 1 else "each request has its own"
    return Placement("attached", f"{taken}, {stacked}", told["seconds"])


def _measured(service: Any, settings: Settings) -> dict[str, Any]:
    """Seconds of a call of one row, and the rows that are worth stacking here; what does not pay is left to the accelerator."""
    service.model.send(settings.startup_timeout)
    seconds = warmup.time_pass(service, 1, times=3)
    most = service.model.try_stacking() if seconds is not None and seconds < WORTH_BATCHING_SECONDS else 1
    service.model.stacked(most)
    worth = 1
    for rows in (rows for rows in BATCH_CANDIDATES if rows <= most):
        try:
            together = warmup.time_pass(service, rows, times=3)
        except ModelError:  # so many do not fit there
            break
        if seconds is None or together is None or together > WORTH_BATCHING_SECONDS:
            break
        if together / rows * GAIN < seconds:  # no break where not: on a busy accelerator one measurement says little
            worth = rows
    return {"seconds": seconds, "rows": worth}
