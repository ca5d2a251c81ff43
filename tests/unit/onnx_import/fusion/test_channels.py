"""What stays in oneDNN's layout."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.onnx_import.fusion.fusing import fused, numbers

IMAGE = "(float[N, 3, 9, 9] x) => (float[N, K, H, W] y)"


@pytest.mark.parametrize(
    ("slopes", "found"),
    [
        ([0.1, 0.5, -0.2, 1.0], {"Convolution": 3, "Activation": 1, "elemwise_add": 1}),
        ([0.1, 1.5, -0.2, 3.0], {"Convolution": 3, "Activation": 1, "elemwise_add": 1}),
        ([0.2, 0.2, 0.2, 0.2], {"Convolution": 1, "LeakyReLU": 1}),
    ],
    ids=["gentle", "steep", "equal"],
)
def test_prelu_behind_a_convolution(slopes: list[float], found: dict[str, int]) -> None:
    """Two filters a channel and a relu, for whatever slopes; LeakyReLU where they are equal."""
    weights = {"w": numbers(4, 3, 2, 2, seed=1), "s": np.array(slopes, np.float32).reshape(4, 1, 1)}
    assert fused(IMAGE, "c = Conv(x, w) y = PRelu(c, s)", weights, {"x": numbers(2, 3, 9, 9)}) == found


def test_few_channels_are_filled_up_around_a_pooling() -> None:
    """Ten channels are sixteen between two convolutions, six of them zeros."""
    weights = {"w": numbers(10, 3, 2, 2, seed=1), "b": numbers(10, seed=2), "v": numbers(5, 10, 1, 1, seed=3)}
    weights["s"] = abs(numbers(10, 1, 1, seed=4))
    nodes = "c = Conv(x, w, b) p = PRelu(c, s) q = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (p) y = Conv(q, v)"
    assert fused(IMAGE, nodes, weights, {"x": numbers(2, 3, 9, 9)})["Pooling"] == 1


def test_channels_that_others_count_are_not_filled_up() -> None:
    """A sum over channels would see the zeros; a head would show them."""
    weights = {"w": numbers(10, 3, 2, 2, seed=1), "v": numbers(5, 10, 1, 1, seed=3)}
    nodes = "c = Conv(x, w) q = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (c) s = Softmax <axis = 1> (q) y = Conv(s, v)"
    assert fused(IMAGE, nodes, weights, {"x": numbers(2, 3, 9, 9)})["softmax"] == 1


def test_an_affine_step_between_convolutions_is_a_filter_a_channel() -> None:
    """Where padding keeps it out of the second convolution's bias."""
    weights = {"w": numbers(4, 3, 2, 2, seed=1), "v": numbers(5, 4, 3, 3, seed=3), "k": numbers(4, 1, 1, seed=4)}
    nodes = "c = Conv(x, w) r = Relu(c) a = Mul(r, k) b = Add(a, k) y = Conv <pads = [1, 1, 1, 1]> (b, v)"
    found = fused(IMAGE, nodes, weights, {"x": numbers(2, 3, 9, 9)})
    assert found == {"Convolution": 3, "Activation": 1}


def test_a_product_of_convolutions_has_its_channels_last() -> None:
    """Both are turned, multiplied and turned back."""
    weights = {"w": numbers(32, 3, 2, 2, seed=1), "v": numbers(32, 3, 2, 2, seed=3)}
    nodes = "a = Conv(x, w) b = Conv(x, v) y = Mul(a, b)"
    found = fused(IMAGE, nodes, weights, {"x": numbers(2, 3, 9, 9)})
    assert found == {"Convolution": 2, "transpose": 3, "elemwise_mul": 1}


@pytest.mark.parametrize("last", ["y = Add(c, n)", "r = Relu(n) y = Mul(r, c)", "y = Sub(n, c)"])
def test_a_batch_norm_beside_other_readers_of_its_convolution(last: str) -> None:
    """MXNet fails to bind it as such."""
    weights = {name: abs(numbers(4, seed=seed)) + 0.5 for seed, name in enumerate("sbmv")}
    weights["w"] = numbers(4, 3, 2, 2, seed=5)
    found = fused(IMAGE, f"c = Conv(x, w) n = BatchNormalization(c, s, b, m, v) {last}", weights, {"x": numbers(2, 3, 9, 9)})
    assert found["Convolution"] == 2
    assert found["BatchNorm"] == 0
