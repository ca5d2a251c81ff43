"""Constants that go into weights."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.onnx_import.fusion.fusing import fused, numbers

IMAGE = "(float[N, 4, 6, 6] x) => (float[N, K, H, W] y)"
CHAINS = {
    "added": "y = Add(c, k)",
    "added in front": "y = Add(k, c)",
    "taken away": "y = Sub(c, k)",
    "taken from": "y = Sub(k, c)",
    "multiplied": "y = Mul(c, k)",
    "divided": "y = Div(c, k)",
    "scaled and moved": "s = Mul(c, k) t = Add(s, k) y = Sub(t, k)",
    "one number": "s = Mul(c, one) y = Add(s, one)",
}
WEIGHTS = {"k": abs(numbers(3, 1, 1, seed=2)) + 0.5, "one": np.float32(1.5)}


@pytest.mark.parametrize("with_bias", [False, True], ids=["no bias", "bias"])
@pytest.mark.parametrize("chain", CHAINS)
def test_behind_a_convolution(chain: str, with_bias: bool) -> None:
    """Sums and products with a number a filter are in the filters."""
    weights = {**WEIGHTS, "w": numbers(3, 4, 3, 3, seed=1), "b": numbers(3, seed=3)}
    nodes = f"c = Conv(x, w{', b' * with_bias}) {CHAINS[chain]}"
    assert fused(IMAGE, nodes, weights, {"x": numbers(2, 4, 6, 6)}) == {"Convolution": 1}


@pytest.mark.parametrize("chain", CHAINS)
def test_behind_a_transposed_convolution(chain: str) -> None:
    """Its filters lie on the second axis, a group after the other."""
    weights = {"k": abs(numbers(4, 1, 1, seed=2)) + 0.5, "one": np.float32(1.5), "w": numbers(4, 2, 3, 3, seed=1)}
    nodes = f"c = ConvTranspose <group = 2> (x, w) {CHAINS[chain]}"
    assert fused(IMAGE, nodes, weights, {"x": numbers(2, 4, 6, 6)}) == {"Deconvolution": 1}


@pytest.mark.parametrize("chain", CHAINS)
def test_behind_a_product(chain: str) -> None:
    """Sums and products with a number a column are in the matrix."""
    weights = {"k": abs(numbers(3, seed=2)) + 0.5, "one": np.float32(1.5), "w": numbers(4, 3, seed=1)}
    nodes = f"c = MatMul(x, w) {CHAINS[chain]}"
    assert fused("(float[N, T, 4] x) => (float[N, T, 3] y)", nodes, weights, {"x": numbers(2, 5, 4)}) == {"FullyConnected": 1}


@pytest.mark.parametrize(("pads", "count"), [(0, 1), (1, 2)], ids=["without padding", "padded"])
def test_before_a_convolution(pads: int, count: int) -> None:
    """A shift goes into the bias where no padding would have to be shifted; then it is a filter a channel."""
    weights = {"w": numbers(6, 2, 3, 3, seed=1), "k": numbers(4, 1, 1, seed=2), "t": numbers(1, 4, 1, 1, seed=3)}
    nodes = f"a = Mul(x, k) c = Add(a, t) y = Conv <group = 2, pads = [{', '.join([str(pads)] * 4)}]> (c, w)"
    found = fused(IMAGE, nodes, weights, {"x": numbers(2, 4, 6, 6)})
    assert found == {"Convolution": count}


def test_before_a_product() -> None:
    """Normalized features go into the matrix."""
    weights = {"w": numbers(4, 3, seed=1), "k": numbers(4, seed=2), "t": numbers(4, seed=3)}
    found = fused(
        "(float[N, 4] x) => (float[N, 3] y)", "a = Sub(x, k) c = Mul(a, t) y = MatMul(c, w)", weights, {"x": numbers(2, 4)}
    )
    assert found == {"FullyConnected": 1}


def test_what_others_read_stays() -> None:
    """A convolution that is wanted itself keeps its weights."""
    weights = {"w": numbers(3, 4, 3, 3, seed=1), "k": numbers(3, 1, 1, seed=2)}
    signature = "(float[N, 4, 6, 6] x) => (float[N, 3, 4, 4] c, float[N, 3, 4, 4] y)"
    found = fused(signature, "c = Conv(x, w) y = Mul(c, k)", weights, {"x": numbers(2, 4, 6, 6)})
    assert found == {"Convolution": 1, "broadcast_mul": 1}


def test_a_constant_that_differs_elsewhere_stays() -> None:
    """Only constants of each channel are a filter's."""
    weights = {"w": numbers(3, 4, 3, 3, seed=1), "k": numbers(1, 3, 4, 4, seed=2)}
    found = fused(IMAGE, "c = Conv(x, w) y = Add(c, k)", weights, {"x": numbers(2, 4, 6, 6)})
    assert found["broadcast_add"] + found["elemwise_add"] == 1


def test_whole_weights_stay_whole() -> None:
    """Sums of products of whole numbers are exact: a factor comes behind them."""
    weights = {"w": np.rint(numbers(4, 3, seed=1) * 9), "s": np.float32(0.1)}
    found = fused(
        "(float[N, 4] x) => (float[N, 3] y)", "a = MatMul(x, w) y = Mul(a, s)", weights, {"x": np.rint(numbers(2, 4) * 9)}
    )
    assert found == {"FullyConnected": 1, "_mul_scalar": 1}


def test_sums_that_round_stay() -> None:
    """A large number added and taken away rounds to whole ones."""
    weights = {"w": numbers(4, 3, seed=1), "big": np.float32(1.5 * 2**23)}
    nodes = "a = MatMul(x, w) s = Add(a, big) y = Sub(s, big)"
    found = fused("(float[N, 4] x) => (float[N, 3] y)", nodes, weights, {"x": numbers(2, 4) * 9})
    assert found == {"FullyConnected": 1, "_plus_scalar": 1, "_minus_scalar": 1}


def test_behind_a_batch_norm() -> None:
    """Its own scale and bias take more in."""
    weights = {name: abs(numbers(4, seed=seed)) + 0.5 for seed, name in enumerate("sbmv")}
    weights["k"] = numbers(4, 1, 1, seed=7)
    nodes = "c = BatchNormalization(x, s, b, m, v) t = Mul(c, k) y = Add(t, k)"
    assert fused(IMAGE, nodes, weights, {"x": numbers(2, 4, 6, 6)}) == {"BatchNorm": 1}


def test_the_scale_of_attention_scores_goes_into_a_projection() -> None:
    """Through the reshapes and transposes between them."""
    weights = {"q": numbers(8, 8, seed=1), "k": numbers(8, 8, seed=2), "s": np.array([0, 0, 2, 4]), "d": np.float32(2)}
    nodes = (
        "a = MatMul(x, q) b = MatMul(x, k) c = Reshape(a, s) e = Reshape(b, s) f = Transpose <perm = [0, 2, 1, 3]> (c) "
        "g = Transpose <perm = [0, 2, 3, 1]> (e) h = MatMul(f, g) y = Div(h, d)"
    )
    found = fused("(float[N, 3, 8] x) => (float[N, 2, 3, 3] y)", nodes, weights, {"x": numbers(2, 3, 8)})
    assert found["_mul_scalar"] + found["_div_scalar"] == 0
    assert found["FullyConnected"] == 2
