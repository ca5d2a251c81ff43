"""Element-wise operators, legacy ones and numpy's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from onnx_import.errors import UnsupportedModel
from tests.unit.onnx_import.exporting.exported import export_op, numpy_op, ops

ROWS = {"x": (4, 6)}
PAIR = {"x": (2, 3, 4), "y": (2, 1, 4)}

UNARY = [
    "abs",
    "ceil",
    "cos",
    "erf",
    "exp",
    "expm1",
    "floor",
    "negative",
    "reciprocal",
    "relu",
    "sigmoid",
    "sign",
    "sin",
    "sinh",
    "cosh",
    "tanh",
    "tan",
    "arctan",
    "arcsinh",
    "softsign",
    "square",
    "rint",
    "round",
    "fix",
    "trunc",
    "BlockGrad",
    "logical_not",
    "zeros_like",
    "ones_like",
    "hard_sigmoid",
    "identity",
    "make_loss",
    "rsqrt",
    "log",
    "log2",
    "log10",
    "log1p",
    "sqrt",
    "arccos",
    "arcsin",
    "arccosh",
    "arctanh",
    "Dropout",
    "LinearRegressionOutput",
    "LogisticRegressionOutput",
    "MAERegressionOutput",
]
BINARY = [
    "add",
    "sub",
    "mul",
    "div",
    "maximum",
    "minimum",
    "mod",
    "equal",
    "not_equal",
    "greater",
    "greater_equal",
    "lesser",
    "lesser_equal",
    "logical_and",
    "logical_or",
    "logical_xor",
    "power",
    "hypot",
]
NUMPY_UNARY = [
    "abs",
    "ceil",
    "cos",
    "exp",
    "expm1",
    "floor",
    "negative",
    "reciprocal",
    "sign",
    "sin",
    "sinh",
    "cosh",
    "tanh",
    "tan",
    "arctan",
    "arcsinh",
    "square",
    "rint",
    "fix",
    "trunc",
    "log",
    "log2",
    "log10",
    "log1p",
    "sqrt",
    "arccos",
    "arcsin",
    "isnan",
    "isinf",
    "isfinite",
    "logical_not",
]
NUMPY_BINARY = [
    "add",
    "subtract",
    "multiply",
    "true_divide",
    "maximum",
    "minimum",
    "mod",
    "equal",
    "not_equal",
    "greater",
    "less",
    "less_equal",
    "power",
]

SCALARS: dict[str, Callable[[Any, Any], Any]] = {
    "add": lambda s, x: x + 2,
    "subtract": lambda s, x: x - 2,
    "subtract-from": lambda s, x: 2 - x,
    "multiply": lambda s, x: x * 3,
    "divide": lambda s, x: x / 3,
    "divide-by": lambda s, x: 1 / x,
    "power": lambda s, x: x**2,
    "power-of": lambda s, x: s.pow(2, x),
    "mod": lambda s, x: x % 2,
    "greater": lambda s, x: x > 0.5,
    "at-least": lambda s, x: x >= 0.5,
    "less": lambda s, x: x < 0.5,
    "at-most": lambda s, x: x <= 0,
    "other": lambda s, x: x != 0,
    "same": lambda s, x: x == 0,
    "maximum": lambda s, x: s.maximum(x, 0.1),
    "minimum": lambda s, x: s.minimum(x, 0.1),
    "clip": lambda s, x: s.clip(x, -0.5, 0.5),
    "cast": lambda s, x: s.Cast(x, dtype="int32"),
    "cast-to-the-same": lambda s, x: s.Cast(x, dtype="float32"),
}


@pytest.mark.parametrize("name", UNARY)
def test_one_operand(name: str) -> None:
    """Every function of one tensor."""
    assert export_op(lambda s, x: getattr(s, name)(x), ROWS)[1]


@pytest.mark.parametrize("name", BINARY)
def test_two_operands_broadcast(name: str) -> None:
    """Every function of two tensors; comparisons give numbers."""
    model, found = export_op(lambda s, x, y: getattr(s, f"broadcast_{name}")(x, y), PAIR)
    assert found[0].dtype == "float32"


@pytest.mark.parametrize("name", SCALARS)
def test_an_operand_and_a_number(name: str) -> None:
    """The number on either side."""
    assert export_op(SCALARS[name], ROWS)[1]


@pytest.mark.parametrize("name", NUMPY_UNARY)
def test_numpys_functions_of_one_operand(name: str) -> None:
    """What converted models are made of."""
    assert export_op(numpy_op(f"_npi_{name}"), ROWS)[1]


@pytest.mark.parametrize("name", NUMPY_BINARY)
def test_numpys_functions_of_two_operands(name: str) -> None:
    """Comparisons give truth values here."""
    _, found = export_op(numpy_op(f"_npi_{name}", 2), PAIR)
    assert found[0].dtype == ("bool" if name.split("_")[0] in ("equal", "not", "greater", "less") else "float32")


@pytest.mark.parametrize("name", ["add", "rsubtract", "multiply", "rtrue_divide", "power", "maximum", "less", "not_equal"])
def test_numpys_functions_of_an_operand_and_a_number(name: str) -> None:
    """The number is an attribute."""
    assert export_op(numpy_op(f"_npi_{name}_scalar", scalar="2.0", is_int="False"), ROWS)[1]


@pytest.mark.parametrize("name", ["bitwise_and", "bitwise_or", "bitwise_xor"])
def test_bits_need_opset_18(name: str) -> None:
    """Before it the error says so."""
    feeds = {"x": np.arange(4, dtype=np.int32), "y": np.arange(4, dtype=np.int32)[::-1].copy()}
    text, shapes = numpy_op(f"_npi_{name}", 2), {"x": (4,), "y": (4,)}
    assert export_op(text, shapes, feeds=feeds, opset=18)[1]
    with pytest.raises(UnsupportedModel, match="opset 18 on"):
        export_op(text, shapes, feeds=feeds, opset=17)


def test_bits_of_truth_values_are_logic_in_any_opset() -> None:
    """What converted models make of Or."""
    feeds = {"x": np.array([True, False]), "y": np.array([False, False])}
    model, _ = export_op(numpy_op("_npi_bitwise_or", 2), {"x": (2,), "y": (2,)}, feeds=feeds)
    assert ops(model) == ["Or"]
    assert ops(export_op(numpy_op("_npi_bitwise_not"), {"x": (2,)}, feeds={"x": feeds["x"]})[0]) == ["Not"]


def test_signs_are_copied_as_mxnet_does() -> None:
    """Minus zero is a zero to it."""
    feeds = {"x": np.array([1, -2, 3, 4], np.float32), "y": np.array([-0.0, 0.0, -5, np.inf], np.float32)}
    assert export_op(numpy_op("_npi_copysign", 2), {"x": (4,), "y": (4,)}, feeds=feeds)[1][0].ok


@pytest.mark.parametrize("name", ["isposinf", "isneginf", "isinf", "isnan"])
def test_infinities_are_told_apart(name: str) -> None:
    """By their signs."""
    feeds = {"x": np.array([np.inf, -np.inf, np.nan, 0], np.float32)}
    assert export_op(numpy_op(f"_npi_{name}"), {"x": (4,)}, feeds=feeds)[1][0].ok


@pytest.mark.parametrize("name", ["ldexp_scalar", "rldexp_scalar"])
def test_powers_of_two_multiply(name: str) -> None:
    """The number is either factor."""
    assert export_op(numpy_op(f"_npi_{name}", scalar="3"), ROWS)[1]


def test_dropping_while_inferring_is_refused() -> None:
    """A model that draws cannot be proved."""
    with pytest.raises(UnsupportedModel, match="drops while it infers"):
        export_op(lambda s, x: s.Dropout(x, mode="always") + 1, ROWS)


def test_whole_numbers_stay_whole() -> None:
    """A sum of integers is one of integers, as ONNX wants both of one type."""
    _, found = export_op(lambda s, x: x + 2, {"x": (3,)}, feeds={"x": np.arange(3, dtype=np.int32)})
    assert found[0].dtype == "int32"


SEVERAL: dict[str, tuple[Callable[..., Any], dict[str, tuple[int, ...]]]] = {
    "sum": (lambda s, x, y: s.add_n(x, y, x), {"x": (2, 3), "y": (2, 3)}),
    "where": (lambda s, x, y: s.where(x > 0, x, y), {"x": (2, 3), "y": (2, 3)}),
    "where-by-rows": (lambda s, c, x, y: s.where(c, x, y), {"c": (2,), "x": (2, 3), "y": (2, 3)}),
}


@pytest.mark.parametrize("case", SEVERAL)
def test_several_operands(case: str) -> None:
    """Sums and choices."""
    build, inputs = SEVERAL[case]
    assert export_op(build, inputs)[1]


def test_constants_are_computed_while_exporting() -> None:
    """What no input changes is a constant of the model."""
    model, _ = export_op(lambda s, x, w: s.broadcast_add(x, s.exp(w) * s.arange(6)), ROWS, {"w": (6,)})
    assert ops(model) == ["Add"]
    assert len(model.graph.initializer) == 1
