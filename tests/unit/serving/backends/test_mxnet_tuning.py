"""Graphs that are made faster while they are bound answer what they answered before."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from serving.backends import mxnet_tuning
from serving.backends.mxnet_import import import_mxnet

mx = import_mxnet()


def numbers(*shape: int, seed: int = 0) -> Any:
    """Some float32 of the given shape."""
    return mx.nd.array(np.random.RandomState(seed).standard_normal(shape))


def convolved(x: Any, name: str = "w") -> Any:
    """A convolution of 16 channels."""
    return mx.sym.Convolution(x, mx.sym.var(name), kernel=(1, 1), num_filter=16, no_bias=True)


def gated(x: Any) -> Any:
    """x * sigmoid(x) of a convolution."""
    y = convolved(x)
    return mx.sym.elemwise_mul(y, mx.sym.Activation(y, act_type="sigmoid"))


def excited(x: Any) -> Any:
    """A relu of a convolution, times factors for its channels that are made from it."""
    y = mx.sym.Activation(convolved(x), act_type="relu")
    factors = mx.sym.Activation(
        convolved(mx.sym.Pooling(y, global_pool=True, kernel=(1, 1), pool_type="avg"), "v"), act_type="sigmoid"
    )
    return convolved(mx.sym.broadcast_mul(y, factors), "u")


def operators(symbol: Any) -> list[str]:
    """The operators of a symbol."""
    return [node["op"] for node in json.loads(symbol.tojson())["nodes"] if node["op"] != "null"]


def compared(symbol: Any, arrays: dict[str, Any]) -> list[str]:
    """The operators of the tuned symbol, whose answers are the given one's for inputs that change between passes."""
    fast = mxnet_tuning.tuned(symbol, arrays)
    everything = {**arrays, **fast.arguments}
    slow = symbol.bind(mx.cpu(), arrays, grad_req="null")
    bound = fast.symbol.bind(mx.cpu(), everything, aux_states=fast.states, grad_req="null")
    for seed in range(3):
        arrays["x"][:] = np.random.RandomState(seed).standard_normal(arrays["x"].shape) * 3
        want, got = (each.forward(is_train=False)[0].asnumpy() for each in (slow, bound))
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)
    return operators(fast.symbol)


WEIGHTS = {"w": numbers(16, 3, 1, 1, seed=1), "v": numbers(16, 16, 1, 1, seed=2), "u": numbers(16, 16, 1, 1, seed=3)}


def test_gates_are_one_node() -> None:
    """SiLU is oneDNN's, for any number of rows."""
    found = compared(gated(mx.sym.var("x")), {"x": numbers(2, 3, 5, 5), "w": WEIGHTS["w"]})
    assert found == ["Convolution", "_backward_Activation"]


def test_a_gate_that_others_read_stays() -> None:
    """A sigmoid that is wanted itself is computed."""
    y = convolved(mx.sym.var("x"))
    gate = mx.sym.Activation(y, act_type="sigmoid")
    symbol = mx.sym.Group([mx.sym.elemwise_mul(y, gate), gate])
    assert "Activation" in compared(symbol, {"x": numbers(1, 3, 5, 5), "w": WEIGHTS["w"]})


@pytest.mark.parametrize("dtype", ["float64", "float16"])
def test_gates_of_other_types_stay(dtype: str) -> None:
    """oneDNN computes float32; MXNet's own node of that name means something else."""
    x = mx.sym.var("x")
    symbol = mx.sym.elemwise_mul(x, mx.sym.Activation(x, act_type="sigmoid"))
    assert operators(mxnet_tuning.tuned(symbol, {"x": mx.nd.ones((2, 3), dtype=dtype)}).symbol) == [
        "Activation",
        "elemwise_mul",
    ]


def test_gates_of_many_axes_stay() -> None:
    """oneDNN's activations take five axes."""
    x = mx.sym.var("x")
    symbol = mx.sym.elemwise_mul(x, mx.sym.Activation(x, act_type="sigmoid"))
    assert compared(symbol, {"x": numbers(1, 2, 1, 2, 2, 2)}) == ["Activation", "elemwise_mul"]


def test_gates_stay_where_this_build_computes_them_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    """A build without oneDNN keeps what the model says."""
    monkeypatch.setattr(mxnet_tuning, "_is_exact", lambda: False)
    symbol = gated(mx.sym.var("x"))
    assert mxnet_tuning.tuned(symbol, {"x": numbers(1, 3, 5, 5), "w": WEIGHTS["w"]}).symbol is symbol


def test_factors_of_one_row_are_a_batch_norm() -> None:
    """New inputs have new factors."""
    found = compared(excited(mx.sym.var("x")), {"x": numbers(1, 3, 5, 5), **WEIGHTS})
    assert "BatchNorm" in found
    assert "broadcast_mul" not in found


def test_factors_of_several_rows_stay() -> None:
    """A BatchNorm has the same ones for all rows."""
    assert "broadcast_mul" in compared(excited(mx.sym.var("x")), {"x": numbers(2, 3, 5, 5), **WEIGHTS})


@pytest.mark.parametrize("is_read_twice", [False, True], ids=["alone", "with another reader"])
def test_factors_of_what_a_convolution_gives_are_not_folded_into_it(is_read_twice: bool) -> None:
    """MXNet would keep those of the first pass in its weights."""
    x = mx.sym.var("x")
    y = convolved(x)
    factors = mx.sym.Activation(mx.sym.Pooling(convolved(x, "v0"), global_pool=True, kernel=(1, 1)), act_type="sigmoid")
    scaled = mx.sym.broadcast_mul(y, factors)
    symbol = convolved(mx.sym.elemwise_add(y, scaled) if is_read_twice else scaled, "u")
    arrays = {"x": numbers(1, 3, 5, 5), "w": WEIGHTS["w"], "v0": numbers(16, 3, 1, 1, seed=5), "u": WEIGHTS["u"]}
    found = compared(symbol, arrays)
    assert found.count("Pooling") == 2
    assert "BatchNorm" in found


def test_a_graph_without_either_is_left_alone() -> None:
    """The very symbol comes back."""
    symbol = convolved(mx.sym.var("x"))
    assert mxnet_tuning.tuned(symbol, {"x": numbers(1, 3, 5, 5), "w": WEIGHTS["w"]}).symbol is symbol
