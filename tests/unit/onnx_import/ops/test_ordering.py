"""TopK: the order of values, of equal ones and of those that are no numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onnx_import.errors import OnnxImportError
from tests.unit.onnx_import.checking import check

DTYPES = ("float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")


def numbers(dtype: str, *shape: int) -> Any:
    """Few different numbers, so that most are equal to others."""
    drawn = np.random.default_rng(1).integers(0, 4, shape)
    return drawn * np.uint64(2**62) if dtype == "uint64" else drawn.astype(dtype)


@pytest.mark.parametrize("largest", [0, 1])
@pytest.mark.parametrize("dtype", DTYPES)
def test_equal_ones_keep_their_order(dtype: str, largest: int) -> None:
    """Of equal numbers those in front come first, in every type and on every axis."""
    x = numbers(dtype, 3, 40, 2)
    check("TopK", [x, np.array([25])], {"axis": 1, "largest": largest}, outputs=2)
    check("TopK", [x, np.array([2])], {"axis": -1, "largest": largest}, outputs=2)
    check("TopK", [x, np.array([1])], {"axis": 0, "largest": largest, "sorted": 0}, outputs=2)


@pytest.mark.parametrize("k", [0, 1, 2, 300])
@pytest.mark.parametrize("largest", [0, 1])
def test_every_count(k: int, largest: int) -> None:
    """None, one, some and all of them."""
    x = np.random.default_rng(2).permutation(300).astype(np.float32).reshape(1, 300)
    check("TopK", [x, np.array([k])], {"largest": largest}, outputs=2)


@pytest.mark.parametrize("largest", [0, 1])
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_not_a_number(dtype: str, largest: int) -> None:
    """NaN is above infinity."""
    x = np.array([1, np.inf, np.nan, -np.inf, np.inf, np.nan, 3, -np.inf], dtype)
    check("TopK", [x, np.array([7])], {"largest": largest}, outputs=2)


@pytest.mark.parametrize("opset", [1, 10])
def test_older_opsets(opset: int) -> None:
    """Opset 1 has k as an attribute; before opset 11 the largest are meant."""
    x = numbers("float32", 3, 5)
    order = np.argsort(-x, axis=1, kind="stable")[:, :3]
    want = [np.take_along_axis(x, order, 1), order]
    check("TopK", [x] if opset == 1 else [x, np.array([3])], {"k": 3} if opset == 1 else {}, opset=opset, outputs=2, want=want)


def test_too_many() -> None:
    """More than there are is an error that says how many there are."""
    with pytest.raises(OnnxImportError, match="which has 5"):
        check("TopK", [numbers("float32", 3, 5), np.array([6])], {}, outputs=2, want=[0, 0])
