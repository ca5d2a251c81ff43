"""ONNX-ML's preparation of features: scaled, filled in, cut out, joined, encoded."""

from __future__ import annotations

import math

import numpy as np

from onnx_import import nd
from onnx_import.dtypes import Array, bounds, is_float
from onnx_import.errors import InvalidInput, InvalidModel
from onnx_import.host import lookup
from onnx_import.nd import Value
from onnx_import.registry import op

ML = "ai.onnx.ml"


@op("Scaler", since=1, domain=ML)
def scaler(x: Value, *, offset: list[float] | None, scale: list[float] | None) -> Value:
    """(x - offset) * scale, by feature."""
    wide = _real(x)
    moved = nd.subtract(wide, _by_feature(offset or [0.0], wide))
    return nd.cast(nd.multiply(moved, _by_feature(scale or [1.0], wide)), "float32")


@op("Normalizer", since=1, domain=ML)
def normalizer(x: Value, *, norm: str) -> Value:
    """Rows divided by their norm: their largest number (its sign counts), the sum of sizes, or the length."""
    wide = _real(x)
    axis = [wide.rank - 1]
    if norm == "MAX":
        size = nd.reduce_max(wide, axis)
    elif norm == "L1":
        size = nd.reduce_sum(nd.absolute(wide), axis)
    elif norm == "L2":
        size = nd.unary("sqrt", nd.reduce_sum(nd.multiply(wide, wide), axis), np.sqrt)
    else:
        raise InvalidModel(f"norm is {norm!r}, not MAX, L1 or L2")
    is_zero = nd.equal(size, nd.constant(np.array(0, wide.dtype)))
    return nd.cast(nd.divide(wide, nd.where(is_zero, nd.constant(np.array(1, wide.dtype)), size)), "float32")


@op("Binarizer", since=1, domain=ML)
def binarizer(x: Value, *, threshold: float) -> Value:
    """1 above the threshold, else 0."""
    if is_float(x.dtype):
        return nd.cast(nd.greater(x, nd.constant(np.array(threshold, np.float32).astype(x.dtype))), x.dtype)
    low, high = bounds(x.dtype)
    if not low <= threshold < high:
        return nd.full(x.shape, int(threshold < low), x.dtype)
    # A whole number is above it where it is above the whole number below it.
    return nd.cast(nd.greater(x, nd.constant(np.array(math.floor(threshold)), x.dtype)), x.dtype)


@op("Imputer", since=1, domain=ML)
def imputer(
    x: Value,
    *,
    imputed_value_floats: list[float] | None,
    imputed_value_int64s: list[int] | None,
    replaced_value_float: float,
    replaced_value_int64: int,
) -> Value:
    """Features in place of values that stand for missing ones."""
    values, missing = (
        (imputed_value_floats, replaced_value_float) if is_float(x.dtype) else (imputed_value_int64s, replaced_value_int64)
    )
    if not values:  # the attributes of the other type
        values, missing = (
            (imputed_value_int64s, replaced_value_int64) if is_float(x.dtype) else (imputed_value_floats, replaced_value_float)
        )
    if not values:
        raise InvalidModel("no values to fill in")
    fill = np.array(values, np.float32 if isinstance(values[0], float) else np.int64).astype(x.carrier)
    if fill.size not in (1, x.shape[-1] if x.rank else 1):
        raise InvalidInput(f"{fill.size} values do not fit {list(x.shape)}")
    is_missing = (
        nd.not_equal(x, x) if np.isnan(missing) else nd.equal(x, nd.constant(np.array(missing).astype(x.carrier), x.dtype))
    )
    return nd.where(is_missing, nd.constant(fill, x.dtype), x)


@op("ArrayFeatureExtractor", since=1, domain=ML)
def array_feature_extractor(x: Value, places: Value) -> Value:
    """Elements of the last axis; of a vector, as one row."""
    count = places.size
    indices = nd.reshape(places, (count,))
    if x.dtype == "string":
        shape = (*x.shape[:-1], count) if x.rank > 1 else (1, count)
        texts: Value = nd.host(_pick, [x, indices], [(shape, "string")], shape=shape)[0]
        return texts
    found = nd.take(x, indices, x.rank - 1)
    return found if x.rank > 1 else nd.reshape(found, (1, count))


@op("FeatureVectorizer", since=1, domain=ML)
def feature_vectorizer(*parts: Value, inputdimensions: list[int] | None) -> Value:
    """Inputs side by side as float32, each cut or filled up with zeros to its number of features."""
    widths = inputdimensions or [part.shape[-1] for part in parts]
    if len(widths) != len(parts):
        raise InvalidModel(f"inputdimensions has {len(widths)} sizes for {len(parts)} inputs")
    return nd.concatenate([_fitted(part, width) for part, width in zip(parts, widths, strict=True)], 1)


@op("OneHotEncoder", since=1, domain=ML)
def one_hot_encoder(x: Value, *, cats_int64s: list[int] | None, cats_strings: list[str] | None, zeros: int) -> Value:
    """A new last axis: 1 at the category that an element is, else 0."""
    categories = cats_strings or cats_int64s
    if not categories:
        raise InvalidModel("OneHotEncoder has no categories")
    if x.dtype == "string":
        table = lookup.table_of([str(category) for category in categories], list(range(len(categories))))
        places = nd.host(lookup.look_up, [x], [(x.shape, "int64")], table=table, default=-1, dtype="int64")[0]
        kinds = nd.constant(np.arange(len(categories)))
    else:
        if cats_strings:
            raise InvalidModel("OneHotEncoder has words for categories and takes numbers")
        # A real number is cut to a whole one first, as onnxruntime does.
        places, kinds = nd.cast(x, "int64"), nd.constant(np.array(categories, np.int64))
    hits = nd.cast(nd.equal(nd.expand_dims(places, [x.rank]), kinds), "float32")
    if not zeros and hits.size:
        missing = nd.subtract(nd.constant(np.float32(1)), nd.reduce_max(hits, [x.rank]))
        hits = nd.add(hits, nd.cast(nd.checked(nd.cast(missing, "int64"), 1), "float32"))
    return hits


def _real(x: Value) -> Value:
    return x if x.dtype == "float64" else nd.cast(x, "float32")


def _by_feature(numbers: list[float], x: Value) -> Value:
    if len(numbers) not in (1, x.shape[-1] if x.rank else 1):
        raise InvalidInput(f"{len(numbers)} numbers do not fit {list(x.shape)}")
    return nd.constant(np.array(numbers, np.float32).astype(x.dtype))


def _fitted(part: Value, width: int) -> Value:
    """A matrix of float32 of that many columns; a vector is one column."""
    rows = part.shape[0] if part.rank else 1
    wide = nd.reshape(nd.cast(part, "float32"), (rows, math.prod(part.shape[1:])))
    if width <= wide.shape[1]:
        return nd.slice_axis(wide, 1, 0, width)
    return nd.concatenate([wide, nd.zeros((rows, width - wide.shape[1]), "float32")], 1)


def _pick(x: Array, indices: Array, *, shape: tuple[int, ...]) -> tuple[Array]:
    """Texts of the last axis."""
    return (x[..., indices].reshape(shape),)
