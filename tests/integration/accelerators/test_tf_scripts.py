"""TensorFlow scripts of Elastic Inference's days, unmodified, on an accelerator; calls are counted there, so that none ran here."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serving.accelerators import scripts
from serving.accelerators.client import Accelerator
from serving.accelerators.errors import AcceleratorError, Code
from serving.accelerators.protocol.messages import message
from serving.accelerators.tensorflow import predictor as predictors
from serving.accelerators.tensorflow.predictor import EIPredictor
from tests import tf_models
from tests.integration.accelerators.conftest import ROOT, RunningAccelerator, StartAccelerator
from tests.integration.faults.server import until
from tests.unit.serving.accelerators import tensorflow_graphs as graphs

SCRIPTS = Path(__file__).parent / "tf_scripts"
UINT8 = 4


def detector(folder: Path) -> Path:
    """A SavedModel with an object detector's tensors: images of any size -> scores, boxes, and how many count."""
    meta = graphs.doubling()
    graph = meta.graph_def
    del graph.node[:]
    meta.signature_def.clear()
    graphs.node(graph, "image_tensor", "Placeholder", dtype=UINT8)
    graphs.node(graph, "float", "Cast", ["image_tensor"], SrcT=UINT8, DstT=graphs.FLOAT)
    for name, values in (("axes", [1, 2]), ("two", [2]), ("boxes", [-1, 2, 4]), ("rows", [1])):
        one = graphs.node(graph, name, "Const", dtype=3)
        tensor = one.attr["value"].tensor
        tensor.dtype = 3
        tensor.int_val.extend(values)
        tensor.tensor_shape.dim.add(size=len(values))
    graphs.node(graph, "detection_scores", "Mean", ["float", "axes"], T=graphs.FLOAT, Tidx=3)
    graphs.node(graph, "doubled", "Fill", ["two", "scale"], T=graphs.FLOAT, index_type=3)
    scale = graphs.node(graph, "scale", "Const", dtype=graphs.FLOAT)
    scale.attr["value"].tensor.dtype = graphs.FLOAT
    scale.attr["value"].tensor.float_val.append(2)
    scale.attr["value"].tensor.tensor_shape.SetInParent()
    graphs.node(graph, "num_detections", "Fill", ["rows", "scale"], T=graphs.FLOAT, index_type=3)
    graphs.node(graph, "wide", "ConcatV2", ["detection_scores"] * 8 + ["last"], T=graphs.FLOAT, Tidx=3).attr["N"].i = 8
    last = graphs.node(graph, "last", "Const", dtype=3)
    last.attr["value"].tensor.dtype = 3
    last.attr["value"].tensor.int_val.append(1)
    last.attr["value"].tensor.tensor_shape.SetInParent()
    graphs.node(graph, "cut", "Slice", ["wide", "zeros", "size"], T=graphs.FLOAT, Index=3)
    for name, values in (("zeros", [0, 0]), ("size", [-1, 8])):
        one = graphs.node(graph, name, "Const", dtype=3)
        one.attr["value"].tensor.dtype = 3
        one.attr["value"].tensor.int_val.extend(values)
        one.attr["value"].tensor.tensor_shape.dim.add(size=2)
    graphs.node(graph, "detection_boxes", "Reshape", ["cut", "boxes"], T=graphs.FLOAT, Tshape=3)
    signature = meta.signature_def["serving_default"]
    for ends, name, dtype in (
        (signature.inputs, "image_tensor", UINT8),
        *((signature.outputs, name, graphs.FLOAT) for name in ("detection_scores", "detection_boxes", "num_detections")),
    ):
        ends[name].name, ends[name].dtype = f"{name}:0", dtype
        ends[name].tensor_shape.unknown_rank = True
    return graphs.write(folder, meta)


def run_script(accelerator: RunningAccelerator, script: Path, arguments: Sequence[str] = (), **env: str) -> str:
    """What a plain `python SCRIPT` prints that is attached to the accelerator; its stderr is in the message where it fails."""
    return run(accelerator, script, arguments, **env).stdout


def run(
    accelerator: RunningAccelerator, script: Path, arguments: Sequence[str], **env: str
) -> subprocess.CompletedProcess[str]:
    """The script, ended."""
    paths = f"{scripts.SITE}{os.pathsep}{ROOT}"
    environment = {**accelerator.env, "PYTHONPATH": paths, "TF_CPP_MIN_LOG_LEVEL": "2", **env}
    command = [sys.executable, str(script), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done


def half() -> str:
    """The folder of y = x/2 + 2 over 64 numbers."""
    return str(tf_models.models() / "half" / "1")


def test_a_detector(accelerator: RunningAccelerator, tmp_path: Path) -> None:
    """`tensorflow.contrib.ei`: aliases, changing sizes, a fresh dict; what it prints is what it prints without an accelerator."""
    folder = detector(tmp_path / "detector")
    before = accelerator.requests()
    there = run_script(accelerator, SCRIPTS / "detector.py", [str(folder), "ei"])
    assert accelerator.requests() == before + 3
    assert there == run_script(accelerator, SCRIPTS / "detector.py", [str(folder), "local"])
    assert accelerator.requests() == before + 3
    assert there.startswith("['detection_boxes', 'detections_scores', 'num_detections'] 2 [")


def test_del_frees_the_accelerator(accelerator: RunningAccelerator, tmp_path: Path) -> None:
    """`del(predictor)` takes the model off the accelerator; a script that only ends leaves it to the next one."""
    folder = detector(tmp_path / "detector")
    run_script(accelerator, SCRIPTS / "detector.py", [str(folder), "ei"])
    kept = len(ready(accelerator.client))
    run_script(accelerator, SCRIPTS / "detector.py", [str(folder), "ei", "del"])
    assert len(ready(accelerator.client)) == kept - 1


def ready(client: Accelerator) -> list[str]:
    """The models that are loaded there."""
    reply = client.call("RepositoryIndex", message("RepositoryIndexRequest")(ready=True), 10.0)
    return [model.name for model in reply.models]


def test_a_frozen_graph(accelerator: RunningAccelerator, tmp_path: Path) -> None:
    """`ei_for_tf`: a frozen .pb answers the same with and without `use_ei`."""
    before = accelerator.requests()
    told = run_script(accelerator, SCRIPTS / "frozen.py", [str(graphs.frozen(tmp_path / "graph.pb"))])
    x = np.random.RandomState(0).rand(4, 7)
    assert float(told) == pytest.approx(2 * x.sum(), rel=1e-6)
    assert accelerator.requests() == before + 1


def test_a_benchmark_of_two(accelerator: RunningAccelerator, start_accelerator: StartAccelerator) -> None:
    """boto3 tells of both accelerators, `accelerator_id` chooses the second, and one that is not there is a clear error."""
    second = start_accelerator("--type", "ml.eia1.large")
    addresses = f"{accelerator.address},{second.address}"
    before = accelerator.requests()
    done = run(accelerator, SCRIPTS / "benchmark.py", [half()], EI_ACCELERATORS=addresses)
    error, told = done.stdout.splitlines()
    assert "number 7 is asked for, and there are 2" in error
    assert told == "['eia2.medium', 'eia1.large'] {'HEALTHY'} ['y'] [['y']]"
    assert (accelerator.requests(), second.requests()) == (before, 5)
    assert "Number of Elastic Inference Accelerators Available: 2" in done.stderr


def test_keras(accelerator: RunningAccelerator, tmp_path: Path) -> None:
    """`EIKerasModel`: several inputs and outputs, batches, an .h5 file with a layer of one's own; answers are Keras'."""
    before = accelerator.requests()
    assert run_script(accelerator, SCRIPTS / "keras_model.py", [str(tmp_path / "model.h5")]).splitlines()[-1] == "(3, 72)"
    assert accelerator.requests() == before + 5 + 1
    run_script(accelerator, SCRIPTS / "contrib_keras.py")
    assert accelerator.requests() == before + 7


# ---- in this process, against the same accelerator


@pytest.fixture
def attached(accelerator: RunningAccelerator, monkeypatch: pytest.MonkeyPatch) -> RunningAccelerator:
    """Attach the tests' own process to it."""
    monkeypatch.setenv("EI_ACCELERATORS", accelerator.address)
    monkeypatch.delenv("EI_VISIBLE_DEVICES", raising=False)
    return accelerator


VALUES: dict[str, Any] = {
    "bool": [True, False],
    "string": [b"a", b"\xff\x00"],
    "complex64": [1j, 2 - 3j],
    "complex128": [1j, 0.1],
}


@pytest.mark.parametrize("name", tf_models.DTYPES)
def test_every_dtype(attached: RunningAccelerator, name: str) -> None:
    """Arrays of every dtype come back as a local pass answers them, dtype included."""
    folder = str(tf_models.models() / "dtypes" / "1")
    feed = {"x": VALUES.get(name, [1, 2])}
    there, here = (EIPredictor(folder, name, use_ei=use_ei)(feed)["y"] for use_ei in (True, False))
    assert there.dtype == here.dtype
    assert (there == here).all()


def test_the_engine_dies_and_comes_back(attached: RunningAccelerator) -> None:
    """After a `kill -9` of its engine the accelerator answers the next calls of a predictor that is in use."""
    predictor = EIPredictor(half())
    assert (predictor({"x": np.ones((1, 64))})["y"] == 2.5).all()
    for pid in attached.engines():
        os.kill(pid, signal.SIGKILL)

    def answers() -> bool:
        try:
            return bool((predictor({"x": np.ones((1, 64))})["y"] == 2.5).all())
        except AcceleratorError:
            return False

    until(answers, "the predictor answers again", 30)


def test_a_model_that_is_gone_is_sent_again(attached: RunningAccelerator) -> None:
    """Another client may unload the model: the predictor's next call sends it again."""
    one, other = EIPredictor(half()), EIPredictor(half())
    del other
    assert (one({"x": np.ones((1, 64))})["y"] == 2.5).all()


def test_an_upload_is_data(attached: RunningAccelerator, tmp_path: Path) -> None:
    """A SavedModel whose first step writes a file is refused there, and the file is not written."""
    meta, target = graphs.doubling(), tmp_path / "written.txt"
    graphs.constant(meta.graph_def, "filename", str(target))
    graphs.constant(meta.graph_def, "contents", "written")
    graphs.node(meta.graph_def, "write", "WriteFile", ["filename", "contents"])
    graphs.first_step(meta, "write")
    folder = graphs.write(tmp_path / "evil", meta)
    with pytest.raises(AcceleratorError, match="it uses WriteFile") as caught:
        EIPredictor(str(folder))
    assert caught.value.code == Code.INVALID_ARGUMENT
    assert not target.exists()
    EIPredictor(str(folder), use_ei=False)
    assert target.exists(), "it would have been"


def test_more_than_its_memory(attached: RunningAccelerator, tmp_path: Path) -> None:
    """A pass that outgrows the accelerator's size is RESOURCE_EXHAUSTED or ends its engine; the next call is answered."""
    path = graphs.frozen(tmp_path / "graph.pb")
    predictor = EIPredictor(str(path), input_names={"i": "image:0"}, output_names={"o": "prediction:0"})
    small = {"i": np.ones(8, "float32")}
    assert predictor(small)["o"].tolist() == [2.0] * 8
    outer = outer_product(tmp_path / "outer.pb")
    large = EIPredictor(str(outer), input_names={"i": "image:0"}, output_names={"o": "prediction:0"})
    with pytest.raises(AcceleratorError) as caught:
        large({"i": np.ones((1 << 15, 1), "float32")})
    assert "\n" not in caught.value.message
    assert caught.value.code in (Code.RESOURCE_EXHAUSTED, Code.ABORTED), caught.value.message

    def answers() -> bool:
        try:
            return predictor(small)["o"].tolist() == [2.0] * 8
        except AcceleratorError:
            return False

    until(answers, "the accelerator answers again", 30)


def outer_product(path: Path) -> Path:
    """A frozen graph whose answer has the square of its input's size: 4 GiB for 32768 numbers, summed to one."""
    graph = graphs.graph_pb2.GraphDef()
    graph.versions.producer = 1882
    graphs.node(graph, "image", "Placeholder", dtype=graphs.FLOAT)
    product = graphs.node(graph, "product", "MatMul", ["image", "image"], T=graphs.FLOAT)
    product.attr["transpose_b"].b = True
    axes = graphs.node(graph, "axes", "Const", dtype=3)
    axes.attr["value"].tensor.dtype = 3
    axes.attr["value"].tensor.int_val.extend([0, 1])
    axes.attr["value"].tensor.tensor_shape.dim.add(size=2)
    graphs.node(graph, "prediction", "Sum", ["product", "axes"], T=graphs.FLOAT, Tidx=3)
    path.write_bytes(graph.SerializeToString())
    return path


def test_compiled_by_neo(attached: RunningAccelerator, tmp_path: Path) -> None:
    """A model that SageMaker Neo compiled is refused plainly, before anything is sent."""
    shutil.copytree(half(), tmp_path / "compiled")
    (tmp_path / "compiled" / "compiled.params").touch()
    with pytest.raises(Exception, match="SageMaker Neo"):
        EIPredictor(str(tmp_path / "compiled"))
    assert predictors.DEFAULT_KEY == "serving_default"
