"""Promises of Cast, CastLike and BitCast: numbers, bits and texts come out as ml_dtypes and numpy have them."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import onnx
import pytest

from onnx_import.dtypes import ONNX_NUMBERS, true_dtype
from onnx_import.errors import OnnxImportError
from onnx_import.graph import Graph, Node, Type, ValueInfo
from onnx_import.program import Program
from tests.unit.onnx_import.checking import check, compare

pytestmark = pytest.mark.filterwarnings("ignore:.*encountered in cast:RuntimeWarning")

FLOAT8 = ("float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz")
FLOATS = ("float16", "float32", "float64", "bfloat16", "float4_e2m1fn", *FLOAT8)
INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "int4", "uint4", "int2", "uint2")


def _reals(seed: int) -> Any:
    """Float32 numbers of every binade that a few-bit format has, ties between neighbours among them, and the special ones."""
    random = np.random.default_rng(seed)
    spread = np.ldexp(random.uniform(-1, 1, 4000), random.integers(-24, 20, 4000))
    ties = np.ldexp(random.integers(-64, 64, 4000) / 2, random.integers(-20, 14, 4000))
    extremes = [
        0.0,
        -0.0,
        np.nan,
        np.inf,
        -np.inf,
        3e38,
        -3e38,
        1e-45,
        -1e-40,
        2.0**-126,
        65520,
        464,
        463.9,
        248,
        61440,
        0.25,
        0.75,
    ]
    return np.concatenate([spread, ties, extremes]).astype(np.float32)


def _whole(dtype: str) -> Any:
    """Whole numbers of a dtype, its ends among them, that every integer type wraps."""
    kind = true_dtype(dtype)
    if kind.itemsize == 1:
        return np.arange(-128, 256).astype(kind)
    limits = np.iinfo(kind)
    ends = np.array([limits.min, limits.max, limits.max - 1, 0, 1], kind)
    return np.concatenate([np.random.default_rng(1).integers(limits.min, limits.max, 200, kind), ends])


@pytest.mark.parametrize("saturate", [1, 0])
@pytest.mark.parametrize("target", FLOAT8)
@pytest.mark.parametrize("source", ["float32", "float16", "bfloat16", "float64"])
def test_few_bit_floats(source: str, target: str, saturate: int) -> None:
    """Every real number rounds to the nearest, ties to even, and what is too large goes where `saturate` says."""
    values = _reals(2).astype(true_dtype(source))
    kind = true_dtype(target)
    want = values.astype(kind)
    if source == "float32":
        got = _run(Node("Cast", ["x"], ["y"], {"to": ONNX_NUMBERS[target], "saturate": saturate}), source, target, values)
        zeros = want.astype(np.float32) == 0
        np.testing.assert_array_equal(np.signbit(got.astype(np.float32)[zeros]), np.signbit(want.astype(np.float32)[zeros]))
    if saturate:
        want = np.clip(values.astype(np.float64), -_largest(target), _largest(target)).astype(kind)
    check("Cast", [values], {"to": ONNX_NUMBERS[target], "saturate": saturate}, want=[want], rtol=0, atol=0)


def _largest(dtype: str) -> float:
    return {"float8_e4m3fn": 448.0, "float8_e4m3fnuz": 240.0}.get(dtype, 57344.0)


@pytest.mark.parametrize(("source", "target"), [*itertools.permutations(INTEGERS, 2)], ids=lambda name: name)
def test_whole_to_whole(source: str, target: str) -> None:
    """A whole number that does not fit loses its higher bits."""
    values = _whole(source)
    wide = values.astype(np.int8 if source in ("int4", "int2") else np.uint8 if source in ("uint4", "uint2") else values.dtype)
    check("Cast", [values], {"to": ONNX_NUMBERS[target]}, want=[wide.astype(true_dtype(target))])


@pytest.mark.parametrize(("source", "target"), [*itertools.product(INTEGERS, FLOATS)], ids=lambda name: name)
def test_whole_to_real(source: str, target: str) -> None:
    """A whole number becomes the nearest real one, rounded once; one too large for float8 the largest there is."""
    values = _whole(source)
    real = values.astype(np.float64 if target == "float64" else np.float32)
    if target in FLOAT8:
        real = np.clip(real, -_largest(target), _largest(target))
    want = real.astype(true_dtype(target)) if target != "float16" else values.astype(np.float64).astype(np.float16)
    check("Cast", [values], {"to": ONNX_NUMBERS[target]}, want=[want], rtol=0, atol=0)


@pytest.mark.parametrize(("source", "target"), [*itertools.product(FLOATS, (*INTEGERS, "bool"))], ids=lambda name: name)
def test_real_to_whole(source: str, target: str) -> None:
    """A real number in the target's range is cut toward zero; for bool only zero is false."""
    values = np.random.default_rng(3).uniform(-6, 6, (3, 50)).astype(true_dtype(source))
    real = values.astype(np.float64)
    if target != "bool":
        low, high = (0 if target[0] == "u" else -8, 7)
        low, high = {"int2": (-2, 1), "uint2": (0, 3)}.get(target, (low, high))
        real = np.clip(real, low, high)
        values = real.astype(true_dtype(source))
        real = values.astype(np.float64)
    check(
        "Cast",
        [values],
        {"to": ONNX_NUMBERS[target]},
        want=[real.astype(np.int64 if target != "bool" else bool).astype(true_dtype(target))],
    )


@pytest.mark.parametrize("source", ["float32", "float64"])
def test_large_reals_to_uint64(source: str) -> None:
    """The upper half of uint64 is reached."""
    values = np.array([0, 1.9, 2.0**62, 2.0**63, 2.0**63 + 2.0**40, 2.0**64 - 2.0**40], source)
    check("Cast", [values], {"to": ONNX_NUMBERS["uint64"]}, want=[values.astype(np.uint64)])


@pytest.mark.parametrize("target", ["float16", "bfloat16"])
def test_double_is_rounded_once(target: str) -> None:
    """A float64 next to a tie of a narrow format goes to the right side."""
    values = np.array([1 + 2.0**-11 + 2.0**-40, 1 + 2.0**-8 + 2.0**-40, 1 + 2.0**-11, 1 + 2.0**-8])
    exact = {"float16": [1 + 2.0**-10, 1 + 2.0**-8, 1, 1 + 2.0**-8], "bfloat16": [1, 1 + 2.0**-7, 1, 1]}[target]
    check("Cast", [values], {"to": ONNX_NUMBERS[target]}, want=[np.array(exact).astype(true_dtype(target))], rtol=0, atol=0)


def test_bfloat16() -> None:
    """Every binade of float32 rounds to bfloat16 as ml_dtypes does, subnormal numbers and signs of zero included."""
    random = np.random.default_rng(4)
    values = random.integers(0, 2**32, 20000, np.uint32).view(np.float32)
    values = np.concatenate([values, random.integers(0, 2**24, 5000, np.uint32).view(np.float32), _reals(5)])
    attributes = {"to": ONNX_NUMBERS["bfloat16"]}
    check("Cast", [values], attributes, want=[values.astype(true_dtype("bfloat16"))], rtol=0, atol=0)
    zeros = np.array([-0.0, -1e-45], np.float32)
    prepared = check("Cast", [zeros], attributes)
    assert np.signbit(prepared.run([zeros])[0].astype(np.float32)).all()


@pytest.mark.parametrize(("mode", "want"), [("up", [1, 2, 2, 2, 4]), ("down", [1, 1, 1, 1, 2]), ("nearest", [1, 1, 2, 2, 2])])
def test_powers_of_two(mode: str, want: list[float]) -> None:
    """float8_e8m0fnu takes the power of two that the rounding mode names, and the ends of its range where it saturates."""
    values = np.array([1, 1.2, 1.5, 1.9, 2.5, 0, 1e-45, 3.4e38, np.inf, np.nan], np.float32)
    kind = true_dtype("float8_e8m0fnu")
    ends = [2.0**-127, 2.0**-127, 2.0**127, 2.0**127, np.nan]
    attributes = {"to": ONNX_NUMBERS[kind.name], "round_mode": mode}
    check("Cast", [values], attributes, want=[np.array([*want, *ends]).astype(kind)], rtol=0, atol=0)
    attributes["saturate"] = 0
    check("Cast", [values[:5]], attributes, want=[np.array(want).astype(kind)], rtol=0, atol=0)
    outside = np.array([0, 1e-45, np.inf, np.nan], np.float32)
    check("Cast", [outside], attributes, want=[np.full(4, np.nan).astype(kind)])


@pytest.mark.parametrize("dtype", ["float32", "int64", "bool", "bfloat16", "float8_e5m2"])
def test_text(dtype: str) -> None:
    """Numbers are written and read."""
    kind = true_dtype(dtype)
    texts = np.array([["1", "0"], ["1", "1"]] if dtype == "bool" else [["1", "-2.0"], ["1e2", "0"]], object)
    numbers = texts.astype(np.float64).astype(kind)
    check("Cast", [texts], {"to": ONNX_NUMBERS[dtype]}, want=[numbers])
    written = _run(Node("Cast", ["x"], ["y"], {"to": ONNX_NUMBERS["string"]}), dtype, "string", numbers)
    assert all(isinstance(text, str) for text in written.ravel())
    if dtype != "bool":  # that is written in words
        check("Cast", [written], {"to": ONNX_NUMBERS[dtype]}, want=[numbers])


@pytest.mark.parametrize("shape", [(), (0, 3), (2, 1, 3)], ids=str)
@pytest.mark.parametrize("opset", [6, 9, 13, 19, 21, 25])
def test_shapes_and_opsets(shape: tuple[int, ...], opset: int) -> None:
    """Every shape, by every version of the operator."""
    check("Cast", [np.ones(shape, np.float32)], {"to": onnx.TensorProto.INT32}, opset=opset)


@pytest.mark.parametrize(("word", "dtype"), [("INT32", "int32"), ("DOUBLE", "float64"), ("FLOAT", "float32"), ("BOOL", "bool")])
def test_first_opset(word: str, dtype: str) -> None:
    """Opset 1 names the type in a word."""
    values = np.array([1.5, -1.5], np.float16)
    got = _run(Node("Cast", ["x"], ["y"], {"to": word}), "float16", dtype, values)
    compare(got, values.astype(dtype), word, 0, 0)


def test_like() -> None:
    """The second input gives the type, and nothing else."""
    check("CastLike", [np.array([300.0, 1.0], np.float32), np.zeros((0,), true_dtype("float8_e5m2"))], {"saturate": 1})
    check("CastLike", [np.array([300.0, 1.0], np.float32), np.zeros((), np.int32)])


PAIRS = [
    *itertools.permutations(["int8", "uint8", "float8_e4m3fn", "float8_e5m2", "float8_e8m0fnu"], 2),
    *itertools.permutations(["int16", "uint16", "float16", "bfloat16"], 2),
    *itertools.permutations(["int32", "uint32", "float32"], 2),
    *itertools.permutations(["int64", "uint64", "float64"], 2),
]


@pytest.mark.parametrize(("source", "target"), PAIRS, ids=lambda name: name)
def test_bits(source: str, target: str) -> None:
    """BitCast keeps every bit of numbers that are not NaN."""
    raw = np.random.default_rng(6).integers(0, 256, 4000, np.uint8)
    values = raw.view(true_dtype(source))
    read = values.view(true_dtype(target))
    is_number = np.isfinite(values.astype(np.float64)) & np.isfinite(read.astype(np.float64))
    values, read = values[is_number].reshape(2, -1) if is_number.sum() % 2 == 0 else values[is_number], read[is_number]
    check("BitCast", [values], {"to": ONNX_NUMBERS[target]}, want=[read.reshape(values.shape)], rtol=0, atol=0)


def test_bits_of_another_width() -> None:
    """BitCast between types of different widths is refused."""
    with pytest.raises(OnnxImportError):
        _run(Node("BitCast", ["x"], ["y"], {"to": ONNX_NUMBERS["int64"]}, since=26), "int32", "int64", np.ones(2, np.int32))


def test_plain_graph() -> None:
    """A cast between numbers is one MXNet symbol, without a host function."""
    prepared = check("Cast", [_reals(7)], {"to": ONNX_NUMBERS["float8_e4m3fn"]})
    assert [len(block.stages) for block in prepared.program.last] == [1]


def _run(node: Node, source: str, target: str, values: Any) -> Any:
    """The output of a graph of one node."""
    graph = Graph([node], [ValueInfo("x", Type(dtype=source))], [ValueInfo("y", Type(dtype=target))])
    return Program(graph).run({"x": values})[0]
