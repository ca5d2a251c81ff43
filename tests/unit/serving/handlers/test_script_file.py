"""Finding and importing a user script's file."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from serving.errors import ModelError
from serving.handlers import script_file


@pytest.fixture(autouse=True)
def _imports() -> Iterator[None]:
    """Each test leaves sys.path and sys.modules as it found them."""
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def written(path: Path, source: str = "") -> Path:
    """A file with its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source)
    return path


@pytest.mark.parametrize("program", ["serve_me.py", "serve_me"])
@pytest.mark.parametrize("place", ["code", "submitted", "."])
def test_found_with_or_without_suffix(program: str, place: str, tmp_path: Path) -> None:
    """A script is found in code/, in the submit directory and beside the model, its name with or without .py."""
    expected = written(tmp_path / place / "serve_me.py")
    found = script_file.find(tmp_path, program, "submitted")
    assert found is not None
    assert found.path.resolve() == expected.resolve()


@pytest.mark.parametrize("program", ["pkg.inner.serve_me", "pkg/inner/serve_me.py"])
def test_dotted_module_and_path(program: str, tmp_path: Path) -> None:
    """A dotted module, or a path below the code folder, is imported as a module of its package."""
    written(tmp_path / "code" / "pkg" / "inner" / "serve_me.py", "from pkg import words\nWORD = words.WORD")
    written(tmp_path / "code" / "pkg" / "words.py", "WORD = 'inner'")
    found = script_file.find(tmp_path, program)
    assert found is not None
    assert script_file.import_script(found).WORD == "inner"


def test_package_as_script(tmp_path: Path) -> None:
    """A package's __init__.py is a script too."""
    written(tmp_path / "code" / "whole" / "__init__.py", "WORD = 'whole'")
    found = script_file.find(tmp_path, "whole")
    assert found is not None
    assert script_file.import_script(found).WORD == "whole"


@pytest.mark.parametrize("prefix", ["", "file://"])
def test_absolute_submit_directory(prefix: str, tmp_path: Path) -> None:
    """SAGEMAKER_SUBMIT_DIRECTORY may lie elsewhere, and local mode writes it as a file URL."""
    expected = written(tmp_path / "elsewhere" / "inference.py")
    found = script_file.find(tmp_path / "model", "inference.py", f"{prefix}{tmp_path / 'elsewhere'}")
    assert found is not None
    assert found.path == expected


def test_code_folder_wins(tmp_path: Path) -> None:
    """Where both have the script, the model's own code folder counts, as in the containers of old."""
    expected = written(tmp_path / "code" / "inference.py")
    written(tmp_path / "other" / "inference.py")
    found = script_file.find(tmp_path, "inference.py", str(tmp_path / "other"))
    assert found is not None
    assert found.path == expected


def test_named_script_that_is_missing(tmp_path: Path) -> None:
    """A script that was asked for by name and is nowhere is an error that says where it was looked for."""
    with pytest.raises(ModelError, match=r"train_it.py \(SAGEMAKER_PROGRAM\) was not found in .*code"):
        script_file.find(tmp_path, "train_it.py")
    with pytest.raises(ModelError, match="is not fetched"):
        script_file.find(tmp_path, "train_it.py", "s3://bucket/sourcedir.tar.gz")


def test_installed_module(tmp_path: Path) -> None:
    """A script that lies in no folder may be an installed module."""
    found = script_file.find(tmp_path, "json.tool")
    assert found is not None
    assert (found.name, found.folder) == ("json.tool", None)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import absent_package_xyz\n", "inference.py:1: ModuleNotFoundError: No module named 'absent_package_xyz'"),
        ("x = 1\nraise SystemExit(3)\n", "inference.py:2: sys.exit(3) was called"),
        ("x = 1\ny = = 2\n", "inference.py:2: SyntaxError"),
        ("def f():\n    return 1 / 0\n\nf()\n", "inference.py:2: ZeroDivisionError: division by zero"),
    ],
)
def test_import_faults_name_file_and_line(source: str, message: str, tmp_path: Path) -> None:
    """Whatever a script raises while it is imported ends in one message with its own file and line."""
    written(tmp_path / "code" / "inference.py", source)
    found = script_file.find(tmp_path, "inference.py")
    assert found is not None
    with pytest.raises(ModelError) as error:
        script_file.import_script(found)
    assert message in str(error.value)


def test_a_script_named_like_a_module_in_use(tmp_path: Path) -> None:
    """A script called serving.py does not take our own package's place."""
    ours = sys.modules["serving"]
    written(tmp_path / "code" / "serving.py", "WORD = 'script'")
    found = script_file.find(tmp_path, "serving.py")
    assert found is not None
    assert script_file.import_script(found).WORD == "script"
    assert sys.modules["serving"] is ours


def test_loaded_again_after_a_change(tmp_path: Path) -> None:
    """A second load imports the script and its neighbours as they are now."""
    found = []
    for word in ("first", "second, and longer"):
        written(tmp_path / "code" / "neighbour_words.py", f"WORD = {word!r}")
        written(tmp_path / "code" / "inference.py", "from neighbour_words import WORD")
        script = script_file.find(tmp_path, "inference.py")
        assert script is not None
        found.append(script_file.import_script(script).WORD)
    assert found == ["first", "second, and longer"]


def test_describe_leaves_traces_out() -> None:
    """An error's text is cut where a traceback begins."""
    assert script_file.describe(ValueError("wrong\nTraceback (most recent call last)\n  File")) == "ValueError: wrong"
    assert script_file.describe(ValueError()) == "ValueError"
