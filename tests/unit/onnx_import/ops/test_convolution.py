"""Convolutions against ONNX's evaluator, mended where it is wrong."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from onnx_import import backend
from onnx_import.errors import UnsupportedModel
from tests.unit.onnx_import.checking import check, node_model
from tests.unit.onnx_import.oracle.asking import ask

CASES: dict[str, tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = {
    "plain": ((2, 3, 8, 9), (4, 3, 3, 3), {}),
    "padded alike": ((1, 3, 8, 8), (4, 3, 3, 3), {"pads": [1, 1, 1, 1]}),
    "padded at one end": ((1, 2, 7, 7), (3, 2, 3, 3), {"pads": [0, 1, 2, 0], "strides": [2, 1]}),
    "same, upper": ((1, 2, 7, 8), (3, 2, 3, 2), {"auto_pad": "SAME_UPPER", "strides": [2, 2]}),
    "same, lower": ((1, 2, 7, 8), (3, 2, 2, 4), {"auto_pad": "SAME_LOWER", "strides": [3, 1]}),
    "valid": ((1, 2, 7, 8), (3, 2, 3, 3), {"auto_pad": "VALID"}),
    "dilated": ((1, 2, 12, 12), (3, 2, 3, 3), {"dilations": [2, 3], "pads": [2, 3, 2, 3]}),
    "groups": ((2, 6, 6, 6), (4, 3, 3, 3), {"group": 2}),
    "one filter a channel": ((2, 5, 6, 6), (5, 1, 3, 3), {"group": 5, "pads": [1, 1, 1, 1]}),
    "two filters a channel": ((1, 3, 6, 6), (6, 1, 3, 3), {"group": 3}),
    "one axis": ((2, 3, 20), (4, 3, 5), {"pads": [2, 1], "strides": [2]}),
    "three axes": ((1, 2, 5, 6, 7), (3, 2, 2, 3, 3), {"pads": [1, 1, 0, 0, 1, 1], "strides": [1, 2, 1]}),
    "no rows": ((0, 3, 8, 8), (4, 3, 3, 3), {}),
    "no channels": ((2, 0, 8, 8), (4, 0, 3, 3), {}),
}


def numbers(shape: tuple[int, ...], dtype: str = "float32", seed: int = 0) -> Any:
    """Some of the given shape."""
    return np.random.RandomState(seed).standard_normal(shape).astype(dtype)


@pytest.mark.parametrize("with_bias", [False, True], ids=["no bias", "bias"])
@pytest.mark.parametrize("case", CASES)
def test_conv(case: str, with_bias: bool) -> None:
    """Every padding, stride, dilation and group."""
    shape, weight, attributes = CASES[case]
    inputs = [numbers(shape), numbers(weight, seed=1)] + [numbers(weight[:1], seed=2)] * with_bias
    want = oracle_conv(*inputs, **attributes) if "no" in case.split() else None
    check("Conv", inputs, attributes, want=want, rtol=1e-4, atol=1e-4)


def oracle_conv(x: Any, weight: Any, bias: Any = None, **_: Any) -> list[Any]:
    """What nothing convolved gives: the bias."""
    shape = (x.shape[0], weight.shape[0], *(n - k + 1 for n, k in zip(x.shape[2:], weight.shape[2:], strict=True)))
    return [np.zeros(shape, np.float32) + (0 if bias is None else bias.reshape(-1, 1, 1))]


@pytest.mark.parametrize("strides", [[1, 1], [2, 3]], ids=str)
def test_conv_with_negative_pads(strides: list[int]) -> None:
    """Rows and columns are cut off."""
    x, weight = numbers((1, 2, 9, 9)), numbers((3, 2, 3, 3), seed=1)
    want = ask("Conv", [x[:, :, 1:-2], weight], 22, strides=strides, pads=[0, 0, 0, 1])
    check("Conv", [x, weight], {"pads": [-1, 0, -2, 1], "strides": strides}, want=[want], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-10), ("float16", 5e-3)])
@pytest.mark.parametrize("case", ["padded at one end", "groups", "one axis", "three axes"])
def test_conv_in_other_types(case: str, dtype: str, tolerance: float) -> None:
    """float64 as it is, float16 by float32."""
    shape, weight, attributes = CASES[case]
    check("Conv", [numbers(shape, dtype), numbers(weight, dtype, 1)], attributes, rtol=tolerance, atol=tolerance * 10)


def test_conv_over_four_axes_is_refused() -> None:
    """MXNet's convolutions have three spatial axes at most."""
    model = node_model("Conv", [numbers((1, 1, 3, 3, 3, 3)), numbers((1, 1, 2, 2, 2, 2))], {}, opset=None, domain="", outputs=1)
    with pytest.raises(UnsupportedModel, match="one to three"):
        backend.prepare(model).run([numbers((1, 1, 3, 3, 3, 3)), numbers((1, 1, 2, 2, 2, 2))])


TRANSPOSED: dict[str, tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = {
    "plain": ((2, 3, 4, 5), (3, 4, 3, 3), {}),
    "strides and pads": ((1, 3, 4, 5), (3, 2, 4, 4), {"strides": [2, 2], "pads": [1, 1, 1, 1]}),
    "uneven pads": ((1, 3, 4, 5), (3, 2, 3, 3), {"strides": [2, 3], "pads": [0, 1, 1, 2]}),
    "output padding": ((1, 3, 4, 5), (3, 2, 3, 3), {"strides": [2, 2], "output_padding": [1, 1], "pads": [1, 1, 1, 1]}),
    "output shape": ((1, 3, 4, 5), (3, 2, 3, 3), {"strides": [3, 2], "output_shape": [11, 12]}),
    "same": ((1, 3, 4, 5), (3, 2, 3, 3), {"strides": [2, 2], "auto_pad": "SAME_UPPER"}),
    "groups": ((1, 4, 4, 5), (4, 3, 3, 3), {"group": 2, "strides": [2, 1]}),
    "dilated": ((1, 4, 4, 5), (4, 3, 3, 2), {"group": 2, "dilations": [2, 3], "strides": [2, 2], "pads": [1, 0, 0, 1]}),
    "one axis": ((2, 3, 7), (3, 2, 4), {"strides": [2], "pads": [1, 0]}),
    "three axes": ((1, 2, 3, 4, 3), (2, 3, 2, 3, 2), {"strides": [2, 1, 2]}),
}


@pytest.mark.parametrize(("case", "dtype"), list(itertools.product(TRANSPOSED, ["float32", "float64"])))
def test_conv_transpose(case: str, dtype: str) -> None:
    """Every padding, stride, dilation and group; three axes of float64 go by a convolution over holes."""
    shape, weight, attributes = TRANSPOSED[case]
    filters = weight[1] * attributes.get("group", 1)
    inputs = [numbers(shape, dtype), numbers(weight, dtype, 1), numbers((filters,), dtype, 2)]
    want = [ask("ConvTranspose", inputs, 22, **attributes)]
    check("ConvTranspose", inputs, attributes, want=want, rtol=1e-4, atol=1e-4)
