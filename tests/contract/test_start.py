"""Starts that must fail: one clear message with what was expected and found, exit status 1, and never a traceback."""

from __future__ import annotations

import importlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent
SECONDS = 30
IMPORTED = ("serving.privileges", "serving.requirements", "serving.models.store", "serving.http.arbiter", "serving.plan")

pytestmark = [pytest.mark.contract, pytest.mark.fault]


@pytest.fixture
def model(models: Path) -> Iterator[Path]:
    """A copy of the sound model, for a test to break; in a folder that other users can reach."""
    place = Path(tempfile.mkdtemp())
    place.chmod(0o755)
    yield Path(shutil.copytree(models / "mlp", place / "model"))
    shutil.rmtree(place)


def refused(*arguments: str, **env: str) -> str:
    """What `serve` says as it refuses to start."""
    command = [sys.executable, "-m", "serving", *arguments]
    process = subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, **env}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )  # fmt: skip
    try:
        stdout, stderr = process.communicate(timeout=SECONDS)
    finally:
        if process.poll() is None:  # it serves: its workers end with it
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    assert process.returncode == 1, stderr
    told = [line for line in stderr.splitlines() if line.startswith("serve: ")]
    assert len(told) == 1, stderr
    assert "Traceback" not in stderr + stdout
    return stderr[stderr.index("serve: ") :]


def cut(path: Path) -> None:
    """Leave the first half of a file, as a copy that broke off does."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def clear(folder: Path) -> None:
    """Leave the folder without anything in it."""
    for path in folder.iterdir():
        path.unlink()


BREAKS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "missing": (shutil.rmtree, "does not exist: mount or unpack a model there"),
    "empty": (clear, "it is empty, or holds only archives"),
    "half a symbol": (
        lambda folder: cut(folder / "model-symbol.json"),
        "model-symbol.json cannot be used: it is not whole JSON",
    ),
    "empty symbol": (
        lambda folder: (folder / "model-symbol.json").write_bytes(b""),
        "model-symbol.json cannot be used: it is empty",
    ),
    "half of the parameters": (
        lambda folder: cut(folder / "model-0000.params"),
        "model-0000.params cannot be used: it is cut off",
    ),
    "no parameters": (
        lambda folder: os.remove(folder / "model-0000.params"),
        "half a model: symbols of model, but no .params file",
    ),
    "wrong shapes": (lambda folder: (folder / "model-shapes.json").write_text('{"data": 4}'), "the shape of data is 4"),
    "no json shapes": (lambda folder: (folder / "model-shapes.json").write_text("{"), "model-shapes.json cannot be read"),
    "names of no input": (
        lambda folder: (folder / "model-shapes.json").write_text('[{"name": "image", "shape": [1, 4]}]'),
        "image",
    ),
    "another framework": (lambda folder: [path.rename(folder / "net.onnx") for path in folder.iterdir()], "an ONNX model"),
    "no version": (
        lambda folder: (clear(folder), (folder / "net").mkdir(), (folder / "net" / "saved_model.pb").touch()),
        "a TensorFlow SavedModel whose folder is no version",
    ),
    "no SavedModel": (
        lambda folder: [path.rename(folder / "saved_model.pb") for path in folder.iterdir()],
        "saved_model.pb cannot be used: it is damaged",
    ),
}


@pytest.mark.parametrize("name", BREAKS)
def test_broken_model(model: Path, name: str) -> None:
    """A model directory that cannot be served ends the start with what was expected and what was found."""
    breaks, told = BREAKS[name]
    breaks(model)
    assert told in refused("--model", str(model))


def test_shapes_that_the_weights_contradict(model: Path) -> None:
    """A shapes file that the parameters contradict is found at the start, not by the first client."""
    (model / "model-shapes.json").write_text('[{"name": "data", "shape": [1, 5]}]')
    assert "shape" in refused("--model", str(model))


def test_parameters_of_another_model(models: Path, model: Path) -> None:
    """Parameters that lack what the symbol needs are named: MXNet would answer with zeros."""
    shutil.copy(models / "pair/model-0000.params", model / "model-0000.params")
    assert "fc1_weight" in refused("--model", str(model))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start a server as another user")
@pytest.mark.parametrize("name", ["", "model-0000.params"])
def test_unreadable_model(model: Path, name: str) -> None:
    """What the server's uid may not read is named with that uid, the mode and the owner."""
    (model / name).chmod(0o700 if not name else 0o600)
    for name_of in IMPORTED:  # the child's uid may not be able to read the interpreter's own files
        importlib.import_module(name_of)
    serve = importlib.import_module("serving.__main__").main
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        status = 1
        try:
            sys.stderr = os.fdopen(write, "w")
            os.setgroups([])
            os.setgid(12345)
            os.setuid(12345)
            serve(["--model", str(model)])
        except SystemExit as end:
            status = int(end.code or 0)
        finally:
            sys.stderr.flush()
            os._exit(status)
    os.close(write)
    with os.fdopen(read) as pipe:
        said = pipe.read()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1, said
    assert (
        f"{model / name} cannot be read by uid 12345: Permission denied; its mode is 0{'6' if name else '7'}00 and its owner uid 0"
        in said
    )
    assert "Traceback" not in said


def test_damaged_archive(model: Path) -> None:
    """A model.tar.gz that was cut off is told from one that is whole."""
    archive = model.parent / "model.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        for path in model.iterdir():
            tar.add(path, path.name)
    cut(archive)
    assert "is no whole archive" in refused("--model", str(archive), EI_SITE=str(model.parent / "site"))


def test_requirement_that_cannot_be_met(models: Path, model: Path) -> None:
    """A user's requirement that cannot be installed ends the start, with pip's words and the remedy."""
    (model / "code/wheelhouse").mkdir(parents=True)
    (model / "code/inference.py").write_text("")
    (model / "code/requirements.txt").write_text("no-such-package-of-ours==1.0\n")
    said = refused("--model", str(model), EI_SITE=str(model.parent / "site"))
    assert "the wheelhouse has no package that fits this Python" in said
    assert "no-such-package-of-ours" in said


def test_invalid_settings(model: Path) -> None:
    """Every invalid setting is listed in one message, by the name under which it was set."""
    said = refused("--model", str(model), "--queue-mb", "0", SAGEMAKER_BIND_TO_PORT="http", EI_PLACEMENT="both")
    assert all(name in said for name in ("--queue-mb", "SAGEMAKER_BIND_TO_PORT", "EI_PLACEMENT"))


def test_port_in_use(model: Path) -> None:
    """A port that is taken is named, with how to choose another."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        said = refused("--model", str(model), "--port", port, EI_HOST="127.0.0.1")
    assert f"cannot listen on 127.0.0.1:{port}" in said
    assert "SAGEMAKER_BIND_TO_PORT" in said
