"""From a model directory of SavedModels to a service, and what is known of it before anything is loaded."""

from __future__ import annotations

import shutil
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from serving.errors import ModelError, UnsupportedMediaType
from serving.handlers.tfs_script_service import TfsScriptService
from serving.invocation import Request, Service, invoke
from serving.models import saved_models, store, tf_warmup
from serving.settings import Settings
from serving.tfs import loading
from serving.tfs.service import TfsService
from tests import tf_models

PAIR = "def input_handler(data, context):\n    return data.read()\n\n\ndef output_handler(response, context):\n    return response.content, 'text/x'\n"


@pytest.fixture(autouse=True)
def _interpreter() -> Iterator[None]:
    """What loading a script leaves on the path and among the modules goes with the test."""
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if "inference" in name:
            del sys.modules[name]


def directory(folder: Path, *names: str, script: str = "") -> Path:
    """A model directory with these models, and a script."""
    for name in names:
        shutil.copytree(tf_models.models() / name, folder / name)
    if script:
        (folder / "code").mkdir()
        (folder / "code" / "inference.py").write_text(script)
    return folder


def load(folder: Path, **given: Any) -> Service:
    """The service of a directory."""
    return store.load(Settings(model=folder, **given))


def test_several_models(tmp_path: Path) -> None:
    """All models of a directory are served, the first of them, or the one that is named, by default."""
    folder = directory(tmp_path, "half", "add")
    service = load(folder)
    assert isinstance(service, TfsService)
    assert (service.servables.default, sorted(service.servables.models)) == ("add", ["add", "half"])
    chosen = load(folder, tfs_default_model="half")
    assert isinstance(chosen, TfsService)
    assert chosen.servables.default == "half"


def test_a_script_of_the_container(tmp_path: Path) -> None:
    """`input_handler` and `output_handler` stand around the models."""
    service = load(directory(tmp_path, "add", script=PAIR))
    assert isinstance(service, TfsScriptService)
    reply = invoke(service, [Request(b'{"instances": [1.0]}', "application/json", id="id")])[0]
    assert (reply.status, reply.content_type) == (200, "text/x")


def test_a_script_of_the_toolkit(tmp_path: Path) -> None:
    """A script with `model_fn` loads and runs the model by itself, though SavedModels lie there."""
    script = "def model_fn(model_dir):\n    return 2\n\n\ndef predict_fn(data, model):\n    return data * model\n"
    folder = directory(tmp_path, "add", script=script)
    assert store.served_by_tensorflow(Settings(model=folder)) == {}
    reply = invoke(load(folder), [Request(b"[[1.0]]", "application/json", id="id")])[0]
    assert reply.body == b"[[2.0]]"


@pytest.mark.parametrize(
    ("given", "expected"), [({}, True), ({"handler": "other.py:handle"}, False)], ids=["by default", "by a handler service"]
)
def test_who_serves(tmp_path: Path, given: dict[str, str], expected: bool) -> None:
    """SavedModels are TensorFlow's, unless a handler service takes over."""
    assert bool(store.served_by_tensorflow(Settings(model=directory(tmp_path, "add"), **given))) is expected  # type: ignore[arg-type]


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    """Nothing is said of it here: the loader has the words."""
    assert store.served_by_tensorflow(Settings(model=tmp_path / "nope")) == {}


def test_a_broken_model(tmp_path: Path) -> None:
    """The only model, broken, is an error with what is wrong of it."""
    with pytest.raises(ModelError, match="unknown_op"):
        load(directory(tmp_path, "unknown_op"))


def test_recorded_requests(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Requests that a model brings are made at load; those that its signatures refuse are a warning."""
    assert isinstance(load(directory(tmp_path, "warm")), TfsService)
    assert [record.message[:50] for record in caplog.records if "warm-up request" in record.message] != []


def test_a_recorded_request_that_is_damaged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What is recorded and is no message of its kind is a warning: the model serves."""
    folder = directory(tmp_path, "half")
    log = b"\x32\x04\x0a\x02\xff\xff"  # a PredictionLog with two bytes for a PredictRequest
    (folder / "half/1" / tf_warmup.FILE).parent.mkdir(exist_ok=True)
    (folder / "half/1" / tf_warmup.FILE).write_bytes(struct.pack("<QI", len(log), 0) + log + bytes(4))
    assert isinstance(load(folder), TfsService)
    assert "a warm-up request of half version 1 failed: the body is not a tensorflow.serving.PredictRequest" in caplog.text


def test_sizes_before_loading(tmp_path: Path) -> None:
    """The default model's newest version counts, variables and graph."""
    settings = Settings(model=directory(tmp_path, "half_plus_three", "half"))
    found = saved_models.find(settings.model_dir)
    folder = found["half"][1]
    files = [folder / "saved_model.pb", *(folder / "variables").iterdir()]
    assert loading.parameter_bytes(settings, found) == sum(file.stat().st_size for file in files)


def test_what_is_refused_without_a_service(tmp_path: Path) -> None:
    """Types that nobody reads are refused by the head; not so where a script may read them."""
    plain = directory(tmp_path / "plain", "half")
    refuse = loading.refuse(Settings(model=plain))
    assert refuse is not None
    refuse("application/json", "")
    with pytest.raises(UnsupportedMediaType):
        refuse("text/html", "")
    assert loading.refuse(Settings(model=directory(tmp_path / "script", "add", script=PAIR))) is None
    elsewhere = str(directory(tmp_path / "submitted", "add", script=PAIR) / "code")
    assert loading.refuse(Settings(model=plain, submit_directory=elsewhere)) is None
