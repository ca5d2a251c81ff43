"""Promises of Col2Im and DeformConv: patches put back, and convolutions with wandering taps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onnx_import import backend
from onnx_import.errors import UnsupportedModel
from tests.unit.onnx_import.checking import check, check_refused, node_model


def _array(shape: tuple[int, ...], dtype: str = "float32", seed: int = 0) -> Any:
    return (np.random.default_rng(seed).standard_normal(shape) * 3).astype(dtype)


CASES = {
    "plain": ((5, 6), (2, 3), {}),
    "strides": ((5, 7), (1, 3), {"strides": [2, 2]}),
    "pads": ((5, 6), (3, 3), {"pads": [1, 0, 1, 2]}),
    "dilations": ((6, 7), (2, 2), {"dilations": [2, 3]}),
    "volume": ((3, 4, 5), (2, 2, 3), {"pads": [0, 1, 0, 1, 0, 1], "strides": [1, 2, 1]}),
}


@pytest.mark.parametrize("dtype", ["float32", "int64", "float16"])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_col2im_adds_what_overlaps(case: Any, dtype: str) -> None:
    """With strides, pads, dilations, and of volumes."""
    image, block, attributes = case
    rank = len(image)
    pads, steps, spread = (attributes.get(n, [1 - (n == "pads")] * 2 * rank) for n in ("pads", "strides", "dilations"))
    counts = [(image[i] + pads[i] + pads[i + rank] - (block[i] - 1) * spread[i] - 1) // steps[i] + 1 for i in range(rank)]
    x = _array((2, 2 * int(np.prod(block)), int(np.prod(counts))), dtype)
    check(
        "Col2Im",
        [x, np.array(image), np.array(block)],
        attributes,
        known=[1, 2],
        rtol=1e-2 if dtype == "float16" else 1e-5,
        atol=1e-2 if dtype == "float16" else 1e-5,
    )


def test_col2im_refuses_other_columns() -> None:
    """Too few for the image."""
    check_refused("Col2Im", [_array((1, 4, 3)), np.array([3, 3]), np.array([2, 2])])
    check_refused("Col2Im", [_array((1, 4, 3)), np.array([3, 3]), np.array([2])])


DEFORMED = {
    "plain": {},
    "pads": {"pads": [1, 0, 2, 1]},
    "strides and dilations": {"strides": [2, 1], "dilations": [1, 2], "pads": [1, 1, 1, 1]},
    "groups": {"group": 2},
    "offset groups": {"offset_group": 2},
}


@pytest.mark.parametrize("has_mask", [False, True], ids=["plain", "masked"])
@pytest.mark.parametrize("attributes", DEFORMED.values(), ids=DEFORMED)
def test_deform_conv_moves_its_taps(attributes: dict[str, Any], has_mask: bool) -> None:
    """Groups of channels and of offsets, masks, and a bias; taps beyond the border read zeros."""
    pads, steps, spread = (attributes.get(n, d) for n, d in (("pads", [0] * 4), ("strides", [1, 1]), ("dilations", [1, 1])))
    sizes = [(n + pads[i] + pads[i + 2] - 2 * spread[i] - 1) // steps[i] + 1 for i, n in enumerate((6, 7))]
    groups = attributes.get("offset_group", 1)
    inputs = [
        _array((2, 4, 6, 7)),
        _array((6 if "group" in attributes else 3, 4 // attributes.get("group", 1), 3, 3), seed=1),
        _array((2, groups * 18, *sizes), seed=2),
        _array((6 if "group" in attributes else 3,), seed=3),
    ]
    if has_mask:
        inputs.append(np.abs(_array((2, groups * 9, *sizes), seed=4)))
    check("DeformConv", inputs, attributes, rtol=1e-3, atol=1e-3)


def test_deform_conv_refuses_volumes() -> None:
    """MXNet has images alone."""
    inputs = [_array((1, 1, 3, 3, 3)), _array((1, 1, 1, 1, 1)), _array((1, 3, 3, 3, 3))]
    model = node_model("DeformConv", inputs, {}, opset=None, domain="", outputs=1)
    with pytest.raises(UnsupportedModel, match="3 spatial axes"):
        backend.prepare(model).run(inputs)
