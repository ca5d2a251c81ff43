"""What is sent to an accelerator: a model's files, never code, under the name that their digest gives.

The names of the files are Triton's repository layout, so that a stock Triton takes an artifact too.
[triton-inference-server/server docs/user_guide/model_repository.md, docs/protocol/extension_model_repository.md]
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

SYMBOL, PARAMS, SHAPES = "1/model-symbol.json", "1/model-0000.params", "1/model-shapes.json"
SAVED_MODEL, GRAPH_DEF = "1/model.savedmodel/", "1/model.graphdef"
MXNET, TENSORFLOW = "mxnet", "tensorflow"
PLATFORMS = {MXNET: "mxnet", SAVED_MODEL: "tensorflow_savedmodel", GRAPH_DEF: "tensorflow_graphdef"}


@dataclass(frozen=True)
class Artifact:
    """Files by their names in the repository, as bytes or as where they lie, and how they are to be served.

    `framework` is MXNET or TENSORFLOW. `max_batch` > 0 lets the accelerator stack that many rows of different calls into a
    pass; 0 runs every call by itself, in the very shapes it has, which keeps its answer equal to a local one bit for bit.
    `options` are strings that the engine knows: `inputs` and `outputs` (JSON lists of names), `signature`, `precision`...
    """

    framework: str
    files: Mapping[str, bytes | Path]
    max_batch: int = 0
    options: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def name(self) -> str:
        """The model's name on the accelerator: the digest of everything that decides its answers, weights included."""
        whole = hashlib.sha256(self.config.encode())
        for name in sorted(self.files):
            found = self.files[name]
            if isinstance(found, Path):
                with found.open("rb") as file:
                    digest = hashlib.file_digest(file, "sha256").digest()
            else:
                digest = hashlib.sha256(found).digest()
            whole.update(name.encode() + b"\0" + digest)
        return whole.hexdigest()

    @cached_property
    def config(self) -> str:
        """The `config` parameter of a load: Triton's model configuration as JSON, keys sorted."""
        parameters = {key: {"string_value": value} for key, value in self.options.items()}
        return json.dumps(
            {"backend": self.framework, "max_batch_size": self.max_batch, "parameters": parameters}, sort_keys=True
        )

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(f.stat().st_size if isinstance(f, Path) else len(f) for f in self.files.values())


def of_mxnet(symbol: str | bytes, params: bytes | Path, max_batch: int = 0, **options: str) -> Artifact:
    """The artifact of a symbol's JSON text and a params file."""
    text = symbol.encode() if isinstance(symbol, str) else symbol
    return Artifact(MXNET, {SYMBOL: text, PARAMS: params}, max_batch, options)
