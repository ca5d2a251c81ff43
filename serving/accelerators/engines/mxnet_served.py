"""An artifact of a default handler on the MXNet engine: the container's own backend, so that it answers as it does locally."""

from __future__ import annotations

from typing import Any

from serving.accelerators.engines import memory, mxnet_files
from serving.accelerators.engines.base import Config
from serving.accelerators.errors import AcceleratorError, Code
from serving.backends import mxnet as backend
from serving.backends.mxnet_import import import_mxnet
from serving.errors import BadRequest, ModelError
from serving.invocation import Inputs, Outputs
from serving.models import layout


class ServedModel:
    """A container's model behind the engine protocol."""

    report = ""

    def __init__(self, model: Any, config: Config) -> None:
        self._model, self._config = model, config
        self.inputs, self.outputs = model.signature.inputs, model.signature.outputs
        self.max_batch = min(config.max_batch, model.max_batch) if model.stackable else 0
        self._names = {tensor.name for tensor in self.outputs}

    def stacks(self, inputs: Inputs) -> bool:
        """Whether calls like this one may share a pass."""
        return bool(self.max_batch) and self._model.stacks(inputs)

    def forward(self, inputs: Inputs, outputs: tuple[str, ...]) -> Outputs:
        """One pass; AcceleratorError for what the container would answer a 400 or 500 to."""
        for name in outputs:
            if name not in self._names:
                raise AcceleratorError(
                    Code.INVALID_ARGUMENT, f"the model has no output {name[:60]!r}: it has {sorted(self._names)[:8]}"
                )
        try:
            found = self._model.forward(self._model.signature.validate(inputs))
        except BadRequest as error:
            raise AcceleratorError(Code.INVALID_ARGUMENT, str(error)) from None
        except (import_mxnet().MXNetError, RuntimeError, ModelError, MemoryError) as error:
            if not memory.is_exhausted(error):
                raise AcceleratorError(
                    Code.INVALID_ARGUMENT, f"MXNet does not take the call: {backend.first_line(error)}"
                ) from None
        else:
            return {name: found[name] for name in outputs} if outputs else found
        memory.trim()
        given = {name: array.shape for name, array in inputs.items()}
        raise memory.exhausted("a pass", self._config.budget + 1, self._config.budget, given)

    def close(self) -> None:
        """Drop the model, and give its memory back."""
        self._model.close()
        memory.trim()


def load(config: Config) -> ServedModel:
    """The model of the folder's files; ModelError where they are none."""
    return ServedModel(backend.load(layout.detect(config.folder / mxnet_files.VERSION)), config)
