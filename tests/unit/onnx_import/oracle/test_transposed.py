"""Transposed convolution: the transpose of the convolution of the same weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.unit.onnx_import.oracle.asking import ask

DRAW = np.random.default_rng(0)


@pytest.mark.parametrize(
    "given",
    [{}, {"strides": [2, 3]}, {"strides": [2, 2], "pads": [1, 0, 1, 2]}, {"dilations": [2, 1], "group": 2}],
    ids=["plain", "strides", "pads", "dilations-groups"],
)
def test_it_is_the_transpose_of_conv(given: dict[str, Any]) -> None:
    """<conv(a), b> = <a, conv_transpose(b)>, the definition of a transpose."""
    x, w = DRAW.standard_normal((1, 4, 5, 6)), DRAW.standard_normal((4, 3, 3, 2))
    y = ask("ConvTranspose", [x, w], 11, **given)
    a = DRAW.standard_normal(y.shape)
    assert (ask("Conv", [a, w], 11, **given) * x).sum() == pytest.approx((a * y).sum())


def test_output_padding_adds_at_the_end() -> None:
    """Zeros where no input reaches."""
    x, w = np.ones((1, 1, 2)), np.ones((1, 1, 1))
    assert ask("ConvTranspose", [x, w], 11, strides=[2], output_padding=[1]).ravel().tolist() == [1, 0, 1, 0]


@pytest.mark.parametrize(("auto_pad", "want"), [("SAME_UPPER", [1, 1, 1, 1]), ("SAME_LOWER", [1, 1, 1, 1])])
def test_same_padding_multiplies_the_size_by_the_stride(auto_pad: str, want: list[float]) -> None:
    """Two elements by stride two are four."""
    x, w = np.ones((1, 1, 2)), np.ones((1, 1, 2))
    assert ask("ConvTranspose", [x, w], 11, strides=[2], auto_pad=auto_pad).ravel().tolist() == want


def test_output_shape_decides_what_is_cut() -> None:
    """One element too many goes from the beginning unless SAME_UPPER."""
    x, w = np.array([[[1.0, 2.0]]]), np.ones((1, 1, 3))
    assert ask("ConvTranspose", [x, w], 11, output_shape=[3]).ravel().tolist() == [3, 3, 2]
    assert ask("ConvTranspose", [x, w], 11, output_shape=[3], auto_pad="SAME_UPPER").ravel().tolist() == [1, 3, 3]
