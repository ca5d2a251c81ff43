"""Draws: seeded ones are the evaluator's own, others have the right distribution."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto
from onnx.checker import ValidationError
from onnx.shape_inference import InferenceError

from onnx_import import backend
from onnx_import.errors import OnnxImportError
from tests.unit.onnx_import.checking import check, node_model

LIKE = np.linspace(0.05, 0.95, 12, dtype=np.float32).reshape(3, 4)


def draws(op: str, inputs: list[np.ndarray], attributes: dict[str, Any]) -> list[np.ndarray]:
    """Two runs of one node."""
    prepared = backend.prepare(node_model(op, inputs, attributes, opset=None, domain="", outputs=1))
    return [prepared.run({f"x{index}": value for index, value in enumerate(inputs)})[0] for _ in range(2)]


@pytest.mark.parametrize(
    "kind", [TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16], ids=["float", "double", "float16"]
)
def test_seeded(kind: int) -> None:
    """With a seed the draws are the reference evaluator's."""
    check("RandomNormal", [], {"shape": [2, 3], "seed": 3.0, "mean": 1.0, "scale": 2.0, "dtype": kind}, rtol=1e-3)
    check("RandomUniform", [], {"shape": [2, 3], "seed": 3.0, "low": -1.0, "high": 2.0, "dtype": kind}, rtol=1e-3)


def test_seeded_like() -> None:
    """The shape of the input, and its dtype unless told."""
    check("RandomNormalLike", [LIKE], {"seed": 4.0})
    check("RandomUniformLike", [LIKE], {"seed": 4.0, "dtype": TensorProto.DOUBLE})
    check("Bernoulli", [LIKE], {"seed": 4.0})
    check("Bernoulli", [LIKE], {"seed": 4.0, "dtype": TensorProto.BOOL})


@pytest.mark.parametrize(
    ("op", "attributes", "mean", "deviation"),
    [("RandomNormal", {"mean": 3.0, "scale": 2.0}, 3, 2), ("RandomUniform", {"low": 1.0, "high": 3.0}, 2, 12**-0.5 * 2)],
    ids=["normal", "uniform"],
)
@pytest.mark.parametrize(
    "kind", [TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.BFLOAT16], ids=["float", "double", "bfloat16"]
)
def test_unseeded(op: str, attributes: dict[str, float], mean: float, deviation: float, kind: int) -> None:
    """Without a seed every run draws anew, from the right distribution."""
    first, second = draws(op, [], {**attributes, "shape": [100, 200], "dtype": kind})
    assert not np.array_equal(first, second)
    for numbers in (first.astype(np.float64), second.astype(np.float64)):
        assert numbers.mean() == pytest.approx(mean, abs=0.1)
        assert numbers.std() == pytest.approx(deviation, abs=0.1)


def test_two_nodes_draw_apart() -> None:
    """Two equal nodes without a seed do not share a draw."""
    from onnx import parser

    text = '<ir_version: 10, opset_import: ["" : 21]> g () => (float[50] a, float[50] b) {a = RandomNormal<shape = [50]>() b = RandomNormal<shape = [50]>()}'
    a, b = backend.prepare(parser.parse_model(text)).run({})
    assert not np.array_equal(a, b)


def test_bernoulli() -> None:
    """Ones come with the probability of the input; 0 and 1 are certain."""
    chances = np.repeat(np.array([[0, 0.2, 0.7, 1]], np.float32), 20_000, axis=0)
    for ones in draws("Bernoulli", [chances], {}):
        assert ones.mean(axis=0) == pytest.approx([0, 0.2, 0.7, 1], abs=0.02)
        assert set(np.unique(ones)) == {0, 1}


@pytest.mark.parametrize("seed", [{}, {"seed": 1.0}], ids=["unseeded", "seeded"])
def test_multinomial(seed: dict[str, float]) -> None:
    """Classes come with their probabilities, given as unnormalized logarithms."""
    odds = np.array([[0.1, 0.2, 0.7], [0.5, 0.5, 1e-9]], np.float32)
    for classes in draws("Multinomial", [np.log(odds) + 3], {"sample_size": 20_000, "dtype": TensorProto.INT64, **seed}):
        assert (classes.shape, classes.dtype) == ((2, 20_000), np.int64)
        for row, chances in zip(classes, odds, strict=True):
            assert np.bincount(row, minlength=3) / 20_000 == pytest.approx(chances, abs=0.02)


def test_refuses_what_cannot_be() -> None:
    """No draw has a negative size, another rank than two classes need, or text for numbers."""
    for op, inputs, attributes in (
        ("RandomNormal", [], {"shape": [-1]}),
        ("Multinomial", [LIKE[0]], {}),
        ("RandomUniform", [], {"shape": [1], "dtype": TensorProto.STRING}),
    ):
        with pytest.raises((OnnxImportError, ValidationError, InferenceError)):
            draws(op, inputs, attributes)


def test_multinomial_of_one_class() -> None:
    """One class is certain."""
    assert draws("Multinomial", [np.zeros((2, 1), np.float32)], {"sample_size": 3})[0].tolist() == [[0] * 3] * 2
