"""An MXNet model directory on an accelerator: its files are sent, its signature is read here, and MXNet is not imported.

Layout -> Signature (shapes file, graph and parameters' headers, or the conversion's report)
       -> Artifact  (symbol, params, shapes; of a converted model its graph and report too)
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from serving.accelerators import artifact as artifacts
from serving.accelerators import attached
from serving.accelerators.artifact import Artifact
from serving.accelerators.awaited import AwaitedModel
from serving.accelerators.client import CONNECT_SECONDS, Accelerator, RemoteModel
from serving.accelerators.errors import AcceleratorError, Undetected
from serving.accelerators.protocol.messages import message
from serving.accelerators.protocol.tensors import DATATYPES
from serving.backends.rounding import agree
from serving.errors import ModelError, ServingError
from serving.invocation import Array, Inputs, Outputs
from serving.models import params_file, shapes, warmup
from serving.models.layout import REPORT, Layout, is_converted
from serving.models.signature import Signature
from serving.settings import Settings

GRAPH = "model-graph.json"
SENT = {*DATATYPES, "string"}


def load(layout: Layout, settings: Settings) -> AttachedModel:
    """The layout's model for the accelerator of EI_DEVICE; nothing is sent yet. ModelError where its files are no model."""
    files: dict[str, bytes | Path] = {}
    folder = Path(artifacts.SYMBOL).parent
    if is_converted(layout):
        from serving.backends import mxnet_converted

        signature = _sendable(mxnet_converted.described(layout), layout)
        files = {str(folder / name): path for name in (GRAPH, REPORT) if (path := layout.directory / name).is_file()}
    else:
        signature = _signature(layout)
    named = {artifacts.SYMBOL: layout.symbol, artifacts.PARAMS: layout.params, artifacts.SHAPES: layout.shapes}
    files |= {name: path for name, path in named.items() if path is not None}
    artifact = Artifact(artifacts.MXNET, files, settings.accelerator_batch)
    return AttachedModel(artifact, signature, settings)


class AttachedModel:
    """A model that an accelerator runs, as a loaded model. Connections are each process' own, and made when first needed."""

    def __init__(self, artifact: Artifact, signature: Signature, settings: Settings) -> None:
        self.artifact, self.signature = artifact, signature
        self.device = settings.device
        self.stackable, self.max_batch = False, 1
        # Sizes that are all known are those of every request that is valid.
        self.takes_samples = all(tensor.shape is not None and None not in tensor.shape[1:] for tensor in signature.inputs)
        self._settings = settings
        self._row: tuple[Any, ...] | None = None
        self._remote: RemoteModel | None = None

    @property
    def accelerator(self) -> Accelerator:
        """The accelerator of its device, for this process; Undetected where there is none of that number."""
        ordinal, found = attached.ordinal(self.device), attached.visible(self._settings)
        if ordinal >= len(found):
            raise Undetected(f"EI_DEVICE is {self.device}, and there are {len(found)}: ordinals count from 0")
        return found[ordinal]

    def forward(self, inputs: Inputs) -> Outputs:
        """One pass there, waited for."""
        if self._remote is None:
            self._remote = self.accelerator.load(self.artifact)
        return readable(self._remote(inputs))

    def awaited(self) -> AwaitedModel:
        """The same for an event loop, which must be running."""
        return AwaitedModel(self.accelerator, self.artifact)

    def send(self, seconds: float) -> None:
        """Send the model; ModelError with the accelerator's words where it does not take it."""
        try:
            self.accelerator.send(self.artifact, seconds)
        except AcceleratorError as error:
            where = self.accelerator.target.address
            raise ModelError(f"the accelerator at {where} does not take the model: {error.message}") from None

    def stacks(self, inputs: Inputs) -> bool:
        """Whether rows like these may share a call: they are of the shape for which that was tried."""
        return self._row is not None and (self.takes_samples or self._row == _row(inputs))

    def stacked(self, rows: int) -> None:
        """Take it as tried that so many rows of the signature's sample may share a call."""
        sample = warmup.sample(self.signature)
        if rows > 1 and sample is not None:
            self.stackable, self.max_batch, self._row = True, rows, _row(sample)

    def try_stacking(self) -> int:
        """How many rows may share a call: as the accelerator says, if rows of the sample leave each other's outputs alone."""
        sample = warmup.sample(self.signature, 2)
        most = self._max_batch()
        if most < 2 or sample is None or any(array.dtype == object or array.shape[:1] != (2,) for array in sample.values()):
            return 1
        random = np.random.default_rng(0)
        two = {name: _random(array, random) for name, array in sample.items()}
        try:
            together = self.forward(two)
            alone = [self.forward({name: array[at : at + 1] for name, array in two.items()}) for at in (0, 1)]
        except ServingError:
            return 1
        pairs = ((array, alone[at][name], at) for name, array in together.items() for at in (0, 1))
        return most if all(_is_row(array, one, at) for array, one, at in pairs) else 1

    def _max_batch(self) -> int:
        """What the accelerator stacks the model to, 0 where it does not."""
        request = message("ModelConfigRequest")(name=self.artifact.name)
        told = self.accelerator.call("ModelConfig", request, CONNECT_SECONDS).config.max_batch_size
        return min(int(told), self.artifact.max_batch)

    def close(self) -> None:
        """Close the connections; the model stays, for the other processes that use it."""
        if self._remote is not None:
            self._remote.accelerator.close()


def readable(outputs: Outputs) -> Outputs:
    """Outputs with text where the wire has bytes."""
    return {name: array if array.dtype != object else _text(array) for name, array in outputs.items()}


def _text(array: Array) -> Array:
    return np.array([item.decode("utf-8", "replace") for item in array.reshape(-1)], dtype=str).reshape(array.shape)


def _random(array: Array, random: np.random.Generator) -> Array:
    """Numbers of 0 to 1 in the array's shape and dtype, which any model takes: 0 and 1 where they are whole."""
    values = random.integers(0, 2, array.shape)
    return (values * random.random(array.shape) if array.dtype.kind == "f" else values).astype(array.dtype)


def _row(inputs: Inputs) -> tuple[Any, ...]:
    return tuple([(name, array.shape[1:]) for name, array in inputs.items()])


def _is_row(together: Array, alone: Array, at: int) -> bool:
    """Whether an output of one row alone is that row of the output of two."""
    if not together.ndim or len(together) != 2 or together[at : at + 1].shape != alone.shape or alone.dtype.kind not in "biuf":
        return False
    return agree(together[at : at + 1], alone)


def _signature(layout: Layout) -> Signature:
    """The signature of a symbol, from its shapes file or its graph and the parameters' headers."""
    assert layout.symbol is not None and layout.params is not None
    try:
        known = {name: entry.shape for name, entry in params_file.index(layout.params).items()}
        graph = json.loads(layout.symbol.read_bytes())
    except (ValueError, OSError) as error:
        raise ModelError(f"{layout.directory} holds no whole model: {error}") from None
    signature = shapes.read(layout.shapes) if layout.shapes else shapes.infer(graph, known)
    shapes.check_complete(graph, known, signature)
    return signature


def _sendable(signature: Signature, layout: Layout) -> Signature:
    """The signature; ModelError where the wire has no type for an input."""
    for tensor in signature.inputs:
        declared = getattr(tensor, "declared", tensor.dtype.name)
        if getattr(tensor, "kind", "tensor") != "tensor" or declared not in SENT:
            raise ModelError(
                f"{layout.directory}: input {tensor} cannot be sent to an accelerator; EI_DEVICE=cpu serves the model here"
            )
    return signature
