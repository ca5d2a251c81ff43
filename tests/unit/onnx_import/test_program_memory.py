"""What a program remembers is bounded, however many sizes and values it is asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import parser

from onnx_import import program as programs
from onnx_import.graph import Graph
from onnx_import.loader import load
from onnx_import.program import Program
from onnx_import.reader import read

HEAD = '<ir_version: 10, opset_import: ["" : 21]> agraph '
POSITIONS = """(float[N, L] x) => (float[N, L] y) <int64[1] one = {1}, int64 zero = {0}, int64 step = {1}>
{ sizes = Shape(x) last = Gather(sizes, one) end = Squeeze(last) range = Range(zero, end, step)
  at = Cast<to = 1>(range) y = Mul(x, at) }"""
CHOSEN = "(float[N] x) => (float[M] y) { places = NonZero(x) at = Transpose(places) z = GatherND(x, at) y = Add(z, z) }"


def graph(text: str) -> Graph:
    """The graph of a model's text."""
    return read(load(parser.parse_model(HEAD + text)))


def held(program: Program) -> tuple[int, int]:
    """Blocks and parameters that a program remembers."""
    return sum(map(len, program._blocks.values())), len(program.parameters._by_id)


def test_constants_of_sizes_that_are_gone_are_forgotten() -> None:
    """After many lengths there are as many traces as fit, and as many constants; the answers stay right."""
    program = Program(graph(POSITIONS), capacity=4)
    for length in (*range(2, 30), *range(2, 30)):
        (y,) = program.run({"x": np.ones((1, length), "float32")})
        np.testing.assert_array_equal(y, np.arange(length, dtype="float32")[None])
    blocks, parameters = held(program)
    assert (blocks, parameters) == (4, 4)


def test_values_seen_on_the_way_are_bounded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """One size whose values lead to ever new blocks does not remember them all."""
    monkeypatch.setattr(programs, "MOST_BLOCKS", 10)
    program = Program(graph(CHOSEN))
    for count in (*range(1, 40), *range(1, 40)):
        x: Any = np.zeros(40, "float32")
        x[:count] = count
        (y,) = program.run({"x": x})
        np.testing.assert_array_equal(y, np.full(count, 2 * count, "float32"))
        assert held(program)[0] <= 10


def test_weights_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """What all traces are bound to is kept once, through every change of sizes."""
    program = Program(
        graph("(float[N, 2] x) => (float[N, 2] y) <float[2, 2] w = {1, 2, 3, 4}> { y = MatMul(x, w) }"), capacity=2
    )
    first = None
    for rows in range(1, 9):
        program.run({"x": np.ones((rows, 2), "float32")})
        (array,) = program.parameters._by_digest.values()
        first = array if first is None else first
        assert array is first
