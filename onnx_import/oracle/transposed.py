"""Transposed convolution: each place of the kernel adds a product of matrices to a strided part of the output."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from onnx_import.dtypes import Array
from onnx_import.oracle.evaluator import own


@own("ConvTranspose")
def conv_transpose(
    x: Array,
    w: Array,
    b: Array | None = None,
    *,
    auto_pad: str,
    dilations: list[int] | None,
    group: int,
    output_padding: list[int] | None,
    output_shape: list[int] | None,
    pads: list[int] | None,
    strides: list[int] | None,
) -> Array:
    """The gradient of a convolution, with as much cut off its edges as `pads` or the wanted output size say."""
    rank = x.ndim - 2
    steps, gaps, extra = strides or [1] * rank, dilations or [1] * rank, output_padding or [0] * rank
    reach = [(k - 1) * d + 1 for k, d in zip(w.shape[2:], gaps, strict=True)]
    full = [(n - 1) * s + r + e for n, s, r, e in zip(x.shape[2:], steps, reach, extra, strict=True)]
    if output_shape is None and auto_pad.startswith("SAME"):
        output_shape = [n * s for n, s in zip(x.shape[2:], steps, strict=True)]
    if output_shape:
        # The odd one of what is cut goes to the end for SAME_UPPER, else to the beginning.
        cuts = [have - want for have, want in zip(full, output_shape[-rank:], strict=True)]
        before = [cut // 2 if auto_pad == "SAME_UPPER" else cut - cut // 2 for cut in cuts]
        after = [cut - b4 for cut, b4 in zip(cuts, before, strict=True)]
    else:
        pads = pads if pads and auto_pad == "NOTSET" else [0] * (2 * rank)
        before, after = pads[:rank], pads[rank:]
    y = _spread(x, w, group, (steps, gaps, full))
    sizes = [n - b4 - a for n, b4, a in zip(full, before, after, strict=True)]
    # A negative cut pads with zeros: the wanted size is more than the convolution gives.
    y = np.pad(y, [(0, 0), (0, 0), *((max(0, -b4), max(0, -a)) for b4, a in zip(before, after, strict=True))])
    y = y[(slice(None), slice(None), *(slice(max(0, b4), max(0, b4) + n) for b4, n in zip(before, sizes, strict=True)))]
    if b is not None:
        y = y + b.reshape(1, -1, *[1] * rank)
    return y.astype(x.dtype)


def _spread(x: Array, w: Array, group: int, where: tuple[Sequence[int], Sequence[int], Sequence[int]]) -> Array:
    """The output before anything is cut, in float32 or wider."""
    steps, gaps, full = where
    wide = np.result_type(x.dtype, np.float32)
    batch, depth = x.shape[:2]
    flat = x.astype(wide, copy=False).reshape(batch, group, depth // group, math.prod(x.shape[2:]))
    weight = w.astype(wide, copy=False).reshape(group, depth // group, w.shape[1], *w.shape[2:])
    y = np.zeros((batch, group * w.shape[1], *full), wide)
    for place in itertools.product(*map(range, w.shape[2:])):
        here: tuple[Any, ...] = (..., *place)
        kernel = weight[here].transpose(0, 2, 1)
        part = (kernel @ flat).reshape(batch, group * w.shape[1], *x.shape[2:])
        starts = [p * d for p, d in zip(place, gaps, strict=True)]
        cuts = [slice(a, a + (n - 1) * s + 1, s) for a, n, s in zip(starts, x.shape[2:], steps, strict=True)]
        y[(slice(None), slice(None), *cuts)] += part
    return y
