"""Shapes and axes; another batch fits where MXNet's codes let it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from onnx_import.errors import UnsupportedModel
from tests.unit.onnx_import.exporting.exported import export_op

PICTURE = {"x": (2, 3, 8, 8)}
ROWS = {"x": (4, 6)}
SERIES = {"x": (2, 3, 4)}

CODES: dict[str, tuple[Any, ...]] = {
    "keep-and-rest": (0, -1),
    "rest-first": (-1, 8),
    "merge-the-batch": (-3, -2),
    "split": (0, 0, -4, 2, 4, -2),
    "split-by-the-rest": (0, 0, -4, -1, 4, 0),
    "merge": (0, -3, -1),
    "all-as-they-are": (-2,),
}

OTHERS: dict[str, tuple[Callable[..., Any], dict[str, tuple[int, ...]]]] = {
    "reverse-codes": (lambda s, x: s.Reshape(x, shape=(-1, 0), reverse=True), PICTURE),
    "flatten": (lambda s, x: s.Flatten(x), PICTURE),
    "transpose": (lambda s, x: s.transpose(x, axes=(0, 2, 3, 1)), PICTURE),
    "reversed-axes": (lambda s, x: s.transpose(x), SERIES),
    "swap": (lambda s, x: s.SwapAxis(x, dim1=1, dim2=3), PICTURE),
    "expand": (lambda s, x: s.expand_dims(x, axis=-1), ROWS),
    "squeeze": (lambda s, x: s.squeeze(x, axis=1), {"x": (2, 1, 4)}),
    "concat": (lambda s, x, y: s.concat(x, y, dim=1), {"x": (2, 3), "y": (2, 4)}),
    "stack": (lambda s, x, y: s.stack(x, y, axis=1), {"x": (2, 3), "y": (2, 3)}),
    "broadcast": (lambda s, x: s.broadcast_to(x, shape=(0, 5)), {"x": (2, 1)}),
    "broadcast-axis": (lambda s, x: s.broadcast_axis(x, axis=1, size=5), {"x": (2, 1)}),
    "broadcast-like": (lambda s, x, y: s.broadcast_like(x, y), {"x": (2, 1), "y": (2, 5)}),
    "tile": (lambda s, x: s.tile(x, reps=(2, 1, 3)), ROWS),
    "repeat": (lambda s, x: s.repeat(x, repeats=2, axis=1), SERIES),
    "repeat-rows": (lambda s, x: s.repeat(x, repeats=2, axis=0), SERIES),
    "pad": (lambda s, x: s.pad(x, mode="constant", pad_width=(0, 0, 0, 0, 1, 2, 3, 4), constant_value=7), PICTURE),
    "pad-mirrored": (lambda s, x: s.pad(x, mode="reflect", pad_width=(0, 0, 0, 0, 1, 2, 3, 4)), PICTURE),
    "pad-by-the-edge": (lambda s, x: s.pad(x, mode="edge", pad_width=(0, 0, 0, 0, 1, 2, 3, 4)), PICTURE),
    "depth-to-space": (lambda s, x: s.depth_to_space(x, 2), {"x": (2, 8, 4, 4)}),
    "space-to-depth": (lambda s, x: s.space_to_depth(x, 2), PICTURE),
    "shape": (lambda s, x: s.shape_array(x), PICTURE),
    "size": (lambda s, x: s.size_array(x), PICTURE),
    "reshape-like": (lambda s, x, y: s.reshape_like(x, y), {"x": (2, 6), "y": (2, 3, 2)}),
}


def batch(model: Any) -> str:
    """The name of the first input's first dimension, empty where it is closed."""
    return str(model.graph.input[0].type.tensor_type.shape.dim[0].dim_param)


@pytest.mark.parametrize("case", CODES)
def test_reshape_by_codes_leaves_the_batch_open(case: str) -> None:
    """Proved at two batches."""
    model, found = export_op(lambda s, x: s.Reshape(x, shape=CODES[case]), PICTURE)
    assert batch(model) == "batch"
    assert len(found) == 2


def test_reshape_to_a_fixed_batch_closes_it() -> None:
    """A symbol for two rows takes two."""
    model, found = export_op(lambda s, x: s.Reshape(x, shape=(2, 192)), PICTURE)
    assert batch(model) == ""
    assert [each.shape for each in found] == [(2, 192)]


@pytest.mark.parametrize("case", OTHERS)
def test_others(case: str) -> None:
    """Proved at two batches."""
    build, inputs = OTHERS[case]
    assert len(export_op(build, inputs)[1]) == 2


@pytest.mark.parametrize("squeeze", [False, True])
def test_equal_pieces_in_any_order(squeeze: bool) -> None:
    """Some of the pieces, not in their order."""

    def build(s: Any, x: Any) -> Any:
        pieces = s.SliceChannel(x, num_outputs=3, axis=1, squeeze_axis=squeeze)
        return s.Group([pieces[2], pieces[0]])

    model, found = export_op(build, SERIES)
    assert [each.shape for each in found[:2]] == [(1, 4) if squeeze else (1, 1, 4)] * 2
    assert len(model.graph.output) == 2


def test_pieces_between_indices() -> None:
    """Unequal ones."""
    found = export_op(lambda s, x: s.Group(list(s.split_v2(x, (2, 5), axis=1))), ROWS)[1]
    assert [each.shape[1] for each in found[:3]] == [2, 3, 1]


def test_a_split_counted_from_the_end_is_refused() -> None:
    """MXNet's code has no ONNX form."""
    with pytest.raises(UnsupportedModel, match="counts from the end"):
        export_op(lambda s, x: s.Reshape(x, shape=(0, 0, 0, 4, 2, -4), reverse=True), PICTURE)
