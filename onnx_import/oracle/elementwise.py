"""Element-wise operators whose evaluation by onnx's reference is right but too slow, or wrong at the edges."""

from __future__ import annotations

import numpy as np

from onnx_import.dtypes import Array
from onnx_import.oracle.evaluator import own


@own("Clip", since=6, until=11)
def clip(x: Array, *, max: float, min: float) -> Array:  # noqa: A002 - ONNX's names
    """Values between two attributes."""
    return np.clip(x, x.dtype.type(min), x.dtype.type(max)).astype(x.dtype)
