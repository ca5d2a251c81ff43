"""SavedModels in sessions, one for each version, and what is run of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tensorflow as tf

DEFAULT_SIGNATURE = "serving_default"


class Fault(Exception):
    """What a client is told: a code of TensorFlow's and words."""

    def __init__(self, code: int, words: str) -> None:
        super().__init__(words)
        self.code, self.words = code, words


class Version:
    """One loaded version of a model."""

    def __init__(self, folder: Path) -> None:
        self._session = tf.compat.v1.Session(graph=tf.Graph())
        with self._session.graph.as_default():
            self.meta_graph = tf.compat.v1.saved_model.load(self._session, ["serve"], str(folder))

    def signature(self, name: str) -> Any:
        """The SignatureDef of that name."""
        name = name or DEFAULT_SIGNATURE
        if name not in self.meta_graph.signature_def:
            raise Fault(9, f'Serving signature key "{name}" not found.')
        return self.meta_graph.signature_def[name]

    def run(self, signature: Any, inputs: dict[str, Any], wanted: list[str]) -> dict[str, Any]:
        """`session.run` of these outputs, or of all."""
        if set(inputs) != set(signature.inputs):
            raise Fault(3, f"input size does not match signature: {sorted(inputs)} and {sorted(signature.inputs)}")
        unknown = set(wanted) - set(signature.outputs)
        if unknown:
            raise Fault(3, f"output tensor alias not found in signature: {sorted(unknown)}")
        names = wanted or sorted(signature.outputs)
        feeds = {signature.inputs[key].name: value for key, value in inputs.items()}
        try:
            return dict(zip(names, self._session.run([signature.outputs[key].name for key in names], feeds), strict=True))
        except tf.errors.OpError as error:
            raise Fault(error.error_code, error.message) from error
        except (TypeError, ValueError) as error:
            raise Fault(3, str(error)) from error


class Models:
    """Name -> version -> loaded version."""

    def __init__(self, folders: dict[str, dict[int, Path]]) -> None:
        self.versions = {
            name: {number: Version(folder) for number, folder in numbered.items()} for name, numbered in folders.items()
        }

    def find(self, spec: Any) -> tuple[int, Version]:
        """The number and the version that a ModelSpec asks for, the newest where it names none."""
        found = self.versions.get(spec.name, {})
        number = spec.version.value if spec.HasField("version") else max(found, default=0)
        if number not in found:
            raise Fault(5, f"Servable not found for request: {spec.name} {number}")
        return number, found[number]


def numbered(base: Path) -> dict[int, Path]:
    """The version folders of a model."""
    return {int(path.name): path for path in base.iterdir() if path.name.isdigit()}
