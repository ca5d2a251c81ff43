"""Comparisons and choices, of every type that ONNX compares."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.unit.onnx_import.checking import check

DTYPES = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64")
SHAPES = [
    ((2, 3), (2, 3)),
    ((4, 2, 3), (3,)),
    ((2, 1), (1, 3)),
    ((), (2,)),
    ((), ()),
    ((0, 3), (3,)),
    ((2, 1, 2, 1, 2, 1), (3, 1, 3, 1, 3)),
]


def values(dtype: str, shape: tuple[int, ...], seed: int) -> Any:
    """Few different numbers, so that many are equal; of the widest types the ends too."""
    drawn = np.asarray(np.random.default_rng(seed).integers(0, 4, shape))
    if dtype == "uint64":
        return np.array([0, 1, 2**63, 2**64 - 1], np.uint64)[drawn]
    if dtype == "int64":
        return np.array([-(2**63), -1, 2**62, 2**62 + 1], np.int64)[drawn]
    if "float" in dtype:
        return np.array([0.0, -0.0, np.nan, np.inf], dtype)[drawn]
    return drawn.astype(dtype)


@pytest.mark.parametrize("op", ["Equal", "Less", "Greater", "LessOrEqual", "GreaterOrEqual"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_type(op: str, dtype: str) -> None:
    """Order with and without a sign, to the last of 64 bits; NaN is not equal to itself."""
    if dtype != "bool" or op == "Equal":
        check(op, [values(dtype, (50,), 1), values(dtype, (50,), 2)])
        check(op, [values(dtype, (50,), 1), values(dtype, (), 2)])


@pytest.mark.parametrize("op", ["Equal", "Less", "GreaterOrEqual"])
@pytest.mark.parametrize("shapes", SHAPES, ids=str)
def test_broadcast(op: str, shapes: tuple[Any, Any]) -> None:
    """Shapes of any rank broadcast."""
    check(op, [values("int32", shape, seed) for seed, shape in enumerate(shapes)])


@pytest.mark.parametrize("op", ["Equal", "Less", "Greater"])
def test_broadcast_from_an_axis(op: str) -> None:
    """Before opset 7 the second operand begins at an axis of the first."""
    dtype = "int32" if op == "Equal" else "float32"
    x, y = values("int32", (2, 3, 4), 3).astype(dtype), values("int32", (3,), 4).astype(dtype)
    function = {"Equal": np.equal, "Less": np.less, "Greater": np.greater}[op]
    check(op, [x, y], {"broadcast": 1, "axis": 1}, opset=6, want=[function(x, y[:, None])])


def test_texts() -> None:
    """Texts are compared and chosen too."""
    x, y = np.array([["a", "b"], ["", "ä"]], object), np.array(["a", "ä"], object)
    check("Equal", [x, y], want=[x == y])
    check("Where", [np.array([True, False]), x, y], want=[np.where([True, False], x, y)])


@pytest.mark.parametrize("dtype", [d for d in DTYPES if "float" in d])
def test_infinite_and_not_a_number(dtype: str) -> None:
    """Infinities are told by sign, and NaN from them."""
    x = np.array([[0.0, np.inf, -np.inf], [np.nan, -0.0, 1.0]], dtype)
    check("IsNaN", [x])
    for negative in (0, 1):
        for positive in (0, 1):
            attributes = {"detect_negative": negative, "detect_positive": positive}
            is_found = (np.isposinf(x) & bool(positive)) | (np.isneginf(x) & bool(negative))
            check("IsInf", [x], attributes, want=[is_found])


@pytest.mark.parametrize("dtype", DTYPES)
def test_where_of_every_type(dtype: str) -> None:
    """A condition chooses between operands of any type."""
    condition = values("int32", (3,), 5) > 1
    check("Where", [condition, values(dtype, (2, 1), 6), values(dtype, (), 7)])


@pytest.mark.parametrize(
    "shapes", [((2, 3), (2, 3), (2, 3)), ((2, 1, 2, 1, 2, 1), (1, 3), (2, 1)), ((0,), (1,), (1,)), ((), (), ())], ids=str
)
def test_where_of_every_shape(shapes: Any) -> None:
    """Condition and operands have any shapes that broadcast."""
    condition = values("int32", shapes[0], 5) > 1
    for dtype in ("float32", "bool"):
        check("Where", [condition, values(dtype, shapes[1], 6), values(dtype, shapes[2], 7)])


@pytest.mark.parametrize("dtype", ["bool", "uint16", "uint64", "float32"])
@pytest.mark.parametrize("shapes", [((50, 100), (50, 100), ()), ((1, 100), (50, 1), (50, 100)), ((50, 1), (), (100,))], ids=str)
def test_where_of_many(dtype: str, shapes: Any) -> None:
    """Large operands, of one shape or not; what is not chosen leaves no NaN behind."""
    condition = values("int32", shapes[0], 5) > 1
    check("Where", [condition, values(dtype, shapes[1], 6), values(dtype, shapes[2], 7)])
