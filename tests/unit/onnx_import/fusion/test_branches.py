"""Results that an activation and others read: what MXNet's own fusion answers wrongly if nothing keeps them apart."""

from __future__ import annotations

import itertools

import pytest

from tests.unit.onnx_import.fusion.fusing import fused, numbers

CURVES = ["Relu", "Sigmoid", "Tanh", "Exp", "Abs", "Sqrt", "LeakyRelu"]
JOINS = ["y = Add(a, b)", "y = Mul(a, b)", "y = Concat <axis = 1> (a, b)"]


@pytest.mark.parametrize(
    ("curve", "other", "join"), list(itertools.product(CURVES, ["Neg(c)", "Relu(c)", "Identity(c)"], JOINS))
)
def test_a_product_of_matrices(curve: str, other: str, join: str) -> None:
    """Whatever reads it in whatever order."""
    weights = {"w": numbers(4, 6, seed=1)}
    for first, second in ((f"{curve}(c)", other), (other, f"{curve}(c)")):
        nodes = f"m = MatMul(x, w) c = {'Mul(m, m)' if curve == 'Sqrt' else 'Identity(m)'} a = {first} b = {second} {join}"
        fused("(float[N, 4] x) => (float[N, K] y)", nodes, weights, {"x": numbers(3, 4)})


@pytest.mark.parametrize(
    ("curve", "other", "join"), list(itertools.product(CURVES[:3], ["Neg(c)", "Relu(c)", "Identity(c)"], JOINS))
)
def test_a_convolution(curve: str, other: str, join: str) -> None:
    """Whatever reads it in whatever order, be it a sum with itself."""
    weights = {"w": numbers(16, 3, 1, 1, seed=1)}
    for first, second in ((f"{curve}(c)", other), (other, f"{curve}(c)")):
        nodes = f"c = Conv(x, w) a = {first} b = {second} {join}"
        fused("(float[N, 3, 5, 5] x) => (float[N, K, H, W] y)", nodes, weights, {"x": numbers(2, 3, 5, 5)})


@pytest.mark.parametrize("curve", CURVES[:3])
@pytest.mark.parametrize("maker", ["Conv(x, w)", "MatMul(x, v)"])
def test_an_output(maker: str, curve: str) -> None:
    """What is wanted itself is what was before the activation."""
    weights = {"w": numbers(16, 3, 1, 1, seed=1), "v": numbers(5, 4, seed=2)}
    signature = "(float[N, 3, 5, 5] x) => (float[N, K, H, W] c, float[N, K, H, W] y)"
    fused(signature, f"c = {maker} y = {curve}(c)", weights, {"x": numbers(2, 3, 5, 5)})


def test_nothing_is_put_in_without_need() -> None:
    """Where nothing is at risk, nothing is added."""
    weights = {"w": numbers(16, 3, 1, 1, seed=1), "v": numbers(4, 16, 1, 1, seed=2)}
    found = fused(
        "(float[N, 3, 5, 5] x) => (float[N, K, H, W] y)",
        "c = Conv(x, w) a = Relu(c) y = Conv(a, v)",
        weights,
        {"x": numbers(2, 3, 5, 5)},
    )
    assert found == {"Convolution": 2, "Activation": 1}


def test_a_convolution_added_to_itself() -> None:
    """It is doubled, in its weights."""
    weights = {"w": numbers(16, 3, 1, 1, seed=1)}
    assert fused(
        "(float[N, 3, 5, 5] x) => (float[N, K, H, W] y)", "c = Conv(x, w) y = Add(c, c)", weights, {"x": numbers(2, 3, 5, 5)}
    ) == {"Convolution": 1}
