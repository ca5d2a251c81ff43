"""Names and versions of models, and models that do not load."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from serving.backends import tensorflow
from serving.errors import BadRequest, ModelError, NotFound, UserCodeError
from serving.tfs import servables
from serving.tfs.servables import Servable, Servables
from serving.tfs.service import TfsService
from tests.unit.serving.tfs.conftest import versions


def load_one(name: str, version: int, folder: Path) -> Servable:
    """A version, by TensorFlow."""
    return Servable(name, version, tensorflow.load(folder))


@pytest.fixture(scope="module")
def partly(tmp_path_factory: pytest.TempPathFactory) -> Servables:
    """half, of whose versions the newest is broken, and a model that is broken altogether."""
    folder = tmp_path_factory.mktemp("models")
    half = versions("half")[1]
    for name in ("1", "2"):
        shutil.copytree(half, folder / "half" / name)
    (folder / "half" / "2" / "saved_model.pb").write_bytes(b"broken")
    found = {
        "half": {1: folder / "half" / "1", 2: folder / "half" / "2"},
        "unknown_op": versions("unknown_op"),
    }
    return servables.load(found, "", load_one)


def test_a_missing_name_is_the_default(service: TfsService) -> None:
    """Without a name the default model answers, without a version its newest."""
    found = service.servables.find(None, None)
    assert (found.name, found.version) == ("half_plus_three", 124)


def test_versions(service: TfsService) -> None:
    """A version is found by its number, however many zeros its folder's name has before it; 0 is the newest."""
    assert [service.servables.find("half_plus_three", number).version for number in (123, 124, 0)] == [123, 124, 124]


@pytest.mark.parametrize(
    ("name", "version", "message"),
    [
        ("nope", None, "no model 'nope' is served here; these are: half_plus_three"),
        ("half", 5, "half has no version 5; it has 1"),
    ],
)
def test_what_is_not_there(service: TfsService, name: str, version: int | None, message: str) -> None:
    """An unknown model or version is a 404 that says what there is."""
    with pytest.raises(NotFound, match=message):
        service.servables.find(name, version)
    with pytest.raises(NotFound, match=message):
        service.servables.versions(name, version)


def test_signatures(service: TfsService) -> None:
    """No name is serving_default; an unknown one is a 400 that lists those that there are."""
    pair = service.servables.find("pair", None)
    assert (pair.signature("").name, pair.signature("total").name) == ("serving_default", "total")
    with pytest.raises(BadRequest, match="pair has no signature 'nope'; it has .*total"):
        pair.signature("nope")


def test_an_older_version_takes_the_place_of_a_broken_one(partly: Servables) -> None:
    """Of a model whose newest version does not load the newest that does is served, and the other's requests are told why."""
    assert partly.find("half", None).version == 1
    with pytest.raises(UserCodeError, match="half could not be loaded: .*saved_model.pb"):
        partly.find("half", 2)
    assert list(partly.versions("half")) == [1, 2]
    assert partly.versions("half")[1] == ""
    assert "saved_model.pb" in partly.versions("half")[2]


def test_one_broken_model_beside_others(partly: Servables) -> None:
    """A model that does not load leaves the others alone; its own requests are told why."""
    with pytest.raises(UserCodeError, match="unknown_op could not be loaded: .*op"):
        partly.find("unknown_op", None)


def test_a_broken_default_model_ends_the_start(caplog: pytest.LogCaptureFixture) -> None:
    """Where nothing of the default model loads nothing is served, and the error alone says why."""
    with pytest.raises(ModelError, match="op"):
        servables.load({"unknown_op": versions("unknown_op"), "half": versions("half")}, "", load_one)
    assert "OpFromTheFuture" not in caplog.text


def test_a_default_model_that_is_not_there() -> None:
    """A default model by another name than those found is an error that lists them."""
    with pytest.raises(ModelError, match=r"'other' \(SAGEMAKER_TFS_DEFAULT_MODEL_NAME\) is not there: found half"):
        servables.load({"half": versions("half")}, "other", load_one)


def test_closing() -> None:
    """Closed models are gone."""
    found = servables.load({"half": versions("half")}, "", load_one)
    found.close()
    with pytest.raises(Exception, match="unloaded"):
        found.find(None, None).model.run(
            "serving_default", {"x": tensorflow.empty_like(found.find(None, None).signature("").inputs[0], 1)}
        )  # type: ignore[dict-item]
