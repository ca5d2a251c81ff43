"""Turned weights: made once as long as they are held, and never another array's."""

from __future__ import annotations

import gc
from typing import Any

import numpy as np

from onnx_import import nd
from onnx_import.nd import turned as module
from onnx_import.nd.turned import turned


def large(seed: int = 0) -> Any:
    """An array that is worth remembering."""
    return np.random.default_rng(seed).standard_normal((128, 4, 64)).astype(np.float32)


def test_what_somebody_holds_is_not_made_again() -> None:
    """Each order for itself; small ones are not remembered."""
    array, small = large(), np.ones((2, 3))
    first = turned(array, [2, 0, 1])
    np.testing.assert_array_equal(first, array.transpose(2, 0, 1))
    assert first.flags.c_contiguous
    assert turned(array, [2, 0, 1]) is first
    assert turned(array, [1, 0, 2]).shape == (4, 128, 64)
    assert turned(small, [1, 0]) is not turned(small, [1, 0])


def test_what_nobody_holds_is_gone() -> None:
    """The memory of a program ends with it, and an id that is used again finds nothing old."""
    before = len(module._made)
    array = large()
    held = turned(array, [2, 0, 1])
    for seed in range(1, 20):
        array = large(seed)
        np.testing.assert_array_equal(turned(array, [2, 0, 1]), array.transpose(2, 0, 1))
    del held
    gc.collect()
    assert len(module._made) <= before


def test_transposed_weights_are_the_same_array() -> None:
    """As traces ask for them."""
    weight = nd.constant(large())
    assert nd.transpose(weight, [2, 0, 1]).data is turned(weight.data, [2, 0, 1])
