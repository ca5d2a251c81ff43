"""Promises of products of quantised tensors: every whole number is exact, whatever its size."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx.reference
import pytest

from onnx_import.dtypes import true_dtype
from onnx_import.graph import Graph, Node, Tensor, Type, ValueInfo
from onnx_import.program import Program
from tests.unit.onnx_import.checking import check, node_model

SHAPES = [
    ((3, 4), (4, 5)),
    ((2, 3, 4), (4, 2)),
    ((2, 3, 4), (2, 4, 2)),
    ((4,), (4, 3)),
    ((2, 4), (4,)),
    ((2, 0), (0, 3)),
    ((0, 4), (4, 1)),
]


def _whole(shape: tuple[int, ...], dtype: str, seed: int) -> Any:
    limits = np.iinfo(dtype)
    return np.random.default_rng(seed).integers(limits.min, limits.max + 1, shape).astype(dtype)


@pytest.mark.parametrize(("a", "b"), SHAPES, ids=str)
@pytest.mark.parametrize("kinds", [("uint8", "int8"), ("int8", "int8"), ("uint8", "uint8")], ids=str)
def test_matmul_integer(kinds: tuple[str, str], a: tuple[int, ...], b: tuple[int, ...]) -> None:
    """Matrices, stacks of them and vectors, with zero points and without."""
    left, right = _whole(a, kinds[0], 1), _whole(b, kinds[1], 2)
    check("MatMulInteger", [left, right])
    check("MatMulInteger", [left, right, _whole((), kinds[0], 3), _whole((), kinds[1], 4)])


def test_zero_points_by_row_and_column() -> None:
    """A vector of zero points goes by rows on the left, by columns on the right."""
    left, right, rows, columns = (
        _whole((3, 5), "uint8", 1),
        _whole((5, 4), "int8", 2),
        _whole((3,), "uint8", 3),
        _whole((4,), "int8", 4),
    )
    want = (left.astype(np.int32) - rows[:, None].astype(np.int32)) @ (right.astype(np.int32) - columns.astype(np.int32))
    check("MatMulInteger", [left, right, rows, columns], want=[want])


@pytest.mark.parametrize("count", [20, 700, 40000])
@pytest.mark.parametrize("is_known", [True, False], ids=["weights", "inputs"])
def test_long_sums(count: int, is_known: bool) -> None:
    """Sums beyond 2**24 and beyond int32 are those of int32 arithmetic, in whichever way they are computed."""
    left = np.full((2, count), 255, np.uint8)
    right = _whole((count, 3), "int8", 5)
    right[:, 0], right[-1, 0] = 127, 126
    want = left.astype(np.int32) @ right.astype(np.int32)
    node = Node("MatMulInteger", ["a", "b"], ["y"], since=10)
    infos = [ValueInfo("a", Type(dtype="uint8"))] + [ValueInfo("b", Type(dtype="int8"))] * (not is_known)
    graph = Graph([node], infos, [ValueInfo("y", Type(dtype="int32"))], {"b": Tensor("int8", right)} if is_known else {})
    got = Program(graph).run({"a": left} if is_known else {"a": left, "b": right})[0]
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("attributes", [{}, {"pads": [1, 0, 2, 1]}, {"strides": [2, 1]}, {"auto_pad": "SAME_UPPER"}], ids=str)
@pytest.mark.parametrize("channels", [3, 64])
def test_conv_integer(attributes: dict[str, Any], channels: int) -> None:
    """What is padded is the zero point."""
    x, weight = _whole((2, channels, 7, 6), "uint8", 6), _whole((4, channels, 3, 3), "uint8", 7)
    check("ConvInteger", [x, weight, _whole((), "uint8", 8), _whole((), "uint8", 9)], attributes)
    check("ConvInteger", [x, weight], attributes)


@pytest.mark.parametrize("kinds", [("uint8", "uint8"), ("uint8", "int8"), ("int8", "int8")], ids=str)
@pytest.mark.parametrize("has_bias", [True, False], ids=["bias", "plain"])
def test_qlinear_conv(kinds: tuple[str, str], has_bias: bool) -> None:
    """Scales and zero points of the weights go by output channel."""
    x, weight = _whole((1, 6, 8, 8), kinds[0], 1), _whole((5, 6, 3, 3), kinds[1], 2)
    scales = np.random.default_rng(3).uniform(0.001, 0.003, 5).astype(np.float32)
    zeros = np.zeros(5, kinds[1])
    bias = [np.random.default_rng(4).integers(-9000, 9000, 5).astype(np.int32)] if has_bias else []
    scalars = [np.float32(0.02).reshape(()), _whole((), kinds[0], 5)]
    inputs = [x, *scalars, weight, scales, zeros, np.float32(0.017).reshape(()), _whole((), kinds[0], 6), *bias]
    total = _convolved(x, scalars[1], weight, bias)
    steps = total * (scalars[0] * scales / inputs[6]).reshape(1, -1, 1, 1)
    limits = np.iinfo(kinds[0])
    want = np.clip(np.rint(steps) + inputs[7].astype(np.int32), limits.min, limits.max).astype(kinds[0])
    check("QLinearConv", inputs, want=[want])


def _convolved(x: Any, zero: Any, weight: Any, bias: list[Any]) -> Any:
    """int32 sums by onnx's evaluator of the plain convolution."""
    inputs = [x.astype(np.float64) - float(zero), weight.astype(np.float64), *[part.astype(np.float64) for part in bias]]
    evaluator = onnx.reference.ReferenceEvaluator(node_model("Conv", inputs, {}, opset=None, domain="", outputs=1))
    return evaluator.run(None, {f"x{index}": value for index, value in enumerate(inputs)})[0].astype(np.float32)


@pytest.mark.parametrize("scale", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("dtype", ["uint8", "int8"])
def test_qlinear_matmul(dtype: str, scale: str) -> None:
    """The product is scaled, rounded to even and moved."""
    kind = true_dtype(scale)
    scales = [np.array(number).astype(kind) for number in (0.0625, 0.03125, 0.5)]
    a, b = _whole((2, 4, 6), dtype, 1), _whole((2, 6, 3), dtype, 2)
    zeros = [_whole((), dtype, seed) for seed in (3, 4, 5)]
    total = (a.astype(np.int32) - zeros[0]) @ (b.astype(np.int32) - zeros[1])
    limits = np.iinfo(dtype)
    want = np.clip(np.rint(total * 0.00390625) + zeros[2], limits.min, limits.max).astype(dtype)
    check("QLinearMatMul", [a, scales[0], zeros[0], b, scales[1], zeros[1], scales[2], zeros[2]], want=[want])


def test_qlinear_matmul_by_row() -> None:
    """Scales of the left side and of the result go by rows, those of the right side by columns."""
    a, b = _whole((3, 6), "int8", 1), _whole((6, 4), "int8", 2)
    rows, columns = np.float32([0.5, 0.25, 0.125]), np.float32([0.25, 0.5, 1, 0.125])
    zeros = [np.zeros(3, np.int8), np.zeros(4, np.int8), np.int8([1, -2, 3])]
    total = a.astype(np.int32) @ b.astype(np.int32)
    quotient = total * (rows[:, None] * columns / np.float32([[16], [32], [64]]))
    want = np.clip(np.rint(quotient) + zeros[2][:, None], -128, 127).astype(np.int8)
    check("QLinearMatMul", [a, rows, zeros[0], b, columns, zeros[1], np.float32([16, 32, 64]), zeros[2]], want=[want])
