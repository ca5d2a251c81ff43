"""Normalization against ONNX's evaluator, mended where it is wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest

from onnx_import import backend
from onnx_import.errors import UnsupportedModel
from onnx_import.graph import Graph, Node, Type, ValueInfo
from onnx_import.program import Program
from tests.unit.onnx_import.checking import check, node_model
from tests.unit.onnx_import.oracle.asking import ask

SHAPES = [(2, 3), (2, 3, 5), (2, 3, 4, 5), (1, 3, 2, 3, 4)]


def numbers(*shape: int, dtype: str = "float32", seed: int = 0) -> Any:
    """Some of the given shape."""
    return np.random.RandomState(seed).standard_normal(shape).astype(dtype)


def statistics(channels: int, dtype: str = "float32") -> list[Any]:
    """Scale, bias, mean and variance."""
    return [
        *[numbers(channels, dtype=dtype, seed=seed) for seed in (1, 2, 3)],
        abs(numbers(channels, dtype=dtype, seed=4)) + 0.5,
    ]


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("opset", [7, 9, 15])
def test_batch_normalization(opset: int, shape: tuple[int, ...], dtype: str) -> None:
    """By given statistics that are inputs."""
    inputs = [numbers(*shape, dtype=dtype), *statistics(3, dtype)]
    attributes = {"epsilon": 1e-2}
    tolerance = 5e-3 if dtype == "float16" else 1e-5
    want = [ask("BatchNormalization", inputs, opset, **attributes)]
    check("BatchNormalization", inputs, attributes, opset=opset, want=want, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_batch_normalization_by_constants(shape: tuple[int, ...]) -> None:
    """By given statistics that are weights, as one MXNet operator."""
    x, parts = numbers(*shape), statistics(3)
    names = ["s", "b", "m", "v"]
    node = onnx.helper.make_node("BatchNormalization", ["x", *names], ["y"])
    info = onnx.helper.make_tensor_value_info("x", 1, shape)
    weights = [onnx.numpy_helper.from_array(part, name) for part, name in zip(parts, names, strict=True)]
    end = onnx.helper.make_tensor_value_info("y", 1, shape)
    graph = onnx.helper.make_graph([node], "g", [info], [end], weights)
    prepared = backend.prepare(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 15)]))
    want = ask("BatchNormalization", [x, *parts], 15)
    np.testing.assert_allclose(prepared.run([x])[0], want, rtol=1e-4, atol=1e-5)
    assert '"BatchNorm"' in prepared.program.last[0].stages[0].text


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_batch_normalization_in_training(shape: tuple[int, ...]) -> None:
    """By the batch's own statistics, which move the running ones."""
    inputs = [numbers(*shape), *statistics(3)]
    attributes = {"training_mode": 1, "momentum": 0.75}
    want = ask("BatchNormalization", inputs, 15, outputs=3, **attributes)
    check("BatchNormalization", inputs, attributes, outputs=3, want=want, rtol=1e-4, atol=1e-5)


def test_batch_normalization_of_elements() -> None:
    """spatial=0 has statistics of each element."""
    x, parts = numbers(2, 3, 4), [numbers(3, 4, seed=seed) for seed in (1, 2, 3)]
    variance = abs(numbers(3, 4, seed=4)) + 0.5
    scale, bias, mean = parts
    want = (x - mean) / np.sqrt(variance + 1e-5) * scale + bias
    check("BatchNormalization", [x, *parts, variance], {"spatial": 0}, opset=7, want=[want])


@pytest.mark.parametrize(
    "dtypes", [("float16", "float16", "float32"), ("float32", "float16", "float64"), ("float64", "float32", "float16")]
)
def test_batch_normalization_of_several_types(dtypes: tuple[str, str, str]) -> None:
    """Input, scale and bias, and statistics may each have a type of their own; the answer has the input's."""
    x, scale, bias, mean, variance = (
        np.random.default_rng(0).uniform(0.5, 2, shape).astype(dtype)
        for shape, dtype in zip(((2, 3, 4), *[(3,)] * 4), (dtypes[0], *[dtypes[1]] * 2, *[dtypes[2]] * 2), strict=True)
    )
    parts = [part.reshape(3, 1).astype(np.float64) for part in (scale, bias, mean, variance)]
    want = (x - parts[2]) / np.sqrt(parts[3] + 1e-5) * parts[0] + parts[1]
    inputs = [x, scale, bias, mean, variance]
    for known in ((), (1, 2, 3, 4)):
        check("BatchNormalization", inputs, opset=15, known=known, want=[want.astype(x.dtype)], rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("shape", SHAPES[1:], ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_instance_normalization(shape: tuple[int, ...], dtype: str) -> None:
    """Each channel of each item for itself."""
    inputs = [numbers(*shape, dtype=dtype), *statistics(3, dtype)[:2]]
    tolerance = 5e-3 if dtype == "float16" else 1e-4
    check("InstanceNormalization", inputs, rtol=tolerance, atol=tolerance)


def grouped(x: Any, scale: Any, bias: Any, groups: int) -> Any:
    """GroupNormalization by numpy; scale and bias are of each channel."""
    rows = x.reshape(x.shape[0], groups, -1).astype(np.float64)
    unit = (rows - rows.mean(-1, keepdims=True)) / np.sqrt(rows.var(-1, keepdims=True) + 1e-5)
    return (unit.reshape(x.shape) * scale.reshape(1, -1, 1, 1) + bias.reshape(1, -1, 1, 1)).astype(np.float32)


@pytest.mark.parametrize("groups", [1, 2, 6])
def test_group_normalization(groups: int) -> None:
    """Groups of channels for themselves."""
    inputs = [numbers(2, 6, 4, 3), numbers(6, seed=1), numbers(6, seed=2)]
    want = [grouped(*inputs, groups)]
    check("GroupNormalization", inputs, {"num_groups": groups}, want=want, rtol=1e-4, atol=1e-5)


def test_group_normalization_by_group() -> None:
    """Opset 18 had one scale and bias a group; ONNX's checker refuses it by now."""
    x, scale, bias = numbers(2, 6, 4, 3), numbers(2, seed=1), numbers(2, seed=2)
    attributes = {"num_groups": 2, "epsilon": 1e-5}
    node = Node("GroupNormalization", ["x", "s", "b"], ["y"], attributes, since=18)
    infos = [ValueInfo(name, Type(shape=part.shape)) for name, part in {"x": x, "s": scale, "b": bias}.items()]
    got = Program(Graph([node], infos, [ValueInfo("y", Type())])).run({"x": x, "s": scale, "b": bias})[0]
    np.testing.assert_allclose(got, grouped(x, scale.repeat(3), bias.repeat(3), 2), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("axis", [0, 1, -1, 2])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_layer_normalization(axis: int, dtype: str) -> None:
    """All axes from one on, with the mean and one over the deviation."""
    shape = (2, 3, 4)
    inputs = [
        numbers(*shape, dtype=dtype),
        numbers(*shape[axis:], dtype=dtype, seed=1),
        numbers(*shape[axis:], dtype=dtype, seed=2),
    ]
    tolerance = 1e-2 if dtype == "float16" else 1e-4
    want = ask("LayerNormalization", inputs, 17, outputs=3, axis=axis)
    want[1:] = [part.astype(np.float32) for part in want[1:]]
    check("LayerNormalization", inputs, {"axis": axis}, outputs=3, want=want, rtol=tolerance, atol=tolerance)


def test_layer_normalization_by_a_broadcast_scale() -> None:
    """A scale of fewer axes, and no bias."""
    inputs = [numbers(2, 3, 4), numbers(4, seed=1)]
    check("LayerNormalization", inputs, {"axis": 1}, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_rms_normalization(axis: int, dtype: str) -> None:
    """By the root of the mean square."""
    inputs = [numbers(2, 3, 4, dtype=dtype), numbers(*(2, 3, 4)[axis:], dtype=dtype, seed=1)]
    tolerance = 5e-3 if dtype == "float16" else 1e-5
    check("RMSNormalization", inputs, {"axis": axis}, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("shape", SHAPES[1:], ids=str)
def test_lrn(size: int, shape: tuple[int, ...]) -> None:
    """Odd and even sizes, any number of axes."""
    attributes = {"size": size, "alpha": 0.5, "beta": 0.6, "bias": 1.5}
    x = numbers(*shape)
    padded = np.pad(x.astype(np.float64) ** 2, [(0, 0), ((size - 1) // 2, size // 2)] + [(0, 0)] * (len(shape) - 2))
    total = sum(padded[:, step : step + shape[1]] for step in range(size))
    want = [(x / (1.5 + 0.5 / size * total) ** 0.6).astype(np.float32)]
    check("LRN", [x], attributes, want=want)


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("p", [1, 2])
def test_lp_normalization(axis: int, p: int) -> None:
    """Zeros stay zeros."""
    x = numbers(3, 4, 2)
    x[:, 1] = x[0] = 0
    norm = abs(x).sum(axis, keepdims=True) if p == 1 else np.sqrt((x * x).sum(axis, keepdims=True))
    want = [np.divide(x, norm, out=np.zeros_like(x), where=norm != 0)]
    check("LpNormalization", [x], {"axis": axis, "p": p}, want=want)


@pytest.mark.parametrize(("opset", "mask"), [(7, "float32"), (10, "bool"), (13, "bool")])
def test_dropout_in_inference(opset: int, mask: str) -> None:
    """The input as it is, and a mask of ones."""
    x = numbers(2, 3)
    check("Dropout", [x], opset=opset, outputs=2, want=[x, np.ones((2, 3), mask)])


def test_dropout_in_training_by_a_seed() -> None:
    """The elements that the evaluator drops for the same seed."""
    x = numbers(8, 8)
    inputs = [x, np.float32(0.25).reshape(()), np.array(True)]
    check("Dropout", inputs, {"seed": 5}, outputs=2)


def test_dropout_by_chance_is_refused() -> None:
    """No graph drops what nobody can tell."""
    inputs = [numbers(2, 3), np.float32(0.25).reshape(()), np.array(True)]
    model = node_model("Dropout", inputs, {}, opset=None, domain="", outputs=1)
    with pytest.raises(UnsupportedModel, match="seed"):
        backend.prepare(model).run(inputs)
