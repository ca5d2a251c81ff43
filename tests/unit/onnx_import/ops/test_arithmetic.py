"""Sums, products, quotients and powers: as numpy's on every type, shape and special number."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from onnx_import.errors import OnnxImportError
from tests.unit.onnx_import.checking import check

pytestmark = pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")

INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
FLOATS = ("float16", "float32", "float64", "bfloat16")
SHAPES = [
    ((2, 3), (2, 3)),
    ((4, 2, 3), (3,)),
    ((2, 1), (1, 3)),
    ((), (2,)),
    ((), ()),
    ((0, 3), (3,)),
    ((2, 1, 2, 1, 2, 1, 3), (1, 3)),
    ((2, 1, 2, 1, 2, 1, 3), (3, 1, 3, 1, 3, 1)),
]
SPECIAL = [0.0, -0.0, 1.0, -1.0, 2.5, -2.5, 0.3, -7.0, 100.0, np.inf, -np.inf, np.nan]


def true(dtype: str) -> Any:
    """The numpy dtype of a name."""
    return getattr(ml_dtypes, dtype, dtype)


def whole(dtype: str, count: int, seed: int) -> Any:
    """Whole numbers of every size that a type has, its extremes among them."""
    random = np.random.default_rng(seed)
    info = np.iinfo(dtype)
    wide = random.integers(info.min, info.max, count, dtype, endpoint=True)
    narrow = (wide.astype(object) >> random.integers(0, info.bits, count).astype(object)).astype(dtype)
    edges = [info.min, info.min + 1, info.max, info.max - 1, info.max // 2, 0, 1, 2, 3, 7]
    return random.permutation(np.concatenate([narrow, np.array(edges, dtype)]))


def pairs(dtype: str) -> tuple[Any, Any]:
    """Dividends, and divisors that are not 0; without the one quotient that overflows."""
    x, y = whole(dtype, 3000, 1), whole(dtype, 3000, 2)
    is_overflow = (x == np.iinfo(dtype).min) & (y.astype(object) == -1)
    kept = (y != 0) & ~is_overflow.astype(bool)
    return x[kept], y[kept]


@pytest.mark.parametrize("op", ["Add", "Div", "Max"])
@pytest.mark.parametrize("shapes", SHAPES, ids=str)
def test_broadcast(op: str, shapes: tuple[Any, Any]) -> None:
    """Shapes of any rank broadcast, scalars and empty ones too."""
    random = np.random.default_rng(3)
    x, y = (np.asarray(random.normal(size=shape), np.float32) for shape in shapes)
    check(op, [x, y])


@pytest.mark.parametrize("op", ["Add", "Sub", "Mul", "Div", "Pow", "Max", "Min"])
@pytest.mark.parametrize("dtype", FLOATS)
def test_special_numbers(op: str, dtype: str) -> None:
    """Infinities, NaN and zeros of both signs give what numpy gives."""
    x, y = (grid.ravel().astype(true(dtype)) for grid in np.meshgrid(SPECIAL, SPECIAL))
    tolerance = {"float16": 2e-3, "bfloat16": 1e-2}.get(dtype, 1e-6)
    check(op, [x, y], rtol=tolerance)


@pytest.mark.parametrize("op", ["Add", "Sub", "Mul", "Max", "Min"])
@pytest.mark.parametrize("dtype", INTEGERS)
def test_whole_numbers_wrap(op: str, dtype: str) -> None:
    """Whole numbers of every width wrap around, and are ordered with and without a sign."""
    check(op, [whole(dtype, 500, 4), whole(dtype, 500, 5)])


@pytest.mark.parametrize("dtype", INTEGERS)
def test_quotients_are_exact(dtype: str) -> None:
    """Div cuts toward zero, Mod rounds down, fmod cuts: to the last digit of 64 bits."""
    x, y = pairs(dtype)
    check("Div", [x, y])
    check("Mod", [x, y])
    check("Mod", [x, y], {"fmod": 1})


@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("divisor", [1, 100])
def test_quotients_by_one_number(dtype: str, divisor: int) -> None:
    """A single divisor divides exactly too."""
    check("Div", [whole(dtype, 500, 6), np.array(divisor, dtype)])


def test_a_zero_below_ends_nothing() -> None:
    """A division of whole numbers by a zero that is fed gives some number, and the process lives."""
    for dtype in INTEGERS:
        x, y = np.array([7, 0, 1], dtype), np.array([2, 0, 0], dtype)
        for op in ("Div", "Mod"):
            prepared = check(op, [x[:1], y[:1]])
            assert prepared.run([x[:1], y[1:2]])[0].shape == (1,)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_remainders_of_real_numbers(dtype: str) -> None:
    """fmod has the sign of the dividend; without it the remainder has that of the divisor, from opset 28 on."""
    x, y = (grid.ravel().astype(dtype) for grid in np.meshgrid(SPECIAL, SPECIAL))
    check("Mod", [x, y], {"fmod": 1})
    check("Mod", [x, y], {"fmod": 0}, opset=28)


@pytest.mark.parametrize("dtype", ["int32", "int64"])
@pytest.mark.parametrize("exponent", [0, 1, 2, 3, 5, 13, 63])
def test_whole_powers_are_exact(dtype: str, exponent: int) -> None:
    """A whole number to a whole power is exact modulo its width, as numpy's."""
    x = whole(dtype, 200, 7)
    check("Pow", [x, np.array(exponent, dtype)])
    check("Pow", [x, np.full(x.shape, exponent, dtype)])


def test_powers_below_zero() -> None:
    """Of whole powers below 0 only those of 1 and -1 are not 0."""
    x = np.array([1, -1, -1, 2, -5, 100], np.int64)
    y = np.array([-3, -3, -2, -1, -2, -70], np.int64)
    check("Pow", [x, y], want=[np.array([1, -1, 1, 0, 0, 0], np.int64)])


@pytest.mark.parametrize(
    "types", [("float32", "int64"), ("float32", "uint64"), ("int32", "float32"), ("int64", "float64")], ids=str
)
def test_powers_of_mixed_types(types: tuple[str, str]) -> None:
    """Base and exponent have types of their own; the base's is the result's."""
    x, y = np.array([1, 2, 3, 7], types[0]), np.array([4, 5, 2, 0], types[1])
    check("Pow", [x, y])
    check("Pow", [x, y[:1]])


@pytest.mark.parametrize("exponent", [0.0, 0.5, 1.0, 2.0, 3.0, -1.0])
def test_known_powers(exponent: float) -> None:
    """Squares and cubes come as products."""
    x = np.array([-2.0, -0.5, 0.0, 3.0, np.inf, np.nan], np.float32)
    check("Pow", [x, np.array(exponent, np.float32)])


@pytest.mark.parametrize("op", ["Abs", "Neg", "Sign"])
@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "int64", "float16", "float32", "float64", "bfloat16"])
def test_signs(op: str, dtype: str) -> None:
    """Signs are taken away, turned and told; of NaN there is none."""
    x = np.array(SPECIAL, true(dtype)) if "float" in dtype else whole(dtype, 50, 8)
    check(op, [x])


@pytest.mark.parametrize("op", ["Abs", "Sign"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32", "uint64"])
def test_signs_of_unsigned(op: str, dtype: str) -> None:
    """Numbers without a sign stay what they are, or are 0 or 1."""
    check(op, [whole(dtype, 50, 9)])


@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("op", ["Sum", "Mean", "Max", "Min"])
def test_any_number_of_operands(op: str, count: int) -> None:
    """One operand, or many of different shapes."""
    random = np.random.default_rng(10)
    shapes = [(2, 3), (3,), (1, 1), (), (2, 1)][:count]
    values = [np.asarray(random.normal(size=shape), np.float32) for shape in shapes]
    total = np.asarray(sum(values[1:], values[0]), np.float32)  # the evaluator's Mean does not broadcast its first operand
    check(op, values, want=[total / np.float32(count)] if op == "Mean" else None)


@pytest.mark.parametrize("bounds", [(-1.0, 2.0), (None, 2.0), (-1.0, None), (None, None), (3.0, 1.0), (-np.inf, 2.0)], ids=str)
@pytest.mark.parametrize("dtype", ["float32", "int8", "uint64"])
def test_clip(bounds: tuple[Any, Any], dtype: str) -> None:
    """Bounds may be absent, infinite, or the wrong way round, where the upper one wins; NaN stays."""
    if "float" not in dtype and -np.inf in bounds:
        bounds = (None, bounds[1])
    low, high = (None if b is None else np.array(abs(b) if "uint" in dtype else b, dtype) for b in bounds)
    x = np.array([-5, -1, 0, 1.5, 2, 9, np.nan, np.inf] if "float" in dtype else [0, 1, 2, 3, 100], dtype)
    with np.errstate(all="ignore"):
        top = x if low is None else np.maximum(x, low)
        want = top if high is None else np.minimum(top, high)
    check("Clip", [x, *([low, high] if high is not None else [low] if low is not None else [])], want=[want])


@pytest.mark.parametrize("opset", [1, 6, 10])
def test_clip_by_attributes(opset: int) -> None:
    """Before opset 11 the bounds are attributes, and may be left out."""
    x = np.array([-5.0, 0.5, 9.0], np.float32)
    check("Clip", [x], {"min": -1.0, "max": 2.0}, opset=opset, want=[np.clip(x, -1, 2)])
    check("Clip", [x], {"max": 2.0}, opset=opset, want=[np.minimum(x, 2)])


@pytest.mark.parametrize("op", ["Add", "Sub", "Mul", "Div", "Pow"])
@pytest.mark.parametrize(
    "case", [((2, 3, 4), (3,), 1), ((2, 3, 4), (3, 4), 1), ((2, 3, 4), (2,), 0), ((2, 3, 4), (4,), None)], ids=str
)
def test_broadcast_from_an_axis(op: str, case: tuple[Any, Any, Any]) -> None:
    """Before opset 7 the second operand's axes begin at `axis` of the first's, where the node says `broadcast`."""
    random = np.random.default_rng(11)
    x, y = (random.uniform(0.5, 2, shape).astype(np.float32) for shape in case[:2])
    axis = case[2]
    attributes = {"broadcast": 1} if axis is None else {"broadcast": 1, "axis": axis}
    first = x.ndim - y.ndim if axis is None else axis
    aligned = y.reshape((1,) * first + y.shape + (1,) * (x.ndim - first - y.ndim))
    function = {"Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Div": np.divide, "Pow": np.power}[op]
    check(op, [x, y], attributes, opset=6, want=[function(x, aligned)])


def test_shapes_that_do_not_fit() -> None:
    """Operands that do not broadcast are an error with both shapes."""
    with pytest.raises(OnnxImportError):
        check("Add", [np.ones((2, 3), np.float32), np.ones((2, 4), np.float32)], want=[np.ones(1)])


@pytest.mark.parametrize("known", [[0], [1], [0, 1]], ids=str)
@pytest.mark.parametrize("dtype", ["int16", "uint64", "float32"])
@pytest.mark.parametrize("op", ["Sub", "Mul", "Div", "Max", "Mod"])
def test_known_operands(op: str, dtype: str, known: list[int]) -> None:
    """What is known when the graph is converted gives the same as what is fed, one number too."""
    x, y = pairs(dtype) if dtype != "float32" else (np.linspace(-3, 3, 40, dtype=dtype), np.full(40, 0.7, dtype))
    attributes = {"fmod": 1} if op == "Mod" else {}
    check(op, [x[:40], y[:40]], attributes, known=known)
    check(op, [x[:40], y[:1].reshape(())], attributes, known=known)
