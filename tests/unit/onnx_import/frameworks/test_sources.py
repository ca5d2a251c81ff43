"""Which framework a file, folder or object is of."""

from __future__ import annotations

from pathlib import Path

import pytest

from onnx_import.frameworks import is_foreign, sources
from onnx_import.frameworks.errors import MissingExporter

XGBOOST_UBJ = b"{L\x00\x00\x00\x00\x00\x00\x00\x07learner{L"
LIGHTGBM = b"tree\nversion=v4\nnum_class=3\nnum_tree_per_iteration=3\n"


@pytest.mark.parametrize(
    ("name", "content", "module"),
    [
        ("m.keras", b"PK", "keras"),
        ("m.h5", b"\x89HDF", "keras"),
        ("m.tflite", b"....TFL3", "tflite"),
        ("M.JOBLIB", b"\x80", "pickles"),
        ("m.pkl", b"\x80", "pickles"),
        ("m.json", b'{"learner":{}}', "xgboost"),
        ("m.ubj", XGBOOST_UBJ, "xgboost"),
        ("m.model", XGBOOST_UBJ, "xgboost"),
        ("m.model", LIGHTGBM, "lightgbm"),
        ("m.txt", LIGHTGBM, "lightgbm"),
        ("m.pt2", b"PK", "torch"),
    ],
)
def test_files_are_told_by_name_and_content(tmp_path: Path, name: str, content: bytes, module: str) -> None:
    """A suffix says it, and where several programs use the suffix, what stands in the file's head."""
    path = tmp_path / name
    path.write_bytes(content)
    found = sources.recognise(path)
    assert found is not None
    assert found.module == module
    assert is_foreign(path)


@pytest.mark.parametrize(
    ("name", "content"), [("m.onnx", b"\x08\x07"), ("m.json", b'{"nodes": []}'), ("notes.txt", b"buy milk"), ("m", b"")]
)
def test_other_files_are_nobodys(tmp_path: Path, name: str, content: bytes) -> None:
    """An ONNX file, an MXNet symbol and a text are no framework's model."""
    path = tmp_path / name
    path.write_bytes(content)
    assert sources.recognise(path) is None
    assert not is_foreign(path)


def test_a_saved_model_is_a_folder(tmp_path: Path) -> None:
    """A folder is a SavedModel where it holds one, or versions of one, of which the newest counts."""
    assert sources.recognise(tmp_path) is None
    for version in ("9", "10", "notes"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "saved_model.pb").touch()
    assert sources.recognise(tmp_path) is sources.SAVED_MODEL
    assert sources.saved_model(tmp_path) == tmp_path / "10"
    assert sources.saved_model(tmp_path / "9") == tmp_path / "9"


def test_objects_are_told_by_their_classes() -> None:
    """The first base class that a framework's package defines says whose an object is; a plain one is nobody's."""
    theirs = type("Module", (), {"__module__": "torch.nn.modules.module"})
    mine = type("Net", (theirs,), {"__module__": "__main__"})
    found = sources.owner(mine())
    assert found is not None
    assert found.module == "torch"
    assert sources.owner({}) is None


def test_every_framework_has_its_module() -> None:
    """A framework's row leads to a module that has what the row promises."""
    folder = Path(sources.__file__).parent
    for framework in sources.FRAMEWORKS:
        text = (folder / f"{framework.module}.py").read_text()
        assert ("def from_file(" in text) == bool(framework.suffixes or framework is sources.SAVED_MODEL)
        assert ("def from_object(" in text) == bool(framework.owners)


def test_a_missing_exporter_is_named_with_what_to_install() -> None:
    """Two lines: what is missing, and the command that brings it."""
    absent = sources.Framework("x", "Frame", ("no_such_exporter",), "onnx-frame")
    with pytest.raises(MissingExporter) as error:
        absent.require()
    assert str(error.value).splitlines() == [
        "Frame models are exported by no_such_exporter, which is not installed.",
        'Install it: pip install "ei[onnx-frame]"',
    ]
