"""Convolutions in another form give what the plain form gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.unit.onnx_import.checking import check

CASES = {
    "one filter over sound": ((1, 1, 1, 8000), (1, 1, 1, 256), {"strides": [1, 2]}),
    "one filter, a stride that leaves a rest": ((2, 1, 1, 9001), (1, 1, 1, 150), {"strides": [1, 3], "pads": [0, 7, 0, 7]}),
    "few filters, wide": ((1, 4, 40, 90), (3, 4, 3, 39), {"pads": [1, 19, 1, 19]}),
    "one filter in a plane": ((2, 8, 50, 70), (1, 8, 5, 5), {"pads": [2, 2, 2, 2]}),
    "a column": ((2, 32, 300, 1), (40, 32, 5, 1), {"pads": [2, 0, 2, 0]}),
    "many filters": ((1, 16, 40, 40), (32, 16, 3, 3), {}),
}


@pytest.mark.parametrize("with_bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize("name", CASES)
def test_convolution(name: str, with_bias: bool) -> None:
    """Each of the forms that a convolution may take agrees with ONNX's evaluator."""
    shape, kernel, attributes = CASES[name]
    draw = np.random.default_rng(1)
    inputs: list[Any] = [draw.standard_normal(shape).astype(np.float32), draw.standard_normal(kernel).astype(np.float32)]
    if with_bias:
        inputs.append(draw.standard_normal(kernel[0]).astype(np.float32))
    check("Conv", inputs, attributes, known=tuple(range(1, len(inputs))), rtol=1e-4, atol=1e-3)
