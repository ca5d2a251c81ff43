"""Making an installed tree small, on real shared libraries and modules."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import cache_from_source, find_spec
from pathlib import Path

import pytest

from container.image import slim

LOADS = "import importlib.util as u, sys; s = u.spec_from_file_location(sys.argv[2], sys.argv[1]); m = u.module_from_spec(s)"


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """A copy of a compiled module that carries symbols."""
    spec = find_spec("csimdjson")
    assert spec is not None
    assert spec.origin is not None
    copy = tmp_path / Path(spec.origin).name
    copy.write_bytes(Path(spec.origin).read_bytes())
    return copy


def test_cut_library_loads(library: Path) -> None:
    """A library loses most of its bytes and still loads and works, since nothing of what is mapped moved."""
    before = library.read_bytes()
    slim.cut_symbols(library)
    after = library.read_bytes()
    assert len(after) < len(before) / 2
    assert after[64:] == before[64 : len(after)]
    subprocess.run([sys.executable, "-c", LOADS, str(library), "csimdjson"], check=True)


def test_cutting_twice_changes_nothing(library: Path) -> None:
    """A library that was cut stays as it is."""
    slim.cut_symbols(library)
    once = library.read_bytes()
    slim.cut_symbols(library)
    assert library.read_bytes() == once


@pytest.mark.parametrize("data", [b"\x7fELF\x01\x01" + bytes(80), b"!<arch>\n" + bytes(80)], ids=["32 bits", "an archive"])
def test_what_is_no_library(tmp_path: Path, data: bytes) -> None:
    """A file of another kind is refused, not cut."""
    file = tmp_path / "x.so"
    file.write_bytes(data)
    with pytest.raises(ValueError, match="no 64-bit"):
        slim.cut_symbols(file)
    assert file.read_bytes() == data


def test_strip(tmp_path: Path) -> None:
    """Sources of compiled code, headers, stubs and tests go; modules, and data of other kinds, stay."""
    kept = ("a/__init__.py", "a/testing/tool.py", "a/data.json", "mxnet/libmxnet.so", "tensorflow/python/x.so")
    gone = (
        "a/x.pyx",
        "a/x.h",
        "a/stub.pyi",
        "a/tests/test_x.py",
        "a/__pycache__/x.pyc",
        "mxnet/include/c_api.hpp",
        "numpy/f2py/x.py",
        "tensorflow/include/absl/x.inc",
    )
    for name in (*kept, *gone):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    slim.strip(tmp_path)
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()) == sorted(kept)


def test_compiled_without_a_time(tmp_path: Path) -> None:
    """Compiled modules are used without a look at the source, and hold no time of the build (PEP 552)."""
    (tmp_path / "module.py").write_text("x = 1\n")
    slim.compile_all(tmp_path)
    flags = Path(cache_from_source(str(tmp_path / "module.py"))).read_bytes()[4:8]
    assert int.from_bytes(flags, "little") == 0b01


def test_broken_source_fails_the_build(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A module that does not compile ends the build."""
    (tmp_path / "module.py").write_text("def f(:\n")
    with pytest.raises(SystemExit, match="does not compile"):
        slim.compile_all(tmp_path)


@pytest.mark.parametrize("framework", slim.FRAMEWORKS)
def test_names_are_real(framework: str) -> None:
    """Every package that a start is said to import can be found."""
    for name in (*slim.STARTED, *slim.FRAMEWORKS[framework]):
        assert find_spec(name.partition(".")[0]) is not None, name


def test_compiles_what_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a folder those modules are compiled that the framework's start imports."""
    for name in ("ei_imported.py", "ei_left.py"):
        (tmp_path / name).write_text("x = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(slim, "STARTED", ())
    monkeypatch.setattr(slim, "REMOVED_FROM_NUMPY", ())
    monkeypatch.setitem(slim.FRAMEWORKS, "mine", ("ei_imported",))
    slim.main("imported", str(tmp_path), "mine")
    assert [path.name.partition(".")[0] for path in tmp_path.rglob("*.pyc")] == ["ei_imported"]
