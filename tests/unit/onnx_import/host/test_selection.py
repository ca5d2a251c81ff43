"""Which elements: against numpy and by hand; `ops/test_selection.py` compares with ONNX's evaluator."""

from __future__ import annotations

import numpy as np
import pytest

from onnx_import.host import selection


def test_non_zero_of_a_scalar_has_no_rows() -> None:
    """A scalar has no index: no rows, and a column if it is not 0."""
    assert selection.non_zero(np.array(3.0))[0].shape == (0, 1)
    assert selection.non_zero(np.array(False))[0].shape == (0, 0)


def test_true_indices_end_with_the_axis() -> None:
    """A condition longer than its axis says nothing beyond it."""
    assert selection.true_indices(np.array([False, True, True]), limit=2)[0].tolist() == [1]


@pytest.mark.parametrize("axis", [None, 0, 1, 2])
@pytest.mark.parametrize("ordered", [0, 1])
@pytest.mark.parametrize("kind", ["float32", "int64", "object"])
def test_unique_is_consistent(axis: int | None, ordered: int, kind: str) -> None:
    """What is returned puts the input together again, with first places and counts that are true."""
    chance = np.random.RandomState(3)
    x = chance.randint(0, 2, (4, 3, 2))
    x = np.array(list("ab"), dtype=object)[x] if kind == "object" else x.astype(kind)
    picked, first, inverse, counts = selection.unique(x, axis=axis, sorted=ordered)
    flat, along = (x.ravel(), 0) if axis is None else (x, axis)
    assert np.array_equal(np.take(picked, inverse, axis=along), flat)
    assert np.array_equal(np.take(flat, first, axis=along), picked)
    assert counts.tolist() == np.bincount(inverse).tolist()
    assert all(np.flatnonzero(inverse == number)[0] == place for number, place in enumerate(first))
    rows = np.moveaxis(picked, along, 0).reshape(len(first), -1).tolist()
    assert rows == sorted(rows) if ordered else first.tolist() == sorted(first)


def test_unique_orders_unsigned_bits() -> None:
    """64 bits without a sign are carried as if they had one, and ordered as they have none."""
    bits = np.array([-1, 1, -1], dtype=np.int64)
    assert selection.unique(bits, axis=None, sorted=1, unsigned=True)[0].tolist() == [1, -1]
