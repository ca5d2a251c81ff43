"""The build: the same again from the same inputs, and nothing at all from bad ones."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from container import wheelhouse as built_from

pytestmark = [pytest.mark.docker, pytest.mark.slow]

AGAIN = "ei-test-again:latest"
LISTING = r"""
cd / && find . -xdev \( -path ./proc -o -path ./sys -o -path ./dev -o -path ./etc/hosts -o -path ./etc/hostname \
    -o -path ./etc/resolv.conf -o -path ./.dockerenv \) -prune -o -printf '%m %U:%G %y %p %l\n' -type f -exec sha256sum {} + | sort
"""


def build(framework: str, *options: str, **env: str) -> subprocess.CompletedProcess[str]:
    """`ei build` of one image under the name for a second one."""
    command = [sys.executable, "-m", "container.cli", "build", "--image", framework, "--tag", AGAIN, *options]
    return subprocess.run(command, env={**os.environ, **env}, capture_output=True, text=True, check=False)


@pytest.fixture
def gone_afterwards(docker_client: docker.DockerClient) -> Iterator[None]:
    """The second image does not outlive its test."""
    yield
    for found in docker_client.images.list(AGAIN):
        docker_client.images.remove(str(found.id), force=True)


@pytest.mark.usefixtures("gone_afterwards")
@pytest.mark.skipif("EI_TEST_IMAGE" in "".join(os.environ), reason="that image was built from something else")
def test_reproducible(docker_client: docker.DockerClient, image: str, framework: str) -> None:
    """The other builder, which shares no cache with the first, makes the same files with the same bytes, modes and owners."""
    done = build(framework, DOCKER_BUILDKIT="1")
    assert done.returncode == 0, done.stderr
    first, second = (
        docker_client.containers.run(name, ["sh", "-c", LISTING], remove=True, network_mode="none").decode().splitlines()
        for name in (image, AGAIN)
    )
    assert sorted(set(first) ^ set(second)) == []
    assert len(first) > 10_000


@pytest.mark.usefixtures("gone_afterwards", "image")
@pytest.mark.parametrize("framework", ["mxnet"], indirect=True)
def test_broken_mxnet_is_no_image(docker_client: docker.DockerClient, tmp_path: Path) -> None:
    """MXNET_WHEEL takes the stock wheel's place; a build of MXNet that cannot be imported fails the build and leaves no image."""
    info = "mxnet-1.9.1+broken.dist-info"
    wheel = tmp_path / "mxnet-1.9.1+broken-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as file:
        file.writestr("mxnet/__init__.py", "raise ImportError('this build is broken')\n")
        file.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: mxnet\nVersion: 1.9.1+broken\n")
        file.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(f"{info}/RECORD", "")
    done = build("mxnet", MXNET_WHEEL=str(wheel))
    assert done.returncode == 1
    assert "this build is broken" in done.stderr
    assert docker_client.images.list(AGAIN) == []
    assert list(built_from.FOLDER.rglob("*broken*")) == []


@pytest.mark.usefixtures("gone_afterwards", "image")
@pytest.mark.parametrize("framework", ["tf"], indirect=True)
def test_own_model_server(docker_client: docker.DockerClient, tmp_path: Path) -> None:
    """TFS_BINARY is installed as AWS's image installs it; one that does not even tell its version leaves no image."""
    binary = tmp_path / "amazonei_tensorflow_model_server"
    binary.write_text('#!/bin/sh\necho "$0 $1 is broken" >&2\nexit 3\n')
    done = build("tf", TFS_BINARY=str(binary), DOCKER_BUILDKIT="1")
    assert done.returncode == 1
    assert "/usr/bin/tensorflow_model_server --version is broken" in done.stderr
    assert docker_client.images.list(AGAIN) == []
    assert list(built_from.FOLDER.rglob("amazonei*")) == []
