"""Keras files, SavedModels and TensorFlow Lite's files to served models that answer as TensorFlow does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onnx_import import frameworks
from onnx_import.frameworks.errors import ExportError

pytestmark = pytest.mark.slow
Served = Callable[..., dict[str, Any]]


@pytest.mark.parametrize(
    ("name", "output", "answer"),
    [
        ("digits.keras", "digit", "digits"),
        ("digits.h5", "digit", "digits"),
        ("versions", "output_0", "digits"),
        ("digits.tflite", "output_0", "lite"),
        ("rows.keras", "digit", "rows"),
        ("block.keras", "digit", "block"),
    ],
)
def test_trained_on_digits(served: Served, keras_dir: Path, name: str, output: str, answer: str) -> None:
    """The served model has the names of the file's own inputs and outputs, and TensorFlow's answers to digits held out."""
    said = np.load(keras_dir / "answers.npz")
    outputs = served(keras_dir / name, {"image": said["images"]})
    assert outputs.keys() == {output}
    np.testing.assert_allclose(outputs[output], said[answer], rtol=1e-4, atol=1e-5)


def test_quantised(served: Served, keras_dir: Path) -> None:
    """A TensorFlow Lite model of int8 weights and activations stays one: at most a step of its output's scale away."""
    said = np.load(keras_dir / "answers.npz")
    outputs = served(keras_dir / "small.tflite", {"image": said["images"]})
    off = np.abs(outputs["output_0"] - said["small"])
    assert (off > 1e-6).mean() < 0.02
    assert off.max() <= 2 / 256


def test_a_broken_file_is_one_error(keras_dir: Path, tmp_path: Path) -> None:
    """A file cut in the middle is one error that names it, whatever Keras raised."""
    broken = tmp_path / "broken.keras"
    broken.write_bytes((keras_dir / "digits.keras").read_bytes()[:1000])
    with pytest.raises(ExportError, match="Keras cannot export .*broken.keras: "):
        frameworks.export(broken)
