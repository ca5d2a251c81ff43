"""Channels that are filled up to whole blocks."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from onnx_import import backend
from tests.unit.onnx_import.fusion import fusing
from tests.unit.onnx_import.fusion.fusing import numbers

IMAGE = "(float[N, 3, 9, 9] x) => (float[N, K, H, W] y)"
WEIGHTS: dict[str, Any] = {
    "w": numbers(10, 3, 2, 2, seed=1),
    "b": numbers(10, seed=2),
    "v": numbers(5, 10, 1, 1, seed=3),
    "d": numbers(10, 1, 3, 3, seed=4),
    "k": numbers(10, 1, 1, seed=5),
    "s": abs(numbers(10, seed=6)),
    "o": np.float32(1),
}


def filters(monkeypatch: pytest.MonkeyPatch, nodes: str, weights: dict[str, Any]) -> list[int]:
    """The filters of each convolution that a model's symbol has, once it answers right."""
    texts: list[str] = []
    prepare = backend.prepare

    def watched(model: Any) -> Any:
        prepared = prepare(model)
        run = prepared.run

        def noted(feeds: Any) -> Any:
            answers = run(feeds)
            texts.append(prepared.program.last[0].stages[0].text)
            return answers

        prepared.run = noted
        return prepared

    monkeypatch.setattr(fusing.backend, "prepare", watched)
    fusing.fused(IMAGE, nodes, weights, {"x": numbers(2, 3, 9, 9)})
    found = json.loads(texts[0])["nodes"]
    return [int(node["attrs"]["num_filter"]) for node in found if node["op"] in ("Convolution", "Deconvolution")]


BETWEEN = {
    "nothing": ("p = Relu(c)", [16, 5]),
    "pooling": ("p = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (c)", [16, 5]),
    "a filter a channel": ("p = Conv <group = 10, pads = [1, 1, 1, 1]> (c, d, b)", [16, 16, 5]),
    "a gate": ("q = Sigmoid(c) p = Mul(c, q)", [16, 5]),
    "constants": ("q = Relu(c) r = Mul(q, k) t = Sigmoid(r) p = Sub(t, k)", [16, 16, 16, 5]),
    "its own factors": ("q = Relu(c) a = GlobalAveragePool(q) t = Sigmoid(a) p = Mul(q, t)", [16, 5]),
    "a norm": ("q = Relu(c) p = BatchNormalization(q, s, b, b, s)", [16, 5]),
    "a sum": ("e = Conv(x, w, b) f = Relu(e) p = Add(c, f)", [16, 16, 5]),
}


@pytest.mark.parametrize("between", BETWEEN)
def test_channels_between_convolutions_grow(monkeypatch: pytest.MonkeyPatch, between: str) -> None:
    """Through everything that gives each channel for itself."""
    nodes, _ = BETWEEN[between]
    found = filters(monkeypatch, f"c = Conv(x, w, b) {nodes} y = Conv(p, v)", WEIGHTS)
    assert set(found) == {16, 5}


CLOSED = {
    "a head": "p = Relu(c) y = Neg(p)",
    "softmax": "p = Softmax <axis = 1> (c) y = Conv(p, v)",
    "a logarithm": "r = Relu(c) q = Add(r, o) p = Log(q) y = Conv(p, v)",
    "groups": "p = Relu(c) y = Conv <group = 2> (p, g)",
    "a flat reshape": "p = Flatten(c) y0 = Neg(p) y = Unsqueeze(y0, axes)",
}


@pytest.mark.parametrize("reader", CLOSED)
def test_channels_that_others_count_do_not(monkeypatch: pytest.MonkeyPatch, reader: str) -> None:
    """Sums over channels would see the zeros, a head would show them, and log makes them infinite."""
    weights = {**WEIGHTS, "g": numbers(4, 5, 1, 1, seed=7), "axes": np.array([2, 3])}
    assert 16 not in filters(monkeypatch, f"c = Conv(x, w, b) {CLOSED[reader]}", weights)


def test_many_filters_of_an_odd_number_are_cut_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty-one are thirty-two, of which the last eleven are cut off."""
    weights = {"w": numbers(21, 3, 2, 2, seed=1), "b": numbers(21, seed=2)}
    assert filters(monkeypatch, "c = Conv(x, w, b) y = Neg(c)", weights) == [32]
