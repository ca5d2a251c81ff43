"""Model directories as the exporter takes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from onnx_import.errors import InvalidInput
from onnx_import.exporting import artifact
from serving.backends.mxnet_import import import_mxnet


@pytest.fixture
def dense_dir(tmp_path: Path) -> Path:
    """A dense layer of four features as a checkpoint of another name than `model`."""
    mx = import_mxnet()
    symbol = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=2, name="fc")
    symbol.save(str(tmp_path / "net-symbol.json"))
    mx.nd.save(str(tmp_path / "net-0007.params"), {"arg:fc_weight": mx.nd.ones((2, 4)), "arg:fc_bias": mx.nd.ones((2,))})
    return tmp_path


def write(directory: Path, name: str, document: Any) -> None:
    """A JSON file of a model directory."""
    (directory / name).write_text(json.dumps(document))


def test_inputs_are_inferred_where_no_file_names_them(dense_dir: Path) -> None:
    """As the server infers them."""
    found = artifact.read(dense_dir)
    assert found.inputs["data"] == artifact.Input((None, 4), (None, 4), "float32")
    assert found.levels == ("batch", "nothing")


def test_a_shapes_file_names_rows_that_may_be_the_only_ones(dense_dir: Path) -> None:
    """The number of rows is kept for symbols that take no other."""
    write(dense_dir, "model-shapes.json", [{"name": "data", "shape": [5, 4]}])
    assert artifact.read(dense_dir).inputs["data"] == artifact.Input((None, 4), (5, 4), "float32")


def test_a_converted_model_says_its_names(dense_dir: Path) -> None:
    """Dimensions, dtypes as MXNet carries them, and outputs by number."""
    inputs = [{"name": "data", "kind": "tensor", "dtype": "int16", "shape": ["n", 4]}, {"name": "o", "optional": True}]
    write(
        dense_dir,
        "conversion.json",
        {"portable": True, "heads": [None, 0], "inputs": inputs, "outputs": [{"name": "a"}, {"name": "b"}]},
    )
    found = artifact.read(dense_dir)
    assert found.inputs == {"data": artifact.Input(("n", 4), ("n", 4), "int32")}
    assert found.outputs == {0: "b"}


def test_what_mxnet_alone_cannot_run_is_refused(dense_dir: Path) -> None:
    """Its ONNX file is what it came from."""
    write(dense_dir, "conversion.json", {"portable": False})
    with pytest.raises(InvalidInput, match="use the ONNX file"):
        artifact.read(dense_dir)


def test_a_directory_without_a_model_is_said_to_be_one(tmp_path: Path) -> None:
    """In the server's words."""
    with pytest.raises(InvalidInput, match="holds no model"):
        artifact.read(tmp_path)


def test_a_script_alone_cannot_be_exported(tmp_path: Path) -> None:
    """There is no graph in it."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "inference.py").write_text("")
    with pytest.raises(InvalidInput, match="no MXNet symbol"):
        artifact.read(tmp_path)
