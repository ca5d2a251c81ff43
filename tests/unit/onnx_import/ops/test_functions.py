"""Functions of one number: as numpy's in every float type, at special numbers and outside of what they are defined for."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from onnx_import.ops.functions import FUNCTIONS
from tests.unit.onnx_import.checking import check

pytestmark = pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")

SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 1.5, -1.5, 2.5, 1e-3, 30.0, -30.0, np.inf, -np.inf, np.nan]
TOLERANCES = {"float16": 2e-3, "bfloat16": 1e-2, "float32": 1e-5, "float64": 1e-12}


def numbers(dtype: str, shape: tuple[int, ...] = (40,)) -> Any:
    """Seeded numbers, and with one axis the special ones behind them."""
    drawn = np.asarray(np.random.default_rng(1).normal(0, 2, shape))
    values = np.concatenate([drawn, SPECIAL]) if len(shape) == 1 else drawn
    return values.astype(getattr(ml_dtypes, dtype, dtype))


@pytest.mark.parametrize("op", [*FUNCTIONS, "Round"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_function(op: str, dtype: str) -> None:
    """Every function, at its special numbers too, to the last places of the type."""
    tolerance = 1e-6 if op == "Erf" else TOLERANCES[dtype]  # the evaluator's erf is one of float32
    check(op, [numbers(dtype)], rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("op", ["Exp", "Log", "Sqrt", "Ceil", "Floor", "Reciprocal"])
def test_bfloat16(op: str) -> None:
    """bfloat16 is rounded as its own type."""
    check(op, [numbers("bfloat16")], rtol=TOLERANCES["bfloat16"], atol=1e-6)


@pytest.mark.parametrize("op", ["Ceil", "Erf", "Tan"])
@pytest.mark.parametrize("shape", [(), (2, 0, 3), (1, 2, 3, 1, 2, 1)], ids=str)
def test_shapes(op: str, shape: tuple[int, ...]) -> None:
    """Scalars, empty tensors and many axes."""
    check(op, [numbers("float32", shape)], atol=1e-5)


def test_round_ties() -> None:
    """Halves go to the even neighbour, and a zero keeps its sign."""
    x = np.array([0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 8388609.0, -0.2, 4194304.5], np.float32)
    prepared = check("Round", [x])
    assert np.signbit(prepared.run([x])[0]).tolist() == np.signbit(np.rint(x)).tolist()


@pytest.mark.parametrize("op", sorted(set(FUNCTIONS) - {"Acos", "Acosh", "Asin", "Atanh", "Log", "Sqrt"}))
def test_known_operands(op: str) -> None:
    """What is known when the graph is converted is computed then, to the same."""
    check(op, [numbers("float32", (3, 4))], known=[0], atol=1e-6)
