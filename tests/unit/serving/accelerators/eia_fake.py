"""An accelerator within the test's process: it keeps what it is sent, and runs it with the MXNet that is here."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from serving.accelerators import artifact
from serving.accelerators.artifact import Artifact
from serving.accelerators.client import ServerInfo
from serving.accelerators.errors import AcceleratorError, Code
from serving.accelerators.rpc.target import Target
from serving.backends.mxnet_import import import_mxnet


class FakeAccelerator:
    """`loads` are the artifacts sent, `calls` the names of the inputs of each pass. `room` is how many models fit."""

    def __init__(self, ordinal: int = 0, room: int = 100) -> None:
        self.ordinal, self.target, self.room = ordinal, Target("fake:1"), room
        self.loads: list[Artifact] = []
        self.calls: list[list[str]] = []
        self.fault: AcceleratorError | None = None
        self.models: dict[str, FakeModel] = {}

    def info(self, timeout: float = 1.0) -> ServerInfo:  # noqa: ARG002
        """What it says of itself."""
        if self.fault:
            raise self.fault
        return ServerInfo("fake", "1", ("ei.type=ml.eia2.medium", "ei.id=eia-fake"))

    def load(self, sent: Artifact, timeout: float = 1.0) -> FakeModel:  # noqa: ARG002
        """Keep a model, if there is room for it."""
        if sent.name not in self.models:
            if len(self.models) >= self.room:
                raise AcceleratorError(Code.RESOURCE_EXHAUSTED, "the model needs 100 MB: 5 MB are free")
            self.loads.append(sent)
            self.models[sent.name] = FakeModel(self, sent)
        return self.models[sent.name]

    def unload(self, name: str, timeout: float = 1.0) -> None:  # noqa: ARG002
        """Forget a model."""
        self.models.pop(name, None)


class FakeModel:
    """A model bound in the shapes of each call; `artifact` is what was sent of it."""

    def __init__(self, accelerator: FakeAccelerator, sent: Artifact) -> None:
        mx = import_mxnet()
        self._accelerator, self.artifact = accelerator, sent
        self._symbol = mx.sym.load_json(bytes(sent.files[artifact.SYMBOL]).decode())  # type: ignore[arg-type]
        params = sent.files[artifact.PARAMS]
        self.params = mx.nd.load_frombuffer(params) if params else {}
        self.inputs = json.loads(sent.options["inputs"])

    def __call__(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """One pass, with exactly the inputs that were announced."""
        mx = import_mxnet()
        if self._accelerator.fault:
            raise self._accelerator.fault
        assert list(inputs) == self.inputs
        self._accelerator.calls.append(list(inputs))
        held: dict[str, dict[str, Any]] = {"arg": {}, "aux": {}}
        for name, array in self.params.items():
            kind, _, plain = name.partition(":")
            held[kind][plain] = array
        fed = {name: mx.nd.array(array, dtype=array.dtype) for name, array in inputs.items()}
        bound = self._symbol.bind(mx.cpu(), {**held["arg"], **fed}, aux_states=held["aux"], grad_req="null")
        outputs = [output.asnumpy() for output in bound.forward()]
        return {
            f"{at}:{name}": array for at, (name, array) in enumerate(zip(bound._symbol.list_outputs(), outputs, strict=True))
        }
