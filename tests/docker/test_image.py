"""What is in the image, and what is not."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import docker
import pytest

from container import images

pytestmark = pytest.mark.docker

Model = Callable[..., Path]
Start = Callable[..., Any]


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


def test_size(image: str) -> None:
    """The image is within 400 MB; `ei size --json` prints bytes on stdout, layers and packages of which each add up to it."""
    command = [sys.executable, "-m", "container.cli", "size", "--image", image, "--json"]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert found["total"] <= images.LIMIT_MB * 1_000_000
    assert sum(size for _, size in found["layers"]) == pytest.approx(found["total"], rel=0.01)
    assert sum(found["packages"].values()) == pytest.approx(found["total"], rel=0.02)
    assert found["packages"]["mxnet"] > 100_000_000


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


def test_start_is_compiled(docker_client: docker.DockerClient, image: str) -> None:
    """No module of a start is compiled then, Python's own included: its user could not write the result beside it."""
    code = (
        "import serving.__main__, serving.http.arbiter, serving.http.worker, serving.control.app, serving.models.store\n"
        "import serving.privileges, serving.requirements, serving.models.archive, PIL.Image\n"
        "from serving.backends.mxnet_import import import_mxnet; import_mxnet()"
    )
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


def test_libraries_work_when_cut(inside: Callable[..., str]) -> None:
    """The libraries whose symbols were cut do their work."""
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
        "print('good')"
    )
    assert inside("python", "-c", code).strip() == "good"
