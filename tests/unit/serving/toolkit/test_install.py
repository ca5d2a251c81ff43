"""How the toolkit's names come onto `sys.path`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from serving import toolkit


def test_install_appends_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder goes to the end, so that a real package wins, and only once."""
    monkeypatch.setattr(sys, "path", ["/first"])
    toolkit.install()
    toolkit.install()
    assert sys.path == ["/first", str(toolkit.FOLDER)]


def test_a_real_package_wins(tmp_path: Path) -> None:
    """Where sagemaker_inference is installed it is the one that scripts import."""
    (tmp_path / "sagemaker_inference").mkdir()
    (tmp_path / "sagemaker_inference" / "__init__.py").write_text("REAL = True")
    code = "from serving import toolkit; toolkit.install(); import sagemaker_inference; print(sagemaker_inference.REAL)"
    env = dict(os.environ, PYTHONPATH=f"{Path(__file__).parents[4]}{os.pathsep}{tmp_path}")
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"


def test_path_file(tmp_path: Path) -> None:
    """`python -m serving.toolkit` writes the folder into a .pth file, which a plain interpreter reads."""
    written = toolkit.write_path_file(tmp_path)
    assert (written.parent, written.suffix, written.read_text()) == (tmp_path, ".pth", f"{toolkit.FOLDER}\n")


def test_packages_are_what_lies_in_the_folder() -> None:
    """The list of names is the list of folders."""
    assert sorted(toolkit.PACKAGES) == sorted(path.parent.name for path in toolkit.FOLDER.glob("*/__init__.py"))
