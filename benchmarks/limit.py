"""The limit: the model's pass and nothing else, no HTTP, no bodies, in as many processes of one thread as there are cores.

usage: python -m benchmarks.limit MODEL_DIRECTORY SECONDS BATCH...

Prints {BATCH: {"rows_per_second", "pass_ms"}} as JSON: the rows of all processes together, the median pass of one. The pass is
our backend's, the fastest way to run an executor that we know; so it is the bound for whatever serves this model with MXNet.
"""

from __future__ import annotations

import json
import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.harness import median
from serving import cores

START_SECONDS = 60


def passes(directory: str, batch: int) -> Callable[[], Any]:
    """A pass of so many rows, ready to be called."""
    import numpy as np

    from serving.backends import mxnet
    from serving.models import layout

    model = mxnet.load(layout.detect(Path(directory)))
    tensor = model.signature.inputs[0]
    assert tensor.shape is not None
    row = [size or 1 for size in tensor.shape[1:]]
    inputs = {tensor.name: np.random.default_rng(7).random((batch, *row), dtype="float32")}
    return lambda: model.forward(inputs)


Prepare = Callable[[str, int], Callable[[], Any]]


def share(prepare: Prepare, where: tuple[str, int], seconds: float, barrier: Any, results: Any) -> None:
    """One process's share: (rows a second, median ms of a pass) goes to `results`, once all processes have begun together."""
    run = prepare(*where)
    for _ in range(5):
        run()
    barrier.wait(START_SECONDS)
    times = []
    end = time.perf_counter() + seconds
    while (begin := time.perf_counter()) < end:
        run()
        times.append(time.perf_counter() - begin)
    results.put((where[1] * len(times) / sum(times), 1e3 * statistics.median(times)))


def measure(prepare: Prepare, directory: str, seconds: float, batch: int) -> dict[str, float | None]:
    """All processes at once, for one batch size."""
    context = multiprocessing.get_context("spawn")
    count = cores.count()
    barrier, results = context.Barrier(count), context.SimpleQueue()
    given = (prepare, (directory, batch), seconds, barrier, results)
    workers = [context.Process(target=share, args=given) for _ in range(count)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if any(worker.exitcode for worker in workers):
        raise SystemExit("a process ended before it had measured")
    shares = [results.get() for _ in workers]
    return {"rows_per_second": sum(rate for rate, _ in shares), "pass_ms": median(ms for _, ms in shares)}


if __name__ == "__main__":
    where, duration, *batches = sys.argv[1:]
    print(json.dumps({batch: measure(passes, where, float(duration), int(batch)) for batch in batches}))
