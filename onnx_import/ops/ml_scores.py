"""What ONNX-ML's models do with scores at the end: a transformation, and the label of the best one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from onnx_import import nd
from onnx_import.errors import InvalidModel
from onnx_import.host import lookup
from onnx_import.nd import Value
from onnx_import.ops.softmax import softmax_along

TRANSFORMS = ("NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT")
"""In the order in which version 5 of TreeEnsemble numbers them."""


def transformed(scores: Value, kind: str) -> Value:
    """Scores (one row for each sample) as `post_transform` says."""
    if kind == "NONE":
        return scores
    if kind == "LOGISTIC":
        return logistic(scores)
    if kind == "SOFTMAX":
        return softmax_along(scores, -1)
    if kind == "SOFTMAX_ZERO":
        return _softmax_zero(scores)
    if kind == "PROBIT":
        return _probit(scores)
    raise InvalidModel(f"post_transform is {kind!r}, not one of {', '.join(TRANSFORMS)}")


def logistic(scores: Value) -> Value:
    """1 / (1 + exp(-x))."""
    return nd.unary("sigmoid", scores, lambda array: 1 / (1 + np.exp(-array)))


def labels_of(integers: Sequence[int] | None, strings: Sequence[str] | None) -> list[int] | list[str]:
    """The labels of a classifier's classes."""
    if not integers and not strings:
        raise InvalidModel("neither whole numbers nor texts label the classes")
    return list(strings) if strings else list(integers or ())


def named(places: Value, labels: list[int] | list[str]) -> Value:
    """The labels at places (int64): numbers by the graph, texts by the host."""
    if isinstance(labels[0], str):
        table = dict(enumerate(labels))
        texts: Value = nd.host(lookup.look_up, [places], [(places.shape, "string")], table=table, default="", dtype="object")[0]
        return texts
    if labels == list(range(len(labels))):
        return places
    return nd.take(nd.constant(np.array(labels, np.int64)), places, 0)


def best(scores: Value) -> Value:
    """The place of the first of the largest scores of each row."""
    if not scores.size:
        return nd.zeros(scores.shape[:1], "int64")
    return nd.argmax(scores, 1, keepdims=False)


def matrix(x: Value) -> Value:
    """Samples as rows of float32, or of float64 where they are that; one sample may come as a vector."""
    wide = x if x.dtype == "float64" else nd.cast(x, "float32")
    return nd.expand_dims(wide, [0]) if x.rank == 1 else wide


def number(value: float, dtype: str) -> Value:
    """A constant of a dtype."""
    return nd.constant(np.array(value, dtype))


def _softmax_zero(scores: Value) -> Value:
    """Softmax in which a score of 0 stays 0; of zeros alone one half each."""
    largest = nd.reduce_max(scores, [1])
    is_zero = nd.less_equal(nd.absolute(scores), number(1e-7, scores.dtype))
    small = nd.multiply(scores, nd.exp(nd.negative(largest)))
    powers = nd.where(is_zero, small, nd.exp(nd.subtract(scores, largest)))
    total = nd.reduce_sum(powers, [1])
    none = nd.equal(total, number(0, scores.dtype))
    shares = nd.divide(powers, nd.where(none, number(1, scores.dtype), total))
    return nd.where(none, number(0.5, scores.dtype), shares)


def _probit(scores: Value) -> Value:
    """The normal distribution's quantiles, by the approximation of erf's inverse that all of ONNX's runtimes share (a = 0.147)."""
    dtype = scores.dtype
    twice = nd.subtract(nd.multiply(scores, number(2, dtype)), number(1, dtype))
    one = number(1, dtype)
    log = nd.unary("log", nd.multiply(nd.subtract(one, twice), nd.add(one, twice)), np.log)
    half = nd.add(nd.multiply(log, number(0.5, dtype)), number(2 / (np.pi * 0.147), dtype))
    inner = nd.subtract(nd.multiply(half, half), nd.multiply(log, number(1 / 0.147, dtype)))
    size = nd.unary("sqrt", nd.subtract(nd.unary("sqrt", inner, np.sqrt), half), np.sqrt)
    signed = nd.where(nd.less(twice, number(0, dtype)), nd.negative(size), size)
    return nd.multiply(signed, number(np.sqrt(2), dtype))
