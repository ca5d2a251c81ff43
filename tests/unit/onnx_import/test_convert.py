"""The whole line from an ONNX file to a folder that is served, and what it leaves where it fails."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import parser

from onnx_import import artifact, convert
from onnx_import.convert import Options
from onnx_import.errors import InvalidInput, InvalidModel, UnsupportedModel, VerificationError
from onnx_import.program import Program

HEAD = '<ir_version: 10, opset_import: ["" : 21]>'
ROWS = """agraph (float[N, 4] x) => (float[N, 2, 2] y, float[N, 4] doubled)
<int64[3] sizes = {0, 2, 2}, float[4] w = {1, 2, 3, 4}>
{ doubled = Mul(x, w)  y = Reshape(doubled, sizes) }"""
BY_VALUE = """agraph (float[N, 4] x, int64[2] sizes) => (float[A, B] y) { y = Reshape(x, sizes) }"""
CHOOSING = """agraph (float[N] x) => (int64[R, K] places) { places = NonZero(x) }"""


def made(text: str) -> onnx.ModelProto:
    """A checked model from ONNX's text form."""
    model = parser.parse_model(HEAD + text)
    onnx.checker.check_model(model)
    return model


def report(folder: Path) -> dict[str, Any]:
    """What conversion.json says."""
    found: dict[str, Any] = json.loads((folder / "conversion.json").read_text())
    return found


def test_rows(tmp_path: Path) -> None:
    """A graph of rows is one symbol for any number of them, and needs no graph beside it."""
    onnx.save(made(ROWS), tmp_path / "m.onnx")
    done = convert.convert(tmp_path / "m.onnx", tmp_path / "out")
    found = report(tmp_path / "out")
    assert (found["portable"], found["covers"], found["custom_operators"]) == (True, "any", [])
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "conversion.json",
        "model-0000.params",
        "model-shapes.json",
        "model-symbol.json",
    ]
    assert found["source"]["file"] == "m.onnx"
    assert len(found["source"]["sha256"]) == 64
    assert found["operators"] == {"Mul": 1, "Reshape": 1}
    assert set(found["verification"]["largest_errors"]) == {"y", "doubled"}
    assert {each.case for each in done.comparisons} == {"x 1x4", "x 3x4"}


def test_a_graph_beside_the_symbol(tmp_path: Path) -> None:
    """What one symbol does not cover is kept as a graph, which answers as the model does for sizes not seen before."""
    convert.convert(made(BY_VALUE), tmp_path / "out", Options(values={"sizes": np.array([2, -1])}))
    assert report(tmp_path / "out")["covers"] == "these"
    program = artifact.load(tmp_path / "out")
    x = np.arange(12, dtype=np.float32).reshape(3, 4)
    np.testing.assert_array_equal(program.run({"x": x, "sizes": np.array([6, -1])})[0], x.reshape(6, 2))


def test_custom_operators_are_listed(tmp_path: Path) -> None:
    """What runs outside MXNet is named, and the artifact says that stock MXNet does not do."""
    convert.convert(made(CHOOSING), tmp_path / "out")
    found = report(tmp_path / "out")
    assert not found["portable"]
    assert len(found["custom_operators"]) == 1
    places = artifact.load(tmp_path / "out").run({"x": np.array([0, 1, 2], np.float32)})[0]
    assert places.tolist() == [[1, 2]]


def test_large_weights_are_stored_once(tmp_path: Path) -> None:
    """A weight that both the symbol and the graph name lies in the params file once."""
    model = made(
        "agraph (float[N, 512] x, int64[2] s) => (float[A, B] y) <float[1] w = {0}> { m = Mul(x, w)  y = Reshape(m, s) }"
    )
    weights = np.random.default_rng(0).random((512, 512)).astype(np.float32)
    model.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(weights, "w"))
    convert.convert(model, tmp_path / "out", Options(values={"s": np.array([512, 512])}))
    assert (tmp_path / "out" / "model-0000.params").stat().st_size < 1.1 * weights.nbytes


def test_fixed_shapes(tmp_path: Path) -> None:
    """Sizes that the user fixes are the artifact's; what does not fit the model is refused."""
    convert.convert(made(ROWS), tmp_path / "out", Options(input_shapes={"x": (2, 4)}))
    assert report(tmp_path / "out")["inputs"][0]["shape"] == [2, 4]
    with pytest.raises(InvalidInput, match=r"declared \['N', 4\]; \[2, 5\] does not fit"):
        convert.convert(made(ROWS), tmp_path / "other", Options(input_shapes={"x": (2, 5)}))
    with pytest.raises(InvalidInput, match="no input 'z'"):
        convert.convert(made(ROWS), tmp_path / "other", Options(input_shapes={"z": (2, 5)}))


def test_a_negative_size_is_an_open_one(tmp_path: Path) -> None:
    """As old exporters write it."""
    model = made(ROWS)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = -1
    convert.convert(model, tmp_path / "out", Options(input_shapes={"x": (2, 4)}))
    assert report(tmp_path / "out")["inputs"][0]["shape"] == [2, 4]


def test_sizes_that_never_fit_are_the_models_fault(tmp_path: Path) -> None:
    """Where nothing is open, no other sizes are asked for; and none are made that would fill the memory."""
    unfit = "agraph (float[2, 4] x) => (float[2, 4] y) <float[5, 4] w> { y = MatMul(x, w) }"
    model = parser.parse_model(HEAD + unfit)
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.zeros((5, 4), np.float32), "w"))
    with pytest.raises(InvalidModel, match="MatMul"):
        convert.convert(model, tmp_path / "out")
    with pytest.raises(InvalidModel, match="elements is declared"):
        convert.convert(made("agraph (float[1099511627776, 4] x) => (float[N, 4] y) { y = Relu(x) }"), tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_one_row_is_any_number_of_rows(tmp_path: Path) -> None:
    """A model exported for one row serves more where its graph does not depend on it."""
    convert.convert(made(ROWS.replace("[N,", "[1,")), tmp_path / "out")
    found = report(tmp_path / "out")
    assert found["covers"] in ("rows", "any")
    assert found["inputs"][0]["shape"] == [1, 4]


def test_packed(tmp_path: Path) -> None:
    """The archive holds the folder's files at its top level."""
    import tarfile

    convert.convert(made(ROWS), tmp_path / "out", Options(pack=True))
    with tarfile.open(tmp_path / "out" / "model.tar.gz") as archive:
        assert {"model-symbol.json", "model-0000.params", "conversion.json"} <= set(archive.getnames())


def test_nothing_is_left_on_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers that differ from ONNX's leave neither a new folder nor a changed one. The fault is a pass that changes the graph."""
    convert.convert(made(ROWS), tmp_path / "there")
    before = {path.name: path.read_bytes() for path in (tmp_path / "there").iterdir()}
    right = Program.run
    monkeypatch.setattr(Program, "run", lambda self, feeds: [value + 1 for value in right(self, feeds)])
    for name in ("new", "there"):
        with pytest.raises(VerificationError):
            convert.convert(made(ROWS), tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["there"]
    assert {path.name: path.read_bytes() for path in (tmp_path / "there").iterdir()} == before


def test_a_folder_that_is_there_may_be_a_mount(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is moved into it from a folder beside it, which may lie on another disk."""
    target, move = tmp_path / "mounted", os.replace
    target.mkdir()

    def within(source: Path, to: Path) -> None:
        assert target in Path(source).parents
        move(source, to)

    monkeypatch.setattr(os, "replace", within)
    convert.convert(made(ROWS), target)
    assert not [path.name for path in target.iterdir() if path.name.startswith(".")]


def test_check() -> None:
    """Whether a model can be converted is told without converting it, with every node that stands in the way."""
    assert convert.check(made(ROWS)) == []
    model = made(ROWS)
    model.opset_import.append(onnx.helper.make_opsetid("com.example", 1))
    for index in (0, 1):
        model.graph.node.append(onnx.helper.make_node("Odd", ["x"], [f"odd{index}"], domain="com.example", name=f"n{index}"))
    assert [problem.node for problem in convert.check(model)] == ["n0", "n1"]
    with pytest.raises(UnsupportedModel, match="com.example.Odd"):
        convert.convert(model, "unused")


def test_opset(tmp_path: Path) -> None:
    """The model may be brought to another opset first; one that ONNX cannot reach is an error in a line."""
    convert.convert(made(ROWS), tmp_path / "out", Options(opset=22))
    assert report(tmp_path / "out")["source"]["opsets"] == {"ai.onnx": 22}
    with pytest.raises(InvalidModel, match="opset 999"):
        convert.convert(made(ROWS), tmp_path / "other", Options(opset=999))
