"""Tables and maps: ONNX-ML's operators on words and on maps.

A map is carried as an object array of dicts: of no axis for one map, of one axis for a sequence of maps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from onnx_import.dtypes import Array
from onnx_import.errors import InvalidInput

NAN = float("nan")
"""Stands for every NaN as a key: a dict finds it by identity, as it equals nothing."""


def table_of(keys: list[Any], values: list[Any]) -> dict[Any, Any]:
    """What each key is mapped to; of equal keys the last one counts."""
    return {NAN if key != key else key: value for key, value in zip(keys, values, strict=True)}


def look_up(x: Array, *, table: Mapping[Any, Any], default: Any, dtype: str) -> tuple[Array]:
    """The value of each element, as `dtype` is carried (numpy's name, or object)."""
    found = np.empty(x.size, dtype=dtype)
    found[:] = [table.get(key if key == key else NAN, default) for key in x.ravel().tolist()]
    return (found.reshape(x.shape),)


def zip_map(x: Array, *, labels: list[Any]) -> tuple[Array]:
    """ZipMap: a map of label to score for each row."""
    rows = np.atleast_2d(x)
    if rows.ndim != 2 or rows.shape[1] != len(labels):
        raise InvalidInput(f"ZipMap has {len(labels)} labels for scores of shape {list(x.shape)}")
    maps = np.empty(len(rows), dtype=object)
    maps[:] = [dict(zip(labels, row, strict=True)) for row in rows.tolist()]
    return (maps,)


def vectorize(x: Array, *, vocabulary: list[Any], dtype: str) -> tuple[Array]:
    """DictVectorizer: the values of a map in the order of a vocabulary, 0 (or no text) for those that it lacks."""
    return (np.array([x.item().get(key, "" if dtype == "object" else 0) for key in vocabulary], dtype=dtype),)


def cast_map(x: Array, *, convert: Callable[[Any], Any], dtype: str, length: int | None) -> tuple[Array]:
    """CastMap: a row of the values by rising key, or each at the place of its key in a row of `length`."""
    pairs: dict[int, Any] = x.item()
    if length is None:
        row = [convert(value) for _, value in sorted(pairs.items())]
    else:
        if outside := [key for key in pairs if not 0 <= key < length]:
            raise InvalidInput(f"the key {outside[0]} is none of a row of {length}")
        row = [convert(pairs[key]) if key in pairs else convert("" if dtype == "object" else 0) for key in range(length)]
    array = np.empty((1, len(row)), dtype=dtype)
    array[0, :] = row
    return (array,)
