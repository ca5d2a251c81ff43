"""TensorFlow's library and messages without its package: light, quiet, fit to be forked, and no hindrance to a user's import."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from serving.backends import tensorflow_import
from tests.tf_models import models

ROOT = Path(tensorflow_import.__file__).parents[2]

START = """
import json, os, sys, threading
from pathlib import Path
import numpy as np
from serving.backends import tensorflow, tensorflow_import
half = Path(sys.argv[1]) / "half/1"
x = np.arange(64, dtype="float32").reshape(1, 64)
def right():
    model = tensorflow.load(half)
    return all(np.array_equal(model.run("serving_default", {"x": x})["y"], x / 2 + 2) for _ in range(20))
found = {}
"""


def found_by(script: str, **environment: str) -> dict[str, Any]:
    """What an interpreter of its own finds; its stderr is one of the findings. The script fills `found`."""
    env = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1", **environment}
    command = [sys.executable, "-c", START + script + "\nprint(json.dumps(found))", str(models())]
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return {**found, "stderr": done.stderr}


def test_a_fork_after_the_library() -> None:
    """Opening the library starts no thread; two children that are forked after it load and run, and so does their parent."""
    found = found_by(
        """
tensorflow_import.protos()
tensorflow_import.library()
found["threads"] = len(os.listdir("/proc/self/task"))
children = []
for _ in range(2):
    child = os.fork()
    if not child:
        os._exit(0 if right() else 1)
    children.append(child)
found["children"] = [os.waitpid(child, 0)[1] for child in children]
found["parent"] = right()
"""
    )
    assert found == {"threads": 1, "children": [0, 0], "parent": True, "stderr": ""}


def test_a_pass_stays_in_its_thread() -> None:
    """With one thread no other of the process does any work in a pass: none is woken."""
    found = found_by(
        """
model = tensorflow.load(half)
model.run("serving_default", {"x": x})
def switches():
    texts = {task: Path(f"/proc/self/task/{task}/status").read_text() for task in os.listdir("/proc/self/task")}
    return {t: [line for line in text.splitlines() if "ctxt" in line] for t, text in texts.items() if int(t) != os.getpid()}
before = switches()
for _ in range(500):
    model.run("serving_default", {"x": x})
found["same"] = switches() == before
"""
    )
    assert found["same"] is True


def test_nothing_is_imported() -> None:
    """The package `tensorflow` is never imported, nor keras, and a model is served without a word on stderr."""
    found = found_by('found["right"] = right()\nfound["loaded"] = sorted({"tensorflow", "keras", "grpc"} & set(sys.modules))')
    assert found == {"right": True, "loaded": [], "stderr": ""}


def test_what_the_library_says_beside_remarks_is_passed_on() -> None:
    """Lines of other libraries that are written while it is opened reach stderr."""
    found = found_by("with tensorflow_import._unremarked():\n    os.write(2, b'I0000 a remark\\na warning\\n')")
    assert found["stderr"] == "a warning\n"


def test_messages() -> None:
    """TensorFlow's and TF Serving's messages are at hand, and a second call changes nothing."""
    found = found_by(
        """
tensorflow_import.protos()
tensorflow_import.protos()
from tensorflow.core.framework import tensor_pb2, types_pb2
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import predict_pb2, classification_pb2, regression_pb2, prediction_log_pb2, get_model_metadata_pb2
request = predict_pb2.PredictRequest()
request.inputs["x"].CopyFrom(tensor_pb2.TensorProto(dtype=types_pb2.DT_FLOAT, float_val=[1.5]))
found["request"] = list(predict_pb2.PredictRequest.FromString(request.SerializeToString()).inputs["x"].float_val)
found["tensorflow"] = "tensorflow" in sys.modules
"""
    )
    assert found == {"request": [1.5], "tensorflow": False, "stderr": ""}


@pytest.mark.slow
@pytest.mark.parametrize("first", [True, False])
def test_a_user_may_import_tensorflow(first: bool) -> None:
    """A user script's own `import tensorflow`, before or after ours, is the whole package, and both give right answers."""
    ours = 'tensorflow_import.protos(); found["right"] = right()\n'
    theirs = 'import tensorflow as tf\nfound["theirs"] = [tf.constant([1, 2]).numpy().tolist(), hasattr(tf, "keras")]\n'
    again = (
        'found["again"] = right()\nfrom tensorflow.core.framework import tensor_pb2, step_stats_pb2\n'
        'found["proto"] = tf.make_ndarray(tf.make_tensor_proto([3])).tolist()\n'
        'found["loads"] = float(tf.saved_model.load(str(half)).signatures["serving_default"](x=tf.constant(x))["y"][0, 0])'
    )
    found = found_by((theirs + ours if first else ours + theirs) + again, TF_CPP_MIN_LOG_LEVEL="2")
    del found["stderr"]
    assert found == {"right": True, "theirs": [[1, 2], True], "again": True, "proto": [3], "loads": 2.0}


@pytest.mark.slow
@pytest.mark.parametrize("first", [True, False])
def test_mxnet_in_the_same_process(first: bool) -> None:
    """MXNet, before or after ours, gives right answers beside it."""
    mxnet = """
from serving.backends.mxnet_import import import_mxnet
mx = import_mxnet()
def theirs():
    net = mx.gluon.nn.Dense(2, in_units=64)
    net.initialize("ones")
    image = mx.nd.Convolution(mx.nd.ones((1, 3, 8, 8)), mx.nd.ones((4, 3, 3, 3)), num_filter=4, kernel=(3, 3), no_bias=True)
    return net(mx.nd.ones((3, 64))).asnumpy().tolist() == [[64, 64]] * 3 and bool((image.asnumpy() == 27).all())
found["theirs"] = theirs()
"""
    ours = 'found["right"] = right()\n'
    found = found_by((mxnet + ours if first else ours + mxnet) + 'found["again"] = [theirs(), right(), theirs()]')
    assert (found["theirs"], found["right"], found["again"]) == (True, True, [True, True, True])


def test_a_missing_wheel() -> None:
    """Where TensorFlow is not installed, the start fails with what to install."""
    found = found_by(
        """
from serving.errors import StartError
sys.modules["tensorflow"] = None
for name in ("library", "protos"):
    try:
        getattr(tensorflow_import, name)()
    except StartError as error:
        found[name] = str(error)
"""
    )
    assert found["library"] == found["protos"]
    assert "TensorFlow is not installed: install it (pip install tensorflow-cpu)" in found["library"]


def test_a_broken_wheel(tmp_path: Path) -> None:
    """A library that cannot be opened is told with the loader's words."""
    (tmp_path / "tensorflow").mkdir()
    (tmp_path / "tensorflow/__init__.py").touch()
    (tmp_path / "tensorflow" / tensorflow_import.LIBRARY).write_bytes(b"no library")
    found = found_by(
        f"""
from serving.errors import StartError
sys.path.insert(0, {str(tmp_path)!r})
try:
    tensorflow_import.library()
except StartError as error:
    found["told"] = str(error)
"""
    )
    assert "TensorFlow's library cannot be opened" in found["told"]
    assert "file too short" in found["told"]


def test_the_version() -> None:
    """The installed TensorFlow is the one that this backend names as tested."""
    assert tensorflow_import.library().TF_Version().decode() == tensorflow_import.VERSION
