"""An accelerator whose engine is killed under load, and one client beside another that floods it."""

from __future__ import annotations

import os
import signal
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks import models, processes
from benchmarks.attached import host
from benchmarks.harness import BenchmarkError, say
from serving.accelerators.artifact import Artifact
from serving.accelerators.client import Accelerator, RemoteModel
from serving.accelerators.errors import AcceleratorError
from serving.accelerators.rpc.target import Target

CLIENTS = 8
LOADED_SECONDS, LONGEST_SECONDS = 2.0, 30.0


@dataclass
class Load:
    """Clients that call without a pause; `calls` has when each began and ended, in seconds, and whether it was right."""

    address: str
    made: Artifact
    data: Any
    due: Any
    calls: list[tuple[float, float, bool]] = field(default_factory=list)
    done: threading.Event = field(default_factory=threading.Event)

    def client(self) -> RemoteModel:
        """A client of its own."""
        return Accelerator(Target(self.address)).load(self.made)

    def run(self) -> None:
        """One client, until `done`."""
        model = self.client()
        while not self.done.is_set():
            self.call(model)

    def call(self, model: RemoteModel) -> None:
        """One call, noted."""
        begin = time.perf_counter()
        try:
            answer = next(iter(model({"data": self.data}).values()))
            right = np.array_equal(answer, self.due)
        except AcceleratorError:
            right = False
        self.calls.append((begin, time.perf_counter(), right))


def killed(rounds: int, name: str) -> list[dict[str, Any]]:
    """What eight clients of a model see of `kill -9` of the engine: seconds to the first right answer, and failed calls."""
    made = host.of_model(name)
    data = np.random.default_rng(1).random((1, *models.SHAPES[name]), dtype="float32")
    found = []
    with host.accelerator("--threads", "1") as accelerator:
        due = next(iter(Accelerator(Target(accelerator.address)).load(made)({"data": data}).values())).copy()
        for _ in range(rounds):
            found.append(_killed_once(accelerator, Load(accelerator.address, made, data, due)))
            say(f"{name}, engine killed: {found[-1]['seconds']:.2f} s, {found[-1]['failed']} of {found[-1]['calls']} failed")
    return found


def _killed_once(accelerator: host.Running, load: Load) -> dict[str, Any]:
    threads = [threading.Thread(target=load.run) for _ in range(CLIENTS)]
    prober = load.client()
    for thread in threads:
        thread.start()
    try:
        _wait(lambda: len(load.calls) > 2 * CLIENTS and len(accelerator.engines()) > 1)
        engine = _busy(accelerator.engines())
        then = time.perf_counter()
        os.kill(engine, signal.SIGKILL)
        load.call(prober)  # the others may all wait for what they asked before
        time.sleep(LOADED_SECONDS)
    finally:
        load.done.set()
        for thread in threads:
            thread.join()
    answers = [end for begin, end, right in load.calls if right and begin > then]
    if not answers:
        raise BenchmarkError("no call was answered right after the engine was killed")
    first = min(answers)
    failed = [(begin, end) for begin, end, right in load.calls if not right]
    outside = sum(begin > first or end < then for begin, end in failed)
    return {"seconds": first - then, "failed": len(failed), "failed_outside": outside, "calls": len(load.calls)}


def _busy(engines: list[int]) -> int:
    """The engine that works while there is load, and not the spare one."""
    before = {pid: processes.cpu_seconds([pid]) for pid in engines}
    time.sleep(LOADED_SECONDS)
    return max(engines, key=lambda pid: processes.cpu_seconds([pid]) - before[pid])


def _wait(condition: Any) -> None:
    end = time.perf_counter() + LONGEST_SECONDS
    while not condition():
        if time.perf_counter() > end:
            raise BenchmarkError(f"the accelerator did not answer in {LONGEST_SECONDS:.0f} s")
        time.sleep(0.002)
