"""Truth values, bits and shifts: as numpy's at every width."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onnx_import.errors import OnnxImportError
from tests.unit.onnx_import.checking import check
from tests.unit.onnx_import.ops.test_arithmetic import INTEGERS, whole

SHAPES = [((2, 3), (2, 3)), ((4, 2, 3), (3,)), ((2, 1), (1, 3)), ((), (2,)), ((), ()), ((0, 3), (3,))]


def truths(shape: tuple[int, ...], seed: int) -> Any:
    """Seeded truth values."""
    return np.asarray(np.random.default_rng(seed).integers(0, 2, shape)).astype(bool)


@pytest.mark.parametrize("op", ["And", "Or", "Xor"])
@pytest.mark.parametrize("shapes", SHAPES, ids=str)
def test_truth_values(op: str, shapes: tuple[Any, Any]) -> None:
    """Operands of any two shapes."""
    check(op, [truths(shapes[0], 1), truths(shapes[1], 2)])


@pytest.mark.parametrize("op", ["And", "Or", "Xor"])
def test_broadcast_from_an_axis(op: str) -> None:
    """Before opset 7 the second operand begins at an axis of the first."""
    x, y = truths((2, 3, 4), 3), truths((3,), 4)
    function = {"And": np.logical_and, "Or": np.logical_or, "Xor": np.logical_xor}[op]
    check(op, [x, y], {"broadcast": 1, "axis": 1}, opset=6, want=[function(x, y[:, None])])


@pytest.mark.parametrize("shape", [(), (2, 3), (0,)], ids=str)
def test_not(shape: tuple[int, ...]) -> None:
    """The other truth value."""
    check("Not", [truths(shape, 5)])


@pytest.mark.parametrize("op", ["BitwiseAnd", "BitwiseOr", "BitwiseXor"])
@pytest.mark.parametrize("dtype", INTEGERS)
def test_bits(op: str, dtype: str) -> None:
    """Every bit of every width, with a whole tensor and with one number."""
    x, y = whole(dtype, 100, 6), whole(dtype, 100, 7)
    check(op, [x, y])
    check(op, [x, y[:1]])


@pytest.mark.parametrize("dtype", INTEGERS)
def test_bits_turned(dtype: str) -> None:
    """Every bit turned, within the width."""
    check("BitwiseNot", [whole(dtype, 100, 8)])


@pytest.mark.parametrize("direction", ["LEFT", "RIGHT"])
@pytest.mark.parametrize("dtype", INTEGERS)
def test_shifts(direction: str, dtype: str) -> None:
    """Every number of places, and more or fewer than there are; the sign comes in from above."""
    width = np.iinfo(dtype).bits
    x = np.tile(whole(dtype, 20, 9), width + 2)
    low = 0 if dtype[0] == "u" else -1
    places = np.resize(np.arange(low, width + 2), x.shape).astype(dtype)
    check("BitShift", [x, places], {"direction": direction}, opset=28)
    check("BitShift", [x, np.array(3, dtype)], {"direction": direction}, opset=28)


def test_no_such_direction() -> None:
    """A direction that is none is an error that names it."""
    with pytest.raises(OnnxImportError, match="UP"):
        check("BitShift", [np.array([1], np.uint8)] * 2, {"direction": "UP"}, want=[np.array([1])])
