"""ONNX-ML's support vector machines: kernels with the support vectors, weighted sums, votes; in float64 throughout."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from onnx_import import nd
from onnx_import.dtypes import Array
from onnx_import.errors import InvalidModel, Unsupported
from onnx_import.nd import Value
from onnx_import.ops.coupling import couple
from onnx_import.ops.ml_scores import best, labels_of, logistic, matrix, named, number, transformed
from onnx_import.registry import op

ML = "ai.onnx.ml"
Numbers = list[float] | None


@op("SVMRegressor", since=1, domain=ML)
def svm_regressor(
    x: Value,
    *,
    coefficients: list[float],
    kernel_params: Numbers,
    kernel_type: str,
    n_supports: int,
    one_class: int,
    post_transform: str,
    rho: list[float],
    support_vectors: Numbers,
) -> Value:
    """A weighted sum of kernels, or on which side of a class the sample lies (1 or -1)."""
    if post_transform != "NONE":
        raise Unsupported(f"post_transform {post_transform} of a regressor")
    rows = nd.cast(matrix(x), "float64")
    if n_supports:
        rows = _kernels(rows, _table(support_vectors, n_supports), kernel_type, kernel_params)
    score = nd.fully_connected(rows, nd.constant(_table(coefficients, 1)), nd.constant(np.array(rho[:1], np.float64)))
    if one_class:
        score = nd.where(nd.greater(score, number(0, "float64")), number(1, "float64"), number(-1, "float64"))
    return nd.cast(score, "float32")


@op("SVMClassifier", since=1, domain=ML)
def svm_classifier(
    x: Value,
    *,
    classlabels_ints: list[int] | None,
    classlabels_strings: list[str] | None,
    coefficients: list[float],
    kernel_params: Numbers,
    kernel_type: str,
    post_transform: str,
    prob_a: Numbers,
    prob_b: Numbers,
    rho: list[float],
    support_vectors: Numbers,
    vectors_per_class: list[int] | None,
) -> tuple[Value, Value]:
    """The class that wins most duels of two, or scores highest; with probabilities, or the scores of the duels."""
    labels = labels_of(classlabels_ints, classlabels_strings)
    rows = nd.cast(matrix(x), "float64")
    if len(labels) < 2:
        raise Unsupported("a classifier of one class has no label for the others", "name both classes")
    if not vectors_per_class or not sum(vectors_per_class):
        weights = _table(coefficients, len(labels))
        scores = nd.fully_connected(rows, nd.constant(weights), nd.constant(np.full(len(labels), rho[0], np.float64)))
        return named(best(scores), labels), nd.cast(transformed(scores, post_transform), "float32")
    vectors = _table(support_vectors, sum(vectors_per_class))
    pairs = list(combinations(range(len(labels)), 2))
    weights = _duels(_table(coefficients, len(labels) - 1), vectors_per_class, pairs)
    shift = nd.constant(np.array(rho[: len(pairs)], np.float32).astype(np.float64))
    duels = nd.fully_connected(_kernels(rows, vectors, kernel_type, kernel_params), nd.constant(weights), shift)
    label = named(best(_votes(duels, pairs, len(labels))), labels)
    if prob_a:
        shares = _probabilities(duels, prob_a, prob_b or [], len(labels))
        return label, nd.cast(transformed(shares, post_transform), "float32")
    if len(labels) > 2:
        return label, nd.cast(transformed(duels, post_transform), "float32")
    both = nd.concatenate([nd.negative(duels), duels], 1)
    if post_transform not in ("NONE", "LOGISTIC"):
        raise Unsupported(f"post_transform {post_transform} of one score", "convert the classifier with probabilities")
    return label, nd.cast(logistic(both) if post_transform == "LOGISTIC" else both, "float32")


def _table(numbers: Numbers, rows: int) -> Array:
    """A float32 attribute as a matrix of float64."""
    flat = np.array(numbers or (), np.float32)
    if not flat.size or flat.size % rows:
        raise InvalidModel(f"{flat.size} numbers do not make {rows} rows")
    return flat.reshape(rows, -1).astype(np.float64)


def _kernels(rows: Value, vectors: Array, kind: str, params: Numbers) -> Value:
    """The kernel of each sample with each support vector."""
    gamma, shift, degree = np.array(params or (0, 0, 0), np.float32).astype(np.float64)[:3]
    if vectors.shape[1] != rows.shape[1]:
        raise InvalidModel(f"support vectors of {vectors.shape[1]} features do not fit samples of {rows.shape[1]}")
    products = nd.fully_connected(rows, nd.constant(vectors))
    if kind == "LINEAR":
        return products
    if kind == "RBF":
        own = nd.reduce_sum(nd.multiply(rows, rows), [1])
        theirs = nd.constant((vectors * vectors).sum(1))
        distances = nd.subtract(nd.add(own, theirs), nd.multiply(products, number(2, "float64")))
        distances = nd.maximum(distances, number(0, "float64"))
        return nd.exp(nd.multiply(distances, number(-gamma, "float64")))
    scaled = nd.add(nd.multiply(products, number(gamma, "float64")), number(shift, "float64"))
    if kind == "POLY":
        return nd.power(scaled, number(int(degree), "float64"))
    if kind == "SIGMOID":
        return nd.unary("tanh", scaled, np.tanh)
    raise InvalidModel(f"kernel_type is {kind!r}, not LINEAR, POLY, RBF or SIGMOID")


def _duels(coefficients: Array, counts: list[int], pairs: list[tuple[int, int]]) -> Array:
    """The weight of each support vector in each duel: the vectors of a class have one for every other class."""
    starts = np.concatenate([[0], np.cumsum(counts)])
    weights = np.zeros((len(pairs), coefficients.shape[1]))
    for row, (i, j) in zip(weights, pairs, strict=True):
        mine, theirs = slice(starts[i], starts[i + 1]), slice(starts[j], starts[j + 1])
        row[mine], row[theirs] = coefficients[j - 1, mine], coefficients[i, theirs]
    return weights


def _votes(duels: Value, pairs: list[tuple[int, int]], count: int) -> Value:
    """How many duels each class wins: the first of two by a score above 0."""
    first, second = (np.eye(count, dtype=np.float32)[[pair[side] for pair in pairs]] for side in (0, 1))
    wins = nd.cast(nd.greater(duels, number(0, "float64")), "float32")
    return nd.fully_connected(wins, nd.constant(np.ascontiguousarray((first - second).T)), nd.constant(second.sum(0)))


def _probabilities(duels: Value, prob_a: list[float], prob_b: list[float], count: int) -> Value:
    """The probabilities that fit those of the duels best."""
    slopes, shifts = (nd.constant(np.array(part, np.float32).astype(np.float64)) for part in (prob_a, prob_b))
    chances = logistic(nd.negative(nd.add(nd.multiply(duels, slopes), shifts)))
    return couple(chances, count)
