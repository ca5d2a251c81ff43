"""pip as one file."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from container.image import zipapp_pip


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    """A folder with a wheel that calls itself pip and prints its arguments."""
    with zipfile.ZipFile(tmp_path / "pip-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("pip/__init__.py", "")
        wheel.writestr("pip/__main__.py", "import sys\nprint('pip', *sys.argv[1:])\n")
    return tmp_path


def test_runs(wheels: Path) -> None:
    """The file runs by itself and passes its arguments on."""
    target = wheels / "pip.pyz"
    zipapp_pip.main(str(wheels), str(target))
    assert target.read_bytes().startswith(f"#!{sys.executable}\n".encode())
    assert subprocess.run([target, "install", "x"], capture_output=True, text=True, check=True).stdout == "pip install x\n"


def test_same_bytes(wheels: Path) -> None:
    """The same wheel gives the same bytes, whenever it is made."""
    zipapp_pip.main(str(wheels), str(wheels / "a.pyz"))
    zipapp_pip.main(str(wheels), str(wheels / "b.pyz"))
    assert (wheels / "a.pyz").read_bytes() == (wheels / "b.pyz").read_bytes()
