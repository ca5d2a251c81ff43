"""The mended evaluator: results live as long as they are read, refusals name their node."""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np
import pytest
from onnx import parser

from onnx_import.oracle import evaluator
from onnx_import.oracle.evaluator import Evaluator, NoAnswer

CHAIN = """
<ir_version: 8, opset_import: ["" : 16]>
g (float[n] x) => (float[n] d) {
    a = Exp (x)
    b = Neg (a)
    c = Abs (b)
    d = Add (c, x)
}
"""


def test_a_result_is_dropped_after_its_last_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three results in a chain are never alive at once."""
    alive: list[Any] = []
    most = 0
    run = evaluator._evaluate

    def watched(node: Any, results: Any, attributes: Any) -> Any:
        nonlocal most
        found = list(run(node, results, attributes))
        alive.extend(weakref.ref(value) for value in found)
        most = max(most, sum(ref() is not None for ref in alive))
        return found

    monkeypatch.setattr(evaluator, "_evaluate", watched)
    Evaluator(parser.parse_model(CHAIN)).run(None, {"x": np.ones(3, np.float32)})
    assert most == 2


def test_a_refusal_names_operator_and_node() -> None:
    """Whoever reads the message can find the node."""
    with pytest.raises(NoAnswer, match=r"Add \(d\): .*broadcast"):
        Evaluator(parser.parse_model(CHAIN.replace("Abs (b)", "Concat <axis = 0> (b, b, b)"))).run(
            None, {"x": np.ones(2, np.float32)}
        )


def test_bodies_read_outer_results_after_their_last_plain_reader() -> None:
    """What a branch captures is kept for it."""
    model = parser.parse_model("""
    <ir_version: 8, opset_import: ["" : 16]>
    g (float[n] x, bool c) => (float[n] y) {
        a = Exp (x)
        b = Neg (a)
        y = If (c) <then_branch = t () => (float[n] r) { r = Add (a, b) }, else_branch = e () => (float[n] r) { r = Identity (a) }>
    }""")
    assert Evaluator(model).run(None, {"x": np.zeros(1, np.float32), "c": np.array(True)})[0].tolist() == [0]


def test_words_come_out_as_objects() -> None:
    """Text has one form, whatever operator made it."""
    model = parser.parse_model("""
    <ir_version: 8, opset_import: ["" : 16]>
    g (string[n] x) => (string[m] y) { y = StringNormalizer <case_change_action = "UPPER"> (x) }
    """)
    found = Evaluator(model).run(None, {"x": np.array(["a"], object)})[0]
    assert found.dtype == object
    assert found.tolist() == ["A"]
