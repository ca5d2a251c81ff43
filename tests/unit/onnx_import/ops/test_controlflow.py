"""If, Loop and Scan: what is chosen and how often, by constants, by inputs and by what is computed."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import parser

from onnx_import import backend, oracle
from onnx_import.errors import InvalidInput
from onnx_import.ops import controlflow
from onnx_import.stages import SymbolStage
from tests.unit.onnx_import.checking import compare

HEAD = '<ir_version: 10, opset_import: ["" : 21]>'


def run(text: str, *feeds: dict[str, Any]) -> backend.Prepared:
    """Run a model in ONNX's text form on each of the feeds, and compare with the mended evaluator: ONNX's own runs no scan backwards and no loop of nothing."""
    model = parser.parse_model(HEAD + text)
    onnx.checker.check_model(model)
    prepared = backend.prepare(model)
    for given in (*feeds, *feeds):
        wanted = oracle.reference(model).run(given)
        for index, (mine, theirs) in enumerate(zip(prepared.run(given), wanted, strict=True)):
            compare(mine, theirs, f"output {index}", 1e-5, 1e-6)
    return prepared


IF = """agraph (bool c, float[N] x) => (float[M] y) {
  y = If (c) <
    then_branch = t () => (float[K] a) { a = Add(x, x) },
    else_branch = e () => (float[K] b) { b = Concat<axis=0>(x, x) }
  >
}"""


def test_if_by_input() -> None:
    """The branch that an input chooses is the one that runs, and what it captures is at hand."""
    x = np.arange(3, dtype=np.float32)
    prepared = run(IF, {"c": np.array(True), "x": x}, {"c": np.array(False), "x": x})
    assert all(isinstance(stage, SymbolStage) for stage in prepared.program.last[0].stages)


def test_if_by_data() -> None:
    """The branch may be chosen by what was computed, whatever the sizes."""
    text = """agraph (float[N] x) => (float[M] y) {
      total = ReduceSum<keepdims=0>(x)
      zero = Constant<value_float = 0.0>()
      c = Greater(total, zero)
      y = If (c) <
        then_branch = t () => (float[K] a) { a = Add(x, x) },
        else_branch = e () => (float[K] b) { b = Neg(x) }
      >
    }"""
    x = np.arange(12, dtype=np.float32)
    run(text, {"x": x}, {"x": -x})


LOOP = """agraph (int64 n, float[N] x) => (float[N] last, float[K, N] rows) {
  yes = Constant<value = bool {1}>()
  last, rows = Loop (n, yes, x) <body = b (int64 i, bool go, float[N] s) => (bool on, float[N] t, float[N] row) {
    on = Identity(go)
    t = Add(s, x)
    f = Cast<to = 1>(i)
    row = Mul(t, f)
  }>
}"""


@pytest.mark.parametrize("count", [0, 1, 5, 100], ids=lambda n: f"{n} times")
def test_loop_by_count(count: int) -> None:
    """States are carried, scanned rows stacked, the iteration's number counted; a long loop is no part of the graph."""
    prepared = run(LOOP, {"n": np.array(count), "x": np.arange(3, dtype=np.float32)})
    plain = all(isinstance(stage, SymbolStage) for stage in prepared.program.last[0].stages)
    assert plain == (count < 100)


def test_loop_by_condition() -> None:
    """A loop ends when what its body computed says so."""
    text = """agraph (float[N] x) => (float[N] last) {
      limit = Constant<value_float = 50.0>()
      many = Constant<value_int = 1000>()
      yes = Constant<value = bool {1}>()
      last = Loop (many, yes, x) <body = b (int64 i, bool go, float[N] s) => (bool on, float[N] t) {
        t = Add(s, s)
        top = ReduceMax<keepdims=0>(t)
        on = Less(top, limit)
      }>
    }"""
    x = np.arange(1, 12, dtype=np.float32)
    run(text, {"x": x}, {"x": x / 100})


def test_a_loop_that_does_not_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a trace nor a run goes on for ever, whatever the file says."""
    text = """agraph (float[N] x) => (float[N] last) {
      none = Constant<value = bool {1}>()
      last = Loop (, none, x) <body = b (int64 i, bool go, float[N] s) => (bool on, float[N] t) {
        on = Identity(go)
        t = Relu(s)
      }>
    }"""
    monkeypatch.setattr(controlflow, "MOST_TURNS", 200)
    with pytest.raises(InvalidInput, match="a loop of more than 200 iterations"):
        backend.prepare(parser.parse_model(HEAD + text)).run({"x": np.ones(3, np.float32)})


SCAN = """agraph (float[N] start, float[T, N] xs) => (float[N] last, float[T, N] ys) {
  last, ys = Scan <num_scan_inputs = 1, scan_input_directions = [%d], scan_output_directions = [%d],
    body = b (float[N] s, float[N] x) => (float[N] t, float[N] y) { t = Add(s, x)  y = Mul(t, x) }
  > (start, xs)
}"""


@pytest.mark.parametrize(("back", "turned"), [(0, 0), (1, 0), (0, 1), (1, 1)])
def test_scan(back: int, turned: int) -> None:
    """Slices go in and rows come out in either direction."""
    draw = np.random.default_rng(0)
    feeds = [{"start": draw.random(3, np.float32), "xs": draw.random((steps, 3), np.float32)} for steps in (1, 4)]
    run(SCAN % (back, turned), *feeds)


def test_loop_over_a_sequence() -> None:
    """A sequence is carried from one iteration to the next."""
    text = """agraph (int64 n, float[N] x) => (float[M] y) {
      yes = Constant<value = bool {1}>()
      none = SequenceEmpty()
      all = Loop (n, yes, none) <body = b (int64 i, bool go, seq(float[N]) s) => (bool on, seq(float[N]) t) {
        on = Identity(go)
        t = SequenceInsert(s, x)
      }>
      y = ConcatFromSequence<axis = 0>(all)
    }"""
    run(text, {"n": np.array(3), "x": np.arange(2, dtype=np.float32)})
