"""ONNX-ML's linear models: one product of matrices, and what becomes of its scores."""

from __future__ import annotations

import numpy as np

from onnx_import import nd
from onnx_import.errors import InvalidModel, Unsupported
from onnx_import.nd import Value
from onnx_import.ops.ml_scores import best, labels_of, logistic, matrix, named, number, transformed
from onnx_import.registry import op

ML = "ai.onnx.ml"


@op("LinearRegressor", since=1, domain=ML)
def linear_regressor(
    x: Value, *, coefficients: list[float] | None, intercepts: list[float] | None, post_transform: str, targets: int
) -> Value:
    """One weighted sum for each target."""
    scores = _scores(matrix(x), coefficients or [], intercepts, targets)
    return nd.cast(transformed(scores, post_transform), "float32")


@op("LinearClassifier", since=1, domain=ML)
def linear_classifier(
    x: Value,
    *,
    classlabels_ints: list[int] | None,
    classlabels_strings: list[str] | None,
    coefficients: list[float],
    intercepts: list[float] | None,
    post_transform: str,
) -> tuple[Value, Value]:
    """The label of the class with the largest score, and all scores."""
    labels = labels_of(classlabels_ints, classlabels_strings)
    rows = matrix(x)
    count = len(coefficients) // max(rows.shape[1], 1)
    scores = _scores(rows, coefficients, intercepts, count)
    if count > 1:
        if count != len(labels):
            raise InvalidModel(f"{count} rows of coefficients do not fit {len(labels)} labels")
        return named(best(scores), labels), nd.cast(transformed(scores, post_transform), "float32")
    if len(labels) != 2 or post_transform != "LOGISTIC":
        raise Unsupported("the scores of one row of coefficients are not told by ONNX", "give each class a row of its own")
    is_second = nd.reshape(nd.greater(scores, number(0, scores.dtype)), rows.shape[:1])
    both = nd.concatenate([nd.negative(scores), scores], 1)
    return named(nd.cast(is_second, "int64"), labels), nd.cast(logistic(both), "float32")


def _scores(rows: Value, coefficients: list[float], intercepts: list[float] | None, count: int) -> Value:
    if not count or len(coefficients) != count * rows.shape[1]:
        raise InvalidModel(f"{len(coefficients)} coefficients do not fit {count} scores of {rows.shape[1]} features")
    weights = nd.constant(np.array(coefficients, np.float32).reshape(count, -1).astype(rows.dtype))
    shift = None
    if intercepts:
        numbers = np.array(intercepts, np.float32)
        if numbers.size not in (1, count):
            raise InvalidModel(f"{numbers.size} intercepts do not fit {count} scores")
        shift = nd.constant(np.broadcast_to(numbers, (count,)).astype(rows.dtype))
    return nd.fully_connected(rows, weights, shift)
