"""Freezing, as far as it needs no `import tensorflow`: the folders, and the comparison by which a frozen model is let in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serving.backends import tensorflow, tensorflow_drift, tensorflow_freeze, tf_features
from serving.backends.tensorflow_drift import Comparison, Drift, Source, Speed
from serving.backends.tensorflow_import import protos
from serving.backends.tf_features import Feature
from serving.backends.tf_signatures import TensorInfo
from serving.errors import ModelError

TWICE = np.array([2, 2], "float32")


def saved(folder: Path, factor: Any, operation: str = "Mul") -> Path:
    """A SavedModel of one node: y = x times a constant."""
    protos()
    from tensorflow.core.protobuf import saved_model_pb2

    model = saved_model_pb2.SavedModel(saved_model_schema_version=1)
    meta = model.meta_graphs.add()
    meta.meta_info_def.tags.append("serve")
    x, constant, y = (
        meta.graph_def.node.add(name=name, op=op) for name, op in (("x", "Placeholder"), ("c", "Const"), ("y", operation))
    )
    x.attr["dtype"].type = constant.attr["dtype"].type = y.attr["T"].type = 1
    x.attr["shape"].shape.unknown_rank = True
    constant.attr["value"].tensor.dtype = 1
    constant.attr["value"].tensor.tensor_shape.dim.add(size=2)
    constant.attr["value"].tensor.float_val.extend(factor)
    y.input.extend(["x", "c"])
    signature = meta.signature_def["serving_default"]
    signature.method_name = "tensorflow/serving/predict"
    for infos, name in ((signature.inputs, "x"), (signature.outputs, "y")):
        infos[name].name, infos[name].dtype = f"{name}:0", 1
        infos[name].tensor_shape.dim.add(size=-1)
        infos[name].tensor_shape.dim.add(size=2)
    folder.mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(model.SerializeToString())
    return folder


@pytest.fixture(scope="module")
def twice(tmp_path_factory: pytest.TempPathFactory) -> tensorflow.SavedModel:
    """A model that doubles pairs."""
    return tensorflow.load(saved(tmp_path_factory.mktemp("twice") / "1", TWICE))


def compared(twice: tensorflow.SavedModel, folder: Path, factor: Any, source: Source | None = None) -> Comparison:
    """The doubling model beside one with another factor."""
    return tensorflow_drift.compare(twice, tensorflow.load(saved(folder / "2", factor)), source or Source())


def test_a_model_that_answers_the_same(twice: tensorflow.SavedModel, tmp_path: Path) -> None:
    """A model with the same numbers has no error, and both were timed."""
    found = compared(twice, tmp_path, TWICE)
    assert found.drifts == [Drift("serving_default", "y", 0, 0)]
    assert found.speeds[0].ratio > 0
    assert found.faults(0) == []


def test_a_model_that_drifts(twice: tensorflow.SavedModel, tmp_path: Path) -> None:
    """A model that is off by a hundredth is refused at the usual tolerance, and taken at a wider one."""
    found = compared(twice, tmp_path, [2.02, 2.02])
    assert found.drifts[0].relative == pytest.approx(0.01, rel=1e-3)
    (fault,) = found.faults(tensorflow_freeze.TOLERANCE)
    assert fault.startswith("serving_default, y: off by")
    assert found.faults(0.02) == []


def test_given_inputs(twice: tensorflow.SavedModel, tmp_path: Path) -> None:
    """Inputs that were given are taken instead of made-up ones, cast to what the model takes."""
    found = compared(twice, tmp_path, [2, 3], Source({"x": np.array([[1, 0], [5, 4]])}))
    assert found.drifts == [Drift("serving_default", "y", 4, 0.4)]


def test_inputs_that_the_model_refuses(twice: tensorflow.SavedModel, tmp_path: Path) -> None:
    """Where no input is answered nothing is proved, so that it is a fault, with TensorFlow's reason."""
    found = compared(twice, tmp_path, TWICE, Source({"x": np.zeros((1, 3))}))
    assert "Incompatible shapes" in found.skipped["serving_default"]
    assert found.faults(1) == ["no signature could be compared: give inputs that the model takes (--samples FILE.npz)"]


@pytest.mark.parametrize(
    ("due", "got", "expected"),
    [
        ([1.0, -4.0], [1.0, -3.0], (1, 0.25)),
        ([0.0], [0.0], (0, 0)),
        ([0.0], [0.5], (0.5, 0.5)),
        ([np.nan, 1.0], [np.nan, 1.0], (0, 0)),
        ([np.nan, 1.0], [1.0, 1.0], (np.inf, np.inf)),
        ([np.inf, 1.0], [-np.inf, 1.0], (np.inf, np.inf)),
        ([1.0], [np.nan], (np.inf, np.inf)),
        ([1.0], [[1.0]], (np.inf, np.inf)),
        ([7, 8], [7, 6], (2, 0.25)),
        ([True], [False], (1, 1)),
        ([1j], [1j + 1], (1, 1)),
        ([], [], (0, 0)),
    ],
    ids=str,
)
def test_errors(due: Any, got: Any, expected: tuple[float, float]) -> None:
    """Numbers count by their largest difference; shapes, NaNs, infinities and truths have to be the same."""
    assert tensorflow_drift.error(np.array(due), np.array(got)) == expected


def test_errors_of_strings() -> None:
    """Strings have to be the same."""
    one, other = (np.array([b"a", last], object) for last in (b"b", b"c"))
    assert tensorflow_drift.error(one, one) == (0, 0)
    assert tensorflow_drift.error(one, other) == (1, 1)


def test_another_dtype_is_an_error() -> None:
    """An output of another dtype is not the same output."""
    assert tensorflow_drift.error(np.ones(1, "float32"), np.ones(1, "float64")) == (np.inf, np.inf)


@pytest.mark.parametrize("dtype", ["float16", "uint8", "int64", "bool", "complex64", "object"])
def test_made_up_inputs(dtype: str) -> None:
    """Inputs are of the signature's dtype and shape: rows first, another open size as asked for."""
    made = tensorflow_drift.values(TensorInfo("x", "x:0", np.dtype(dtype), 0, (None, 3, None)), 4, 8, np.random.default_rng(7))
    assert (made.shape, made.dtype) == ((4, 3, 8), np.dtype(dtype))
    assert dtype != "object" or all(isinstance(one, bytes) for one in made.ravel())


def test_made_up_inputs_of_any_rank() -> None:
    """An input of unknown rank is tried with a vector."""
    info = TensorInfo("x", "x:0", np.dtype("float32"), 1, None)
    assert tensorflow_drift.values(info, 4, 8, np.random.default_rng(7)).shape == (4,)


def test_samples(tmp_path: Path) -> None:
    """An .npz file gives inputs by name; its texts become TensorFlow's strings."""
    np.savez(tmp_path / "inputs.npz", x=np.eye(2), words=np.array(["a", "é"]))
    found = tensorflow_drift.samples(tmp_path / "inputs.npz")
    assert found["x"].tolist() == [[1, 0], [0, 1]]
    assert found["words"].tolist() == [b"a", "é".encode()]


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"text"], ids=str)
def test_samples_that_are_none(tmp_path: Path, content: bytes) -> None:
    """What is no .npz file is named."""
    path = tmp_path / "inputs.npz"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"inputs.npz is no .npz file"):
        tensorflow_drift.samples(path)


def test_the_report(tmp_path: Path) -> None:
    """The tables have a row for each output and each signature, and a line for each that was not compared."""
    text = Comparison([Drift("s", "y", 0.5, 1e-7)], [Speed("s", 3, 2, 1.5)], {"t": "it takes none"}).text()
    assert "| s | y | 0.5 | 1e-07 |" in text
    assert "| s | 3.000 | 2.000 | 1.50 |" in text
    assert text.endswith("not compared: t: it takes none")


# --- Examples


def parsing(operation: str, dense: dict[str, tuple[int, list[int]]], sparse: dict[str, int]) -> Any:
    """A graph that parses these features, as TF1 (ParseExample) or TF2 (ParseExampleV2) wrote it."""
    protos()
    from tensorflow.core.framework import graph_pb2

    graph = graph_pb2.GraphDef()

    def constant(name: str, *values: str) -> str:
        graph.node.add(name=name, op="Const").attr["value"].tensor.string_val.extend(value.encode() for value in values)
        return name

    node = graph.node.add(name="parse", op=operation, input=["serialized", constant("names")])
    if operation == "ParseExample":
        node.input.extend([constant(f"key_{key}", key) for key in (*sparse, *dense)])
    else:
        node.input.extend([constant("sparse", *sparse), constant("dense", *dense)])
    node.attr["sparse_types"].list.type.extend(sparse.values())
    for enum, shape in dense.values():
        node.attr["Tdense"].list.type.append(enum)
        sizes = node.attr["dense_shapes"].list.shape.add()
        for size in shape:
            sizes.dim.add(size=size)
    return graph


@pytest.mark.parametrize("operation", ["ParseExample", "ParseExampleV2"])
def test_features(operation: str) -> None:
    """The features that a graph parses are found with their kinds and sizes, and made-up Examples have them."""
    found = tf_features.features(parsing(operation, {"x": (1, [2, 3]), "id": (9, [])}, {"tags": 7}))
    assert set(found) == {Feature(b"x", 1, 6), Feature(b"id", 9, 1), Feature(b"tags", 7, 2)}
    from tensorflow.core.example import example_pb2

    (serialized,) = tf_features.examples(found, 1, np.random.default_rng(7))
    features = example_pb2.Example.FromString(serialized).features.feature
    assert len(features["x"].float_list.value) == 6
    assert len(features["id"].int64_list.value) == 1
    assert len(features["tags"].bytes_list.value) == 2


# --- folders


def test_where_there_is_no_model(tmp_path: Path) -> None:
    """A folder of versions is not one: the message names those that are there."""
    saved(tmp_path / "half" / "00003", TWICE)
    with pytest.raises(ModelError, match=r"name the folder of a version; there is .*00003"):
        tensorflow_freeze.main(tmp_path / "half", tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_where_there_is_a_model_already(tmp_path: Path) -> None:
    """What stands at the target is never replaced."""
    source, target = saved(tmp_path / "1", TWICE), saved(tmp_path / "2", TWICE)
    with pytest.raises(ModelError, match="exists: name a new folder"):
        tensorflow_freeze.main(source, target)


def test_vocabularies_and_warm_up_come_along(tmp_path: Path) -> None:
    """Assets and warm-up requests are copied; the hidden folder is gone where nothing becomes of it."""
    source = saved(tmp_path / "1", TWICE)
    for name in ("assets/words", "assets.extra/tf_serving_warmup_requests"):
        (source / name).parent.mkdir()
        (source / name).write_text(name)
    with tensorflow_freeze.written(source, tmp_path / "deep" / "2") as folder:
        assert (folder / "assets" / "words").read_text() == "assets/words"
        assert (folder / "assets.extra" / "tf_serving_warmup_requests").exists()
        assert folder.name.startswith(".")
    assert list((tmp_path / "deep").iterdir()) == []
