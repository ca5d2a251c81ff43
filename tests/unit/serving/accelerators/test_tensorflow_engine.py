"""The TensorFlow engine: what a model answers here, and what a call that it cannot answer is told."""

from __future__ import annotations

import gc
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serving.accelerators.engines import tensorflow as engine
from serving.accelerators.engines.base import Config, EngineModel
from serving.accelerators.errors import AcceleratorError, Code
from serving.accelerators.tensorflow import artifacts, forms
from serving.accelerators.tensorflow.artifacts import Ask
from serving.backends import tensorflow
from serving.errors import ModelError
from tests import tf_models
from tests.unit.serving.accelerators.tensorflow_graphs import frozen


def laid(folder: Path, path: Path, ask: Ask, max_batch: int = 0, **options: str) -> Config:
    """An artifact's files in a folder, as an accelerator stores them."""
    artifact = artifacts.of(path, ask, max_batch, **options)
    for name, source in artifact.files.items():
        assert isinstance(source, Path)
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, folder / name)
    return Config(folder, max_batch, dict(artifact.options))


def model_of(folder: Path, name: str, ask: Ask | None = None, **options: Any) -> EngineModel:
    """A model of tests/tf_models.py, loaded."""
    version = min((tf_models.models() / name).glob("[0-9]*"))
    return engine.load(laid(folder, version, ask or Ask(), **options))


VALUES: dict[str, Any] = {"bool": [True, False], "string": [b"a", b"\xff"], "complex64": [1j, 2 - 3j], "complex128": [1j, 0.1]}


@pytest.mark.parametrize("name", tf_models.DTYPES)
def test_every_dtype(tmp_path: Path, name: str) -> None:
    """Values of every dtype come back as they were, also those that the protocol has no word for."""
    model = model_of(tmp_path, "dtypes", Ask(signature=name))
    dtype = tensorflow.load(tf_models.models() / "dtypes" / "1").signatures[name].inputs[0].dtype
    given = np.array(VALUES.get(name, [1, 2]), dtype)
    found = model.forward({"x": forms.sent(given)}, ())["y"]
    assert (forms.received(found, dtype) == given).all()
    assert model.inputs[0].dtype == forms.sent(given).dtype


def test_a_dtype_that_is_not_the_inputs(tmp_path: Path) -> None:
    """An array of another dtype is refused with both named."""
    model = model_of(tmp_path, "half")
    with pytest.raises(AcceleratorError, match="it is float64: the graph takes float32") as caught:
        model.forward({"x": np.zeros((1, 64))}, ())
    assert caught.value.code == Code.INVALID_ARGUMENT


def test_named_tensors_of_a_saved_model(tmp_path: Path) -> None:
    """Tensors may be asked for by names of one's own, instead of a signature."""
    ask = Ask(inputs={"mine": "serving_default_x:0"}, outputs={"also mine": "StatefulPartitionedCall:0"})
    found = model_of(tmp_path, "half", ask).forward({"mine": np.ones((2, 64), "float32")}, ())
    assert list(found) == ["also mine"]
    assert (found["also mine"] == 2.5).all()


def test_a_frozen_graph(tmp_path: Path) -> None:
    """A GraphDef alone is run by the names of its tensors, with or without the number of an output."""
    path = frozen(tmp_path / "frozen.pb")
    ask = Ask(inputs={"image": "image:0"}, outputs={"double": "prediction"})
    model = engine.load(laid(tmp_path / "laid", path, ask))
    assert model.forward({"image": np.array([1.5], "float32")}, ("double",))["double"] == [3.0]


@pytest.mark.parametrize(
    ("inputs", "told"), [({"i": "nothing:0"}, "nothing:0"), ({"i": "image:7"}, "image:7"), (None, "name its inputs")]
)
def test_tensors_that_a_graph_has_not(tmp_path: Path, inputs: dict[str, str] | None, told: str) -> None:
    """A tensor that is not in the graph is named; a frozen graph without names is told to have some."""
    ask = Ask(inputs=inputs, outputs={"o": "prediction:0"} if inputs else None)
    with pytest.raises(AcceleratorError, match=told) as caught:
        engine.load(laid(tmp_path / "laid", frozen(tmp_path / "frozen.pb"), ask))
    assert caught.value.code == Code.INVALID_ARGUMENT


def test_tags(tmp_path: Path) -> None:
    """The graph of the tags that are asked for is the one that runs; none of them is INVALID_ARGUMENT with those that there are."""
    found = model_of(tmp_path / "a", "tags", Ask(tags=frozenset({"serve", "gpu"}))).forward(
        {"x": np.ones((1, 64), "float32")}, ()
    )
    assert (found["y"] == 2.5).all()
    with pytest.raises(AcceleratorError, match="it has gpu\\+serve"):
        model_of(tmp_path / "b", "tags")


def test_tables_and_assets(tmp_path: Path) -> None:
    """A vocabulary travels with its model."""
    local = tensorflow.load(tf_models.models() / "table" / "1")
    words = {"word": np.array([b"two", b"one", b"nowhere"], object)}
    assert (model_of(tmp_path, "table").forward(words, ())["id"] == local.run("serving_default", words)["id"]).all()


def test_signatures_share_their_variables(tmp_path: Path) -> None:
    """Artifacts of one SavedModel have one session; it ends with the last of them."""
    gc.collect()
    before = len(engine._sessions)
    first = model_of(tmp_path / "a", "pair")
    second = model_of(tmp_path / "b", "pair", Ask(signature="total"))
    assert len(engine._sessions) == before + 1
    first.close()
    two = {"a": np.ones((1, 2), "float32"), "b": np.ones((1, 2), "int32")}
    assert second.forward(two, ())["total"] == 4
    with pytest.raises(AcceleratorError) as caught:
        first.forward(two, ())
    assert caught.value.code == Code.NOT_FOUND
    second.close()
    gc.collect()
    assert len(engine._sessions) == before


def test_rows_are_stacked_where_that_was_found_to_be_right(tmp_path: Path) -> None:
    """`max_batch` is kept for a signature whose rows are independent, and 0 for others; shapes of another kind are not stacked."""
    half = model_of(tmp_path / "a", "half", max_batch=8)
    assert (half.max_batch, model_of(tmp_path / "b", "pair", Ask(signature="total"), max_batch=8).max_batch) == (8, 0)
    assert half.stacks({"x": np.zeros((3, 64), "float32")})
    assert not half.stacks({"x": np.zeros((3, 65), "float32")})
    assert not half.stacks({"x": np.zeros(64, "float32")})


def test_shapes_that_bind_nobody(tmp_path: Path) -> None:
    """With the option `shapes` any shape may be sent, as TF Serving has it."""
    assert [tensor.shape for tensor in model_of(tmp_path / "a", "half").inputs] == [(None, 64)]
    assert [tensor.shape for tensor in model_of(tmp_path / "b", "half", shapes="any").inputs] == [None]


@pytest.mark.parametrize(
    ("inputs", "told"),
    [({}, "missing \\['x'\\]"), ({"x": np.zeros((1, 64), "float32"), "z": np.zeros(1)}, "unknown \\['z'\\]"),
     ({"x": np.zeros((1, 3), "float32")}, "ncompatible shapes|broadcast")],
)  # fmt: skip
def test_calls_that_are_no_such_calls(tmp_path: Path, inputs: dict[str, Any], told: str) -> None:
    """Wrong names are INVALID_ARGUMENT, and so is what TensorFlow itself refuses."""
    half = model_of(tmp_path, "half")
    if told.startswith("ncomp"):
        half = model_of(tmp_path / "pair", "pair")
        inputs = {"a": np.zeros((1, 3), "float32"), "b": np.zeros((1, 2), "int32")}
    with pytest.raises(AcceleratorError, match=told) as caught:
        half.forward(inputs, ())
    assert caught.value.code == Code.INVALID_ARGUMENT


def test_an_unknown_signature(tmp_path: Path) -> None:
    """It is named with those that there are."""
    with pytest.raises(AcceleratorError, match="no signature 'nope'; it has serving_default, total"):
        model_of(tmp_path, "pair", Ask(signature="nope"))


@pytest.mark.parametrize("name", ["compiled.so", "compiled_model.json"])
def test_compiled_by_neo(tmp_path: Path, name: str) -> None:
    """A model that SageMaker Neo compiled is refused plainly."""
    shutil.copytree(tf_models.models() / "half" / "1", tmp_path / "1")
    (tmp_path / "1" / name).touch()
    with pytest.raises(ModelError, match="compiled by SageMaker Neo"):
        artifacts.of(tmp_path / "1", Ask())


def test_a_digest_for_each_graph_and_its_weights(tmp_path: Path) -> None:
    """Two models of one graph with other weights are two artifacts: they are not mixed up."""
    shutil.copytree(tf_models.models() / "half" / "1", tmp_path / "other")
    data = next((tmp_path / "other" / "variables").glob("*data*"))
    content = bytearray(data.read_bytes())
    content[0] ^= 1
    data.write_bytes(content)
    names = {artifacts.of(path, Ask()).name for path in (tf_models.models() / "half" / "1", tmp_path / "other")}
    assert len(names) == 2
