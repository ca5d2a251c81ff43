"""Graphs made up at random, with branches and several outputs: whatever is fused, by us or by MXNet, the answers stay."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from onnx_import import backend, oracle

GRAPHS = 120
NUMBERS = {"zero": 0.0, "six": 6.0, "three": 3.0}
CURVES = ["Relu", "Sigmoid", "Tanh", "LeakyRelu", "HardSigmoid", "Elu", "Abs", "Softplus"]


class Graph:
    """A graph that grows node by node; `values` are names with their channels."""

    def __init__(self, seed: int) -> None:
        self.random, self.numbers = random.Random(seed), np.random.RandomState(seed)
        self.is_flat = self.random.random() < 0.35
        channels = self.random.choice([3, 8, 16])
        self.shape = [2, channels] if self.is_flat else [self.random.choice([1, 2]), channels, 6, 6]
        self.values = [("x", channels)]
        self.nodes: list[Any] = []
        self.weights = [numpy_helper.from_array(np.float32(number), name) for name, number in NUMBERS.items()]
        for _ in range(self.random.randint(3, 9)):
            self.grow()

    def weight(self, *shape: int, positive: bool = False) -> str:
        """The name of a new weight."""
        array = self.numbers.standard_normal(shape).astype(np.float32) / 2
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(abs(array) + 0.5 if positive else array, name))
        return name

    def add(self, op: str, inputs: list[str], channels: int, **attributes: Any) -> str:
        """The name of a new node's output."""
        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [name], **attributes))
        self.values.append((name, channels))
        return name

    def grow(self) -> None:
        """Put one more step behind a value, mostly one of the last."""
        x, channels = self.random.choice(self.values[-3:] if self.random.random() < 0.7 else self.values)
        step = self.random.choices([self.weighted, self.curved, self.joined, self.gated, self.normalized], [8, 6, 4, 2, 2])[0]
        step(x, channels)

    def weighted(self, x: str, channels: int) -> None:
        """A convolution, of all channels or of each, or a product of matrices."""
        filters, kernel = self.random.choice([5, 8, 10, 16, 24]), self.random.choice([1, 3])
        bias = [self.weight(filters)] * (self.random.random() < 0.5)
        if self.is_flat:
            self.add("Gemm", [x, self.weight(channels, filters), *bias], filters)
        elif self.random.random() < 0.3:
            self.add("Conv", [x, self.weight(channels, 1, 3, 3)], channels, group=channels, pads=[1] * 4)
        else:
            self.add("Conv", [x, self.weight(filters, channels, kernel, kernel), *bias], filters, pads=[kernel // 2] * 4)

    def curved(self, x: str, channels: int) -> None:
        """An activation."""
        if self.random.random() < 0.2:
            self.add("Clip", [x, "zero", "six"], channels)
        else:
            self.add(self.random.choice(CURVES), [x], channels)

    def joined(self, x: str, channels: int) -> None:
        """A sum, difference or product with another value."""
        others = [name for name, size in self.values if size == channels]
        self.add(self.random.choice(["Add", "Add", "Mul", "Sub"]), [x, self.random.choice(others)], channels)

    def gated(self, x: str, channels: int) -> None:
        """A product with a gate made from it: hard swish, SiLU, or factors of channels."""
        kind = self.random.randrange(3)
        if kind == 0:
            gate = self.add("Clip", [self.add("Add", [x, "three"], channels), "zero", "six"], channels)
            self.add("Div", [self.add("Mul", [x, gate], channels), "six"], channels)
        elif kind == 1 or self.is_flat:
            self.add("Mul", [x, self.add("Sigmoid", [x], channels)], channels)
        else:
            factors = self.add("Sigmoid", [self.add("GlobalAveragePool", [x], channels)], channels)
            del self.values[-2:]  # of another shape
            self.add("Mul", [x, factors], channels)

    def normalized(self, x: str, channels: int) -> None:
        """Constants of channels, a pooling, or PRelu."""
        if self.is_flat:
            self.add("Mul", [x, self.weight(channels)], channels)
            return
        parts = [self.weight(channels, positive=at in (0, 3)) for at in range(4)]
        kind = self.random.randrange(3)
        if kind == 0:
            self.add("BatchNormalization", [x, *parts], channels)
        elif kind == 1:
            self.add("PRelu", [x, self.weight(channels, 1, 1)], channels)
        else:
            self.add("MaxPool", [x], channels, kernel_shape=[3, 3], pads=[1] * 4)

    def model(self) -> onnx.ModelProto:
        """The model; some values on the way are outputs too."""
        names = [self.values[-1][0], *[name for name, _ in self.values[1:-1] if self.random.random() < 0.12]]
        outputs = [helper.make_empty_tensor_value_info(name) for name in dict.fromkeys(names)]
        inputs = [helper.make_tensor_value_info("x", 1, self.shape)]
        graph = helper.make_graph(self.nodes, "g", inputs, outputs, self.weights)
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        return onnx.shape_inference.infer_shapes(made)


@pytest.mark.parametrize("first", range(0, GRAPHS, 20))
def test_random_graphs(first: int) -> None:
    """Twenty graphs each."""
    for seed in range(first, first + 20):
        graph = Graph(seed)
        model = graph.model()
        feeds = {"x": (graph.numbers.standard_normal(graph.shape) * 2).astype(np.float32)}
        want = oracle.reference(model).run(feeds)
        prepared = backend.prepare(model)
        for _ in range(2):
            for mine, theirs in zip(prepared.run(feeds), want, strict=True):
                largest = float(np.abs(theirs).max())
                np.testing.assert_allclose(mine, theirs, rtol=2e-3, atol=1e-4 * max(1, largest), err_msg=f"seed {seed}")
