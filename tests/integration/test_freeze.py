"""`ei freeze` on SavedModels of TF1 and TF2, written by TensorFlow itself in another process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from serving.backends import tensorflow, tensorflow_drift, tensorflow_freeze, tf_features
from serving.backends.tensorflow_drift import Source
from serving.backends.tensorflow_freeze import Choices
from serving.backends.tensorflow_import import protos

ROOT = Path(__file__).parents[2]
FROZEN = ("convolutions", "recurrent", "words", "states", "first_generation", "static_shape")


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models: NAME/1, and NAME/2 frozen."""
    folder = tmp_path_factory.mktemp("freezing")
    command = [sys.executable, "-m", "tests.integration.freezing", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return folder


@pytest.mark.parametrize("name", FROZEN)
def test_frozen_models_answer_the_same(models: Path, name: str) -> None:
    """Signatures, tensors' keys and dtypes and answers stay, and nothing is left to restore."""
    before, after = tensorflow.load(models / name / "1"), tensorflow.load(models / name / "2")
    assert after.signatures.keys() == before.signatures.keys()
    for signature, definition in before.signatures.items():
        assert after.signatures[signature] == definition
    features = (tf_features.Feature(b"x", tf_features.FLOAT, 4),)
    found = tensorflow_drift.compare(before, after, Source(features=features))
    assert found.skipped == {}
    assert found.faults(1e-5) == []
    assert not (models / name / "2" / "variables").exists()


def test_batch_norms_are_folded(models: Path) -> None:
    """What scales a convolution's output goes into its weights, and neither calls nor variables are left."""
    protos()
    from tensorflow.core.protobuf import saved_model_pb2

    data = (models / "convolutions" / "2" / "saved_model.pb").read_bytes()
    (meta,) = saved_model_pb2.SavedModel.FromString(data).meta_graphs
    operations = {node.op for node in meta.graph_def.node}
    assert "Conv2D" in operations
    assert not operations & {"FusedBatchNormV3", "Rsqrt", "Mul", "ReadVariableOp", "StatefulPartitionedCall"}
    assert not meta.graph_def.library.function
    constants = [node.attr["value"].SerializeToString() for node in meta.graph_def.node if node.op == "Const"]
    assert len(constants) == len(set(constants)), "both signatures share their weights"


def test_other_shapes_than_stated(models: Path) -> None:
    """Rows in another number than a placeholder states are answered as before, and an input that nothing needs may be fed."""
    inputs = {"x": np.ones((5, 3), "float32"), "unused": np.zeros(1, "float32")}
    found = [tensorflow.load(models / "static_shape" / version).run("serving_default", inputs)["y"] for version in "12"]
    assert found[0].tolist() == found[1].tolist() == [[5, 5, 5]] * 5


@pytest.mark.parametrize(("name", "operation"), [("counts", "AssignAddVariableOp"), ("mutable", "MutableHashTableV2")])
def test_state_is_refused(models: Path, name: str, operation: str) -> None:
    """A model that writes, or has what only a checkpoint fills, is refused by the name of the operation."""
    assert operation in (models / name / "refused").read_text()
    assert sorted(path.name for path in (models / name).iterdir()) == ["1", "refused"]


def test_the_command(models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A new version appears, with its vocabulary, and the report says how far it is off and how fast it is."""
    target, report = tmp_path / "words" / "2", tmp_path / "report.json"
    assert tensorflow_freeze.main(models / "words" / "1", target, Choices(json=report)) == 0
    answer = tensorflow.load(target).run("serving_default", {"words": np.array([b"two", b"none"], object)})
    assert answer["rows"].tolist() == [[206, 207, 208, 209], [198, 199, 200, 201]]
    assert "| serving_default | rows |" in capsys.readouterr().out
    found = json.loads(report.read_text())
    assert found["faults"] == []
    assert found["variables"] == 1
    assert found["drifts"][0]["output"] == "rows"
    assert [path.name for path in target.parent.iterdir()] == ["2"]


def test_the_command_leaves_nothing_where_it_drifts(models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Over the tolerance there is no new version, and the status is 1."""
    choices = Choices(signatures=("serving_default",), tolerance=-1)
    assert tensorflow_freeze.main(models / "first_generation" / "1", tmp_path / "2", choices) == 1
    assert "over the tolerance" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
