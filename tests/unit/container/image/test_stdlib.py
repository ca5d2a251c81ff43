"""Keeping of Python's library what a start imports."""

from __future__ import annotations

import importlib.util
from importlib.util import cache_from_source
from pathlib import Path

import pytest

from container.image import stdlib


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small library in the place of Python's, of which `ei_started` is imported by a start."""
    for name in ("ei_started.py", "ei_other.py", "test/support.py", "pydoc_data/topics.py", "pydoc_data/__init__.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x = 1\n")
    (tmp_path / "__pycache__").mkdir()
    Path(cache_from_source(str(tmp_path / "ei_other.py"))).write_bytes(b"old")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(stdlib, "LIBRARY", tmp_path)
    monkeypatch.setattr(stdlib, "STARTED", ("ei_started",))
    return tmp_path


def test_keeps_what_is_started(library: Path) -> None:
    """Compiled is what a start imports, without a time (PEP 552); sources stay, but for tests and help texts."""
    stdlib.main()
    compiled = list(library.rglob("*.pyc"))
    assert [path.name.partition(".")[0] for path in compiled] == ["ei_started"]
    assert int.from_bytes(compiled[0].read_bytes()[4:8], "little") == 0b01
    assert sorted(path.name for path in library.rglob("*.py")) == ["__init__.py", "ei_other.py", "ei_started.py"]


@pytest.mark.parametrize("name", stdlib.STARTED)
def test_names_are_real(name: str) -> None:
    """Every module that is named can be found in this Python."""
    if name != "sitecustomize":  # Debian's own
        assert importlib.util.find_spec(name.partition(".")[0]) is not None
