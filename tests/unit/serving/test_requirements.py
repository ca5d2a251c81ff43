"""A user's requirements: installed by the real pip from wheels made here, beside the server's packages and never over them."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from serving.errors import ModelError
from serving.requirements import install
from serving.settings import Settings


def wheel(folder: Path, name: str, version: str = "1.0", *needs: str) -> None:
    """A wheel of one module that knows its version."""
    folder.mkdir(exist_ok=True)
    info = f"{name}-{version}.dist-info"
    requires = "".join(f"Requires-Dist: {need}\n" for need in needs)
    files = {
        f"{name}.py": f"VERSION = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{requires}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in files) + f"{info}/RECORD,,\n"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)


@pytest.fixture
def code(tmp_path: Path) -> Iterator[Path]:
    """A model's code folder; what a test puts on the import path is taken off again."""
    (tmp_path / "code").mkdir()
    before = list(sys.path)
    yield tmp_path / "code"
    sys.path[:] = before


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings that install below the test's own folder."""
    return Settings(site=tmp_path / "site")


def imported(module: str, folder: Path) -> str:
    """The version of a module, as an interpreter sees it with this folder first on its path."""
    run = [sys.executable, "-c", f"import {module}; print({module}.VERSION)"]
    return subprocess.run(
        run, env={**os.environ, "PYTHONPATH": str(folder)}, capture_output=True, text=True, check=True
    ).stdout.strip()


def test_from_the_models_own_wheels(code: Path, settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    """Wheels in code/wheelhouse are installed with what they need, without an index, first on the path, and once."""
    wheel(code / "wheelhouse", "ei_test_user", "1.0", "ei_test_needed>=2", "numpy")
    wheel(code / "wheelhouse", "ei_test_needed", "2.1")
    (code / "requirements.txt").write_text("# the user's\nei_test_user==1.0\nnumpy\n")
    with caplog.at_level("INFO", "ei.start"):
        folder = install(code, settings)
    assert folder is not None
    assert sys.path[0] == str(folder)
    assert (imported("ei_test_user", folder), imported("ei_test_needed", folder)) == ("1.0", "2.1")
    assert "ei_test_needed 2.1, ei_test_user 1.0" in caplog.text
    assert not (folder / "numpy").exists()
    (code / "wheelhouse/ei_test_user-1.0-py3-none-any.whl").unlink()
    with caplog.at_level("INFO", "ei.start"):
        assert install(code, settings) == folder
    assert "is installed already" in caplog.text


def test_from_the_settings_wheelhouse(code: Path, settings: Settings, tmp_path: Path) -> None:
    """EI_WHEELHOUSE names a folder outside of the model, and wins; a changed file is a new installation."""
    wheel(tmp_path / "wheels", "ei_test_user")
    (code / "requirements.txt").write_text("ei_test_user\n")
    outside = Settings(site=settings.site, wheelhouse=str(tmp_path / "wheels"))
    first = install(code, outside)
    wheel(tmp_path / "wheels", "ei_test_user", "2.0")
    (code / "requirements.txt").write_text("ei_test_user>=2\n")
    second = install(code, outside)
    assert first is not None
    assert second is not None
    assert (imported("ei_test_user", first), imported("ei_test_user", second)) == ("1.0", "2.0")


def test_code_lib_wins(code: Path, settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    """With code/lib nothing is installed, even where the requirements could not be."""
    (code / "lib").mkdir()
    (code / "requirements.txt").write_text("no-such-package-anywhere==9\n")
    with caplog.at_level("INFO", "ei.start"):
        assert install(code, settings) == code / "lib"
    assert sys.path[0] == str(code / "lib")
    assert "requirements.txt is not installed" in caplog.text
    assert not settings.site.exists()


@pytest.mark.parametrize("text", [None, "", "\n  # numpy\n\n"], ids=["no file", "empty", "comments"])
def test_nothing_to_install(code: Path, settings: Settings, text: str | None) -> None:
    """Without requirements nothing is run and nothing is written."""
    if text is not None:
        (code / "requirements.txt").write_text(text)
    assert install(code, settings) is None
    assert install(None, settings) is None
    assert not settings.site.exists()


def test_met_by_the_server(code: Path, settings: Settings) -> None:
    """What the server has already needs neither an index nor wheels."""
    (code / "wheelhouse").mkdir()
    (code / "requirements.txt").write_text(f"numpy>={np.__version__}\n")
    folder = install(code, settings)
    assert folder is not None
    assert not folder.exists() or not list(folder.iterdir())


def refused(code: Path, settings: Settings, text: str) -> str:
    """The message of an installation that fails, held to its form: one line of remedy, at most five of pip's."""
    (code / "requirements.txt").write_text(text)
    with pytest.raises(ModelError) as raised:
        install(code, settings)
    message = str(raised.value)
    first, *quoted = message.splitlines()
    assert first.startswith(f"{code / 'requirements.txt'} cannot be installed: ")
    assert len(quoted) <= 5
    assert all(line.startswith("  pip: ") for line in quoted)
    assert not settings.site.exists() or not list(settings.site.iterdir())
    return message


def test_server_package_is_not_replaced(code: Path, settings: Settings) -> None:
    """A requirement that would put another numpy under the server is refused, and the pin that stands is named."""
    wheel(code / "wheelhouse", "numpy", "9.9")
    message = refused(code, settings, "numpy==9.9\n")
    assert f"it clashes with what the server itself runs on, numpy=={np.__version__}" in message


def test_package_that_is_not_there(code: Path, settings: Settings) -> None:
    """A wheelhouse without the package is said to lack it, for this Python."""
    (code / "wheelhouse").mkdir()
    message = refused(code, settings, "ei_test_absent\n")
    assert f"the wheelhouse has no package that fits this Python (3.{sys.version_info.minor}" in message
    assert "ei_test_absent" in message


def test_line_that_is_no_requirement(code: Path, settings: Settings) -> None:
    """A line that pip cannot parse is called that, and quoted."""
    (code / "wheelhouse").mkdir()
    message = refused(code, settings, "this is not a requirement !!\n")
    assert "a line of it is no requirement" in message
    assert "not a requirement !!" in message


def test_no_network(code: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an index to reach the message says so, and where packages can be put instead."""
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    message = refused(code, settings, "ei_test_absent\n")
    assert "no package index can be reached; put the packages into code/lib" in message


def test_folder_that_cannot_be_written(code: Path, tmp_path: Path) -> None:
    """A site folder on a read-only root is named, with the three ways out, and pip is not even run."""
    (tmp_path / "file").write_text("x")
    (code / "requirements.txt").write_text("ei_test_user\n")
    with pytest.raises(ModelError) as raised:
        install(code, Settings(site=tmp_path / "file"))
    message = str(raised.value)
    assert "mount a writable folder there (--tmpfs /tmp), name another by EI_SITE, or put the packages into code/lib" in message


def test_wheelhouse_that_is_missing(code: Path, tmp_path: Path) -> None:
    """A wheelhouse setting that names nothing is not silently an index."""
    (code / "requirements.txt").write_text("ei_test_user\n")
    with pytest.raises(ModelError, match="EI_WHEELHOUSE=.*none: there is no such folder"):
        install(code, Settings(site=tmp_path / "site", wheelhouse=str(tmp_path / "none")))


def test_requirements_that_are_no_text(code: Path, settings: Settings) -> None:
    """A file in another encoding is told so, not installed by halves."""
    (code / "requirements.txt").write_bytes("numpy\n".encode("utf-16"))
    with pytest.raises(ModelError, match="cannot be read: .*in UTF-8"):
        install(code, settings)


def test_time_limit(code: Path, tmp_path: Path) -> None:
    """An installation that outlasts the start's time limit ends, and the message names the limit."""
    wheel(code / "wheelhouse", "ei_test_user")
    (code / "requirements.txt").write_text("ei_test_user\n")
    with pytest.raises(ModelError, match=r"not installed within 0.01 s \(SAGEMAKER_STARTUP_TIMEOUT\)"):
        install(code, Settings(site=tmp_path / "site", startup_timeout=0.01))


def test_pip_as_a_zipapp(code: Path, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the interpreter has no pip module the zipapp is run; without either the message says where packages can go."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    (code / "requirements.txt").write_text("ei_test_user\n")
    (code / "wheelhouse").mkdir()
    with pytest.raises(ModelError, match="there is no pip here; put the packages into code/lib"):
        install(code, settings)
    tool, seen = tmp_path / "pip.pyz", tmp_path / "seen.json"
    with zipfile.ZipFile(tool, "w") as archive:
        archive.writestr("__main__.py", f"import json, sys; json.dump(sys.argv[1:], open({str(seen)!r}, 'w'))")
    install(code, settings, str(tool))
    asked = json.loads(seen.read_text())
    assert asked[0] == "install"
    assert {"--no-index", "--prefix", "--constraint", "--requirement"} <= set(asked)
