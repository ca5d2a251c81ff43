"""Where: the choice between elements that no MXNet type carries."""

from __future__ import annotations

import numpy as np

from onnx_import.dtypes import Array


def choose(condition: Array, x: Array, y: Array) -> tuple[Array]:
    """The first's element where the condition holds, else the second's."""
    return (np.where(condition, x, y),)
