"""MXNet's own exporter for what has no converter here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from onnx_import.errors import UnsupportedModel
from onnx_import.exporting import mx2onnx
from onnx_import.exporting.build import find
from tests.unit.onnx_import.exporting.exported import export_op, ops

PICTURE = {"x": (2, 3, 8, 8)}
BOXES = {"r": np.array([[0, 0, 0, 4, 4]], np.float32)}

CASES: dict[str, tuple[str, Callable[..., Any], dict[str, tuple[int, ...]], dict[str, Any]]] = {
    "bilinear": ("_contrib_BilinearResize2D", lambda s, x: s.contrib.BilinearResize2D(x, height=16, width=12), PICTURE, {}),
    "arange-like": ("_contrib_arange_like", lambda s, x: s.contrib.arange_like(x, axis=1), {"x": (4, 6)}, {}),
    "crop": ("Crop", lambda s, x, y: s.Crop(x, y), {"x": (2, 3, 8, 8), "y": (2, 3, 5, 5)}, {}),
    "self-attention": (
        "_contrib_interleaved_matmul_selfatt_qk",
        lambda s, x: s.contrib.interleaved_matmul_selfatt_qk(x, heads=2),
        {"x": (5, 2, 24)},
        {},
    ),
    "regions": (
        "ROIPooling",
        lambda s, x, r: s.ROIPooling(x, r, pooled_size=(2, 2), spatial_scale=1.0),
        {"x": (1, 3, 8, 8)},
        BOXES,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_its_operators_are_adopted_and_proved(case: str) -> None:
    """There is no converter of ours, and its answer is right."""
    op, build, inputs, params = CASES[case]
    assert find(op) is None
    assert mx2onnx.knows(op)
    assert export_op(build, inputs, params)[1][0].ok


def test_the_same_operator_twice_takes_names_that_are_free() -> None:
    """Its constants are named after their node."""

    def build(s: Any, x: Any) -> Any:
        return s.contrib.BilinearResize2D(s.contrib.BilinearResize2D(x, height=4, width=4), height=6, width=6)

    assert ops(export_op(build, PICTURE)[0]).count("Resize") == 2


def test_what_it_refuses_is_said_in_our_error() -> None:
    """Node, operator, and its own words."""
    with pytest.raises(UnsupportedModel, match=r"(?s)_contrib_BilinearResize2D .*mx2onnx fails on it"):
        export_op(lambda s, x, y: s.contrib.BilinearResize2D(x, y, mode="like"), {**PICTURE, "y": (2, 3, 4, 4)})


def test_what_nobody_knows_is_listed_at_once() -> None:
    """Every such node of a symbol in one error."""
    with pytest.raises(UnsupportedModel) as caught:
        export_op(lambda s, x: s.gamma(s.cbrt(x)), {"x": (4, 6)})
    assert {problem.op for problem in caught.value.problems} == {"gamma", "cbrt"}
