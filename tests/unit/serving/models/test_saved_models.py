"""Which SavedModels lie in a model directory: every layout that AWS's TensorFlow container takes, and what it passes over."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from serving.errors import ModelError
from serving.models.saved_models import find
from tests.tf_models import models


def lay(directory: Path, *folders: str) -> Path:
    """Folders that hold a saved_model.pb each."""
    for folder in folders:
        (directory / folder).mkdir(parents=True, exist_ok=True)
        (directory / folder / "saved_model.pb").touch()
    return directory


def versions(directory: Path) -> dict[str, dict[int, str]]:
    """What is found, with folders from the directory on."""
    return {
        name: {version: str(path.relative_to(directory)) for version, path in found.items()}
        for name, found in find(directory).items()
    }


@pytest.mark.parametrize(
    ("folders", "expected"),
    [
        (["half/1"], {"half": {1: "half/1"}}),
        (["half/00000123", "half/124"], {"half": {123: "half/00000123", 124: "half/124"}}),
        (["1", "2"], {"model": {1: "1", 2: "2"}}),
        (["0"], {"model": {0: "0"}}),
        (["."], {"model": {1: "."}}),
        (["export/Servo/1540855709"], {"Servo": {1540855709: "export/Servo/1540855709"}}),
        (["b/1", "a/10", "a/9"], {"a": {9: "a/9", 10: "a/10"}, "b": {1: "b/1"}}),
        (["a/.1", "a/.00000111", "a/v2", "a/1.5", "a/-1", "a/notes", "a/\u0663", "a/99999999999999999999"], {}),
        (["a/3", ".", ".hidden/m/1", "__MACOSX/m/1", "code/m/1"], {"a": {3: "a/3"}}),
        (["a/1", "a/1/assets/2"], {"a": {1: "a/1"}}),
        ([], {}),
    ],
    ids=["named", "padded", "root", "zero", "bare", "deep", "several", "no versions", "beside", "inside", "empty"],
)
def test_layouts(tmp_path: Path, folders: list[str], expected: dict[str, dict[int, str]]) -> None:
    """[NAME/]DIGITS/saved_model.pb is found at any depth, names and versions in order; everything else is not."""
    found = versions(lay(tmp_path, *folders))
    assert found == expected
    assert [list(entry) for entry in found.values()] == [list(entry) for entry in expected.values()]
    assert list(found) == list(expected)


def test_folders_without_a_model(tmp_path: Path) -> None:
    """A number without a saved_model.pb is no version, and may have one below it."""
    lay(tmp_path, "a/1/b/2")
    assert versions(tmp_path) == {"b": {2: "a/1/b/2"}}


def test_a_real_one() -> None:
    """A folder as TF Serving's example has it: two padded versions, a hidden one, one that is no number."""
    assert list(find(models() / "half_plus_three")["model"]) == [123, 124]


def test_the_same_version_twice(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Of 01 and 1 the first is served, and the log says so; so it is with two models of one name."""
    with caplog.at_level(logging.WARNING, "ei.models"):
        assert versions(lay(tmp_path, "a/01", "a/1", "b/a/7")) == {"a": {1: "a/01"}}
    assert f"{tmp_path}/a/1 is not served: {tmp_path}/a/01 is version 1 of a already" in caplog.text
    assert f"{tmp_path}/b/a/7 is not served: {tmp_path}/a has the name a already" in caplog.text


def test_links_are_followed(tmp_path: Path) -> None:
    """A link to a version is one, and a link to itself ends."""
    lay(tmp_path, "store/x")
    (tmp_path / "m").mkdir()
    (tmp_path / "m/5").symlink_to(tmp_path / "store/x")
    (tmp_path / "m/loop").symlink_to(tmp_path / "m")
    assert versions(tmp_path)["m"] == {5: "m/5"}


def test_no_directory(tmp_path: Path) -> None:
    """A directory that is not there is a ModelError."""
    with pytest.raises(ModelError, match="does not exist"):
        find(tmp_path / "nowhere")


def test_a_closed_folder(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A folder that may not be read is told of, and the others are served."""
    lay(tmp_path, "open/1", "shut/1")
    os.chmod(tmp_path / "shut", 0)
    chain = [tmp_path, *tmp_path.parents]
    modes = [(path, path.stat().st_mode) for path in chain if str(path).startswith("/tmp/pytest")]
    try:
        for path, mode in modes:
            path.chmod(mode | 0o755)
        if os.geteuid() == 0:
            os.seteuid(65534)
        with caplog.at_level(logging.WARNING, "ei.models"):
            assert list(find(tmp_path)) == ["open"]
    finally:
        if os.getuid() == 0:
            os.seteuid(0)
        for path, mode in modes:
            path.chmod(mode)
        os.chmod(tmp_path / "shut", 0o700)
    assert f"{tmp_path}/shut cannot be read" in caplog.text
