"""An engine process: one framework, the models loaded in it, and one pass at a time.

The front starts it with two inherited descriptors, a socket and the shared memory, and ends it by closing the socket. It
limits its own memory, so a model that outgrows what it was given fails, and not the host.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import importlib
import logging
import mmap
import os
import signal
import socket
import sys
from contextlib import suppress
from time import perf_counter
from typing import Any, cast

import numpy as np

from serving.accelerators.engines import link, memory
from serving.accelerators.engines.base import Config, EngineModel, Framework, Host
from serving.accelerators.errors import AcceleratorError, Code
from serving.accelerators.protocol import tensors
from serving.accelerators.protocol.tensors import Spec
from serving.execution import channel
from serving.invocation import Array, Inputs, Outputs
from serving.models.signature import Tensor

log = logging.getLogger("ei.engine")
PR_SET_PDEATHSIG = 1
TELL_SECONDS = 0.2


class Engine:
    """The loop of an engine process: a message, its answer, the next message."""

    def __init__(self, framework: Framework, front: socket.socket, shared: mmap.mmap) -> None:
        self._framework, self._front = framework, front
        self._shared, self._view = shared, memoryview(shared)
        self._models: dict[str, EngineModel] = {}
        self._told = 0.0

    def run(self) -> None:
        """Answer until the front goes."""
        self._send("ready", memory.resident())
        while (message := channel.receive(self._front)) is not None:
            kind, ticket, *rest = message
            try:
                getattr(self, f"_{kind}")(ticket, *rest)
            except AcceleratorError as error:
                self._send("failed", ticket, int(error.code), error.message)
            except MemoryError:
                self._send("failed", ticket, int(Code.RESOURCE_EXHAUSTED), "the model outgrows the accelerator's memory")

    def _load(self, ticket: int, key: str, *told: Any) -> None:
        folder, max_batch, options, budget = told
        from pathlib import Path

        config = Config(Path(folder), max_batch, options, budget)
        before = memory.resident()
        memory.confine(budget)
        self._framework.check(config)
        try:
            model = self._framework.load(config)
        except (OSError, ValueError, KeyError) as error:  # files that are none of the framework's own errors
            raise AcceleratorError(Code.INVALID_ARGUMENT, f"the files cannot be loaded: {error}") from None
        self._models[key] = model
        description = {
            "inputs": _described(model.inputs),
            "outputs": _described(model.outputs),
            "max_batch": model.max_batch,
            "report": model.report,
            "held": memory.resident(),
            "needs": max(0, memory.resident() - before),
        }
        self._send("loaded", ticket, description)

    def _unload(self, ticket: int, key: str) -> None:
        model = self._models.pop(key, None)
        if model is not None:
            model.close()
            del model
            gc.collect()
            memory.trim()
        self._send("unloaded", ticket, memory.resident())

    def _infer(self, ticket: int, key: str, calls: list[Any], place: tuple[int, int] | None) -> None:
        began = perf_counter()
        model, block = self._models[key], link.Block(self._shared, place)
        answers = self._stacked(model, calls, block) if len(calls) > 1 else [self._answered(model, calls[0], block)]
        ended = perf_counter()
        held = 0  # is not asked for after each pass: the kernel's answer takes as long as a small one
        if ended - self._told > TELL_SECONDS:
            self._told, held = ended, memory.resident()
        self._send("inferred", ticket, answers, ended - began, held)

    def _answered(self, model: EngineModel, call: Any, block: link.Block) -> link.Answer:
        """One call's answer, a fault included."""
        specs, sent, wanted = call
        try:
            inputs = self._inputs(specs, sent)
            return _packed(model.forward(inputs, tuple(wanted)), block)
        except AcceleratorError as error:
            return int(error.code), error.message
        except MemoryError:
            return int(Code.RESOURCE_EXHAUSTED), "the pass outgrows the accelerator's memory: send fewer rows"
        except Exception as error:
            log.exception("a pass failed")
            return int(Code.INTERNAL), f"the pass failed: {type(error).__name__}: {error}"[:300]

    def _stacked(self, model: EngineModel, calls: list[Any], block: link.Block) -> list[link.Answer]:
        """The answers of calls that share a pass; each by itself where that fails, so that none suffers from another."""
        try:
            fed = [self._inputs(specs, sent) for specs, sent, _ in calls]
            if model.stacks(fed[0]):
                together = {name: np.concatenate([one[name] for one in fed]) for name in fed[0]}
                rows = [len(next(iter(one.values()))) for one in fed]
                outputs = model.forward(together, tuple(calls[0][2]))
                if all(len(array) == sum(rows) for array in outputs.values()):
                    return _split(outputs, rows, block)
        except Exception as error:
            log.debug("calls that were stacked run by themselves: %s", error)
        return [self._answered(model, call, block) for call in calls]

    def _inputs(self, specs: list[Any], sent: list[link.Contents]) -> Inputs:
        return tensors.arrays([Spec(*spec) for spec in specs], [link.contents(self._view, one) for one in sent])

    def _send(self, *message: Any) -> None:
        self._front.sendall(channel.frame(message))


def _packed(outputs: Outputs, block: link.Block) -> list[tuple[Spec, link.Contents]]:
    """Outputs as a message has them."""
    return [(_spec(name, array), block.put(tensors.contents(array))) for name, array in outputs.items()]


def _split(outputs: Outputs, rows: list[int], block: link.Block) -> list[link.Answer]:
    answers: list[link.Answer] = []
    at = 0
    for count in rows:
        answers.append(_packed({name: array[at : at + count] for name, array in outputs.items()}, block))
        at += count
    return answers


def _spec(name: str, array: Array) -> Any:
    return (name, tensors.datatype(array.dtype), array.shape)


def _described(told: tuple[Tensor, ...]) -> list[tuple[str, str, tuple[int, ...]]]:
    """Tensors as ModelMetadata has them: -1 for any size, and where the rank is open one such size alone."""
    return [(tensor.name, tensors.datatype(tensor.dtype), _sizes(tensor)) for tensor in told]


def _sizes(tensor: Tensor) -> tuple[int, ...]:
    return (-1,) if tensor.shape is None else tuple(-1 if size is None else size for size in tensor.shape)


def main() -> None:
    """Run an engine process: what the front starts."""
    parser = argparse.ArgumentParser(prog="engine")
    parser.add_argument("framework", choices=("mxnet", "tensorflow"))
    for name in ("socket", "memory", "size", "threads"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--device-memory", type=int, default=0)
    given = parser.parse_args()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the front's to tell
    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s %(message)s", level=logging.INFO)
    front = socket.socket(fileno=given.socket)
    shared = mmap.mmap(given.memory, given.size)
    os.close(given.memory)
    framework = cast(Framework, importlib.import_module(f"serving.accelerators.engines.{given.framework}"))
    framework.prepare(Host(given.threads, given.device, given.device_memory))
    with suppress(BrokenPipeError, ConnectionResetError):  # the front has gone
        Engine(framework, front, shared).run()


if __name__ == "__main__":
    main()
