"""Slices, rows by number, sorting."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from onnx_import.errors import UnsupportedModel
from tests.unit.onnx_import.exporting.exported import export_op

ROWS = {"x": (4, 6)}

CASES: dict[str, tuple[Callable[..., Any], dict[str, tuple[int, ...]], dict[str, Any]]] = {
    "slice-backwards": (lambda s, x: s.slice(x, begin=(None, 5), end=(None, None), step=(None, -2)), ROWS, {}),
    "slice": (lambda s, x: s.slice(x, begin=(0, 1), end=(None, 4)), ROWS, {}),
    "slice-axis": (lambda s, x: s.slice_axis(x, axis=1, begin=1, end=None), ROWS, {}),
    "slice-axis-from-the-end": (lambda s, x: s.slice_axis(x, axis=-1, begin=-3, end=-1), ROWS, {}),
    "slice-like": (lambda s, x, y: s.slice_like(x, y, axes=(1,)), {"x": (4, 6), "y": (4, 3)}, {}),
    "reverse": (lambda s, x: s.reverse(x, axis=(1,)), ROWS, {}),
    "take": (lambda s, x, w: s.take(w, x), {"x": (2, 3)}, {"w": (5, 4)}),
    "take-around": (lambda s, x, w: s.take(w, x, mode="wrap", axis=1), {"x": (2, 3)}, {"w": (5, 4)}),
    "embedding": (lambda s, x, w: s.Embedding(x, w, input_dim=5, output_dim=4), {"x": (2, 3)}, {"w": (5, 4)}),
    "pick": (lambda s, x, y: s.pick(x, y, axis=1), {"x": (4, 6), "y": (4,)}, {}),
    "pick-keeping-the-axis": (lambda s, x, y: s.pick(x, y, axis=1, keepdims=True), {"x": (4, 6), "y": (4,)}, {}),
    "one-hot": (lambda s, x: s.one_hot(x, depth=4), {"x": (2, 3)}, {}),
    "topk-both": (lambda s, x: s.Group(list(s.topk(x, k=2, ret_typ="both", axis=1))), ROWS, {}),
    "topk-indices": (lambda s, x: s.topk(x, k=2, is_ascend=True), ROWS, {}),
    "topk-values": (lambda s, x: s.topk(x, k=2, ret_typ="value"), ROWS, {}),
    "sort": (lambda s, x: s.sort(x, axis=1), ROWS, {}),
    "argsort": (lambda s, x: s.argsort(x, axis=1, is_ascend=False), ROWS, {}),
    "time-backwards": (lambda s, x: s.SequenceReverse(x), {"x": (2, 3, 4)}, {}),
}


@pytest.mark.parametrize("case", CASES)
def test_indexing(case: str) -> None:
    """Proved at two batches."""
    build, inputs, params = CASES[case]
    assert len({each.case for each in export_op(build, inputs, params)[1]}) == 2


def test_indices_beyond_the_ends_go_where_mxnet_sends_them() -> None:
    """To the ends by default."""
    feeds = {"x": np.array([[-3, 0, 9]], np.float32)}
    assert export_op(lambda s, x, w: s.take(w, x), {"x": (1, 3)}, {"w": (5, 4)}, feeds)[1][0].ok


def test_elements_at_tuples_of_indices() -> None:
    """The first axis holds the tuples."""
    index = {"i": np.array([[0, 1], [2, 3]], np.float32)}
    feeds = {"x": np.arange(24, dtype=np.float32).reshape(4, 6)}
    assert export_op(lambda s, x, i: s.gather_nd(x, i), ROWS, index, feeds)[1][0].ok


def test_rows_are_replaced() -> None:
    """By number."""
    feeds = {"x": np.zeros((4, 2), np.float32), "y": np.ones((2, 2), np.float32)}
    index = {"i": np.array([3, 0], np.int64)}
    build = lambda s, x, y, i: s.contrib.index_copy(x, i, y)  # noqa: E731
    assert export_op(build, {"x": (4, 2), "y": (2, 2)}, index, feeds)[1][0].ok


def test_samples_end_where_their_lengths_say() -> None:
    """SequenceReverse with lengths."""
    feeds = {"x": np.arange(24, dtype=np.float32).reshape(3, 2, 4), "n": np.array([2, 3], np.float32)}
    build = lambda s, x, n: s.SequenceReverse(x, n, use_sequence_length=True)  # noqa: E731
    assert export_op(build, {"x": (3, 2, 4), "n": (2,)}, feeds=feeds)[1][0].ok


@pytest.mark.parametrize(
    "build", [lambda s, x: s.topk(x, ret_typ="mask"), lambda s, x: s.sort(x, axis=None)], ids=["mask", "all-axes"]
)
def test_what_has_no_form_is_refused(build: Callable[..., Any]) -> None:
    """With a reason."""
    with pytest.raises(UnsupportedModel, match="all axes at once"):
        export_op(build, ROWS)
