"""ONNX-ML: words to numbers and back, and maps. A table of numbers alone becomes a graph, all else goes by the host library.

A map's dtype is written `map:` and the dtype of its values.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from onnx_import import nd
from onnx_import.dtypes import CARRIERS, is_float
from onnx_import.errors import InvalidModel
from onnx_import.graph import Tensor
from onnx_import.host import lookup, text
from onnx_import.nd import Value
from onnx_import.registry import op

ML = "ai.onnx.ml"
LARGEST = 1 << 22
"""Comparisons (elements times keys) up to which a table of numbers is a graph."""


@op("LabelEncoder", since=1, domain=ML)
def label_encoder_1(x: Value, *, classes_strings: list[str], default_int64: int, default_string: str) -> Value:
    """Words to their places in a list, or places to words."""
    places = list(range(len(classes_strings)))
    if x.dtype == "string":
        return _encode(x, lookup.table_of(classes_strings, places), default_int64, "int64")
    return _encode(x, lookup.table_of(places, classes_strings), default_string, "string")


@op("LabelEncoder", since=2, domain=ML)
def label_encoder(
    x: Value,
    *,
    default_float: float,
    default_int64: int,
    default_string: str,
    default_tensor: Tensor | None,
    keys_floats: list[float] | None,
    keys_int64s: list[int] | None,
    keys_strings: list[str] | None,
    keys_tensor: Tensor | None,
    values_floats: list[float] | None,
    values_int64s: list[int] | None,
    values_strings: list[str] | None,
    values_tensor: Tensor | None,
) -> Value:
    """Each element's value in a table, or the default."""
    keys, _ = _column(keys_tensor, keys_floats, keys_int64s, keys_strings)
    values, dtype = _column(values_tensor, values_floats, values_int64s, values_strings)
    if len(keys) != len(values):
        raise InvalidModel(f"{len(keys)} keys and {len(values)} values do not make a table")
    defaults: dict[str, Any] = {"string": default_string, "int64": default_int64, "float32": default_float}
    default = default_tensor.data.item() if default_tensor is not None else defaults.get(dtype, -0.0 if is_float(dtype) else -1)
    return _encode(x, lookup.table_of(keys, values), default, dtype)


@op("CategoryMapper", since=1, domain=ML)
def category_mapper(
    x: Value, *, cats_int64s: list[int], cats_strings: list[str], default_int64: int, default_string: str
) -> Value:
    """Words to their numbers, or numbers to their words."""
    if len(cats_int64s) != len(cats_strings):
        raise InvalidModel(f"{len(cats_strings)} words and {len(cats_int64s)} numbers do not make a table")
    if x.dtype == "string":
        return _encode(x, lookup.table_of(cats_strings, cats_int64s), default_int64, "int64")
    return _encode(x, lookup.table_of(cats_int64s, cats_strings), default_string, "string")


@op("ZipMap", since=1, domain=ML)
def zip_map(x: Value, *, classlabels_int64s: list[int] | None, classlabels_strings: list[str] | None) -> Value:
    """A map of label to score for each row."""
    rows = x.shape[0] if x.rank == 2 else 1
    labels = classlabels_strings or classlabels_int64s
    maps: Value = nd.host(lookup.zip_map, [x], [((rows,), f"map:{x.dtype}")], labels=labels)[0]
    return maps


@op("DictVectorizer", since=1, domain=ML)
def dict_vectorizer(x: Value, *, int64_vocabulary: list[int] | None, string_vocabulary: list[str] | None) -> Value:
    """The values of a map in the order of the vocabulary."""
    vocabulary, dtype = string_vocabulary or int64_vocabulary or [], x.dtype.removeprefix("map:")
    outputs: list[Any] = [((len(vocabulary),), dtype)]
    vector: Value = nd.host(lookup.vectorize, [x], outputs, vocabulary=vocabulary, dtype=_carried(dtype))[0]
    return vector


@op("CastMap", since=1, domain=ML)
def cast_map(x: Value, *, cast_to: str, map_form: str, max_map: int) -> Value:
    """A row of the values of a map."""
    kinds: dict[str, tuple[Any, str]] = {
        "TO_FLOAT": (float, "float32"),
        "TO_INT64": (text.whole, "int64"),
        "TO_STRING": (str, "string"),
    }
    if cast_to not in kinds or map_form not in ("DENSE", "SPARSE"):
        raise InvalidModel(f"CastMap knows no {cast_to} or no {map_form}")
    convert, dtype = kinds[cast_to]
    length = max_map if map_form == "SPARSE" else None
    row: Value = nd.host(lookup.cast_map, [x], [(None, dtype)], convert=convert, dtype=_carried(dtype), length=length)[0]
    return row


def _column(tensor: Tensor | None, floats: Any, integers: Any, strings: Any) -> tuple[list[Any], str]:
    """One side of a table and its dtype."""
    if tensor is not None:
        return tensor.data.ravel().tolist(), tensor.dtype
    if floats:  # a float32 attribute is read into a wider number
        return np.asarray(floats, np.float32).tolist(), "float32"
    return (list(integers), "int64") if integers else (list(strings or ()), "string")


def _encode(x: Value, table: dict[Any, Any], default: Any, dtype: str) -> Value:
    if x.dtype == "string" or dtype == "string" or x.size * len(table) > LARGEST or not table:
        found: Value = nd.host(lookup.look_up, [x], [(x.shape, dtype)], table=table, default=default, dtype=_carried(dtype))[0]
        return found
    keys, values = list(table), [*table.values(), default]
    wide = nd.expand_dims(x, [x.rank])
    hits = nd.cast(nd.equal(wide, nd.constant(np.array(keys), x.dtype)), "int32")
    if lookup.NAN in keys:
        is_nan = nd.constant(np.array([key != key for key in keys], np.int32))
        hits = nd.add(hits, nd.multiply(nd.cast(nd.not_equal(wide, wide), "int32"), is_nan))
    # The first hit, or the column of hits behind the keys that stands for the default.
    always = nd.expand(nd.constant(np.ones(1, np.int32)), (*x.shape, 1))
    columns = nd.concatenate([hits, always], x.rank)
    place = nd.emit("_npi_argmax", [columns], x.shape, "int64", axis=x.rank, keepdims=False)
    return nd.emit("take", [nd.constant(np.array(values), dtype), place], x.shape, dtype, axis=0, mode="clip")


def _carried(dtype: str) -> str:
    return "object" if dtype == "string" else CARRIERS[dtype]
