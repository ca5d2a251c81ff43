"""What is found in model directories, and what is said where nothing can be served."""

from __future__ import annotations

import json
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from serving.errors import ModelError
from serving.models.layout import detect


def copy_as(folder: Path, prefix: str, epoch: str = "0000") -> None:
    """The fixture's model under another name, beside itself."""
    (folder / f"{prefix}-symbol.json").write_bytes((folder / "model-symbol.json").read_bytes())
    (folder / f"{prefix}-{epoch}.params").write_bytes((folder / "model-0000.params").read_bytes())


def rename(folder: Path, prefix: str, epoch: str = "0000") -> None:
    """The fixture's model under another name."""
    copy_as(folder, prefix, epoch)
    (folder / "model-symbol.json").unlink()
    (folder / "model-0000.params").unlink()


def test_default_names(mlp_dir: Path) -> None:
    """The MXNet container's three files are found, the shapes file too where it is there."""
    assert detect(mlp_dir).shapes is None
    (mlp_dir / "model-shapes.json").write_text("[]")
    found = detect(mlp_dir)
    assert (found.framework, found.prefix, found.epoch) == ("mxnet", "model", 0)
    assert (found.symbol, found.params) == (mlp_dir / "model-symbol.json", mlp_dir / "model-0000.params")
    assert (found.shapes, found.code, found.script) == (mlp_dir / "model-shapes.json", None, None)


@pytest.mark.parametrize(("prefix", "epoch"), [("net", "0000"), ("image-classification", "0010"), ("a-b-symbol", "12345")])
def test_other_names(mlp_dir: Path, prefix: str, epoch: str) -> None:
    """Any prefix and epoch will do: Gluon exports, the built-in image classification's."""
    rename(mlp_dir, prefix, epoch)
    (mlp_dir / f"{prefix}-shapes.json").write_text("[]")
    found = detect(mlp_dir)
    assert (found.prefix, found.epoch, found.shapes) == (prefix, int(epoch), mlp_dir / f"{prefix}-shapes.json")


def test_newest_epoch_is_served_and_said(mlp_dir: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Of several epochs the highest number wins, and the log names them all."""
    for epoch in ("0009", "0010", "10000"):
        copy_as(mlp_dir, "model", epoch)
    with caplog.at_level(logging.INFO, "ei.models"):
        assert detect(mlp_dir).params == mlp_dir / "model-10000.params"
    assert "[0, 9, 10, 10000] the newest, 10000" in caplog.text


def test_several_models(mlp_dir: Path) -> None:
    """Several prefixes are an error that lists them, unless one of them is `model`."""
    copy_as(mlp_dir, "a")
    copy_as(mlp_dir, "b")
    assert detect(mlp_dir).prefix == "model"
    (mlp_dir / "model-symbol.json").unlink()
    with pytest.raises(ModelError, match="several models, a, b: name the one to serve model-symbol.json"):
        detect(mlp_dir)


def test_several_models_with_a_script(mlp_dir: Path) -> None:
    """Where a user script stands it may load several models: none of them is chosen for it."""
    rename(mlp_dir, "a")
    (mlp_dir / "b-symbol.json").write_bytes((mlp_dir / "a-symbol.json").read_bytes())
    (mlp_dir / "b-0000.params").write_bytes((mlp_dir / "a-0000.params").read_bytes())
    (mlp_dir / "code").mkdir()
    (mlp_dir / "code/inference.py").write_text("")
    found = detect(mlp_dir)
    assert (found.framework, found.symbol, found.script) == ("script", None, mlp_dir / "code/inference.py")


@pytest.mark.parametrize(
    ("program", "submit", "path"),
    [
        ("inference.py", "", "code/inference.py"),
        ("serve_me", "", "code/serve_me.py"),
        ("pkg.entry", "", "code/pkg/entry.py"),
        ("entry.py", "src", "src/entry.py"),
    ],
)
def test_script_alone(tmp_path: Path, program: str, submit: str, path: str) -> None:
    """A script needs no other file; its name and folder follow the platform's settings."""
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).write_text("")
    (tmp_path / "net.params").write_bytes(b"gluon parameters, which the script knows how to read")
    found = detect(tmp_path, program, submit)
    assert (found.framework, found.script) == ("script", tmp_path / path)


def test_submit_directory_elsewhere(tmp_path: Path) -> None:
    """An absolute submit directory may lie outside of the model directory."""
    (tmp_path / "model").mkdir()
    (tmp_path / "inference.py").write_text("")
    assert detect(tmp_path / "model", submit_directory=str(tmp_path)).script == tmp_path / "inference.py"


def test_clutter_is_ignored(mlp_dir: Path) -> None:
    """Archives, hidden files and what file managers and file systems leave behind do not count."""
    for name in ("model.tar.gz", ".DS_Store", "._model-symbol.json", "._other-0000.params"):
        (mlp_dir / name).write_bytes(b"x")
    for name in ("__MACOSX", "lost+found", ".git"):
        (mlp_dir / name).mkdir()
    assert detect(mlp_dir).prefix == "model"


def test_packed_with_its_folder(mlp_dir: Path) -> None:
    """An archive packed with its folder, or two, is entered; clutter beside the folder does not hide it."""
    outer = mlp_dir.parent
    (outer / "._model").write_bytes(b"x")
    assert detect(outer).directory == mlp_dir
    assert detect(outer).symbol == mlp_dir / "model-symbol.json"


def test_missing_and_empty(tmp_path: Path) -> None:
    """A directory that is missing, a file, or empty is named with what was expected."""
    with pytest.raises(ModelError, match=r"none does not exist: mount or unpack a model there, or name another by --model"):
        detect(tmp_path / "none")
    (tmp_path / "file").write_text("x")
    with pytest.raises(ModelError, match="is a file: expected a model directory"):
        detect(tmp_path / "file")
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty/.hidden").write_text("x")
    with pytest.raises(ModelError, match="it is empty, or holds only archives and hidden files; expected model-symbol.json"):
        detect(tmp_path / "empty")


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["saved_model.pb", "variables"], "a TensorFlow SavedModel"),
        (["1/saved_model.pb"], "a TensorFlow SavedModel"),
        (["1/saved_model.pb", "2/saved_model.pb"], "a TensorFlow SavedModel"),
        (["net.onnx", "labels.txt"], "an ONNX model: `ei convert net.onnx FOLDER` makes"),
        (["net.params"], "Gluon parameters without a graph"),
        (["weights.bin", "readme.md"], "found readme.md, weights.bin"),
        ([f"{at:02}.bin" for at in range(20)], "11.bin and 8 more"),
    ],
)
def test_other_frameworks(tmp_path: Path, names: list[str], told: str) -> None:
    """What another framework's files are is said, with what was found; nothing is guessed."""
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(ModelError, match=told) as raised:
        detect(tmp_path)
    assert "expected model-symbol.json with model-0000.params" in str(raised.value)


def test_half_a_model(mlp_dir: Path) -> None:
    """A symbol without parameters, parameters without a symbol and two that do not match are told apart."""
    (mlp_dir / "model-0000.params").rename(mlp_dir / "other-0000.params")
    with pytest.raises(ModelError, match="half a model: symbols of model, but parameters of other"):
        detect(mlp_dir)
    (mlp_dir / "other-0000.params").rename(mlp_dir / "x")
    with pytest.raises(ModelError, match="half a model: symbols of model, but no .params file"):
        detect(mlp_dir)
    (mlp_dir / "x").rename(mlp_dir / "model-0000.params")
    (mlp_dir / "model-symbol.json").unlink()
    with pytest.raises(ModelError, match="half a model: parameters of model, but no -symbol.json file"):
        detect(mlp_dir)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "empty"),
        (b'{"nodes": [', "not whole JSON"),
        (b"[]", "not an MXNet symbol"),
        (b'{"nodes": []}', "heads"),
        (b"\xff", "JSON"),
    ],
)
def test_half_written_symbol(mlp_dir: Path, data: bytes, told: str) -> None:
    """A symbol that was not copied to its end is named with what is wrong, in one message."""
    (mlp_dir / "model-symbol.json").write_bytes(data)
    with pytest.raises(ModelError, match=told) as raised:
        detect(mlp_dir)
    assert "model-symbol.json cannot be used" in str(raised.value)


def test_half_written_parameters(mlp_dir: Path) -> None:
    """Parameters that were not copied to their end are named with how much is there."""
    path = mlp_dir / "model-0000.params"
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(ModelError, match=r"model-0000.params cannot be used: it is cut off: 60 bytes"):
        detect(mlp_dir)


@contextmanager
def without_rights() -> Iterator[int]:
    """Act as a user who owns nothing here (root may read everything)."""
    if os.geteuid() != 0:
        yield os.geteuid()
        return
    os.seteuid(65534)
    try:
        yield 65534
    finally:
        os.seteuid(0)


@pytest.mark.parametrize("name", [".", "model-symbol.json", "model-0000.params"])
def test_unreadable(mlp_dir: Path, name: str) -> None:
    """What cannot be read is named with our uid, its mode and its owner."""
    place = Path(tempfile.mkdtemp())  # pytest's own folders are closed to other users
    place.chmod(0o755)
    folder = Path(shutil.copytree(mlp_dir, place / "model"))
    try:
        (folder / name).chmod(0)
        told = "Permission denied; its mode is 0000 and its owner uid"
        with without_rights() as uid, pytest.raises(ModelError, match=f"cannot be read by uid {uid}: {told}"):
            detect(folder)
    finally:
        (folder / name).chmod(0o700)
        shutil.rmtree(place)


def test_symbol_is_json_of_any_order(mlp_dir: Path) -> None:
    """Only nodes and heads are asked of a symbol: keys and their order differ between versions."""
    (mlp_dir / "model-symbol.json").write_text(json.dumps({"heads": [], "nodes": [], "more": 1}))
    assert detect(mlp_dir).prefix == "model"
