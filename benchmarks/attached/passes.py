"""ResNet-50 at batch 1: a script here and on the accelerator, and the accelerator's two engines for MXNet artifacts."""

from __future__ import annotations

import statistics
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import models
from benchmarks.attached import host
from benchmarks.harness import BenchmarkError, say, turned
from serving.accelerators.client import Accelerator, RemoteModel
from serving.accelerators.rpc.target import Target

SCRIPT = Path(__file__).with_name("module_script.py")
PASSES = 12
SHAPE = (1, 3, 224, 224)


def script(rounds: int) -> dict[str, Any]:
    """Milliseconds of a script's pass with one thread here, and on an accelerator with two; WrongAnswer-free by their bytes."""
    prefix = str(models.prepare("big").directory / "model")
    run = [sys.executable, "-m", "serving.accelerators.scripts", str(SCRIPT), prefix]
    taken: dict[str, list[float]] = {"local": [], "attached": []}
    with ExitStack() as stack:
        accelerator = stack.enter_context(host.accelerator("--threads", "2", "--no-spare"))
        environment = {"OMP_NUM_THREADS": "1", "EI_ACCELERATORS": accelerator.address}
        workers = {
            "local": stack.enter_context(host.asking([*run, "cpu"], **environment)),
            "attached": stack.enter_context(host.asking([*run, "eia"], **environment)),
        }
        answers = {name: worker.ask(2)[1] for name, worker in workers.items()}
        if len(set(answers.values())) != 1:
            raise BenchmarkError("the accelerator's answer is not the local one, bit for bit")
        for number in range(rounds):
            for name, worker in turned(list(workers.items()), number):
                taken[name].append(worker.ask(PASSES)[0])
            say(f"a script's pass: {taken['local'][-1]:.1f} ms here, {taken['attached'][-1]:.1f} ms attached")
    return taken


def engines(rounds: int, threads: int) -> dict[str, Any]:
    """Milliseconds of a call of each engine with so many threads."""
    made = host.of_model("big")
    image = np.random.default_rng(1).random(SHAPE, dtype="float32")
    taken: dict[str, list[float]] = {"mxnet": [], "onnxruntime": []}
    with ExitStack() as stack:
        called: dict[str, RemoteModel] = {}
        for name in taken:
            flags = ("--engine", name, "--threads", str(threads), "--no-spare")
            running = stack.enter_context(host.accelerator(*flags))
            called[name] = Accelerator(Target(running.address)).load(made)
        answers = [next(iter(model({"data": image}).values())) for model in called.values()]
        if not np.allclose(answers[0], answers[1], rtol=1e-3, atol=1e-3 * float(np.abs(answers[0]).max())):
            raise BenchmarkError("the two engines answer differently")
        for number in range(rounds):
            for name, model in turned(list(called.items()), number):
                taken[name].append(_timed(model, image))
            say(f"engines, {threads} threads: " + ", ".join(f"{name} {found[-1]:.1f} ms" for name, found in taken.items()))
    return taken


def _timed(model: RemoteModel, image: Any) -> float:
    taken = []
    for _ in range(PASSES):
        begin = time.perf_counter()
        model({"data": image})
        taken.append(1e3 * (time.perf_counter() - begin))
    return statistics.median(taken)
