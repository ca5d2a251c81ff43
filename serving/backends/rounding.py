"""Whether outputs are equal but for what kernels of different batch sizes round differently: how rows are proved independent."""

from __future__ import annotations

import numpy as np

from serving.invocation import Array


def agree(one: Array, other: Array) -> bool:
    """Whether two arrays of one shape differ by no more than a thousandth, of the number or of the largest of `other`."""
    scale = float(np.abs(other[np.isfinite(other)]).max(initial=0.0))
    return bool(np.allclose(one, other, rtol=1e-3, atol=1e-3 * scale, equal_nan=True))
