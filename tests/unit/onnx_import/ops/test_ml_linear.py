"""Promises of ONNX-ML's linear models and support vector machines: scores, probabilities and labels as ONNX's evaluator has them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onnx_import.errors import OnnxImportError
from onnx_import.nd.tape import writing
from onnx_import.ops.coupling import couple
from onnx_import.stages import Parameters
from onnx_import.trace import Trace
from tests.unit.onnx_import.checking import check

ML = "ai.onnx.ml"
DTYPES = ("float32", "float64", "int32", "int64")


def _samples(dtype: str, count: int = 7, features: int = 3) -> Any:
    return np.random.default_rng(1).normal(0, 3, (count, features)).astype(dtype)


def _floats(seed: int, count: int, scale: float = 1.0) -> list[float]:
    return np.random.default_rng(seed).normal(0, scale, count).astype(np.float32).tolist()


@pytest.mark.parametrize("targets", [1, 3])
@pytest.mark.parametrize("dtype", DTYPES)
def test_linear_regressor(dtype: str, targets: int) -> None:
    """Weighted sums, with intercepts and without, as float32 whatever comes in."""
    x, weights, shift = _samples(dtype), _floats(2, 3 * targets), _floats(3, targets)
    product = x.astype(np.float32) @ np.array(weights, np.float32).reshape(targets, 3).T
    attributes = {"coefficients": weights, "targets": targets}
    check("LinearRegressor", [x], {**attributes, "intercepts": shift}, domain=ML, want=[product + np.array(shift, np.float32)])
    check("LinearRegressor", [x], attributes, domain=ML, want=[product])


@pytest.mark.parametrize("kind", ["NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO"])
@pytest.mark.parametrize("labels", [[3, 5, 9], ["a", "b", "c"]], ids=["numbers", "texts"])
def test_linear_classifier(labels: list[Any], kind: str) -> None:
    """The label of the largest score, and transformed scores."""
    name = "classlabels_strings" if isinstance(labels[0], str) else "classlabels_ints"
    attributes = {name: labels, "coefficients": _floats(4, 9), "intercepts": _floats(5, 3), "post_transform": kind}
    prepared = check("LinearClassifier", [_samples("float32")], attributes, domain=ML, outputs=2)
    assert len(prepared.program.last[0].stages) == (2 if name == "classlabels_strings" else 1)


def test_probit() -> None:
    """Quantiles of the normal distribution, to the two places that the shared approximation is good for."""
    x = np.array([[0.025], [0.5], [0.9]], np.float32)
    attributes = {"coefficients": [1.0], "post_transform": "PROBIT"}
    check("LinearRegressor", [x], attributes, domain=ML, want=[np.float32([[-1.96], [0], [1.2816]])], atol=5e-3)


def test_one_row_for_two_classes() -> None:
    """One row of coefficients is the margin of the second class, if it goes through the logistic; else nobody says what it is."""
    attributes = {"classlabels_ints": [4, 8], "coefficients": _floats(6, 3), "intercepts": [0.5]}
    check("LinearClassifier", [_samples("float32")], {**attributes, "post_transform": "LOGISTIC"}, domain=ML, outputs=2)
    with pytest.raises(OnnxImportError, match="one row"):
        check("LinearClassifier", [_samples("float32")], attributes, domain=ML, outputs=2)


KERNELS = {"LINEAR": [0.0, 0.0, 0.0], "RBF": [0.2, 0.0, 3.0], "POLY": [0.1, 0.5, 3.0], "SIGMOID": [0.05, 0.2, 3.0]}


@pytest.mark.parametrize("one_class", [0, 1])
@pytest.mark.parametrize("kernel", KERNELS)
def test_svm_regressor(kernel: str, one_class: int) -> None:
    """Each kernel, with support vectors and without."""
    attributes = {
        "kernel_type": kernel,
        "kernel_params": KERNELS[kernel],
        "rho": [0.3],
        "one_class": one_class,
        "n_supports": 5,
    }
    attributes.update({"coefficients": _floats(7, 5), "support_vectors": _floats(8, 15)})
    check("SVMRegressor", [_samples("float32")], attributes, domain=ML, rtol=1e-4)
    linear = {"kernel_type": "LINEAR", "rho": [0.3], "coefficients": _floats(7, 3), "one_class": one_class}
    check("SVMRegressor", [_samples("float32")], linear, domain=ML)


def _classifier(labels: list[Any], kernel: str) -> dict[str, Any]:
    counts = [2, 3, 1, 2][: len(labels)]
    total, pairs = sum(counts), len(labels) * (len(labels) - 1) // 2
    return {
        "classlabels_strings" if isinstance(labels[0], str) else "classlabels_ints": labels,
        "kernel_type": kernel,
        "kernel_params": KERNELS[kernel],
        "vectors_per_class": counts,
        "support_vectors": _floats(9, 3 * total),
        "coefficients": _floats(10, total * (len(labels) - 1)),
        "rho": _floats(11, pairs, 0.1),
    }


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("labels", [[3, 8], [0, 1, 2], [5, 6, 7, 9], ["a", "b", "c"]], ids=str)
def test_svm_classifier(labels: list[Any], kernel: str) -> None:
    """The winner of the duels, and their scores."""
    prepared = check(
        "SVMClassifier", [_samples("float32")], _classifier(labels, kernel), domain=ML, outputs=2, rtol=1e-4, atol=1e-5
    )
    assert len(prepared.program.last[0].stages) == (2 if isinstance(labels[0], str) else 1)


@pytest.mark.parametrize("labels", [[3, 8], [5, 6, 7, 9]], ids=str)
def test_svm_probabilities(labels: list[Any]) -> None:
    """Each duel's score gives a chance, all chances the probabilities; onnx's evaluator couples those of two classes alone."""
    attributes, pairs = _classifier(labels, "LINEAR"), len(labels) * (len(labels) - 1) // 2
    scores = check("SVMClassifier", [_samples("float32")], attributes, domain=ML, outputs=2).run([_samples("float32")])
    attributes.update({"prob_a": _floats(12, pairs), "prob_b": _floats(13, pairs)})
    if len(labels) == 2:
        check("SVMClassifier", [_samples("float32")], attributes, domain=ML, outputs=2, rtol=1e-3)
        return
    chances = 1 / (1 + np.exp(scores[1] * np.array(attributes["prob_a"]) + attributes["prob_b"]))
    want = np.array([_coupled(row, len(labels)) for row in chances], np.float32)
    check("SVMClassifier", [_samples("float32")], attributes, domain=ML, outputs=2, want=[scores[0], want], rtol=0, atol=0.02)


def test_svm_linear_mode() -> None:
    """Without support vectors each class has a row of coefficients."""
    attributes = {"classlabels_ints": [2, 4, 6], "coefficients": _floats(14, 9), "rho": [0.1] * 3, "post_transform": "SOFTMAX"}
    check("SVMClassifier", [_samples("float32")], attributes, domain=ML, outputs=2)


@pytest.mark.parametrize("count", [2, 3, 6])
def test_coupling(count: int) -> None:
    """Coupled probabilities are those of which the sum of squares has its minimum, but for where the rounds stop."""
    chances = np.random.default_rng(count).uniform(0.01, 0.99, (50, count * (count - 1) // 2))
    trace = Trace(Parameters(), set())
    with writing(trace):
        pending = trace.feed("chances", (chances, "float64"))
        (got,), _ = trace.finish([couple(pending, count)])
    for row, shares in zip(chances, got, strict=True):
        np.testing.assert_allclose(shares, _coupled(row, count), atol=0.02)
        assert shares.sum() == pytest.approx(1)


def _coupled(chances: Any, count: int) -> Any:
    """The minimum, by the linear equations that it solves."""
    first, second = np.triu_indices(count, 1)
    wins, system = np.zeros((count, count)), np.zeros((count + 1, count + 1))
    wins[first, second], wins[second, first] = chances, 1 - chances
    system[:count, :count] = np.diag((wins**2).sum(0)) - wins * wins.T
    system[:count, count], system[count, :count] = -1, 1
    return np.linalg.solve(system, np.eye(count + 1)[count])[:count]


@pytest.mark.parametrize(
    ("operator", "change"),
    [("LinearClassifier", {"classlabels_ints": [1, 2, 3]}), ("LinearRegressor", {"targets": 2}), ("LinearClassifier", {})],
    ids=str,
)
def test_misfits(operator: str, change: dict[str, Any]) -> None:
    """Coefficients that fit neither features nor labels are refused."""
    outputs, x = 2 if operator == "LinearClassifier" else 1, _samples("float32")
    with pytest.raises(OnnxImportError):
        check(operator, [x], {"coefficients": _floats(1, 7), **change}, domain=ML, outputs=outputs, want=[x] * outputs)
