"""A SavedModel's folder or a frozen graph as an artifact: the files that its graph needs, and none beside them.

folder -> saved_model.pb, variables/*, assets/**      frozen.pb -> model.graphdef, with the names of its ends
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from serving.accelerators.artifact import GRAPH_DEF, SAVED_MODEL, TENSORFLOW, Artifact
from serving.backends.tf_signatures import TAG
from serving.errors import ModelError
from serving.models.saved_models import FILE

NEO = ("compiled.so", "compiled_model.json", "compiled.params", "model.so", "libdlr.so", "dlr.h")
"""What SageMaker Neo leaves beside, or in place of, a model."""


@dataclass(frozen=True)
class Ask:
    """What is asked of a model: a signature by its key, or tensors by names of one's own; and the tags of its graph."""

    signature: str = "serving_default"
    inputs: Mapping[str, str] | None = None
    outputs: Mapping[str, str] | None = None
    tags: frozenset[str] = frozenset({TAG})

    @property
    def options(self) -> dict[str, str]:
        """As an artifact's options say it."""
        found = {"tags": json.dumps(sorted(self.tags))} if self.tags != {TAG} else {}
        if self.inputs is None or self.outputs is None:
            return {**found, "signature": self.signature}
        return {**found, "inputs": json.dumps(dict(self.inputs)), "outputs": json.dumps(dict(self.outputs))}


def of(path: Path, ask: Ask, max_batch: int = 0, **options: str) -> Artifact:
    """The artifact of a SavedModel's folder or of a frozen graph's file; ModelError where it is neither."""
    return Artifact(TENSORFLOW, files(path), max_batch, {**ask.options, **options})


def files(path: Path) -> dict[str, Path]:
    """The files by their names in the artifact."""
    if path.is_dir():
        refuse_compiled(path)
        return {SAVED_MODEL + name: path / name for name in _named(path)}
    if not path.is_file():
        raise ModelError(f"{path} is not there: expected the folder of a SavedModel, or the file of a frozen graph")
    return {GRAPH_DEF: path}


def refuse_compiled(folder: Path) -> None:
    """ModelError where SageMaker Neo has compiled the model."""
    found = next((name for name in NEO if (folder / name).exists()), None)
    if found is not None:
        raise ModelError(
            f"{folder} was compiled by SageMaker Neo ({found}), for hardware that there is no more: use the SavedModel that it was made of"
        )


def _named(folder: Path) -> Iterator[str]:
    if not (folder / FILE).is_file():
        raise ModelError(f"{folder} holds no {FILE}: expected a SavedModel")
    yield FILE
    for path in sorted([*folder.glob("variables/variables.*"), *folder.glob("assets/**/*")]):
        if path.is_file():
            yield path.relative_to(folder).as_posix()
