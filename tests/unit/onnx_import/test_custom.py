"""Operators that no MXNet graph expresses as custom operators of one symbol, in a process that has MXNet and our library alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from onnx_import import artifact, calls
from onnx_import.convert import Options, convert
from onnx_import.errors import InvalidModel
from onnx_import.host import lookup, text

ROOT = Path(__file__).parents[3]

RUN = """
import sys
from pathlib import Path
import numpy as np
np.bool = bool  # which MXNet 1.9.1 names and numpy removed
folder, engine = Path(sys.argv[1]), sys.argv[2]
if engine == "stock":
    import mxnet
import onnx_import.custom
import mxnet as mx
symbol = mx.sym.load(str(folder / "model-symbol.json"))
with mx.util.np_shape(True):
    saved = mx.nd.load(str(folder / "model-0000.params"))
    saved = saved if isinstance(saved, dict) else {}
    names = set(symbol.list_arguments())
    arguments = {key[4:]: array for key, array in saved.items() if key[4:] in names}
    for path in folder.glob("*.npy"):
        fed = np.load(path)
        arguments[path.stem] = mx.nd.array(fed, dtype=fed.dtype)
    outputs = symbol.bind(mx.cpu(), arguments, grad_req="null").forward()
    for number, output in enumerate(outputs):
        np.save(folder / f"head{number}", output.asnumpy())
named = {name.partition(".")[0] for name in sys.modules}
assert engine == "stock" or not named & {"onnx", "onnxruntime"}, sorted(named)  # MXNet imports onnx where it is installed
"""


def model(nodes: list[onnx.NodeProto], inputs: dict[str, Any], outputs: dict[str, int], weights: Any = None) -> onnx.ModelProto:
    """A checked model; inputs are example arrays, outputs element types."""
    infos = [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape) for n, a in inputs.items()]
    ends = [helper.make_tensor_value_info(name, kind, None) for name, kind in outputs.items()]
    constants = [onnx.numpy_helper.from_array(array, name) for name, array in (weights or {}).items()]
    graph = helper.make_graph(nodes, "graph", infos, ends, constants)
    opsets = [helper.make_opsetid("", 26), helper.make_opsetid("ai.onnx.ml", 4)]
    made = onnx.shape_inference.infer_shapes(helper.make_model(graph, opset_imports=opsets))
    onnx.checker.check_model(made)
    return made


def run_whole(folder: Path, feeds: dict[str, Any], engine: str) -> list[Any]:
    """What stock MXNet gives for an artifact's symbol, in a process of its own."""
    for name, array in feeds.items():
        np.save(folder / name, array)
    command = [sys.executable, "-c", RUN, str(folder), engine]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return [np.load(path) for path in sorted(folder.glob("head*.npy"))]


X = np.array([[1.5, -2.0, 0.0], [np.inf, 1e-40, -0.0]], np.float32)
BITS = [
    helper.make_node("Mul", ["x", "w"], ["scaled"]),
    helper.make_node("BitCast", ["scaled"], ["bits"], to=TensorProto.INT32),
    helper.make_node("BitwiseAnd", ["bits", "mask"], ["kept"]),
    helper.make_node("BitCast", ["kept"], ["y"], to=TensorProto.FLOAT),
    helper.make_node("ReduceMax", ["kept"], ["top"], keepdims=0),
]
WEIGHTS = {"w": np.array([2, 4, 8], np.float32), "mask": np.array(-65536, np.int32)}


@pytest.mark.parametrize("engine", ["ours", "stock"])
def test_a_chain_of_calls_and_nodes(tmp_path: Path, engine: str) -> None:
    """Calls between MXNet nodes, one of which reads an output of another, are one symbol that answers as the program does."""
    made = model(BITS, {"x": X}, {"y": TensorProto.FLOAT, "top": TensorProto.INT32}, WEIGHTS)
    report = convert(made, tmp_path / "out").report
    assert (report["portable"], report["custom_operators"], report["staged"]) == (False, ["BitCast"], "")
    wanted = artifact.load(tmp_path / "out").run({"x": X})
    whole = run_whole(tmp_path / "out", {"x": X}, engine)
    for head, array in zip(report["heads"], wanted, strict=True):
        assert whole[head].dtype == array.dtype
        np.testing.assert_array_equal(whole[head], array)
    cut = (X * WEIGHTS["w"]).view(np.int32) & -65536
    np.testing.assert_array_equal(wanted[0], cut.view(np.float32))
    assert wanted[1] == cut.max()


KEYS = [1.5, float("nan"), -3.0]
TABLE = helper.make_node(
    "LabelEncoder", ["x"], ["y"], domain="ai.onnx.ml", keys_floats=KEYS, values_int64s=[7, 2**40, -1], default_int64=5
)


def test_a_large_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table, its NaN key and its default travel in the symbol's parameters."""
    monkeypatch.setattr("onnx_import.ops.ml_text.LARGEST", 0)
    x = np.array([[-3, 0, np.nan], [1.5, 1, np.nan]], np.float32)
    report = convert(model([TABLE], {"x": x}, {"y": TensorProto.INT64}), tmp_path / "out").report
    assert report["custom_operators"] == ["ai.onnx.ml.LabelEncoder"]
    (y,) = run_whole(tmp_path / "out", {"x": x}, "ours")
    assert y.dtype == np.int64
    assert y.tolist() == [[-1, 5, 2**40], [7, 5, 2**40]]


VIEWS = {"float64": "UINT64", "int64": "DOUBLE", "int32": "FLOAT"}


@pytest.mark.parametrize("shape", [(), (0, 3), (2,)], ids=["scalar", "empty", "vector"])
def test_shapes_and_dtypes(tmp_path: Path, shape: tuple[int, ...]) -> None:
    """Scalars, arrays without elements and whole numbers of 64 bits go through MXNet's custom operators."""
    numbers = (np.arange(1, 1 + int(np.prod(shape))) * 77).reshape(shape)
    feeds = {name: numbers.astype(name) for name in VIEWS}
    kinds = {f"y{name}": TensorProto.DataType.Value(to) for name, to in VIEWS.items()}
    nodes = [helper.make_node("BitCast", [name], [f"y{name}"], to=kinds[f"y{name}"]) for name in VIEWS]
    report = convert(model(nodes, feeds, kinds), tmp_path / "out").report
    whole = run_whole(tmp_path / "out", feeds, "ours")
    for head, fed in zip(report["heads"], feeds.values(), strict=True):
        assert whole[head].shape == shape
        assert whole[head].tobytes() == fed.tobytes()


BOXES = {"boxes": np.zeros((1, 3, 4), np.float32), "scores": np.ones((1, 1, 3), np.float32)}
STAGED = {
    "open sizes": (
        [helper.make_node("NonMaxSuppression", ["boxes", "scores"], ["y"], name="nms")],
        BOXES,
        TensorProto.INT64,
        "the sizes that NonMaxSuppression gives (nms",
    ),
    "text": (
        [helper.make_node("Cast", ["x"], ["t"], to=TensorProto.STRING), helper.make_node("StringConcat", ["t", "t"], ["y"])],
        {"x": X},
        TensorProto.STRING,
        "takes or gives string, which no MXNet array holds",
    ),
}


@pytest.mark.parametrize("name", STAGED)
def test_what_stays_in_stages(tmp_path: Path, name: str) -> None:
    """Text and sizes that values tell are in no symbol; the report says which operator is why."""
    nodes, feeds, kind, reason = STAGED[name]
    report = convert(model(nodes, feeds, {"y": kind}), tmp_path / "out", Options(verify=False)).report
    assert not report["portable"]
    assert set(report["custom_operators"]) == {node.op_type for node in nodes}
    assert reason in report["staged"]
    assert "Custom" not in (tmp_path / "out" / "model-symbol.json").read_text()


def test_calls_come_back() -> None:
    """A call that was written is read as the same function of the same attributes and arguments."""
    table = lookup.table_of(["a", "é"], [np.float32(1), 2.0])
    parameters = calls.write(lookup.look_up, {"table": table, "default": (1,)}, [calls.Input(0), None, [calls.Input(2)]], [])
    assert all(text.isascii() for text in parameters.values())
    call = calls.read(parameters)
    assert call.function is lookup.look_up
    assert call.attributes == {"table": {"a": 1.0, "é": 2.0}, "default": (1,)}
    assert call.arguments == [calls.Input(0), None, [calls.Input(2)]]
    assert call.inputs == 3
    words = np.array([["a", "b"]], object)
    parameters = calls.write(text.concat, {}, [words, words], [[[1, 2], "object"]])
    assert calls.read(parameters)([])[0].tolist() == [["aa", "bb"]]


@pytest.mark.parametrize(
    "name", ["os:system", "onnx_import.convert:convert", "onnx_import.host.lookup:np", "onnx_import.host.x:y", ""]
)
def test_only_our_functions_are_called(name: str) -> None:
    """A symbol file cannot name a function outside of the host library."""
    good = calls.write(lookup.look_up, {}, [], [])
    with pytest.raises(InvalidModel, match="there is no host function"):
        calls.read({**good, "function": name})


@pytest.mark.parametrize("damage", ["", "###", "bnVsbA=="])
def test_damaged_parameters(damage: str) -> None:
    """Parameters that were not written by us are refused by the function's name."""
    good = calls.write(lookup.look_up, {}, [], [])
    with pytest.raises(InvalidModel, match="look_up cannot be read"):
        calls.read({**good, "outputs": damage})


def test_what_has_no_text() -> None:
    """Functions that no file can name, and attributes that are no data, are not written."""
    with pytest.raises(ValueError, match="no function that a file can name"):
        calls.write(lambda x: (x,), {}, [], [])
    with pytest.raises(ValueError, match="a type has no text form"):
        calls.write(lookup.look_up, {"convert": float}, [], [])


def test_sizes_that_differ_are_refused() -> None:
    """A function that gives other sizes than the symbol promises is not believed."""
    parameters = calls.write(lookup.look_up, {"table": {}, "default": 1, "dtype": "int64"}, [calls.Input(0)], [[[3], "int64"]])
    with pytest.raises(InvalidModel, match="where the symbol has"):
        calls.read(parameters)([np.zeros(2)])


def test_a_report_for_readers(tmp_path: Path) -> None:
    """conversion.json is JSON, and counts a custom operator by its ONNX name."""
    convert(model(BITS, {"x": X}, {"y": TensorProto.FLOAT, "top": TensorProto.INT32}, WEIGHTS), tmp_path / "out")
    found = json.loads((tmp_path / "out" / "conversion.json").read_text())
    assert set(found["custom_operators"]) <= set(found["operators"])
