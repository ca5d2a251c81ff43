"""Operators of `ai.onnx.ml` that onnx's reference evaluator lacks."""

from __future__ import annotations

from typing import Any

import numpy as np

from onnx_import.dtypes import Array
from onnx_import.oracle.evaluator import own


@own("ZipMap")
def zip_map(x: Array, *, classlabels_int64s: list[int] | None, classlabels_strings: list[str] | None) -> list[dict[Any, Any]]:
    """A dict of label to score for each row."""
    labels = classlabels_strings or classlabels_int64s or list(range(x.shape[-1]))
    return [dict(zip(labels, row, strict=True)) for row in np.atleast_2d(x)]


@own("CategoryMapper")
def category_mapper(
    x: Array, *, cats_int64s: list[int], cats_strings: list[str], default_int64: int, default_string: str
) -> Array:
    """Words to their numbers, or numbers to their words."""
    if x.dtype.kind in "OUS":
        numbers = dict(zip(cats_strings, cats_int64s, strict=True))
        return np.array([numbers.get(str(word), default_int64) for word in x.ravel()], np.int64).reshape(x.shape)
    words = dict(zip(cats_int64s, cats_strings, strict=True))
    return np.array([words.get(int(number), default_string) for number in x.ravel()], object).reshape(x.shape)
