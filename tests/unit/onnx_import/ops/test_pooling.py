"""Pooling against ONNX's evaluator, mended where it is wrong."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from tests.unit.onnx_import.checking import check
from tests.unit.onnx_import.oracle.asking import ask

CASES: dict[str, tuple[tuple[int, ...], dict[str, Any]]] = {
    "plain": ((2, 3, 8, 9), {"kernel_shape": [3, 2]}),
    "strides": ((2, 3, 8, 9), {"kernel_shape": [3, 3], "strides": [2, 3]}),
    "padded alike": ((1, 3, 8, 8), {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "strides": [2, 2]}),
    "padded at one end": ((1, 3, 8, 8), {"kernel_shape": [3, 3], "pads": [0, 0, 1, 1], "strides": [2, 2]}),
    "padded unevenly": ((1, 3, 7, 8), {"kernel_shape": [3, 4], "pads": [2, 1, 0, 3]}),
    "same, upper": ((1, 3, 7, 8), {"kernel_shape": [3, 2], "auto_pad": "SAME_UPPER", "strides": [2, 2]}),
    "same, lower": ((1, 3, 7, 8), {"kernel_shape": [2, 4], "auto_pad": "SAME_LOWER", "strides": [3, 1]}),
    "rounded up": ((1, 3, 8, 9), {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1}),
    "rounded up, padded": ((1, 3, 7, 8), {"kernel_shape": [3, 3], "strides": [2, 3], "pads": [1, 1, 1, 1], "ceil_mode": 1}),
    "dilated": ((1, 3, 9, 9), {"kernel_shape": [3, 2], "dilations": [2, 3], "pads": [1, 1, 1, 1]}),
    "one axis": ((2, 3, 9), {"kernel_shape": [4], "strides": [2], "pads": [1, 2]}),
    "three axes": ((1, 2, 5, 6, 7), {"kernel_shape": [2, 3, 2], "strides": [1, 2, 2], "pads": [0, 1, 0, 1, 1, 1]}),
    "no rows": ((0, 3, 8, 8), {"kernel_shape": [3, 3]}),
}
FULL = [case for case in CASES if case != "no rows"]


def numbers(shape: tuple[int, ...], dtype: str = "float32") -> Any:
    """Some of the given shape, all below 0 so that padding would show."""
    return (np.random.RandomState(0).standard_normal(shape) - 4).astype(dtype)


@pytest.mark.parametrize(("case", "dtype"), list(itertools.product(FULL, ["float32", "float64", "float16", "int8", "uint8"])))
def test_max_pool(case: str, dtype: str) -> None:
    """Every padding, stride, dilation and rounding, in every type."""
    shape, attributes = CASES[case]
    x = (numbers(shape) * 9).astype(dtype)
    check("MaxPool", [x], attributes, want=[ask("MaxPool", [x], 22, **attributes)])


@pytest.mark.parametrize("storage_order", [0, 1])
@pytest.mark.parametrize("case", [case for case in FULL if case != "three axes"])
def test_max_pool_indices(case: str, storage_order: int) -> None:
    """Where the largest elements are, counted by rows or by columns."""
    shape, attributes = CASES[case]
    x = numbers(shape)
    attributes = {**attributes, "storage_order": storage_order}
    want = ask("MaxPool", [x], 22, outputs=2, **attributes)
    check("MaxPool", [x], attributes, outputs=2, want=want)


@pytest.mark.parametrize("count_include_pad", [0, 1])
@pytest.mark.parametrize("case", FULL)
def test_average_pool(case: str, count_include_pad: int) -> None:
    """Every padding, stride, dilation and rounding; the padding counts, or does not."""
    shape, attributes = CASES[case]
    x = numbers(shape)
    attributes = {**attributes, "count_include_pad": count_include_pad}
    check("AveragePool", [x], attributes, want=[ask("AveragePool", [x], 22, **attributes)])


@pytest.mark.parametrize("p", [1, 2, 3])
@pytest.mark.parametrize("case", FULL)
def test_lp_pool(case: str, p: int) -> None:
    """The norm of each window."""
    shape, attributes = CASES[case]
    x = numbers(shape)
    attributes = {**attributes, "p": p}
    check("LpPool", [x], attributes, want=[ask("LpPool", [x], 22, **attributes)], rtol=1e-4)


@pytest.mark.parametrize("op", ["MaxPool", "AveragePool", "LpPool"])
def test_nothing_pooled(op: str) -> None:
    """No rows in, no rows out."""
    shape, attributes = CASES["no rows"]
    check(op, [numbers(shape)], attributes, want=[np.zeros((0, 3, 6, 6), np.float32)])


@pytest.mark.parametrize("shape", [(2, 3, 5, 4), (1, 2, 7), (2, 1, 3, 2, 2), (1, 2, 2, 2, 2, 3)], ids=str)
@pytest.mark.parametrize("op", ["GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"])
def test_global_pool(op: str, shape: tuple[int, ...]) -> None:
    """Any number of spatial axes."""
    x = numbers(shape)
    check(op, [x], want=[ask(op, [x], 22)], rtol=1e-4)


@pytest.mark.parametrize("larger", [False, True], ids=["its own shape", "a larger shape"])
def test_max_unpool(larger: bool) -> None:
    """What MaxPool took comes back where it was."""
    x = numbers((1, 2, 6, 6))
    pooled, places = ask("MaxPool", [x], 22, outputs=2, kernel_shape=[2, 2], strides=[2, 2])
    inputs = [pooled, places, np.array([1, 2, 7, 8])] if larger else [pooled, places]
    check("MaxUnpool", inputs, {"kernel_shape": [2, 2], "strides": [2, 2]})
