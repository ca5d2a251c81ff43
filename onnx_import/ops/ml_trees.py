"""ONNX-ML's tree ensembles, of versions 1 to 5: a forest, the weights of its leaves, and what becomes of their sums."""

from __future__ import annotations

from typing import Any

import numpy as np

from onnx_import import nd
from onnx_import.dtypes import Array
from onnx_import.errors import InvalidModel, Unsupported
from onnx_import.graph import Node
from onnx_import.nd import Value
from onnx_import.ops.forest import Forest, leaves_of, pick
from onnx_import.ops.ml_scores import TRANSFORMS, best, labels_of, logistic, matrix, named, number, transformed
from onnx_import.ops.tree_tables import Weights, numbers_of, read, read_once, read_version_5
from onnx_import.registry import op

ML = "ai.onnx.ml"
FEW = 32
"""Targets up to which weights are summed by a product."""
AGGREGATES = ("AVERAGE", "SUM", "MIN", "MAX")
"""In the order in which version 5 of TreeEnsemble numbers them."""


@op("TreeEnsembleRegressor", since=1, domain=ML)
def tree_ensemble_regressor(x: Value, *, node: Node) -> Value:
    """The sum, mean or extreme of the weights of the leaves that a sample reaches."""
    forest, weights = read_once(node, matrix(x).dtype, lambda: read(node, matrix(x).dtype, "target", _targets(node)))
    aggregate = str(node.attributes["aggregate_function"])
    scores = _aggregated(forest, weights, matrix(x), aggregate)
    base = numbers_of(node, "base_values")
    if base.size:
        if base.size not in (1, weights.count):
            raise InvalidModel(f"{base.size} base values do not fit {weights.count} targets")
        scores = nd.add(scores, nd.constant(base.astype(scores.dtype)))
    return nd.cast(transformed(scores, str(node.attributes["post_transform"])), "float32")


@op("TreeEnsembleClassifier", since=1, domain=ML)
def tree_ensemble_classifier(x: Value, *, node: Node) -> tuple[Value, Value]:
    """The label of the class with the largest sum of weights, and all sums."""
    attributes: dict[str, Any] = node.attributes
    labels = labels_of(attributes.get("classlabels_int64s"), attributes.get("classlabels_strings"))
    forest, weights = read_once(node, matrix(x).dtype, lambda: read(node, matrix(x).dtype, "class", len(labels)))
    scores = _aggregated(forest, weights, matrix(x), "SUM")
    base, kind = numbers_of(node, "base_values"), str(attributes["post_transform"])
    if len(labels) == 2 and len(set(weights.targets)) == 1:
        return _binary(scores, weights, base, labels, kind)
    if len(labels) < 2:
        raise Unsupported("a classifier of one class has no label for the others", "name both classes")
    if base.size:
        if base.size != len(labels):
            raise InvalidModel(f"{base.size} base values do not fit {len(labels)} classes")
        scores = nd.add(scores, nd.constant(base.astype(scores.dtype)))
    absent = [] if base.size else sorted(set(range(len(labels))) - set(weights.targets))
    contest = scores
    if absent:  # a class that no leaf speaks for does not win over negative scores
        unreachable = np.where(np.isin(np.arange(len(labels)), absent), -np.inf, np.inf).astype(scores.dtype)
        contest = nd.minimum(scores, nd.constant(unreachable))
    return named(best(contest), labels), nd.cast(transformed(scores, kind), "float32")


@op("TreeEnsemble", since=5, domain=ML)
def tree_ensemble(x: Value, *, node: Node) -> Value:
    """The sum, mean or extreme of the weights of the leaves that a sample reaches, in the samples' type."""
    attributes: dict[str, Any] = node.attributes
    forest, weights = read_once(node, matrix(x).dtype, lambda: read_version_5(node, matrix(x).dtype))
    scores = _aggregated(forest, weights, matrix(x), AGGREGATES[attributes["aggregate_function"]])
    return nd.cast(transformed(scores, TRANSFORMS[attributes["post_transform"]]), x.dtype)


def _binary(scores: Value, weights: Weights, base: Array, labels: Any, kind: str) -> tuple[Value, Value]:
    """Two classes of which the leaves score one alone: a probability where no weight is negative, else a margin."""
    if weights.targets[0] != 0:
        raise Unsupported("leaves that score the second class alone", "let them score the first, as exporters do")
    score = nd.slice_axis(scores, 1, 0, 1)
    if base.size:
        score = nd.add(score, nd.constant(base[:1].astype(score.dtype)))
    is_share = kind == "NONE" and min(weights.numbers) >= 0
    half = number(0.5 if is_share else 0.0, score.dtype)
    label = named(nd.cast(nd.reshape(nd.greater(score, half), score.shape[:1]), "int64"), labels)
    first = nd.subtract(number(1, score.dtype), score) if is_share else nd.negative(score)
    both = nd.concatenate([first, score], 1)
    return label, nd.cast(logistic(both) if kind == "LOGISTIC" else transformed(both, kind), "float32")


def _aggregated(forest: Forest, weights: Weights, rows: Value, aggregate: str) -> Value:
    """Scores of each sample for each target."""
    leaves = leaves_of(forest, rows)
    if aggregate in ("MIN", "MAX"):
        empty = np.inf if aggregate == "MIN" else -np.inf
        found = pick(nd.constant(weights.table(rows.dtype, empty)), leaves)
        extreme = nd.reduce_min(found, [1], False) if aggregate == "MIN" else nd.reduce_max(found, [1], False)
        return nd.where(nd.equal(extreme, number(empty, rows.dtype)), number(0, rows.dtype), extreme)
    if aggregate not in AGGREGATES:
        raise InvalidModel(f"aggregate_function is {aggregate!r}, not one of {', '.join(AGGREGATES)}")
    found = pick(nd.constant(weights.table(rows.dtype)), leaves)
    trees, count = len(forest.roots), weights.count
    if count <= FEW and np.isfinite(weights.numbers).all():  # a product of matrices sums faster than MXNet's sum does
        each = nd.reshape(found, (rows.shape[0], trees * count))
        total = nd.fully_connected(each, nd.constant(np.tile(np.eye(count, dtype=rows.dtype), trees)))
    else:
        total = nd.reduce_sum(found, [1], False)
    return nd.divide(total, number(trees, rows.dtype)) if aggregate == "AVERAGE" else total


def _targets(node: Node) -> int:
    count = node.attributes.get("n_targets")
    return count if isinstance(count, int) and count > 0 else 1
