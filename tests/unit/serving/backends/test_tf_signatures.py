"""What is read of a SavedModel's description: the right graph, its signatures, and what is wrong with it."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import Any

import pytest

from serving.backends import tensorflow_import
from serving.backends.tf_signatures import describe
from serving.errors import ModelError
from tests.tf_models import models


@pytest.fixture
def half(tmp_path: Path) -> Path:
    """A copy of the model `half`, whose description is to be broken."""
    return Path(shutil.copytree(models() / "half/1", tmp_path / "1"))


def message(folder: Path) -> Any:
    """The SavedModel message of a folder."""
    tensorflow_import.protos()
    from tensorflow.core.protobuf import saved_model_pb2

    return saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())


def write(folder: Path, changed: Any) -> None:
    """Write it back."""
    (folder / "saved_model.pb").write_bytes(changed.SerializeToString())


def test_only_signatures_of_the_model() -> None:
    """The loader's own signatures are not the model's."""
    description = describe(models() / "table/1")
    assert list(description.signatures) == ["serving_default"]
    assert "__saved_model_init_op" in message(models() / "table/1").meta_graphs[0].signature_def


def test_variables_are_looked_for_where_there_are_some(tmp_path: Path) -> None:
    """A graph with variables is refused without their files; a frozen one has none."""
    for name in ("half", "half_plus_three", "frozen"):
        version = "00000123" if name == "half_plus_three" else "1"
        (tmp_path / name).mkdir()
        shutil.copy(models() / name / version / "saved_model.pb", tmp_path / name)
    for name in ("half", "half_plus_three"):
        with pytest.raises(ModelError, match="its variables are missing: expected variables/variables.index"):
            describe(tmp_path / name)
    assert list(describe(tmp_path / "frozen").signatures) == ["serving_default"]


def test_one_graph_of_several(half: Path) -> None:
    """Among the graphs of several tags the one tagged `serve` alone is read."""
    changed = message(half)
    other = changed.meta_graphs.add()
    other.CopyFrom(changed.meta_graphs[0])
    changed.meta_graphs[0].meta_info_def.tags.append("tpu")
    del changed.meta_graphs[0].signature_def["serving_default"]
    write(half, changed)
    assert list(describe(half).signatures) == ["serving_default"]


def test_no_graph_to_serve(half: Path) -> None:
    """Without that tag the tags that there are get told."""
    with pytest.raises(ModelError, match="no graph with the tag `serve` alone, which is the one that is served: it has gpu"):
        describe(models() / "tags/1")
    changed = message(half)
    del changed.meta_graphs[:]
    write(half, changed)
    with pytest.raises(ModelError, match="it holds no graph at all"):
        describe(half)


@pytest.mark.parametrize("part", [0.999, 0.5, 0.01])
def test_cut_off(half: Path, part: float) -> None:
    """A description that ends early is refused for that."""
    path = half / "saved_model.pb"
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    with pytest.raises(ModelError, match="saved_model.pb cannot be used: it is cut off.*copied or unpacked to its end"):
        describe(half)


@pytest.mark.parametrize(("data", "told"), [(b"", "it is empty"), (b"hello world", "it is (damaged|cut off)")])
def test_no_description(half: Path, data: bytes, told: str) -> None:
    """A file of something else is refused for that."""
    (half / "saved_model.pb").write_bytes(data)
    with pytest.raises(ModelError, match=told):
        describe(half)


def test_nothing_there(tmp_path: Path) -> None:
    """A folder without the file is told to have none."""
    with pytest.raises(ModelError, match="holds no saved_model.pb"):
        describe(tmp_path)


def test_dtypes_without_a_form(caplog: pytest.LogCaptureFixture) -> None:
    """A signature with a tensor that no request can hold is left out with a warning, beside those that can be served."""
    with caplog.at_level(logging.WARNING, "ei.models"):
        signatures = describe(models() / "dtypes/1").signatures
    assert {"qint8", "resource"} & set(signatures) == set()
    assert "signature qint8: x is qint8, which has no form in a request" in caplog.text
    assert "signature resource: x is resource" in caplog.text


def test_nothing_that_can_be_served(half: Path) -> None:
    """Where no signature is left, the reasons are told."""
    changed = message(half)
    signature = changed.meta_graphs[0].signature_def["serving_default"]
    signature.inputs["x"].dtype = 20
    write(half, changed)
    with pytest.raises(ModelError, match="no signature that can be served: signature serving_default: x is resource"):
        describe(half)
    signature.inputs["x"].coo_sparse.values_tensor_name = "v:0"
    write(half, changed)
    with pytest.raises(ModelError, match="x is a sparse or composite tensor"):
        describe(half)
    changed.meta_graphs[0].ClearField("signature_def")
    write(half, changed)
    with pytest.raises(ModelError, match="it has none"):
        describe(half)


def test_references_are_values(half: Path) -> None:
    """A TF1 variable's reference dtype is the dtype itself."""
    changed = message(half)
    changed.meta_graphs[0].signature_def["serving_default"].outputs["y"].dtype = 101
    write(half, changed)
    assert describe(half).signatures["serving_default"].outputs[0].enum == 1
