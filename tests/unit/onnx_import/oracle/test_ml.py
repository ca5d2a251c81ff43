"""Operators of ONNX-ML that give dicts and words."""

from __future__ import annotations

import numpy as np

from tests.unit.onnx_import.oracle.asking import ask


def test_zip_map_names_each_score() -> None:
    """A dict a row."""
    got = ask("ZipMap", [np.array([[1, 2]], np.float32)], 1, domain="ai.onnx.ml", classlabels_strings=["a", "b"])
    assert got == [{"a": 1, "b": 2}]


def test_category_mapper_goes_both_ways() -> None:
    """Words to numbers and back, with defaults for strangers."""
    given = {
        "cats_int64s": [7, 8],
        "cats_strings": ["x", "y"],
        "default_int64": -1,
        "default_string": "?",
        "domain": "ai.onnx.ml",
    }
    assert ask("CategoryMapper", [np.array(["y", "z"], object)], 1, **given).tolist() == [8, -1]
    assert ask("CategoryMapper", [np.array([7, 9])], 1, **given).tolist() == ["x", "?"]
