"""The run of `onnx_models.py`: which models it finds, what it makes of their times, and that an engine answers."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import onnx_models
from benchmarks.harness import BenchmarkError
from benchmarks.onnx_models import Engine, Model


def model(name: str, ours: list[float], theirs: list[float]) -> Model:
    """A measured model."""
    return Model(name, Path("model.onnx"), Path("case.npz"), {"ours": ours, "onnxruntime": theirs})


def test_ratio_of_medians() -> None:
    """One slow round changes nothing."""
    assert model("a", [1.0, 2.0, 90.0], [4.0, 4.0, 4.0]).ratio == 2


def test_geometric_mean() -> None:
    """Twice as fast and half as fast are level."""
    models = [model("a", [1.0], [2.0]), model("b", [2.0], [1.0])]
    assert onnx_models.mean(models) == pytest.approx(1)
    assert "| geometric mean |  |  | 1.00 |" in onnx_models.render(models)


def test_models_without_a_file_are_left_out(tmp_path: Path) -> None:
    """A model whose licence keeps its file away is measured where it was put beside."""
    index = [{"name": name, "model": None, "cases": [{"file": "case_0.npz"}]} for name in ("here", "absent")]
    (tmp_path / "models.json").write_text(json.dumps({"models": index}))
    extra = tmp_path / "extra"
    extra.mkdir()
    (extra / "here.onnx").write_bytes(b"")
    assert [found.name for found in onnx_models.found(tmp_path, extra)] == ["here"]


def test_a_folder_without_an_index_is_told(tmp_path: Path) -> None:
    """One line says what is missing."""
    with pytest.raises(BenchmarkError, match="no index"):
        onnx_models.found(tmp_path, None)


def test_an_engine_that_fails_says_why(tmp_path: Path) -> None:
    """A model that is none ends with the engine's own words."""
    np.savez(tmp_path / "inputs.npz", x=np.zeros(1))
    engine = Engine("ours", sys.executable)
    try:
        with pytest.raises(BenchmarkError, match="ours failed"):
            engine.ask(load="a", model=str(tmp_path / "none"), inputs=str(tmp_path / "inputs.npz"))
    finally:
        engine.close()
