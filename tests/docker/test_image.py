"""What is in the image, and what is not."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import docker
import pytest

from container import images

pytestmark = pytest.mark.docker

SERVER = (
    "import serving.__main__, serving.http.arbiter, serving.http.worker, serving.control.app, serving.models.store\n"
    "import serving.privileges, serving.requirements, serving.models.archive, PIL.Image\n"
)
STARTS = {
    "mxnet": "from serving.backends.mxnet_import import import_mxnet; import_mxnet()",
    "tf": "from serving.backends import tensorflow_import as t; t.library(); t.protos(); import tensorflow, tensorflow.keras, requests",
}
"""What a start imports of each framework, user scripts included."""

WORK = {
    "mxnet": "",
    "tf": """
import ml_dtypes, tensorflow as tf, tensorflow.keras, tensorflow.lite
from tensorflow.compiler.mlir.stablehlo import stablehlo_extension
assert np.array([1.5], ml_dtypes.bfloat16) * 2 == 3
assert tf.function(lambda x: tf.reduce_sum(x @ x), jit_compile=True)(tf.ones((8, 8))) == 512
assert tf.io.decode_image(file.getvalue()).numpy()[0, 0].tolist() == [9, 8, 7]
assert tf.make_tensor_proto([1.0]).float_val == [1.0]
model = tf.keras.Sequential([tf.keras.Input((2,)), tf.keras.layers.Dense(1, kernel_initializer="ones")])
assert model(tf.ones((1, 2))) == 2
light = tf.lite.Interpreter(model_content=tf.lite.TFLiteConverter.from_keras_model(model).convert())
light.allocate_tensors()
module = tf.Module()
module.double = tf.function(lambda x: 2 * x, input_signature=[tf.TensorSpec([None])])
tf.saved_model.save(module, "/tmp/model")
assert tf.saved_model.load("/tmp/model").double([2.0]) == [4.0]
""",
}
"""What users' scripts do with the framework whose libraries were cut."""


@pytest.fixture(scope="module")
def config(docker_client: docker.DockerClient, image: str) -> dict[str, Any]:
    """The image's configuration."""
    found: dict[str, Any] = docker_client.images.get(image).attrs["Config"]
    return found


@pytest.fixture
def inside(docker_client: docker.DockerClient, image: str) -> Callable[..., str]:
    """A function that runs a command in a throw-away container and gives what it prints."""

    def run(*command: str, user: str = "") -> str:
        output: bytes = docker_client.containers.run(image, list(command), remove=True, network_mode="none", user=user)
        return output.decode()

    return run


def test_size(image: str, framework: str) -> None:
    """The image is within its megabytes; `ei size --json` prints bytes on stdout, layers and packages of which each add up to it."""
    command = [sys.executable, "-m", "container.cli", "size", "--image", image, "--json"]
    (found,) = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert found["image"] == image
    assert found["total"] <= images.IMAGES[framework].limit_mb * 1_000_000
    assert sum(size for _, size in found["layers"]) == pytest.approx(found["total"], rel=0.01)
    assert sum(found["packages"].values()) == pytest.approx(found["total"], rel=0.02)
    assert found["packages"][{"mxnet": "mxnet", "tf": "tensorflow_cpu"}[framework]] > 100_000_000


def test_labels(config: dict[str, Any]) -> None:
    """The platform's two capabilities, and the labels of the Open Container Initiative."""
    labels = config["Labels"]
    assert labels["com.amazonaws.sagemaker.capabilities.multi-models"] == "true"
    assert labels["com.amazonaws.sagemaker.capabilities.accept-bind-to-port"] == "true"
    assert {f"org.opencontainers.image.{name}" for name in ("title", "description", "licenses", "version")} <= set(labels)


def test_start(config: dict[str, Any]) -> None:
    """`serve` is the command, in exec form and with no entry point before it; the platform pings, not the engine."""
    assert config["Cmd"] == ["serve"]
    assert config["Entrypoint"] is None
    assert "Healthcheck" not in config
    assert list(config["ExposedPorts"]) == ["8080/tcp"]
    assert config["User"] == ""


def test_user_exists(inside: Callable[..., str]) -> None:
    """Uid 10001 has an account without a shell."""
    line = inside("python", "-c", "import pwd; print(*pwd.getpwuid(10001))")
    assert "10001 10001" in line
    assert "nologin" in line


def test_everything_can_be_read(inside: Callable[..., str]) -> None:
    """Whatever umask the checkout had, the serving user reads all of the server and can write none of it."""
    code = (
        "import os; bad = [p for d, _, fs in os.walk('/opt/ei') for p in [d, *(os.path.join(d, f) for f in fs)]"
        " if not os.access(p, os.R_OK) or os.access(p, os.W_OK) and not os.path.islink(p)]; print(bad)"
    )
    assert inside("python", "-B", "-c", code, user="10001").strip() == "[]"


def test_pip_is_one_file(inside: Callable[..., str]) -> None:
    """Pip works, as a zipapp; the environment has no pip to be imported, no tests and no compiler's headers."""
    assert inside("pip", "--version").startswith("pip ")
    code = "import importlib.util as u; print(u.find_spec('pip'))"
    assert inside("python", "-c", code).strip() == "None"


def test_start_is_compiled(docker_client: docker.DockerClient, image: str, framework: str) -> None:
    """No module of a start is compiled then, Python's own included: its user could not write the result beside it."""
    code = SERVER + STARTS[framework]
    told = docker_client.containers.run(
        image, ["python", "-B", "-v", "-c", code], remove=True, network_mode="none", stderr=True
    )
    lines = told.decode(errors="replace").splitlines()
    # `-v` names the source where it was compiled, and the compiled file, quoted, where that was read.
    objects = [line.removeprefix("# code object from ").strip("'") for line in lines if line.startswith("# code object from ")]
    assert len(objects) > 400
    assert [path for path in objects if not path.endswith(".pyc")] == []
    assert [line for line in lines if "bytecode is stale" in line] == []


def test_authorities(inside: Callable[..., str]) -> None:
    """A user's script can check certificates: the roots are there."""
    code = "import ssl; print(ssl.create_default_context().cert_store_stats()['x509_ca'] > 50)"
    assert inside("python", "-c", code, user="10001").strip() == "True"


def test_libraries_work_when_cut(inside: Callable[..., str], framework: str) -> None:
    """The libraries whose symbols were cut do their work, and so do users' scripts with what was left of the framework."""
    code = (
        "import io, simdjson, uvloop, httptools, numpy as np, PIL.Image\n"
        "assert simdjson.loads(b'[1, 2.5]') == [1, 2.5]\n"
        "async def three(): return 3\n"
        "assert uvloop.run(three()) == 3\n"
        "assert httptools.parse_url(b'http://a/b').path == b'/b'\n"
        "file = io.BytesIO(); PIL.Image.new('RGB', (8, 8), (9, 8, 7)).save(file, 'PNG')\n"
        "assert PIL.Image.open(file).resize((4, 4)).getpixel((0, 0)) == (9, 8, 7)\n"
        "a = np.random.default_rng(0).random((64, 64))\n"
        "assert np.allclose(a @ np.linalg.inv(a), np.eye(64))\n"
    )
    assert inside("python", "-c", f"{code}\n{WORK[framework]}\nprint('good')").strip().endswith("good")
