"""`ei bench`: a running endpoint, or an accelerator, under closed loops of so many connections each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from container.errors import ContainerError
from container.sweep import load, payload
from container.sweep.load import Caller, Result, Target, Timing
from serving.accelerators.client import INFER
from serving.accelerators.errors import AcceleratorError, Code
from serving.accelerators.protocol import tensors
from serving.accelerators.rpc import channels
from serving.accelerators.sizing import advisor, measured
from serving.accelerators.sizing.measured import Candidate
from serving.accelerators.sizing.subject import values
from serving.invocation import Inputs

Maker = Callable[[], Caller]
GRPC = "grpc"
CALL_SECONDS = 60.0


def inputs_of(model: Path, batch: int, shapes: Mapping[str, tuple[int, ...]]) -> tuple[Candidate, Inputs]:
    """A model directory, and inputs made up for it. SavedModels are asked in a process of their own."""
    found = measured.candidate(model, batch, shapes)
    fed, dtypes = found.shapes, found.dtypes
    if not fed or not dtypes:
        taken = measured.measure(found, measured.Setting(passes=1))
        fed, dtypes = taken.shapes, taken.dtypes
    return found, {name: values(tuple(shape), np.dtype(dtypes[name])) for name, shape in fed.items()}


def endpoint(url: str, body: tuple[bytes, str]) -> Maker:
    """Callers of a container's endpoint."""
    return load.http(Target(url, *body))


def accelerator(url: str, model: Path | None, inputs: tuple[Candidate, Inputs] | None) -> Maker:
    """Callers of an accelerator, or of any server of the Open Inference Protocol: `grpc://HOST:PORT[/MODEL]`.

    A model directory is loaded there first; without one, MODEL must be there, with sizes that it says itself.
    """
    parts = urlsplit(url)
    there = advisor.connected(parts.netloc)
    name = parts.path.strip("/")
    try:
        if inputs is not None:
            remote = there.load(inputs[0].artifact)
            name, fed = remote.name, inputs[1]
        elif not name:
            raise ContainerError(f"{url} names no model", "grpc://HOST:PORT/MODEL, or --model FOLDER to load one")
        else:
            fed = _described(there.call("ModelMetadata", _asked(name), CALL_SECONDS).inputs)
    except AcceleratorError as error:
        raise ContainerError(f"{parts.netloc}: {error.message}", "is the address right, and the model there?") from None
    finally:
        there.close()
    pieces = tensors.request(name, fed)
    return lambda: _AcceleratorCaller(parts.netloc, pieces)


def _asked(name: str) -> Any:
    from serving.accelerators.protocol.messages import message

    return message("ModelMetadataRequest")(name=name)


def _described(told: Any) -> Inputs:
    """Inputs as the server describes them, one row each; ContainerError where other sizes are open."""
    made = {}
    for tensor in told:
        shape = tuple(1 if size == -1 and not at else size for at, size in enumerate(tensor.shape))
        if -1 in shape or not shape or tuple(tensor.shape) == (-1,):
            raise ContainerError(f"the model leaves the sizes of {tensor.name} open", "give --model FOLDER, and --shape")
        made[tensor.name] = values(shape, tensors.DTYPES.get(tensor.datatype, np.dtype(object)))
    return made


class _AcceleratorCaller:
    """One connection to an accelerator."""

    def __init__(self, address: str, pieces: list[tensors.Buffer]) -> None:
        self._channel, self._pieces = channels.open_awaited(advisor.connected(address).target), pieces

    async def ask(self) -> str:
        """One pass there."""
        try:
            await self._channel.call(INFER, self._pieces, CALL_SECONDS)
        except AcceleratorError as error:
            return f"{Code(error.code).name}: {error.message}"[:120]
        return ""

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()


def bench(make: Maker, concurrencies: Sequence[int], timing: Timing, done: Callable[[Result], None]) -> list[Result]:
    """Each concurrency in turn; `done` hears of each."""
    found = []
    for concurrency in concurrencies:
        result: Result = load.run(load.closed(make, concurrency, timing))
        found.append(result)
        done(result)
    return found


HEAD = f"{'connections':>11} {'requests':>9} {'errors':>7} {'per second':>11} {'p50 ms':>9} {'p90 ms':>9} {'p99 ms':>9}"


def line(result: Result) -> str:
    """A result for people."""
    times = " ".join(f"{result.percentiles.get(f'p{at}', float('nan')):9.2f}" for at in load.PERCENTILES)
    faults = "  " + ", ".join(f"{count} x {fault}" for fault, count in result.faults.items()) if result.faults else ""
    return f"{result.concurrency:11} {result.requests:9} {result.errors:7} {result.rate:11.1f} {times}{faults}"


def as_object(result: Result) -> dict[str, Any]:
    """A result for JSON."""
    found = asdict(result)
    return {**{key: value for key, value in found.items() if key != "percentiles"}, **result.percentiles}


def body_of(file: Path | None, model: Path | None, content_type: str, made: Callable[[], Inputs]) -> tuple[bytes, str]:
    """What is posted: a file's bytes, or inputs that are made for a model directory."""
    if file is not None:
        return payload.of_file(file, content_type)
    if model is None:
        raise ContainerError("there is nothing to send", "give --payload FILE, or --model FOLDER to make inputs for it")
    return payload.of_inputs(made())
