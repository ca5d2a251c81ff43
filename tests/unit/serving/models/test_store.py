"""From a model directory to a service, whatever of script, symbol and shapes lies in it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from serving.errors import ModelError
from serving.handlers.default_service import DefaultService
from serving.handlers.service import ScriptService
from serving.invocation import Request, invoke
from serving.models import store
from serving.settings import Settings

ROW = b"[[1, 2, 3, 4, 5, 6, 7, 8]]"


@pytest.fixture(autouse=True)
def _interpreter() -> Iterator[None]:
    """What loading a script leaves on the path and among the modules goes with the test."""
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if name in ("inference", "other") or name.startswith("ei_script"):
            del sys.modules[name]


@pytest.fixture
def script(mlp_dir: Path) -> Callable[..., Path]:
    """A function that puts a user script into the model directory."""

    def write(text: str, name: str = "inference.py") -> Path:
        (mlp_dir / "code").mkdir(exist_ok=True)
        (mlp_dir / "code" / name).write_text(text)
        return mlp_dir

    return write


def answer(directory: Path, **settings: Any) -> Any:
    """What the service of a directory answers to a row."""
    service = store.load(Settings(model=directory, **settings))
    reply = invoke(service, [Request(ROW, "application/json", id="id-1")])[0]
    assert isinstance(reply.body, bytes)
    return json.loads(reply.body) if reply.status == 200 else reply.fault


def test_files_alone(mlp_dir: Path) -> None:
    """Symbol and parameters make a service of the default handlers, its signature inferred from them."""
    service = store.load(Settings(model=mlp_dir))
    assert isinstance(service, DefaultService)
    assert [str(tensor) for tensor in service.signature.inputs] == ["data: float32 (*, 8)"]
    assert answer(mlp_dir) == [[pytest.approx(1 / 3)] * 3]


def test_settings_reach_the_service(mlp_dir: Path) -> None:
    """The default Accept is the setting's."""
    service = store.load(Settings(model=mlp_dir, default_accept="text/csv"))
    assert invoke(service, [Request(ROW, "application/json")])[0].content_type == "text/csv"


def test_a_script_around_the_files(script: Callable[..., Path]) -> None:
    """A script's functions stand before and after the model of the files."""
    assert answer(script("def output_fn(prediction, accept):\n    return {'rows': len(prediction)}\n")) == {"rows": 1}


def test_another_program(script: Callable[..., Path]) -> None:
    """The script has the name that the setting says."""
    directory = script("def output_fn(prediction, accept):\n    return ['other']\n", "other.py")
    assert answer(directory, program="other.py") == ["other"]


def test_a_script_that_loads_its_own_model(script: Callable[..., Path]) -> None:
    """With a model_fn the directory's files may be anything: they are not read."""
    directory = script("def model_fn(model_dir):\n    return 3\n\ndef predict_fn(data, model):\n    return [model]\n")
    (directory / "model-0000.params").write_bytes(b"half")
    service = store.load(Settings(model=directory))
    assert isinstance(service, ScriptService)
    assert answer(directory) == [3]


def test_shapes_for_a_script(script: Callable[..., Path]) -> None:
    """A script that predicts by itself still has the signature of the shapes file, to be measured by."""
    directory = script("def model_fn(model_dir):\n    return 3\n\ndef predict_fn(data, model):\n    return [model]\n")
    (directory / "model-shapes.json").write_text('[{"name": "data", "shape": [1, 8]}]')
    service = store.load(Settings(model=directory))
    assert [str(tensor) for tensor in service.signature.inputs] == ["data: float32 (*, 8)"]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("def input_fn(a):\n    pass\n", "input_fn"),
        ("raise ValueError('at import')\n", "at import"),
        ("def model_fn(model_dir):\n    raise OSError('no weights')\n", "no weights"),
        ("def (:\n", "inference.py"),
    ],
    ids=["parameters", "import", "model_fn", "syntax"],
)
def test_scripts_that_do_not_load(script: Callable[..., Path], text: str, words: str) -> None:
    """A script's fault fails the load, with the file: never a service that is loaded but broken."""
    with pytest.raises(ModelError, match=words) as caught:
        store.load(Settings(model=script(text)))
    assert "inference.py" in str(caught.value)


@pytest.mark.parametrize("name", ["model-symbol.json", "model-0000.params"])
def test_broken_files(mlp_dir: Path, name: str) -> None:
    """A half-written file fails the load, by its name."""
    path = mlp_dir / name
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(ModelError, match=name):
        store.load(Settings(model=mlp_dir))


def test_no_directory(tmp_path: Path) -> None:
    """A model directory that is not there is named, with a script that could load anything too."""
    with pytest.raises(ModelError, match=str(tmp_path / "none")):
        store.load(Settings(model=tmp_path / "none"))


def test_nothing_to_load(tmp_path: Path) -> None:
    """An empty directory says what was expected."""
    with pytest.raises(ModelError, match="symbol"):
        store.load(Settings(model=tmp_path))


def test_a_script_without_any_model(tmp_path: Path) -> None:
    """Functions that want a model, and no model: the error says what is missing."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "inference.py").write_text("def input_fn(data, content_type):\n    return data\n")
    with pytest.raises(ModelError, match="symbol|model_fn"):
        store.load(Settings(model=tmp_path))


def test_a_handler_service(script: Callable[..., Path]) -> None:
    """A handler that the settings name runs instead of the script's functions."""
    directory = script("def handle(data, context):\n    return [b'[7]'] if data else None\n", "service.py")
    assert answer(directory, handler=f"{directory}/code/service.py:handle") == [7]


def test_the_default_handler_service_is_the_server_itself(mlp_dir: Path) -> None:
    """AWS's own default handler is what the server does anyway: nothing stands between."""
    settings = Settings(model=mlp_dir, handler="sagemaker_inference.default_handler_service")
    assert isinstance(store.load(settings), DefaultService)
