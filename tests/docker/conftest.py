"""A Docker engine, the image built once, the models, and containers that are gone when their test is.

`EI_TEST_IMAGE=name` tests an image that is there already.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import docker
import pytest
from docker.models.containers import Container
from docker.models.networks import Network

from container import engine, images

HERE = Path(__file__).parent
ROOT = HERE.parent.parent


def neighbour(name: str) -> ModuleType:
    """A module beside this one, which is no package."""
    spec = importlib.util.spec_from_file_location(name, HERE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


served = neighbour("served")
wheels = neighbour("wheels")


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


@pytest.fixture(scope="session")
def image(cli: str) -> str:
    """The name of the image under test, built from this tree."""
    given = os.environ.get("EI_TEST_IMAGE", "")
    if not given:
        images.build(images.Choices.from_environment())
    return given or images.IMAGE


@pytest.fixture(scope="session")
def network(docker_client: docker.DockerClient) -> Iterator[Network]:
    """A network that leads nowhere but to this host, as the platform's isolated one."""
    made = docker_client.networks.create(f"ei-test-{uuid.uuid4().hex[:8]}", internal=True)
    yield made
    made.remove()


@pytest.fixture(scope="session")
def _models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    subprocess.run(
        [sys.executable, HERE / "models.py", folder], check=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    return folder


@pytest.fixture
def model(_models: Path) -> Iterator[Callable[..., Path]]:
    """A function from a model's name to a copy of it that the test may change, open to everybody."""
    made: list[Path] = []

    def get(name: str = "mlp") -> Path:
        copy = _models / f"{name}-{uuid.uuid4().hex[:8]}"
        shutil.copytree(_models / name, copy)
        # Whatever the umask is: the serving user reads what is mounted, the folders above it do not count.
        subprocess.run(["chmod", "-R", "u=rwX,go=rX", copy], check=True)
        made.append(copy)
        return copy

    yield get
    for copy in made:
        shutil.rmtree(copy)


@pytest.fixture
def start(docker_client: docker.DockerClient, network: Network, image: str) -> Iterator[Callable[..., Any]]:
    """A function that starts the image as `docker run` with these options would; the containers end with the test."""
    made: list[Container] = []

    def run(model: Path | None, **options: Any) -> Any:
        volumes = {str(model): {"bind": "/opt/ml/model", "mode": "ro"}} if model else {}
        options = {"command": "serve", "network": network.name, **options}
        options["volumes"] = {**volumes, **options.get("volumes", {})}
        made.append(docker_client.containers.create(image, **options))
        made[-1].start()
        return served.Served(made[-1], network.name)

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
