"""The check of reshapes that MXNet 1.9.1 leaves out: `Reshape(shape=(2, 6))` of nine values reads beyond their memory.

The wrong number of rows, sent to a model that fixes its batch, would answer what lies behind it, or end the process.
"""

from __future__ import annotations

import json
import math
from typing import Any

from serving.backends.mxnet_import import import_mxnet
from serving.errors import ModelError

OPERATOR = "Reshape"
"""The one that does not look; the numpy-like ones do."""


class Reshapes:
    """The reshapes of a symbol: what goes into each, and what comes out."""

    def __init__(self, symbol: Any) -> None:
        text = symbol.tojson()
        names = [node["name"] for node in json.loads(text)["nodes"] if node["op"] == OPERATOR] if OPERATOR in text else []
        inner = symbol.get_internals() if names else None
        outputs = [inner[f"{name}_output"] for name in names] if inner is not None else []
        pairs = [end for output in outputs for end in (output.get_children()[0], output)]
        self._pairs = import_mxnet().sym.Group(pairs) if pairs else None

    def check(self, inputs: dict[str, tuple[int, ...]]) -> None:
        """ModelError where, with inputs of these shapes, one of them would change the number of values."""
        if self._pairs is None:
            return
        names = set(self._pairs.list_arguments())
        _, shapes, _ = self._pairs.infer_shape_partial(**{name: shape for name, shape in inputs.items() if name in names})
        for before, after in zip(shapes[::2], shapes[1::2], strict=True):
            if _is_known(before) and _is_known(after) and math.prod(before) != math.prod(after):
                raise ModelError(f"the model does not take inputs of shape {inputs}: it reshapes {before} to {after}")


def _is_known(shape: tuple[int, ...]) -> bool:
    return bool(shape) and all(size > 0 for size in shape)
