"""Promises of the quantising operators: exact whole numbers, as ONNX's evaluator has them, by plain graphs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onnx_import.dtypes import ONNX_NUMBERS, bounds, is_integer, true_dtype
from tests.unit.onnx_import.checking import check, check_refused

INTEGERS = ("int8", "uint8", "int16", "uint16", "int4", "uint4", "int2", "uint2")
FLOATS = ("float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz", "float4_e2m1fn")


def _zeros(shape: tuple[int, ...], dtype: str, seed: int = 0) -> Any:
    if not is_integer(dtype):
        return np.zeros(shape).astype(true_dtype(dtype))
    low, high = bounds(dtype)
    return np.random.default_rng(seed).integers(low, high + 1, shape).astype(true_dtype(dtype))


@pytest.mark.parametrize("source", ["float32", "float16", "bfloat16", "int32"])
@pytest.mark.parametrize("dtype", [*INTEGERS, *FLOATS])
def test_quantize(dtype: str, source: str) -> None:
    """Whole tensors and channels, quotients beyond the range and ties among them."""
    random = np.random.default_rng(1)
    x = (random.integers(-40, 40, (2, 3, 50)) / (1 if source == "int32" else 4)).astype(true_dtype(source))
    scales = np.array([0.5, 0.25, 0.0625]).astype(true_dtype("float32" if source == "int32" else source))
    check("QuantizeLinear", [x, scales[1], _zeros((), dtype)], atol=0)
    check("QuantizeLinear", [x, scales, _zeros((3,), dtype)], {"axis": -2}, atol=0)


@pytest.mark.parametrize("dtype", ["int8", "uint16", "float8_e5m2", "float4_e2m1fn"])
def test_quantize_without_zero_point(dtype: str) -> None:
    """The type is named by an attribute."""
    x = np.random.default_rng(2).normal(0, 30, (4, 5)).astype(np.float32)
    check("QuantizeLinear", [x, np.float32([0.3])[0]], {"output_dtype": ONNX_NUMBERS[dtype]})
    check("QuantizeLinear", [x, np.float32(0.3).reshape(1)], opset=13)


@pytest.mark.parametrize(
    ("shape", "scale", "axis"), [((4, 7), (4, 3), 1), ((2, 6, 3), (2, 2, 3), -2), ((5, 2), (2, 2), 0)], ids=str
)
@pytest.mark.parametrize("dtype", ["uint8", "int4", "float8_e4m3fn"])
def test_blocks(dtype: str, shape: tuple[int, ...], scale: tuple[int, ...], axis: int) -> None:
    """A scale for each block of three, the last block being shorter."""
    random = np.random.default_rng(3)
    scales, zeros = random.uniform(0.1, 1, scale).astype(np.float32), _zeros(scale, dtype)
    attributes = {"axis": axis, "block_size": 3}
    check("QuantizeLinear", [random.normal(0, 5, shape).astype(np.float32), scales, zeros], attributes)
    check("DequantizeLinear", [_zeros(shape, dtype, 4), scales, zeros], attributes)


def test_precision() -> None:
    """The division is in the type that the node names."""
    x = np.random.default_rng(4).normal(0, 10, (3, 40)).astype(np.float32)
    check("QuantizeLinear", [x, np.array(0.1, np.float16), np.int8(3).reshape(())], {"precision": ONNX_NUMBERS["float16"]})


@pytest.mark.parametrize("scale", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("dtype", [*INTEGERS, *FLOATS, "int32"])
def test_dequantize(dtype: str, scale: str) -> None:
    """Every type, by tensor and by channel, to the scale's type."""
    x = (
        _zeros((3, 2, 20), dtype, 5)
        if is_integer(dtype)
        else np.random.default_rng(5).normal(0, 3, (3, 2, 20)).astype(true_dtype(dtype))
    )
    if dtype == "int32":
        x //= 1 << 9
    scales = np.array([0.3, 0.07]).astype(true_dtype(scale))
    zeros = [] if dtype == "int32" else [_zeros((2,), dtype, 6)]
    check("DequantizeLinear", [x, scales, *zeros])
    check("DequantizeLinear", [x, scales[0]])


def test_dequantize_to() -> None:
    """The type of the answer can be named."""
    x = np.arange(-5, 5).astype(np.int8)
    check("DequantizeLinear", [x, np.float32([0.3])[0]], {"output_dtype": ONNX_NUMBERS["float16"]})


@pytest.mark.parametrize("shift", [0.0, 4.0, -50.0])
@pytest.mark.parametrize("shape", [(), (7,), (2, 3, 4)], ids=str)
def test_dynamic(shape: tuple[int, ...], shift: float) -> None:
    """Numbers, scale and zero point follow the range, which has 0 in it."""
    x = np.asarray(np.random.default_rng(7).normal(shift, 10, shape), np.float32)
    prepared = check("DynamicQuantizeLinear", [x], outputs=3)
    assert [len(block.stages) for block in prepared.program.last] == [1]


def test_empty() -> None:
    """Nothing to quantise gives nothing."""
    check("QuantizeLinear", [np.zeros((0, 3), np.float32), np.float32(0.5).reshape(()), np.uint8(1).reshape(())])
    check("DequantizeLinear", [np.zeros((2, 0), np.int8), np.float32(0.5).reshape(())])


def test_powers_of_two_are_refused_where_they_are_a_result() -> None:
    """Numbers of every sign have none to be rounded to."""
    inputs = [np.array([1, -2], np.int8), np.array(2, true_dtype("float8_e8m0fnu"))]
    check_refused("DequantizeLinear", inputs, opset=25)
