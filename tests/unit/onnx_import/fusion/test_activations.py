"""Activation functions that exporters spell as chains."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.unit.onnx_import.fusion.fusing import fused, numbers

FLAT = "(float[N, 8] x) => (float[N, 8] y)"
CONSTANTS = {
    "half": np.float32(0.5),
    "one": np.float32(1),
    "two": np.float32(2),
    "three": np.float32(3),
    "six": np.float32(6),
    "zero": np.float32(0),
    "root": np.float32(math.sqrt(2)),
    "cubic": np.float32(0.044715),
    "outer": np.float32(math.sqrt(2 / math.pi)),
}
GELUS = {
    "PyTorch": "a = Div(x, root) e = Erf(a) s = Add(e, one) p = Mul(x, s) y = Mul(p, half)",
    "half first": "a = Div(x, root) e = Erf(a) s = Add(e, one) h = Mul(x, half) y = Mul(h, s)",
    "half of the sum": "a = Div(x, root) e = Erf(a) s = Add(one, e) h = Mul(half, s) y = Mul(h, x)",
}


@pytest.mark.parametrize("spelling", GELUS)
def test_gelu(spelling: str) -> None:
    """Every order of its factors is one operator."""
    assert fused(FLAT, GELUS[spelling], CONSTANTS, {"x": numbers(2, 8) * 3}) == {"LeakyReLU": 1}


def test_gelu_by_tanh() -> None:
    """tanh becomes a sigmoid, whose product needs no half and no sum."""
    nodes = (
        "q = Mul(x, x) r = Mul(q, x) s = Mul(r, cubic) t = Add(x, s) u = Mul(t, outer) v = Tanh(u) "
        "w = Add(v, one) h = Mul(half, w) y = Mul(x, h)"
    )
    found = fused(FLAT, nodes, CONSTANTS, {"x": numbers(2, 8) * 3})
    assert found["Activation"] == 1
    assert found["_plus_scalar"] == 0


def test_another_product_with_erf_stays() -> None:
    """What only looks like gelu is computed as it is spelt."""
    nodes = "a = Div(x, two) e = Erf(a) s = Add(e, one) p = Mul(x, s) y = Mul(p, half)"
    assert fused(FLAT, nodes, CONSTANTS, {"x": numbers(2, 8)})["erf"] == 1


@pytest.mark.parametrize("last", ["y = Div(p, six)", "y = Mul(p, sixth)"])
def test_hard_swish(last: str) -> None:
    """Its chain is a hard sigmoid and a product."""
    nodes = f"a = Add(x, three) c = Clip(a, zero, six) p = Mul(x, c) {last}"
    weights = {**CONSTANTS, "sixth": np.float32(1 / 6)}
    assert fused(FLAT, nodes, weights, {"x": numbers(2, 8) * 4}) == {"hard_sigmoid": 1, "elemwise_mul": 1}


def test_hard_swish_behind_a_convolution() -> None:
    """The gate stays in oneDNN's layout: a filter a channel, and a clip."""
    weights = {**CONSTANTS, "w": numbers(4, 4, 1, 1, seed=1)}
    nodes = "k = Conv(x, w) a = Add(k, three) c = Clip(a, zero, six) p = Mul(k, c) y = Div(p, six)"
    found = fused("(float[N, 4, 5, 5] x) => (float[N, 4, 5, 5] y)", nodes, weights, {"x": numbers(2, 4, 5, 5) * 4})
    assert found == {"Convolution": 2, "clip": 1, "elemwise_mul": 1}


def test_relu_6_behind_a_convolution_is_a_clip() -> None:
    """oneDNN's convolution takes a clip in."""
    weights = {**CONSTANTS, "w": numbers(4, 4, 1, 1, seed=1)}
    found = fused(
        "(float[N, 4, 5, 5] x) => (float[N, 4, 5, 5] y)",
        "k = Conv(x, w) y = Clip(k, zero, six)",
        weights,
        {"x": numbers(2, 4, 5, 5) * 4},
    )
    assert found == {"Convolution": 1, "clip": 1}
