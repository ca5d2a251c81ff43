"""Which oracle judges, and what is said where none can."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import parser

from onnx_import import oracle

MODEL = """<ir_version: 8, opset_import: ["" : 16]> g (float[n] x) => (float[n] y) { y = Neg (x) }"""
FEEDS = {"x": np.array([1.0], np.float32)}


class Engine(ModuleType):
    """Stands for onnxruntime: doubles what it gets; refuses a model whose graph is called `refused`, values below zero."""

    __version__ = "9.9"
    GraphOptimizationLevel = SimpleNamespace(ORT_DISABLE_ALL=0)
    SessionOptions = SimpleNamespace

    def InferenceSession(self, proto: bytes | str, options: Any, providers: list[str]) -> Any:  # noqa: N802 - onnxruntime's name
        """A session, or the refusal of one."""
        if (onnx.load_from_string(proto) if isinstance(proto, bytes) else onnx.load(proto)).graph.name == "refused":
            raise NameError("no kernel")

        def run(_: Any, feeds: Any) -> list[Any]:
            if feeds["x"][0] < 0:
                raise LookupError("no such value")
            return [2 * feeds["x"]]

        return SimpleNamespace(run=run)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed onnxruntime, by all that can be seen."""
    monkeypatch.setitem(sys.modules, "onnxruntime", Engine("onnxruntime"))
    monkeypatch.setattr(oracle.importlib.util, "find_spec", lambda name: name)


@pytest.mark.usefixtures("engine")
def test_onnxruntime_judges_where_it_is_installed() -> None:
    """Its name and version are said."""
    found = oracle.prepare(parser.parse_model(MODEL))
    assert found.name == "onnxruntime 9.9"
    assert found.run(FEEDS)[0].tolist() == [2]


@pytest.mark.usefixtures("engine")
def test_a_model_that_onnxruntime_refuses_goes_to_the_evaluator() -> None:
    """As does one whose values it refuses."""
    refused = parser.parse_model(MODEL.replace(" g (", " refused ("))
    assert oracle.prepare(refused).name == oracle.REFERENCE
    assert oracle.answers(refused, FEEDS)[0].tolist() == [-1]
    assert oracle.answers(parser.parse_model(MODEL), {"x": -FEEDS["x"]})[0].tolist() == [1]


@pytest.mark.usefixtures("engine")
def test_a_file_is_read_where_it_lies(tmp_path: Path) -> None:
    """And the evaluator takes over where onnxruntime refuses the values."""
    onnx.save(parser.parse_model(MODEL), tmp_path / "m.onnx")
    found = oracle.prepare(parser.parse_model(MODEL), tmp_path / "m.onnx")
    assert found.run(FEEDS)[0].tolist() == [2]
    assert found.run({"x": -FEEDS["x"]})[0].tolist() == [1]


@pytest.mark.usefixtures("engine")
def test_small_floats_have_their_own_dtype() -> None:
    """onnxruntime hands out their bits."""
    bits = np.array([0x3F80], np.uint16)
    model = parser.parse_model(MODEL.replace("float[n] y", "bfloat16[n] y"))
    assert oracle.prepare(model).run({"x": bits // 2})[0].dtype.name == "bfloat16"


def test_an_unknown_operator_is_named_with_a_remedy() -> None:
    """Nothing is said of a model that nobody can run, and how somebody could."""
    model = parser.parse_model(MODEL.replace("Neg", "strange.Op").replace("16]", '16, "strange" : 1]'))
    with pytest.raises(oracle.OracleError, match=r"(?s)Op.*strange.*pip install onnxruntime"):
        oracle.reference(model)


def test_feeds_that_do_not_fit_are_refused_in_a_line() -> None:
    """The node that failed is named."""
    model = parser.parse_model(
        """<ir_version: 8, opset_import: ["" : 16]> g (float[n] x, float[m] z) => (float[n] y) { y = Add (x, z) }"""
    )
    with pytest.raises(oracle.OracleError, match=r"Add \(y\)"):
        oracle.reference(model).run({"x": np.ones(2, np.float32), "z": np.ones(3, np.float32)})


def test_local_functions_pass_their_attributes_on() -> None:
    """A function's attribute reaches the node that refers to it."""
    model = parser.parse_model("""
    <ir_version: 8, opset_import: ["" : 16, "own" : 1]>
    g (float[n] x) => (float[n] y) { y = own.leak <slope = 0.5> (x) }
    <domain: "own", opset_import: ["" : 16]>
    leak <slope> (x) => (y) { y = LeakyRelu <alpha : float = @slope> (x) }
    """)
    assert oracle.reference(model).run({"x": np.array([-2], np.float32)})[0].tolist() == [-1]
