"""One client at ten requests a second beside another that floods the accelerator: `fairness.py ADDRESS SECONDS`.

Prints the calm client's latencies and the mean of a pass while both call, in milliseconds. `fairness.py ADDRESS flood` is
the other one, in a process of its own: 16 threads that call without a pause until its input ends.
"""

from __future__ import annotations

import json
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.attached import host
from serving.accelerators import artifact
from serving.accelerators.artifact import Artifact
from serving.accelerators.client import Accelerator
from serving.accelerators.protocol.messages import message
from serving.accelerators.rpc.target import Target
from serving.backends.mxnet_import import import_mxnet

THREADS, ROWS, WIDTH, RATE = 16, 32, 1024, 10


def main() -> None:
    """Either of the two clients."""
    address, what = sys.argv[1:]
    model = Accelerator(Target(address)).load(dense())
    data = np.random.default_rng(1).random((ROWS, WIDTH), dtype="float32")
    model({"data": data})
    if what == "flood":
        flood(model, data)
        return
    with host.worker("fairness", address, "flood") as other:
        other.ask("begin")
        calls, nanoseconds = passes(address)
        taken = calm(model, data, float(what))
        more, total = passes(address)
    print(json.dumps({"latency_ms": taken, "pass_ms": (total - nanoseconds) / 1e6 / (more - calls), "passes": more - calls}))


def dense() -> Artifact:
    """Eight layers of 1024 over 32 rows: a pass of some ten milliseconds on one core."""
    mx = import_mxnet()
    symbol = mx.sym.var("data")
    random = np.random.RandomState(1)
    weights = {}
    for number in range(8):
        symbol = mx.sym.FullyConnected(symbol, num_hidden=WIDTH, no_bias=True, name=f"layer{number}")
        weights[f"arg:layer{number}_weight"] = mx.nd.array(random.rand(WIDTH, WIDTH) / WIDTH)
    with tempfile.TemporaryDirectory() as folder:
        mx.nd.save(f"{folder}/params", weights)
        return artifact.of_mxnet(symbol.tojson(), Path(folder, "params").read_bytes())


def flood(model: Any, data: Any) -> None:
    """Call without a pause."""

    def calls() -> None:
        while True:
            model({"data": data})

    for _ in range(THREADS):
        threading.Thread(target=calls, daemon=True).start()
    time.sleep(1)
    for _ in sys.stdin:
        print("[]", flush=True)


def calm(model: Any, data: Any, seconds: float) -> list[float]:
    """Milliseconds of calls at a steady rate, each from when it was due: a late one makes the next no later."""
    taken, lock = [], threading.Lock()

    def call(due: float) -> None:
        model({"data": data})
        with lock:
            taken.append(1e3 * (time.perf_counter() - due))

    begin, threads = time.perf_counter(), []
    for number in range(int(seconds * RATE)):
        due = begin + number / RATE
        time.sleep(max(0.0, due - time.perf_counter()))
        threads.append(threading.Thread(target=call, args=(due,)))
        threads[-1].start()
    for thread in threads:
        thread.join()
    return taken


def passes(address: str) -> tuple[int, int]:
    """Passes and their nanoseconds, so far."""
    reply = Accelerator(Target(address)).call("ModelStatistics", message("ModelStatisticsRequest")(), 10.0)
    told = reply.model_stats[0]
    return told.execution_count, told.inference_stats.compute_infer.ns


if __name__ == "__main__":
    main()
