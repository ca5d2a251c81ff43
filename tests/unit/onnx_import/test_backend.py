"""ONNX's standard backend interface, as any tool that speaks it calls it."""

from __future__ import annotations

import numpy as np
import onnx
import onnx.backend.base
import pytest
from onnx import parser

from onnx_import import backend
from onnx_import.errors import UnsupportedModel

MODEL = '<ir_version: 10, opset_import: ["" : 21]> agraph (float[N] x, float[N] y) => (float[N] z) { z = Sub(x, y) }'
X, Y = np.array([1, 2], np.float32), np.array([3, 5], np.float32)


def test_is_a_backend() -> None:
    """It is a subclass of ONNX's own, and its module has the functions that runners look for."""
    assert issubclass(backend.MXNetBackend, onnx.backend.base.Backend)
    assert all(callable(getattr(backend, name)) for name in ("prepare", "run_model", "run_node", "supports_device"))
    assert backend.supports_device("CPU")
    assert backend.supports_device("CPU:0")
    assert not backend.supports_device("CUDA")


@pytest.mark.parametrize("inputs", [[X, Y], (X, Y), {"x": X, "y": Y}], ids=["list", "tuple", "dict"])
def test_run_model(inputs: object) -> None:
    """Inputs may come in order or by name; outputs come in order."""
    model = parser.parse_model(MODEL)
    (z,) = backend.run_model(model, inputs)
    np.testing.assert_array_equal(z, X - Y)
    (again,) = backend.prepare(model).run(inputs)
    np.testing.assert_array_equal(again, z)


def test_run_node() -> None:
    """One node runs without a model around it, of the newest opset or a given one."""
    (z,) = backend.run_node(onnx.helper.make_node("Sub", ["x", "y"], ["z"]), [X, Y])
    np.testing.assert_array_equal(z, X - Y)
    node = onnx.helper.make_node("ReduceSum", ["x"], ["z"], axes=[0], keepdims=0)
    (total,) = backend.run_node(node, {"x": X}, opset_version=11)
    assert total == 3


def test_unsupported() -> None:
    """An operator that nobody knows is refused by name, before anything runs."""
    model = parser.parse_model(MODEL)
    model.opset_import.append(onnx.helper.make_opsetid("com.example", 1))
    model.graph.node[0].domain = "com.example"
    with pytest.raises(UnsupportedModel, match="com.example.Sub"):
        backend.prepare(model).run([X, Y])
