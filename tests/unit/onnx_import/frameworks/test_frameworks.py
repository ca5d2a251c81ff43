"""`export`: what it takes, and what it refuses before anything runs."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from onnx_import import frameworks
from onnx_import.frameworks.errors import ExportError, UnknownSource, UntrustedSource
from onnx_import.oracle import answers


def test_an_object_is_exported_in_this_process() -> None:
    """A fitted estimator at hand becomes a model that answers as it does."""
    x = np.arange(12, dtype=np.float32).reshape(6, 2)
    estimator = LinearRegression().fit(x, x @ [2, -1] + 3)
    (found,) = answers(frameworks.export(estimator), {"X": x})
    np.testing.assert_allclose(found[:, 0], x @ [2, -1] + 3, rtol=1e-4)


def test_what_an_exporter_raises_is_explained() -> None:
    """An estimator that cannot be exported is one error that names the framework, whatever its exporter raised."""
    with pytest.raises(ExportError, match=r"^this LinearRegression has not been fitted$"):
        frameworks.export(LinearRegression())
    fitted = LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0])
    with pytest.raises(ExportError, match=r"^scikit-learn cannot export this model: .*1000"):
        frameworks.export(fitted, opset=1000)


@pytest.mark.parametrize("name", ["m.xyz", "folder"])
def test_an_unknown_source_lists_the_known(tmp_path: Path, name: str) -> None:
    """What nobody here writes is refused with a list of what would work."""
    path = tmp_path / name
    path.mkdir() if name == "folder" else path.touch()
    with pytest.raises(UnknownSource, match="SavedModel.*Keras.*PyTorch.*scikit-learn"):
        frameworks.export(path)
    with pytest.raises(UnknownSource, match=r"an object of builtins\.dict"):
        frameworks.export({})
    with pytest.raises(ExportError, match="does not exist"):
        frameworks.export(tmp_path / "absent.keras")


def test_files_without_a_graph_come_with_the_way_to_one(tmp_path: Path) -> None:
    """PyTorch's pickles are foreign, and are refused with the call that writes what can be exported."""
    path = tmp_path / "net.pth"
    path.write_bytes(pickle.dumps({}))
    assert frameworks.is_foreign(path)
    with pytest.raises(ExportError, match=r"net\.pth cannot be exported here: .*torch\.export\.save"):
        frameworks.export(path)


def test_a_pickle_runs_only_where_it_is_trusted(tmp_path: Path) -> None:
    """Without `trust` nothing of a pickle is run, and the error says what it is and how to allow it; with it, its code runs."""
    path, trace = tmp_path / "m.pkl", tmp_path / "ran"
    path.write_bytes(pickle.dumps(Touching(trace)))
    with pytest.raises(UntrustedSource, match="m.pkl is a pickle.*\nIf you trust.*--trust"):
        frameworks.export(path)
    assert not trace.exists()
    with pytest.raises(ExportError, match="pathlib"):
        frameworks.export(path, trust=True)
    assert trace.exists()


class Touching:
    """Unpickled, it makes a file, and is a path."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        """Run code on loading, as a hostile pickle does."""
        return eval, (f"(open({str(self.path)!r}, 'w').close(), __import__('pathlib').Path())[1]",)
