"""SavedModels of every kind in this process: their signatures, their passes, and what is said of those that cannot be served."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from serving.backends import tensorflow, tensorflow_import
from serving.backends.tensorflow import SavedModel, TensorInfo, empty_like
from serving.errors import BadRequest, ModelError, NotFound, ServingError
from tests.tf_models import DTYPES, models

DEFAULT = "serving_default"


@cache
def loaded(name: str, version: str = "1") -> SavedModel:
    """One of the written models, loaded once for all tests."""
    return tensorflow.load(models() / name / version)


def test_a_model_of_tf2() -> None:
    """A pass gives x/2 + 2 for any number of rows, none included."""
    x = np.random.default_rng(7).random((5, 64), dtype="float32")
    for rows in (1, 5, 0):
        outputs = loaded("half").run(DEFAULT, {"x": x[:rows]})
        assert list(outputs) == ["y"]
        np.testing.assert_array_equal(outputs["y"], x[:rows] / 2 + 2)
        assert outputs["y"].dtype == "float32"


def test_a_model_of_tf1() -> None:
    """Its variables are restored, and a shape may be fed that its placeholder does not have."""
    model = loaded("half_plus_three", "00000123")
    assert model.signatures[DEFAULT].inputs[0].shape == (None, 1)
    for shape in ((2, 1), (3,), (), (2, 3)):
        x = np.arange(np.prod(shape, dtype=int), dtype="float32").reshape(shape)
        np.testing.assert_array_equal(model.run(DEFAULT, {"x": x})["y"], x / 2 + 3)


def test_examples() -> None:
    """Regress and classify signatures take serialized examples."""
    tensorflow_import.protos()
    from tensorflow.core.example import example_pb2

    example = example_pb2.Example()
    example.features.feature["x"].float_list.value.append(2)
    model, inputs = loaded("half_plus_three", "00000123"), {"inputs": np.array([example.SerializeToString()] * 2, object)}
    assert model.run("tensorflow/serving/regress", inputs)["outputs"].tolist() == [[4], [4]]
    outputs = model.run("tensorflow/serving/classify", inputs)
    assert outputs["classes"].tolist() == [[b"only"], [b"only"]]
    assert outputs["scores"].tolist() == [[4], [4]]


def test_a_frozen_model() -> None:
    """A graph without variables is served as it is."""
    x = np.ones((2, 64), "float32")
    assert loaded("frozen").run(DEFAULT, {"x": x})["y"].tolist() == (x / 2 + 2).tolist()


def test_several_inputs_and_outputs() -> None:
    """Inputs go by their names, in any order; any of the outputs may be asked for, in any order, and come in that."""
    model = loaded("pair")
    inputs = {"b": np.array([[3, 4]], "int32"), "a": np.array([[1, 2]], "float32")}
    assert {k: v.tolist() for k, v in model.run(DEFAULT, inputs).items()} == {"product": [[3, 8]], "sum": [[4, 6]]}
    for wanted in (["sum"], ["product"], ["sum", "product"]):
        found = model.run(DEFAULT, inputs, wanted)
        assert list(found) == wanted
        assert all(found[name].tolist() == {"product": [[3, 8]], "sum": [[4, 6]]}[name] for name in wanted)
    assert model.run("total", inputs)["total"].shape == ()


def test_versions_are_models_of_their_own() -> None:
    """Each version folder has its own variables."""
    x = np.zeros(1, "float32")
    assert [loaded("add", name).run(DEFAULT, {"x": x})["y"][0] for name in ("1", "2", "0003")] == [1, 2, 3]


def test_strings() -> None:
    """Strings of any length and of any bytes go in and come out whole."""
    texts = [b"", b"a", b"x" * 22, b"x" * 23, b"nul\0inside\0", b"\xff\xfe", "caf\u00e9".encode(), os.urandom(1 << 20)]
    text = np.array(texts, object)
    outputs = loaded("strings").run(DEFAULT, {"text": text})
    assert outputs["echo_bytes"].tolist() == texts
    assert outputs["length"].tolist() == [len(one) for one in texts]
    assert outputs["upper"][1] == b"A"
    for shape in ((0,), (2, 4), ()):
        given = np.array(b"scalar", object) if shape == () else text[: np.prod(shape)].reshape(shape)
        found = loaded("strings").run(DEFAULT, {"text": given}, ["echo_bytes"])["echo_bytes"]
        assert (found.shape, found.dtype, found.tolist()) == (shape, object, given.tolist())


def test_text_is_no_bytes() -> None:
    """An array of strings instead of bytes is a bad request."""
    with pytest.raises(BadRequest, match="no bytes"):
        loaded("strings").run(DEFAULT, {"text": np.array(["text"], object)})


@pytest.mark.parametrize("name", DTYPES)
def test_every_dtype(name: str) -> None:
    """Values of every dtype come back bit for bit: the extremes, what is no number, and none at all."""
    model = loaded("dtypes")
    info = model.signatures[name].inputs[0]
    values = extremes(info.dtype)
    for given in (values, values[:0], values[:1].reshape(()), values.reshape(1, 2, 2)):
        found = model.run(name, {"x": given})["y"]
        assert (found.dtype, found.shape) == (info.dtype, given.shape)
        assert found.tolist() == given.tolist() if info.dtype == object else found.tobytes() == given.tobytes()


def extremes(dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """Values at the ends of a dtype's range."""
    if dtype.kind == "O":
        return np.array([b"", b"\0", b"long" * 99, b"x"], object)
    if dtype.kind in "iu":
        return np.array([np.iinfo(dtype).min, 0, 1, np.iinfo(dtype).max], dtype)
    if dtype in (ml_dtypes.int4, ml_dtypes.uint4):
        return np.array([ml_dtypes.iinfo(dtype).min, 0, 1, ml_dtypes.iinfo(dtype).max]).astype(dtype)
    if dtype.kind == "b":
        return np.array([True, False, False, True])
    if dtype.kind == "c":
        return np.array([complex(np.nan, -np.inf), 1 - 2j, 0, -0.0j], dtype)
    return np.array([np.nan, -0.0, 1.5, float(ml_dtypes.finfo(dtype).max)]).astype(dtype)


def test_layouts_of_memory() -> None:
    """Arrays that are strided, transposed, read-only, unaligned or large are read as they are."""
    large = np.random.default_rng(7).random((2000, 64), dtype="float32")
    unaligned = np.frombuffer(b"." + large[:1].tobytes(), "float32", offset=1).reshape(1, 64)
    frozen = large[:1].copy()
    frozen.flags.writeable = False
    for x in (large, large[::2], large.reshape(64, 2000).T, large[::-1, ::-1], unaligned, frozen, np.asfortranarray(large)):
        np.testing.assert_array_equal(loaded("half").run(DEFAULT, {"x": x})["y"], x / 2 + 2)


def test_any_rank() -> None:
    """An input of unknown rank takes every rank."""
    model = loaded("unknown")
    assert model.signatures[DEFAULT].inputs == (
        TensorInfo("x", model.signatures[DEFAULT].inputs[0].tensor, np.dtype("f"), 1, None),
    )
    for rank in range(5):
        outputs = model.run(DEFAULT, {"x": np.ones((2,) * rank, "float32")})
        assert outputs["rank"] == rank
        assert outputs["y"].shape == (2,) * rank


def test_assets_and_initializers() -> None:
    """A vocabulary file is found where the model lies now, and its table is filled at load."""
    words = np.array([b"two", b"zero", b"unheard of"], object)
    assert loaded("table").run(DEFAULT, {"word": words})["id"].tolist() == [2, 0, -1]


def test_state_is_kept() -> None:
    """A model that counts goes on counting."""
    model = tensorflow.load(models() / "counter/1")
    assert [float(model.run(DEFAULT, {"amount": np.array(2, "float32")})["total"]) for _ in range(3)] == [2, 4, 6]
    model.close()


def test_what_a_graph_keeps_is_its_own() -> None:
    """A variable that was assigned an input does not change with the input's memory."""
    model = tensorflow.load(models() / "memory/1")
    for size in (16, 100_000):
        x = np.arange(size, dtype="float32")
        model.run("keep", {"x": x})
        x[:] = -1
        del x
        [np.full(size, 7, "float32") for _ in range(8)]
        loaded("half").run(DEFAULT, {"x": np.ones((size // 16, 64), "float32")})
        np.testing.assert_array_equal(model.run("recall", {})["y"], np.arange(size, dtype="float32"))
    model.run("keep_text", {"x": np.array([b"long" * 1000, b"short"], object)})
    loaded("strings").run(DEFAULT, {"text": np.array([b"other" * 800] * 50, object)})
    assert model.run("recall_text", {})["y"].tolist() == [b"long" * 1000, b"short"]
    model.close()


def test_outputs_outlive_the_next_pass() -> None:
    """An answer is not overwritten by the passes after it, nor by the end of the model."""
    model = tensorflow.load(models() / "half/1")
    x = np.random.default_rng(7).random((3, 64), dtype="float32")
    first = model.run(DEFAULT, {"x": x})["y"]
    for _ in range(10):
        model.run(DEFAULT, {"x": -x})
    model.close()
    np.testing.assert_array_equal(first, x / 2 + 2)


def test_signatures() -> None:
    """A signature lists its inputs and outputs by name, in sorted order, with the graph's names, dtypes and shapes."""
    definition = loaded("pair").signatures[DEFAULT]
    assert (definition.name, definition.method) == (DEFAULT, "tensorflow/serving/predict")
    assert [(t.name, str(t.dtype), t.enum, t.shape) for t in definition.inputs] == [
        ("a", "float32", 1, (None, 2)),
        ("b", "int32", 3, (None, 2)),
    ]
    assert [t.name for t in definition.outputs] == ["product", "sum"]
    assert {name: d.method for name, d in loaded("half_plus_three", "00000123").signatures.items()} == {
        DEFAULT: "tensorflow/serving/predict",
        "tensorflow/serving/regress": "tensorflow/serving/regress",
        "tensorflow/serving/classify": "tensorflow/serving/classify",
        "regress_x_to_y": "tensorflow/serving/regress",
        "regress_x_to_y2": "tensorflow/serving/regress",
        "regress_x2_to_y3": "tensorflow/serving/regress",
        "classify_x_to_y": "tensorflow/serving/classify",
    }


def test_what_a_client_may_know() -> None:
    """`meta_graph` has the signatures as they were saved, and not the graph; the size counts variables and constants."""
    tensorflow_import.protos()
    from tensorflow.core.protobuf import meta_graph_pb2

    model = loaded("half_plus_three", "00000123")
    message = meta_graph_pb2.MetaGraphDef.FromString(model.meta_graph)
    assert set(message.signature_def) == set(model.signatures)
    assert not message.graph_def.node
    assert list(message.meta_info_def.tags) == ["serve"]
    files = [model.directory / "saved_model.pb", *(model.directory / "variables").iterdir()]
    assert model.parameter_bytes == sum(path.stat().st_size for path in files)


@pytest.mark.parametrize(
    ("signature", "kind", "status", "told"),
    [
        ("invalid", BadRequest, 400, "reshape"),
        ("missing", NotFound, 404, "/no/such/file/2"),
        ("internal", ServingError, 500, ""),
    ],
)
def test_a_pass_that_fails(signature: str, kind: type[ServingError], status: int, told: str) -> None:
    """TensorFlow's refusal has its own message and the status that TF Serving gives it; the next pass is none the worse."""
    for _ in range(3):
        with pytest.raises(kind) as caught:
            loaded("faults").run(signature, {"x": np.ones(2, "float32")})
        assert caught.value.status == status
        assert told in caught.value.message
    assert loaded("faults").run("invalid", {"x": np.ones(7, "float32")})["y"].shape == (7,)


def test_a_shape_that_does_not_fit() -> None:
    """Rows of a wrong size are TensorFlow's to refuse: a bad request with its words."""
    with pytest.raises(BadRequest, match=r"Incompatible shapes|must be"):
        loaded("pair").run(DEFAULT, {"a": np.ones((2, 3), "float32"), "b": np.ones((2, 5), "int32")})


@pytest.mark.parametrize(
    ("inputs", "told"),
    [
        ({}, r"wrong inputs: missing \['a', 'b'\]; signature serving_default has \['a', 'b'\]"),
        ({"a": np.ones((1, 2), "f")}, r"wrong inputs: missing \['b'\]"),
        ({"a": np.ones((1, 2), "f"), "b": np.ones((1, 2), "i"), "c": np.ones(1)}, r"wrong inputs: unknown \['c'\]"),
        ({"a": np.ones((1, 2), "f"), "x": np.ones((1, 2), "i")}, r"missing \['b'\] and unknown \['x'\]"),
        ({"a": np.ones((1, 2)), "b": np.ones((1, 2), "i")}, "input a is float64: signature serving_default takes float32"),
        ({"a": np.ones((1, 2), ">f4"), "b": np.ones((1, 2), "i")}, "input a is >f4"),
    ],
)
def test_wrong_inputs(inputs: dict[str, Any], told: str) -> None:
    """Names and dtypes that are not the signature's are a bad request that says which."""
    with pytest.raises(BadRequest, match=told):
        loaded("pair").run(DEFAULT, inputs)


def test_wrong_names() -> None:
    """A signature that is not there has TF Serving's words; an output that is not there is named."""
    inputs = {"a": np.ones((1, 2), "f"), "b": np.ones((1, 2), "i")}
    with pytest.raises(BadRequest, match='Serving signature key "other" not found.'):
        loaded("pair").run("other", inputs)
    with pytest.raises(BadRequest, match=r"unknown outputs \['z'\]: signature serving_default has \['product', 'sum'\]"):
        loaded("pair").run(DEFAULT, inputs, ["sum", "z"])


def test_two_threads() -> None:
    """Threads that share a model get each their own answers."""
    model, wrong = loaded("half"), []

    def ask(number: int) -> None:
        x = np.full((1 + number, 64), number, "float32")
        for _ in range(300):
            if not np.array_equal(model.run(DEFAULT, {"x": x})["y"], x / 2 + 2):
                wrong.append(number)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_closed() -> None:
    """A model that was closed says so, and closing it again does nothing."""
    model = tensorflow.load(models() / "half/1")
    model.close()
    model.close()
    with pytest.raises(ServingError, match="the model was unloaded"):
        model.run(DEFAULT, {"x": np.ones((1, 64), "float32")})


def resident() -> int:
    """Bytes of this process's memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize("kind", ["numbers", "strings", "failures", "loads"])
def test_memory_stays_flat(kind: str) -> None:
    """What a pass, a refused pass or a load takes is given back: a thousand of them leave less than a tenth of what they took."""
    x, text = np.ones((16, 64), "float32"), np.array([b"s" * 4096] * 4, object)

    def load() -> None:
        tensorflow.load(models() / "half/1").close()

    def fail() -> None:
        with pytest.raises(BadRequest):
            loaded("faults").run("invalid", {"x": np.ones(4096, "float32")})

    ways: dict[str, tuple[Callable[[], Any], int]] = {
        "numbers": (lambda: loaded("half").run(DEFAULT, {"x": x}), 4000),
        "strings": (lambda: loaded("strings").run(DEFAULT, {"text": text}), 2000),
        "failures": (fail, 500),
        "loads": (load, 20),
    }
    way, count = ways[kind]
    for _ in range(count // 4):
        way()
    grown = []
    for _ in range(3):  # a leak grows each time; what other tests' objects do to this process, once
        before = resident()
        for _ in range(count):
            way()
        grown.append(resident() - before)
        if grown[-1] < 3 << 20:
            break
    assert min(grown) < 3 << 20


def test_empty_inputs() -> None:
    """Inputs for a warm-up pass: zeros and empty strings, 1 where a size is open, none where the rank is."""
    pair, strings = loaded("pair").signatures[DEFAULT].inputs, loaded("strings").signatures[DEFAULT].inputs
    made = [empty_like(info, 3) for info in (*pair, *strings)]
    assert [(str(a.dtype), a.shape) for a in made if a is not None] == [
        ("float32", (3, 2)),
        ("int32", (3, 2)),
        ("object", (3,)),
    ]
    assert made[2] is not None
    assert made[2].tolist() == [b""] * 3
    assert empty_like(loaded("unknown").signatures[DEFAULT].inputs[0], 3) is None
    info = TensorInfo("x", "x:0", np.dtype("int64"), 9, (2, None, 5))
    assert empty_like(info, 3).shape == (2, 1, 5)  # type: ignore[union-attr]
    assert empty_like(loaded("counter").signatures[DEFAULT].inputs[0], 3).shape == ()  # type: ignore[union-attr]


# --- what cannot be served


@pytest.fixture
def half(tmp_path: Path) -> Path:
    """A copy of the model `half`, to be broken."""
    return Path(shutil.copytree(models() / "half/1", tmp_path / "1"))


def test_an_operation_from_the_future() -> None:
    """An operation that this TensorFlow lacks is named, with the version that lacks it."""
    told = "uses the operation OpFromTheFuture, which TensorFlow [0-9.]+ does not have"
    with pytest.raises(ModelError, match=told):
        tensorflow.load(models() / "unknown_op/1")


def test_variables_that_are_missing(half: Path) -> None:
    """A model whose variables were left out is refused, not served with none."""
    shutil.rmtree(half / "variables")
    with pytest.raises(ModelError, match=r"its variables are missing: expected variables/variables.index"):
        tensorflow.load(half)


@pytest.mark.parametrize("name", ["variables.index", "variables.data-00000-of-00001"])
@pytest.mark.parametrize("kept", [0, 20])
def test_variables_that_are_cut_off(half: Path, name: str, kept: int) -> None:
    """A variables file that ends early is refused with TensorFlow's words and the folder."""
    path = half / "variables" / name
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ModelError, match=f"{half} cannot be served: TensorFlow says: .*copied or unpacked"):
        tensorflow.load(half)


def test_variables_that_are_damaged(half: Path) -> None:
    """A flipped byte in the variables is found by their checksums."""
    path = half / "variables/variables.data-00000-of-00001"
    data = bytearray(path.read_bytes())
    data[1] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(ModelError, match=r"cannot be served: TensorFlow says: .*Checksum"):
        tensorflow.load(half)


def test_variables_that_are_closed(half: Path) -> None:
    """Variables that may not be read are refused with the remedy."""
    place = Path(tempfile.mkdtemp())  # pytest's own folders are closed to other users
    folder = Path(shutil.copytree(half, place / "1"))
    place.chmod(0o755)
    (folder / "variables/variables.index").chmod(0)
    try:
        if os.geteuid() == 0:
            os.seteuid(65534)
        with pytest.raises(ModelError, match="cannot be served: TensorFlow says: .*run as their owner"):
            tensorflow.load(folder)
    finally:
        if os.getuid() == 0:
            os.seteuid(0)
        shutil.rmtree(place)


def test_a_graph_that_is_damaged(half: Path) -> None:
    """Whatever byte of the description is flipped, the answer is a model or a ModelError."""
    path = half / "saved_model.pb"
    whole = path.read_bytes()
    random = np.random.default_rng(7)
    faults = []
    for at in random.integers(0, len(whole), 40):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        try:
            tensorflow.load(half).close()
        except ModelError as error:
            faults.append(str(error))
    assert len(faults) > 5
    assert [fault for fault in faults if str(half) not in fault] == []


def test_a_signature_without_its_operation(half: Path) -> None:
    """A signature that names a tensor which the graph does not have is refused, with both names."""
    change(half, lambda signature: setattr(signature.outputs["y"], "name", "nowhere:0"))
    with pytest.raises(ModelError, match="its signature serving_default names nowhere:0, which its graph does not have"):
        tensorflow.load(half)


@pytest.mark.parametrize("name", ["StatefulPartitionedCall:7", "StatefulPartitionedCall:x", "StatefulPartitionedCall:-1", ""])
def test_a_signature_without_its_output(half: Path, name: str) -> None:
    """An output number that the operation does not have is refused too."""
    change(half, lambda signature: setattr(signature.outputs["y"], "name", name))
    with pytest.raises(ModelError, match="which its graph does not have"):
        tensorflow.load(half)


def test_a_signature_that_names_a_variable(half: Path) -> None:
    """A signature whose tensor is, in the graph, of a type that has no form in a request is refused, with both."""
    change(half, lambda signature: setattr(signature.outputs["y"], "name", "Variable:0"))
    with pytest.raises(ModelError, match="its signature serving_default: y is resource, which has no form in a request"):
        tensorflow.load(half)


def test_a_plain_operation_name(half: Path) -> None:
    """A tensor's name without a number is its operation's first output."""
    definition = loaded("half").signatures[DEFAULT]
    change(half, lambda signature: setattr(signature.outputs["y"], "name", definition.outputs[0].tensor.partition(":")[0]))
    model = tensorflow.load(half)
    assert model.run(DEFAULT, {"x": np.zeros((1, 64), "float32")})["y"][0, 0] == 2
    model.close()


def test_the_graph_knows_better(half: Path) -> None:
    """Where a signature names another dtype than its graph, the graph's counts: TF Serving serves such models."""
    change(half, lambda signature: setattr(signature.inputs["x"], "dtype", 7))
    model = tensorflow.load(half)
    assert model.signatures[DEFAULT].inputs[0].dtype == "float32"
    assert model.run(DEFAULT, {"x": np.zeros((1, 64), "float32")})["y"][0, 0] == 2
    model.close()


def change(folder: Path, edit: Callable[[Any], None]) -> None:
    """Write the description anew with its default signature edited."""
    tensorflow_import.protos()
    from tensorflow.core.protobuf import saved_model_pb2

    path = folder / "saved_model.pb"
    message = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    edit(message.meta_graphs[0].signature_def[DEFAULT])
    path.write_bytes(message.SerializeToString())
