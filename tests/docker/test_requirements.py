"""A user's requirements.txt, installed when the container starts."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.docker import scripts

# How packages are installed is no matter of the framework.
pytestmark = [pytest.mark.docker, pytest.mark.parametrize("framework", ["mxnet"], indirect=True)]

Model = Callable[..., Path]
Start = Callable[..., Any]
ANSWER = (200, b"blue")


@pytest.mark.parametrize("is_read_only", [False, True], ids=["as it is", "--read-only --tmpfs /tmp"])
def test_from_a_wheelhouse(model: Model, start: Start, wheelhouse: Path, is_read_only: bool) -> None:
    """A mounted wheelhouse named by EI_WHEELHOUSE needs no index."""
    volumes = {str(wheelhouse): {"bind": "/wheels", "mode": "ro"}}
    options: dict[str, Any] = {"read_only": True, "tmpfs": {"/tmp": ""}} if is_read_only else {}
    server = start(model(scripts.PACKAGE), volumes=volumes, environment={"EI_WHEELHOUSE": "/wheels"}, **options).ready()
    assert server.invoke(b"{}") == ANSWER
    assert "ei-test-colours 1.0" in server.log


def test_from_the_model_itself(model: Model, start: Start, wheelhouse: Path) -> None:
    """Wheels in code/wheelhouse come with the model and need no setting."""
    folder = model(scripts.PACKAGE)
    shutil.copytree(wheelhouse, folder / "code" / "wheelhouse")
    assert start(folder, read_only=True, tmpfs={"/tmp": ""}).ready().invoke(b"{}") == ANSWER


def test_from_code_lib(model: Model, start: Start, wheelhouse: Path) -> None:
    """Packages that lie in code/lib win over requirements.txt and need no writable folder."""
    folder = model(scripts.PACKAGE)
    shutil.unpack_archive(next(wheelhouse.glob("*.whl")), folder / "code" / "lib", "zip")
    assert start(folder, read_only=True, cap_drop=["ALL"]).ready().invoke(b"{}") == ANSWER


def test_without_a_network(model: Model, start: Start) -> None:
    """A requirement that cannot be fetched is one message with the remedy, and exit 1."""
    server = start(model(scripts.PACKAGE), network=None, network_mode="none")
    assert server.wait() == 1
    assert "Traceback" not in server.log
    assert server.log.count("serve: ") == 1
    assert "no package index can be reached" in server.log
    assert "code/lib" in server.log


def test_without_a_writable_folder(model: Model, start: Start) -> None:
    """Requirements under a read-only root without /tmp are one message that names it, and exit 1."""
    server = start(model(scripts.PACKAGE), read_only=True)
    assert server.wait() == 1
    assert "Traceback" not in server.log
    assert "--tmpfs /tmp" in server.log.strip().splitlines()[-1]


def test_clash_with_the_server(model: Model, start: Start, wheelhouse: Path) -> None:
    """A requirement that would replace a package of the server's is refused by name."""
    folder = model(scripts.PACKAGE)
    (folder / "code" / "requirements.txt").write_text("numpy==2.0.0\n")
    shutil.copytree(wheelhouse, folder / "code" / "wheelhouse")
    server = start(folder)
    assert server.wait() == 1
    assert "numpy==1.26.4" in server.log
    assert "Traceback" not in server.log
