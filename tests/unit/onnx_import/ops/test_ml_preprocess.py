"""Promises of ONNX-ML's preparation of features, on every type and on shapes at the edge."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onnx_import.errors import OnnxImportError
from tests.unit.onnx_import.checking import check

ML = "ai.onnx.ml"
DTYPES = ("float32", "float64", "int32", "int64")


def _samples(dtype: str, shape: tuple[int, ...] = (5, 3)) -> Any:
    return np.random.default_rng(1).normal(0, 3, shape).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [1, 3])
def test_scaler(size: int, dtype: str) -> None:
    """One offset and one scale for all, or one for each feature; float32 comes out."""
    x, offset, scale = _samples(dtype), [0.5, -1.0, 2.0][:size], [2.0, 0.25, -1.0][:size]
    want = ((x.astype(np.float64) - offset) * scale).astype(np.float32)
    check("Scaler", [x], {"offset": offset, "scale": scale}, domain=ML, want=[want])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("norm", ["MAX", "L1", "L2"])
def test_normalizer(norm: str, dtype: str) -> None:
    """Rows are divided by their largest number, the sum of sizes or the length, but for a row of zeros."""
    x = _samples(dtype)
    x[2] = 0
    size = {"MAX": x.max(1), "L1": np.abs(x).sum(1), "L2": np.sqrt((x.astype(np.float64) ** 2).sum(1))}[norm]
    want = x / np.where(size == 0, 1, size)[:, None]
    check("Normalizer", [x], {"norm": norm}, domain=ML, want=[want.astype(np.float32)])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("threshold", [0.0, 1.5, -2.5, 1e20, -1e20])
def test_binarizer(threshold: float, dtype: str) -> None:
    """Numbers above the threshold, whole ones too."""
    x = _samples(dtype)
    check("Binarizer", [x], {"threshold": threshold}, domain=ML, want=[(x > threshold).astype(dtype)])


@pytest.mark.parametrize("values", [[1.5], [1.5, 2.5, 3.5]], ids=["one", "each"])
@pytest.mark.parametrize("missing", [np.nan, 7.0])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_imputer(dtype: str, missing: float, values: list[float]) -> None:
    """What stands for a missing number is replaced, NaN or another."""
    x = _samples(dtype)
    x[1, 2] = x[0, 0] = missing
    check("Imputer", [x], {"imputed_value_floats": values, "replaced_value_float": missing}, domain=ML)


@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_imputer_of_whole_numbers(dtype: str) -> None:
    """Whole numbers have attributes of their own."""
    x = np.array([[1, -1, 3], [-1, 5, -1]], dtype)
    check("Imputer", [x], {"imputed_value_int64s": [7, 8, 9], "replaced_value_int64": -1}, domain=ML)


@pytest.mark.parametrize("dtype", [*DTYPES, "object"])
@pytest.mark.parametrize(
    ("shape", "places"), [((4, 3), [0, 2]), ((5,), [4, 0, 0]), ((2, 3, 4), [1]), ((4, 3), [[2, 1]])], ids=str
)
def test_array_feature_extractor(shape: tuple[int, ...], places: Any, dtype: str) -> None:
    """Elements of the last axis, of texts too; a vector becomes one row."""
    x = np.arange(np.prod(shape)).reshape(shape).astype(str if dtype == "object" else dtype)
    check("ArrayFeatureExtractor", [x.astype(dtype), np.array(places)], domain=ML)


def test_feature_vectorizer() -> None:
    """Inputs are cut and filled up to their sizes, and become float32."""
    parts = [_samples("float64", (4, 2)), _samples("float64", (4, 3)), _samples("float64", (4,))]
    want = np.concatenate([np.pad(parts[0], [(0, 0), (0, 1)]), parts[1][:, :2], parts[2][:, None]], 1).astype(np.float32)
    check("FeatureVectorizer", parts, {"inputdimensions": [3, 2, 1]}, domain=ML, want=[want])


@pytest.mark.parametrize("shape", [(6,), (3, 2)], ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
def test_one_hot_encoder(dtype: str, shape: tuple[int, ...]) -> None:
    """Whole categories of numbers of every type; what is none is a row of zeros."""
    x = np.array([3, 1, 4, 1, 5, 9]).reshape(shape).astype(dtype)
    prepared = check("OneHotEncoder", [x], {"cats_int64s": [1, 3, 5], "zeros": 1}, domain=ML)
    assert [len(block.stages) for block in prepared.program.last] == [1]


def test_one_hot_encoder_of_texts() -> None:
    """Texts are found by the host."""
    x = np.array([["b", "a"], ["x", "b"]], object)
    check("OneHotEncoder", [x], {"cats_strings": ["a", "b"], "zeros": 1}, domain=ML)


def test_strict_one_hot_encoder() -> None:
    """Where every element must have a category, one that has none stops the run."""
    x = np.array([3, 1], np.int64)
    prepared = check("OneHotEncoder", [x], {"cats_int64s": [1, 3], "zeros": 0}, domain=ML)
    with pytest.raises(OnnxImportError):
        prepared.run([np.array([3, 2], np.int64)])


@pytest.mark.parametrize(
    ("operator", "attributes"),
    [
        ("Normalizer", {"norm": "L3"}),
        ("Scaler", {"offset": [1.0, 2.0], "scale": [1.0]}),
        ("OneHotEncoder", {}),
        ("Imputer", {}),
    ],
    ids=str,
)
def test_misfits(operator: str, attributes: dict[str, Any]) -> None:
    """Attributes that are missing or do not fit are refused."""
    x = _samples("float32")
    with pytest.raises(OnnxImportError):
        check(operator, [x], attributes, domain=ML, want=[x])
