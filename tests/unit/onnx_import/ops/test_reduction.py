"""Reductions: every axis, type and opset against ONNX's evaluator."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onnx_import.errors import OnnxImportError
from tests.unit.onnx_import.checking import check

pytestmark = pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning", "ignore:Mean of empty slice:RuntimeWarning")

OPS = ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare")
SCALARS = {"LogSum": np.log(np.float32(3)), "SumSquare": np.float32(9)}
"""What 3 alone is reduced to; 3 by all others."""
AXES: list[Any] = [None, [0], [1], [-1], [0, 2], [2, 1], [-2, 0, 2]]


def numbers(dtype: str, *shape: int) -> Any:
    """Seeded numbers above 0 (ReduceLogSum takes their logarithm), few enough of them that products stay exact."""
    drawn = np.random.default_rng(1).integers(1, 4, shape)
    return (drawn * 0.5 if "float" in dtype else drawn).astype(dtype)


def given(axes: Any) -> list[Any]:
    """The axes as an input, if any."""
    return [] if axes is None else [np.array(axes, np.int64)]


@pytest.mark.parametrize(("axes", "keepdims"), [(axes, place % 2) for place, axes in enumerate(AXES)], ids=str)
@pytest.mark.parametrize("op", OPS)
def test_axes_as_input(op: str, axes: Any, keepdims: int) -> None:
    """Any axes, in any order and from either end, kept or not."""
    check(f"Reduce{op}", [numbers("float32", 2, 3, 4), *given(axes)], {"keepdims": keepdims})


@pytest.mark.parametrize("opset", [1, 12])
@pytest.mark.parametrize("axes", [None, [-1, 0]], ids=str)
@pytest.mark.parametrize("op", OPS)
def test_axes_as_attribute(op: str, axes: Any, opset: int) -> None:
    """Before opset 18 (for ReduceSum 13) axes are an attribute."""
    attributes = {} if axes is None else {"axes": [axis % 3 for axis in axes] if opset == 1 else axes}
    check(f"Reduce{op}", [numbers("float32", 2, 3, 4)], {**attributes, "keepdims": 0}, opset=opset)


@pytest.mark.parametrize("op", OPS)
def test_no_axes(op: str) -> None:
    """Without axes a node that says so reduces none, but still takes squares, sizes and logarithms."""
    x = numbers("float32", 2, 3)
    check(f"Reduce{op}", [x], {"noop_with_empty_axes": 1})
    check(f"Reduce{op}", [x, np.array([], np.int64)], {"noop_with_empty_axes": 1})
    check(f"Reduce{op}", [x, np.array([], np.int64)], {})


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("dtype", ["int32", "uint64", "float16", "float64"])
def test_types(op: str, dtype: str) -> None:
    """Whole numbers stay whole, and 16-bit floats are summed in float32."""
    if "int" in dtype and op in ("LogSum", "LogSumExp", "SumSquare"):
        return  # ONNX has no such type, or the evaluator squares in another
    x = numbers(dtype, 3, 4)
    x = x - x.dtype.type(2) if dtype in ("int32", "int64") and op != "LogSum" else x
    check(f"Reduce{op}", [x, np.array([1])], {}, rtol=2e-3 if dtype == "float16" else 1e-6)


@pytest.mark.parametrize("op", ["Max", "Min"])
@pytest.mark.parametrize("dtype", ["int8", "uint8", "bool", "uint64", "int64"])
def test_extremes_of_every_type(op: str, dtype: str) -> None:
    """The order of 64-bit numbers is exact, with a sign and without; true is more than false."""
    values = {"uint64": [0, 1, 2**63, 2**64 - 1], "int64": [-(2**63), 2**62, 2**62 + 1, 0], "bool": [True, False, False, False]}
    x = np.array(values.get(dtype, [3, 1, 100, 7]), dtype).reshape(2, 2)
    for axes in AXES[:4]:
        check(f"Reduce{op}", [x, *given(axes)], {})


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("keepdims", [0, 1])
def test_nothing_to_reduce(op: str, keepdims: int) -> None:
    """Over no elements each operation gives its neutral number."""
    x = np.zeros((2, 0, 3), np.float32)
    check(f"Reduce{op}", [x, np.array([1])], {"keepdims": keepdims})
    check(f"Reduce{op}", [x, np.array([0])], {"keepdims": keepdims})
    check(f"Reduce{op}", [np.array(3.0, np.float32)], {"keepdims": keepdims}, want=[SCALARS.get(op, np.float32(3))])


@pytest.mark.parametrize("op", ["Max", "Min", "Sum", "Mean", "Prod"])
def test_not_a_number(op: str) -> None:
    """NaN wins, wherever it is, and infinities are numbers."""
    x = np.array([[1, np.nan, 3], [np.nan, 2, 1], [np.inf, 1, 2], [-np.inf, 1, 2]], np.float32)
    check(f"Reduce{op}", [x, np.array([1])], {})


def test_log_sum_exp_of_far_numbers() -> None:
    """Nothing overflows, and -inf alone is -inf."""
    x = np.array([[1000, 1000.5], [-1000, -np.inf], [-np.inf, -np.inf], [np.inf, 1]], np.float32)
    want = np.array([1000.9741, -1000, -np.inf, np.inf], np.float32)
    check("ReduceLogSumExp", [x, np.array([1])], {"keepdims": 0}, want=[want])


def test_many_separate_axes() -> None:
    """More separate axes than MXNet reduces at once."""
    x = numbers("float32", 2, 3, 2, 2, 2, 1, 3)
    for op in ("Sum", "Mean", "Max", "L2"):
        check(f"Reduce{op}", [x, np.array([0, 2, 4, 6])], {"keepdims": 0})


def test_image_means() -> None:
    """The mean over both axes of an image."""
    x = np.random.default_rng(2).normal(size=(2, 3, 5, 7)).astype(np.float32)
    for keepdims in (0, 1):
        check("ReduceMean", [x, np.array([2, 3])], {"keepdims": keepdims})
        check("ReduceMean", [x, np.array([-1, -2])], {"keepdims": keepdims})


@pytest.mark.parametrize("op", ["ArgMax", "ArgMin"])
@pytest.mark.parametrize("last", [0, 1])
@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8", "int64", "uint64"])
def test_places(op: str, last: int, dtype: str) -> None:
    """The first or the last of equal ones, of any type, on any axis."""
    x = numbers(dtype, 4, 5, 3)
    x = x * x.dtype.type(2**62) if dtype == "uint64" else x
    for axis in (0, 1, -1):
        for keepdims in (0, 1):
            check(op, [x], {"axis": axis, "keepdims": keepdims, "select_last_index": last})


@pytest.mark.parametrize("op", ["ArgMax", "ArgMin"])
@pytest.mark.parametrize("opset", [1, 11])
def test_places_in_older_opsets(op: str, opset: int) -> None:
    """Before opset 12 the first of equal ones is meant; NaN is found as the most extreme."""
    check(op, [numbers("float32", 3, 4)], {"axis": 1}, opset=opset)
    check(op, [np.array([[1, np.nan, 3], [np.inf, 2, 3]], np.float32)], {"axis": 1}, opset=opset)


def test_no_place_in_nothing() -> None:
    """An empty axis has no largest element."""
    with pytest.raises(OnnxImportError, match="no largest"):
        check("ArgMax", [np.zeros((2, 0), np.float32)], {"axis": 1}, want=[np.zeros(1)])


@pytest.mark.parametrize("op", ["CumSum", "CumProd"])
@pytest.mark.parametrize("exclusive", [0, 1])
@pytest.mark.parametrize("reverse", [0, 1])
@pytest.mark.parametrize("dtype", ["float32", "float16", "int32", "uint64"])
def test_cumulative(op: str, exclusive: int, reverse: int, dtype: str) -> None:
    """Sums and products so far, with or without the number itself, from either end; whole ones wrap around."""
    x = numbers(dtype, 2, 7, 3)
    tolerance = 4e-3 if dtype == "float16" else 1e-5
    for axis in (0, 1, -1):
        check(op, [x, np.array(axis)], {"exclusive": exclusive, "reverse": reverse}, rtol=tolerance)
    if "int" in dtype:
        large = np.full((70,), 3, dtype)
        check(op, [large, np.array(0)], {"exclusive": exclusive, "reverse": reverse})


@pytest.mark.parametrize("op", ["CumSum", "CumProd"])
def test_cumulative_of_little(op: str) -> None:
    """Nothing, and one number."""
    check(op, [np.zeros((2, 0), np.float32), np.array(1)], {})
    check(op, [np.array([5.0], np.float32), np.array(0)], {"exclusive": 1})


@pytest.mark.parametrize("dtype", ["int32", "uint32", "int64", "uint64"])
def test_squares_of_whole_numbers(dtype: str) -> None:
    """Squares are summed in their own type."""
    x = numbers(dtype, 3, 4)
    check("ReduceSumSquare", [x, np.array([1])], {"keepdims": 0}, want=[(x * x).sum(1, dtype=dtype)])


@pytest.mark.parametrize("axes", [None, [1], [0, 2]], ids=str)
@pytest.mark.parametrize("op", ["Sum", "Mean", "LogSumExp"])
def test_long_sums(op: str, axes: Any) -> None:
    """Sums that are taken as products are as exact, and infinities and NaN pass."""
    x = np.random.default_rng(3).uniform(0, 1, (9, 70, 31)).astype(np.float32)
    for keepdims in (0, 1):
        check(f"Reduce{op}", [x, *given(axes)], {"keepdims": keepdims})
    if op != "LogSumExp":
        x[0, 0, 0], x[1, 1, 1] = np.inf, np.nan
        check(f"Reduce{op}", [x, *given(axes)], {})


@pytest.mark.parametrize("op", OPS)
def test_known_operands(op: str) -> None:
    """What is known when the graph is converted is reduced then, to the same."""
    check(f"Reduce{op}", [numbers("float32", 2, 3, 4), np.array([0, 2])], {}, known=[0, 1])
    check(f"Reduce{op}", [numbers("float16", 2, 3, 4), np.array([1])], {"keepdims": 0}, known=[1], rtol=2e-3)
