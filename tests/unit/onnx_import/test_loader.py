"""Files that are no good models: one error that names what is wrong, in bounded time and memory."""

from __future__ import annotations

import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper, parser

from onnx_import import outline, weights
from onnx_import.errors import InvalidModel
from onnx_import.loader import load

Change = Callable[[onnx.ModelProto], object]


def model(body: str = "y = Relu (x)", opset: int = 21, ir: int = 10) -> onnx.ModelProto:
    """A model of a float[2] input x and output y."""
    return parser.parse_model(f'<ir_version: {ir}, opset_import: ["" : {opset}]> g (float[2] x) => (float[2] y) {{ {body} }}')


def weighted(values: np.ndarray, name: str = "w") -> onnx.ModelProto:
    """A model whose output is a weight of it."""
    made = model("y = Relu (x)\n z = Identity (w)")
    made.graph.initializer.append(numpy_helper.from_array(values, name))
    return made


def external(folder: Path, location: str, **entries: int) -> Path:
    """A model file in a folder that says its weight of 8 bytes is elsewhere."""
    made = weighted(np.zeros(2, np.float32))
    weight = made.graph.initializer[0]
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, **entries}.items():
        weight.external_data.add(key=key, value=str(value))
    path = folder / "model.onnx"
    path.write_bytes(made.SerializeToString())
    return path


def nested(count: int) -> bytes:
    """The bytes of a model with graphs inside each other, written from the innermost outwards."""
    graph = model().graph.SerializeToString()
    for _ in range(count):
        node = b"\x22\x02If" + _field(5, b"\x0a\x04then\xa0\x01\x05" + _field(6, graph))
        graph = _field(1, node)
    return b"\x08\x0a" + _field(7, graph) + b"\x42\x02\x10\x15"


def _field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2]) + outline.varint(len(content)) + content


def write(folder: Path, data: bytes) -> Path:
    """A file of some bytes."""
    path = folder / "model.onnx"
    path.write_bytes(data)
    return path


def refusal(source: Path | bytes | onnx.ModelProto) -> str:
    """What is said of a source that is refused."""
    with pytest.raises(InvalidModel) as caught:
        load(source)
    text = str(caught.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "empty"),
        (b"hello, world" * 9, "not an ONNX model"),
        (b"PK\x03\x04" + b"\0" * 40, "zip archive"),
        (b"\x18\0\0\0TFL3" + b"\0" * 40, "TFLite"),
        (b"\0" * 64, "not an ONNX model"),
        (b"\x08\x0a", "no graph"),
    ],
    ids=["empty", "text", "zip", "tflite", "zeros", "no graph"],
)
def test_other_files_are_named_for_what_they_are(tmp_path: Path, data: bytes, said: str) -> None:
    """The error starts with the file's path and says what it is instead."""
    path = write(tmp_path, data)
    assert refusal(path).startswith(f"{path}: ")
    assert said in refusal(path)


def test_a_missing_file_and_a_folder_and_a_pipe(tmp_path: Path) -> None:
    """What cannot be read is said; a pipe is not waited for."""
    assert "No such file" in refusal(tmp_path / "none.onnx")
    assert "not a file" in refusal(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    assert "not a file" in refusal(tmp_path / "pipe")


def test_a_cut_at_any_byte_is_refused(tmp_path: Path) -> None:
    """No prefix of a model passes for one."""
    data = weighted(np.arange(3, dtype=np.float32)).SerializeToString()
    load(write(tmp_path, data))
    for end in range(len(data)):
        refusal(data[:end])
        refusal(write(tmp_path, data[:end]))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("a = Add (x, c)\n b = Relu (a)\n c = Relu (b)\n y = Relu (c)", "cyclic: node 'a' (Add) <- "),
        ("y = Add (y, x)", "cyclic: node 'y' (Add)"),
        ("y = Add (x, missing)", "node 'y' (Add) reads 'missing'"),
        ("z = Relu (x)", "output 'y'"),
        ("y = Relu (x)\n y = Neg (x)", "'y' is given twice: by node 'y' (Relu) and by node 'y' (Neg)"),
        ("x = Relu (x)\n y = Relu (x)", "'x' is given twice"),
        ("y = Rleu (x)", "node 'y' (Rleu)"),
        ("y = Relu <speed = 1> (x)", "speed for operator Relu: node 'y' (Relu)"),
        ("y = Relu (x, x)", "node 'y' (Relu)"),
        ("y = Cast <to = 7> (x)", "Cast, node name: y"),
        ("y = other.Relu (x)", "'other': node 'y' (Relu)"),
    ],
    ids=["cycle", "self", "nothing gives", "no output", "twice", "input", "operator", "attribute", "count", "type", "domain"],
)
def test_a_broken_graph_is_refused_by_the_name_of_the_node(body: str, said: str) -> None:
    """Cycles, names and operators that ONNX does not allow."""
    assert said in refusal(model(body))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda m: setattr(m, "ir_version", 99), "IR version 99"),
        (lambda m: setattr(m.opset_import[0], "version", 99), "opset 99"),
        (lambda m: setattr(m.opset_import[0], "version", -1), "opset -1"),
        (lambda m: m.ClearField("opset_import"), "opset"),
        (lambda m: m.graph.input.append(m.graph.input[0]), "'x' is an input of graph 'g' 2 times"),
        (lambda m: m.graph.output.append(m.graph.output[0]), "'y' is an output"),
        (lambda m: m.graph.ClearField("output"), "has no output"),
        (lambda m: m.graph.initializer.extend([numpy_helper.from_array(np.ones(1), "w")] * 2), "'w' is an initializer"),
        (lambda m: m.graph.initializer.append(numpy_helper.from_array(np.ones(2), "x")), "x"),
    ],
    ids=[
        "IR",
        "opset",
        "opset -1",
        "no opset",
        "inputs",
        "outputs",
        "no output",
        "initializers",
        "initializer of another type",
    ],
)
def test_versions_and_duplicates(change: Change, said: str) -> None:
    """Newer than known, or twice the same name."""
    made = model()
    change(made)
    assert said in refusal(made)


@pytest.mark.parametrize("dims", [[3], [2, 2**40], [-1], [2**62, 4], [0], [2**31, 2**31, 2**31]], ids=str)
def test_a_shape_that_its_values_do_not_fill(dims: list[int]) -> None:
    """The initializer is named, and nothing of the size that it claims is allocated."""
    made = weighted(np.zeros(2, np.float32))
    del made.graph.initializer[0].dims[:]
    made.graph.initializer[0].dims.extend(dims)
    tracemalloc.start()
    text = refusal(made)
    assert tracemalloc.get_traced_memory()[1] < 5e6
    tracemalloc.stop()
    assert "'w'" in text


def test_values_of_another_type_than_declared() -> None:
    """An initializer that says float64 but holds the bytes of float32, and one whose type an operator does not take."""
    made = weighted(np.zeros(2, np.float32))
    made.graph.initializer[0].data_type = TensorProto.DOUBLE
    assert "'w'" in refusal(made)
    made = model("y = Add (x, w)")
    made.graph.initializer.append(numpy_helper.from_array(np.zeros(2), "w"))
    assert "Add" in refusal(made)


def test_nan_is_no_weight(tmp_path: Path) -> None:
    """NaN in a tensor of values is refused, mapped or not; infinity and a scalar that is NaN are constants that models use."""
    values = np.zeros(40_000, np.float32)
    values[39_999] = np.nan
    assert "'w' has NaN" in refusal(write(tmp_path, weighted(values).SerializeToString()))
    assert "'w' has NaN" in refusal(weighted(values[-2:]))
    load(weighted(values), allow_nan=True)
    load(weighted(np.float32([-np.inf, np.inf])))
    load(weighted(np.float32(np.nan)))


@pytest.mark.parametrize("name", ["graph", "operator"])
def test_names_are_text(name: str) -> None:
    """Protobuf does not look at a name before it is asked for it."""
    made = model()
    made.graph.name, made.graph.node[0].op_type = ("QQQQ", "Relu") if name == "graph" else ("g", "QQQQ")
    assert "is not UTF-8" in refusal(made.SerializeToString().replace(b"QQQQ", b"Q\xff\x80Q"))


def test_text_values_are_text() -> None:
    """ONNX has its strings in UTF-8."""
    made = model("y = Relu (x)\n z = Identity (w)")
    made.graph.initializer.append(helper.make_tensor("w", TensorProto.STRING, [2], [b"a", b"\xff"]))
    assert "'w' holds text that is not UTF-8" in refusal(made)


def test_segments_are_refused() -> None:
    """No version of ONNX says what a piece of a tensor is for."""
    made = weighted(np.zeros(2, np.float32))
    made.graph.initializer[0].segment.begin = 1
    assert "'w' is a segment" in refusal(made)


def test_sparse_tensors_are_bounded() -> None:
    """A shape that is too large to be written out, and an index outside of it."""
    for dims, index, said in (([2**20, 2**20], 0, "too large"), ([3, 3], 9, "outside its shape")):
        made = model("y = Relu (x)\n z = Identity (s)")
        values, indices = numpy_helper.from_array(np.ones(1, np.float32), "s"), numpy_helper.from_array(np.array([index]))
        made.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, dims))
        text = refusal(made)
        assert "'s'" in text
        assert said in text


@pytest.mark.parametrize("count", [40, 1000])
def test_graphs_a_thousand_deep(tmp_path: Path, count: int) -> None:
    """Told apart from a file that is cut off."""
    data = nested(count)
    assert "deep" in refusal(data)
    assert "deep" in refusal(write(tmp_path, data))
    load(model())


def test_deep_graphs_of_a_proto() -> None:
    """A proto that was never bytes has no limit of its own."""
    made = model()
    graph = made.graph
    for _ in range(1000):
        attribute = graph.node.add(op_type="If", input=["x"], output=["z"]).attribute.add(name="then_branch", type=5)
        graph = attribute.g
    assert "deep" in refusal(made)


def calling(bodies: dict[str, str]) -> onnx.ModelProto:
    """A model that calls the first of some functions of one input and output."""
    functions = "".join(
        f'<domain: "f", opset_import: ["" : 21, "f" : 1]> {name} (a) => (b) {{ {body} }}' for name, body in bodies.items()
    )
    head = '<ir_version: 10, opset_import: ["" : 21, "f" : 1]> g (float[2] x) => (float[2] y)'
    return parser.parse_model(f"{head} {{ y = f.{next(iter(bodies))} (x) }} {functions}")


def test_functions_that_never_end() -> None:
    """Recursion, and calls that double forty times."""
    assert "f.A calls itself" in refusal(calling({"A": "b = f.B (a)", "B": "b = f.A (a)"}))
    doubling = {f"D{level}": f"c = f.D{level + 1} (a)\n b = f.D{level + 1} (c)" for level in range(20)}
    assert "more than" in refusal(calling({**doubling, "D20": "b = Relu (a)"}))
    chain = {f"D{level}": f"b = f.D{level + 1} (a)" for level in range(1000)}
    assert "deep" in refusal(calling({**chain, "D1000": "b = Relu (a)"}))


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("none.bin", "missing"),
        ("../w.bin", "not a file below"),
        ("a/../../w.bin", "not a file below"),
        ("/etc/passwd", "not a file below"),
        ("C:\\w.bin", "not a file below"),
        ("", "not a file below"),
        ("link", "leads out of"),
        ("linked/w.bin", "leads out of"),
        ("pipe", "no regular file"),
        ("sub", "no regular file"),
    ],
)
def test_external_data_stays_in_its_folder(tmp_path: Path, location: str, said: str) -> None:
    """Missing, above the folder, absolute, by a link, or no file: the tensor is named and nothing is read."""
    folder = tmp_path / "model"
    (folder / "sub").mkdir(parents=True)
    (tmp_path / "w.bin").write_bytes(bytes(8))
    (folder / "link").symlink_to(tmp_path / "w.bin")
    (folder / "linked").symlink_to(tmp_path)
    os.mkfifo(folder / "pipe")
    text = refusal(external(folder, location))
    assert "'w'" in text
    assert said in text


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ({"offset": 4}, "bytes 4 to 12 of its external data, but w.bin has 8"),
        ({"offset": 2**60}, "'w'"),
        ({"offset": -1}, "'-1'"),
        ({"length": 4}, "is 8 bytes, but has 4"),
        ({"length": 2**50}, "'w'"),
    ],
    ids=str,
)
def test_external_data_lies_in_its_file(tmp_path: Path, entries: dict[str, int], said: str) -> None:
    """Offset and length are compared with the shape and with the file before anything is read."""
    (tmp_path / "w.bin").write_bytes(bytes(8))
    assert said in refusal(external(tmp_path, "w.bin", **entries))


def test_external_data_is_read(tmp_path: Path) -> None:
    """From an offset of a file below the model's, a relative path and links inside the folder allowed; not without a file."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "w.bin").write_bytes(np.float32([7, 1, 2]).tobytes())
    (tmp_path / "link").symlink_to(tmp_path / "sub" / "w.bin")
    for location in ("sub/w.bin", "./sub/w.bin", "link"):
        path = external(tmp_path, location, offset=4)
        np.testing.assert_array_equal(weights.array(load(path).graph.initializer[0]), [1, 2])
    assert "give the model as a file" in refusal(path.read_bytes())
    assert "give the model as a file" in refusal(onnx.load(path, load_external_data=False))


def test_a_model_of_three_gigabytes(tmp_path: Path) -> None:
    """Larger than protobuf takes: in external data, and in the model file itself; its memory is not touched."""
    size = 3 << 30
    with (tmp_path / "w.bin").open("wb") as file:
        file.truncate(size)
    made = weighted(np.zeros(2, np.float32))
    weight = made.graph.initializer[0]
    weight.dims[0] = size // 4
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="w.bin")
    loaded = load(write(tmp_path, made.SerializeToString()), mapped=True, allow_nan=True)
    assert weights.array(loaded.graph.initializer[0])[-1] == 0

    weight.ClearField("data_location")
    del weight.external_data[:]
    tensor = weight.SerializeToString() + b"\x4a" + outline.varint(size)
    graph = made.graph
    del graph.initializer[:]
    inner = graph.SerializeToString() + b"\x2a" + outline.varint(len(tensor) + size) + tensor
    made.ClearField("graph")
    path = write(tmp_path, made.SerializeToString() + b"\x3a" + outline.varint(len(inner) + size) + inner)
    os.truncate(path, path.stat().st_size + size)
    assert weights.array(load(path, mapped=True, allow_nan=True).graph.initializer[0]).shape == (size // 4,)


def test_mapped_weights_are_those_of_the_file(tmp_path: Path) -> None:
    """Large weights of initializers and Constants are views of the file; small ones and those of inner graphs are copied."""
    large, small = np.arange(20_000, dtype=np.float32), np.float32([1, 2])
    made = model("y = Relu (x)\n z = Identity (w)\n v = Identity (s)\n c = Constant <value = float[2] {1.0, 2.0}> ()")
    made.graph.initializer.extend([numpy_helper.from_array(large, "w"), numpy_helper.from_array(small, "s")])
    made.graph.node[-1].attribute[0].t.CopyFrom(numpy_helper.from_array(large + 1))
    path = write(tmp_path, made.SerializeToString())
    loaded = load(path, mapped=True)
    tensors = [*loaded.graph.initializer, loaded.graph.node[-1].attribute[0].t]
    assert [weights.is_external(tensor) for tensor in tensors] == [True, False, True]
    for tensor, want in zip(tensors, (large, small, large + 1), strict=True):
        np.testing.assert_array_equal(weights.array(tensor), want)
    assert loaded.ByteSize() < 2000
    assert load(path).SerializeToString(deterministic=True) == made.SerializeToString(deterministic=True)


def test_another_file_of_the_same_name_is_another(tmp_path: Path) -> None:
    """What was mapped before is not taken for it, and a file that shrinks while it is read is an error."""
    for count in (30_000, 20_000):
        path = write(tmp_path, weighted(np.full(count, count, np.float32)).SerializeToString())
        weight = load(path, mapped=True).graph.initializer[0]
        assert set(weights.array(weight)) == {count}
    os.truncate(path, 1000)
    with pytest.raises(InvalidModel, match="'w'.*shorter"):
        weights.array(weight)


def test_operators_of_others_are_not_refused_here() -> None:
    """A domain that ONNX does not know may be anything: what has no converter is reported with all of its kind later."""
    made = model("a = other.Relu (x)\n b = Add (a, a)\n y = Add (x, b)")
    made.opset_import.add(domain="other", version=3)
    load(made)


def test_nodes_are_put_in_order() -> None:
    """ONNX wants topological order; files that lack it alone are mended, in graphs inside nodes too."""
    loaded = load(model("y = Relu (b)\n b = Relu (a)\n a = Relu (x)"))
    assert [node.output[0] for node in loaded.graph.node] == ["a", "b", "y"]


def test_old_formats_are_read() -> None:
    """Before IR 3 there was no opset to state; IR 3 wants initializers among the inputs, which many files ignore."""
    old = model(ir=1)
    del old.opset_import[:]
    assert [entry.version for entry in load(load(old)).opset_import] == [1]
    third = weighted(np.ones(1, np.float32))
    third.ir_version = 3
    load(third)
