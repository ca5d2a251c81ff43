"""An MXNet model directory as an artifact for an accelerator: what is sent, and that nothing is before it is needed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from serving.accelerators import artifact
from serving.backends import attached
from serving.errors import ServingError
from serving.models import layout
from serving.settings import read
from tests.integration.accelerators import models


def test_a_directory_is_sent_by_its_files(tmp_path: Path) -> None:
    """Symbol, parameters and shapes go under the repository's names; without an accelerator a pass says that there is none."""
    made = models.dense()
    (tmp_path / "model-symbol.json").write_bytes(made.files[artifact.SYMBOL])  # type: ignore[arg-type]
    (tmp_path / "model-0000.params").write_bytes(made.files[artifact.PARAMS])  # type: ignore[arg-type]
    (tmp_path / "model-shapes.json").write_text(json.dumps([{"name": "data", "shape": [1, models.WIDTH]}]))
    model = attached.load(layout.detect(tmp_path), read((), {"EI_DEVICE": "eia:0"}))
    assert sorted(model.artifact.files) == sorted([artifact.SYMBOL, artifact.PARAMS, artifact.SHAPES])
    assert [tensor.name for tensor in model.signature.inputs] == ["data"]
    with pytest.raises(ServingError, match="Failed to detect any accelerator"):
        _ = model.accelerator
