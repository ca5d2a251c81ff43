"""A Docker engine, the images built once, their models, and containers that are gone when their test is.

A test that asks for an image, a model or a container runs for each framework, unless a `parametrize` of it names which.
`EI_TEST_IMAGE_MXNET=name` and `EI_TEST_IMAGE_TF=name` test images that are there already.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.models.containers import Container
from docker.models.networks import Network

from container import engine, images
from tests import tf_models
from tests.docker import scripts, served, wheels

HERE = Path(__file__).parent
ROOT = HERE.parent.parent


@pytest.fixture(scope="session")
def cli() -> str:
    """The path of a Docker client whose engine answers."""
    return engine.ensure()


@pytest.fixture(scope="session")
def docker_client(cli: str) -> Iterator[docker.DockerClient]:
    """The engine's API."""
    client = docker.from_env()
    yield client
    client.close()


@pytest.fixture(scope="session", params=list(images.IMAGES))
def framework(request: pytest.FixtureRequest) -> str:
    """Whose image is under test."""
    return str(request.param)


@pytest.fixture(scope="session")
def image(cli: str, framework: str) -> str:
    """The name of the image under test, built from this tree."""
    given = os.environ.get(f"EI_TEST_IMAGE_{framework.upper()}", "")
    recipe = images.IMAGES[framework]
    return given or images.build(recipe, images.Choices.from_environment(recipe))


@pytest.fixture(scope="session")
def network(docker_client: docker.DockerClient) -> Iterator[Network]:
    """A network that leads nowhere but to this host, as the platform's isolated one."""
    made = docker_client.networks.create(f"ei-test-{uuid.uuid4().hex[:8]}", internal=True)
    yield made
    made.remove()


@pytest.fixture(scope="session")
def _models(framework: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(f"models-{framework}")
    if framework == "tf":
        shutil.copytree(tf_models.models() / "half_plus_three", folder / "plain" / "half_plus_three")
    else:
        subprocess.run([sys.executable, HERE / "models.py", folder / "plain"], check=True, cwd=ROOT, env=_with_this_tree())
    return folder


def _with_this_tree() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


@pytest.fixture
def model(_models: Path, framework: str) -> Iterator[Callable[..., Path]]:
    """A function to a copy of the plain model, with one of scripts.py if asked, that the test may change, open to everybody."""
    made: list[Path] = []

    def get(script: str = "") -> Path:
        copy = _models / f"copy-{uuid.uuid4().hex[:8]}"
        shutil.copytree(_models / "plain", copy)
        if script:
            scripts.write(copy, framework, script)
        # Whatever the umask is: the serving user reads what is mounted, the folders above it do not count.
        subprocess.run(["chmod", "-R", "u=rwX,go=rX", copy], check=True)
        made.append(copy)
        return copy

    yield get
    for copy in made:
        shutil.rmtree(copy)


@pytest.fixture
def start(docker_client: docker.DockerClient, network: Network, image: str, framework: str) -> Iterator[Callable[..., Any]]:
    """A function that starts the image as `docker run` with these options would; the containers end with the test."""
    made: list[Container] = []

    def run(model: Path | None, **options: Any) -> Any:
        volumes = {str(model): {"bind": "/opt/ml/model", "mode": "ro"}} if model else {}
        options = {"command": "serve", "network": network.name, **options}
        options["volumes"] = {**volumes, **options.get("volumes", {})}
        made.append(docker_client.containers.create(image, **options))
        made[-1].start()
        return served.Served(made[-1], network.name, served.SAMPLES[framework])

    yield run
    for container in made:
        container.remove(force=True, v=True)


@pytest.fixture
def wheelhouse(tmp_path: Path) -> Path:
    """A folder that holds one wheel."""
    folder = tmp_path / "wheelhouse"
    folder.mkdir()
    wheels.write(folder).chmod(0o644)
    folder.chmod(0o755)
    return folder
