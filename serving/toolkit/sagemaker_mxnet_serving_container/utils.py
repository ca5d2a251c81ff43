"""Where models run and what `model-shapes.json` says, as the container's scripts ask."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from serving.backends.mxnet_import import import_mxnet
from serving.models import shapes


def get_default_context() -> Any:
    """The CPU."""
    return import_mxnet().cpu()


def read_data_shapes(path: str, preferred_batch_size: int | None = 1) -> tuple[list[str], list[tuple[str, list[int]]]]:
    """The names of the inputs and (name, shape) of each, with the preferred number of rows; sizes left open are 1."""
    tensors = shapes.read(Path(path)).inputs
    sized = [
        (tensor.name, [preferred_batch_size or 1, *(size or 1 for size in (tensor.shape or ())[1:])]) for tensor in tensors
    ]
    return [tensor.name for tensor in tensors], sized
