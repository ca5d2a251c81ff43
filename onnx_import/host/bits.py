"""BitCast: the same bits as another type."""

from __future__ import annotations

import numpy as np

from onnx_import.dtypes import Array, carry, deliver, true_dtype


def bit_cast(x: Array, *, source: str, target: str) -> tuple[Array]:
    """The bits of `source` numbers read as `target`'s; both of one width."""
    narrow = np.ascontiguousarray(deliver(x, source)).reshape(x.shape)
    return (carry(narrow.view(true_dtype(target))),)
