"""The process that exports a file: what comes back from it, also where it fails."""

from __future__ import annotations

import subprocess
from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from onnx_import.frameworks import child
from onnx_import.frameworks.errors import ExportError
from onnx_import.frameworks.options import Options

TRUSTED = Options(is_trusted=True)


@pytest.fixture
def fitted(tmp_path: Path) -> Path:
    """A fitted estimator in joblib's file, as if an older release had written it."""
    path = tmp_path / "line.joblib"
    joblib.dump(LinearRegression().fit([[0.0], [1.0]], [1.0, 3.0]), path)
    return path


def test_a_file_is_exported_apart(fitted: Path) -> None:
    """The model comes back with the options heeded, in ONNX's words."""
    model = child.export_apart(fitted, "scikit-learn", Options(opset=13, is_trusted=True))
    assert {each.domain: each.version for each in model.opset_import}[""] <= 13
    assert [info.name for info in model.graph.input] == ["X"]


def test_notes_become_warnings(fitted: Path) -> None:
    """Another release's pickle is exported, and the user hears of it."""
    from sklearn import __version__

    state = fitted.read_bytes()
    fitted.write_bytes(state.replace(__version__.encode(), b"0" * len(__version__)))
    with pytest.warns(UserWarning, match="unpickle estimator LinearRegression from version 0+"):
        child.export_apart(fitted, "scikit-learn", TRUSTED)


def test_a_failure_is_one_error(tmp_path: Path) -> None:
    """What the child raises comes as one error with the file's name and the last word, without a traceback."""
    path = tmp_path / "broken.joblib"
    path.write_bytes(b"no pickle")
    with pytest.raises(ExportError) as error:
        child.export_apart(path, "Pickled", TRUSTED)
    assert str(error.value).startswith(f"Pickled cannot export {path}: ")
    assert "Traceback" not in str(error.value)
    joblib.dump(np.arange(3), path)
    with pytest.raises(ExportError, match=r"an object of numpy\.ndarray"):
        child.export_apart(path, "Pickled", TRUSTED)


@pytest.mark.parametrize(
    ("status", "errors", "text"),
    [
        (-11, "noise", "m: its process was ended by signal 11"),
        (1, "noise\nerror: two\nlines\n", "m: two\nlines"),
        (1, "error: at once", "m: at once"),
        (3, "only noise", "m: only noise"),
        (3, "", "m: exit 3"),
    ],
)
def test_the_last_word_is_found(status: int, errors: str, text: str) -> None:
    """A signal, the line that the child ended with, or, where it had no time for one, the end of its noise."""
    assert child._reason(subprocess.CompletedProcess([], status, "", errors), "m") == text


def test_exceptions_are_told_in_a_line() -> None:
    """An exporter's many lines become one, and not a long one."""
    assert child.told(ValueError("a\n  b")) == "ValueError: a b"
    assert len(child.told(ValueError("x" * 10_000))) == child.SHOWN
