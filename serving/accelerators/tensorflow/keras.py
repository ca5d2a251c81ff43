"""`EIKerasModel`: Elastic Inference's way to predict with a Keras model on an accelerator.

    a model, or an .h5 or .keras file of one -> Keras exports a SavedModel -> EIPredictor -> predict(x, batch_size) in batches

Keras, and TensorFlow with it, is imported for the export alone.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from serving.accelerators.tensorflow.predictor import EIPredictor
from serving.invocation import Array

BATCH_SIZE = 32
"""Rows of a pass unless told otherwise, as Keras has it."""
NUMBERED = re.compile(r"output_(\d+)")
"""What an export calls the outputs of a model that gives one, or a list of them."""


class EIKerasModel:
    """A Keras model on an accelerator."""

    def __init__(
        self, model_or_h5_path: Any, custom_objects: Mapping[str, Any] | None = None, accelerator_id: int | None = None
    ) -> None:
        """Load the file where it is one, export the model, and load that on the accelerator."""
        import keras

        model = model_or_h5_path
        if not isinstance(model, keras.Model):
            model = keras.models.load_model(str(model), custom_objects=dict(custom_objects or {}), compile=False)
        names = [tensor.name for tensor in model.inputs]
        self._folder = tempfile.TemporaryDirectory(prefix="ei-keras-")  # an accelerator that starts anew is sent it again
        model.export(self._folder.name, verbose=False)
        self._predictor = EIPredictor(self._folder.name, accelerator_id=accelerator_id)
        self._names = _matched(names, list(self._predictor.feed_tensors))
        self._outputs = sorted(self._predictor.fetch_tensors, key=_number)

    def predict(self, x: Any, batch_size: int | None = None, verbose: Any = 0, steps: int | None = None) -> Any:
        """The model's outputs for all rows of `x`: an array for each input, in a list where there are several, or by name."""
        arrays = self._inputs(x)
        rows = {len(array) for array in arrays.values()}
        if len(rows) != 1:
            told = {name: len(array) for name, array in arrays.items()}
            raise ValueError(f"the inputs differ in their number of rows: {told}")
        size, count = batch_size or BATCH_SIZE, rows.pop()
        count = min(count, steps * size) if steps else count
        starts = range(0, count, size) or range(1)
        passes = [self._predictor({name: array[at : min(at + size, count)] for name, array in arrays.items()}) for at in starts]
        found = {name: np.concatenate([one[name] for one in passes]) for name in self._outputs}
        if not all(map(NUMBERED.fullmatch, found)):
            return found
        return next(iter(found.values())) if len(found) == 1 else list(found.values())

    def _inputs(self, x: Any) -> dict[str, Array]:
        if isinstance(x, Mapping):
            return {str(name): np.asarray(value) for name, value in x.items()}
        given = [x] if len(self._names) == 1 and not _is_list_of_arrays(x) else list(x)
        if len(given) != len(self._names):
            raise ValueError(f"{len(given)} inputs are given, and the model has {len(self._names)}: {self._names}")
        return {name: np.asarray(value) for name, value in zip(self._names, given, strict=True)}


def _is_list_of_arrays(x: Any) -> bool:
    """Whether a list holds an array for each input, and is not itself the rows of one."""
    return isinstance(x, Sequence) and len(x) == 1 and isinstance(x[0], np.ndarray)


def _matched(names: Sequence[str], exported: Sequence[str]) -> list[str]:
    """The exported inputs in the model's order: they have its names, with what TensorFlow does not allow in one replaced."""
    if len(exported) == 1:
        return list(exported)
    plain = {re.sub(r"\W", "_", name): name for name in exported}
    found = [name if name in exported else plain.get(re.sub(r"\W", "_", name), "") for name in names]
    if sorted(found) != sorted(exported):
        raise ValueError(
            f"the model's inputs {list(names)} became {list(exported)} on export: give predict() a dict by these names"
        )
    return found


def _number(name: str) -> tuple[int, str]:
    found = NUMBERED.fullmatch(name)
    return (int(found[1]) if found else 0, name)
