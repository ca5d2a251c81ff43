"""The same bits as another type."""

from __future__ import annotations

import numpy as np
import pytest

from onnx_import import dtypes
from onnx_import.host.bits import bit_cast

PAIRS = [
    ("float32", "int32"),
    ("float32", "uint32"),
    ("float64", "uint64"),
    ("float16", "int16"),
    ("bfloat16", "uint16"),
    ("bfloat16", "float16"),
    ("float8_e5m2", "int8"),
    ("float4_e2m1fn", "uint4"),
]


@pytest.mark.parametrize(("source", "target"), PAIRS, ids=[f"{a}-{b}" for a, b in PAIRS])
def test_there_and_back(source: str, target: str) -> None:
    """Each way gives what a view of the true numbers gives, in the carrier dtype; both ways give the numbers again."""
    numbers = np.array([[0.5, -2, 6], [0, 1, -0.5]]).astype(dtypes.true_dtype(source))
    there = bit_cast(dtypes.carry(numbers), source=source, target=target)[0]
    assert there.dtype == dtypes.CARRIERS[target]
    true = dtypes.deliver(there, target)
    assert np.array_equal(true.view(np.uint8), numbers.view(dtypes.true_dtype(target)).view(np.uint8))
    back = bit_cast(there, source=target, target=source)[0]
    assert np.array_equal(back, dtypes.carry(numbers))
