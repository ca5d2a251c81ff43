"""Every second row and column moved into channels in front of a convolution (YOLO's focus): one convolution over the image."""

from __future__ import annotations

from typing import Any

import numpy as np

from onnx_import.dtypes import Array
from onnx_import.fusion.biases import LARGEST
from onnx_import.fusion.rewriting import Place, Rewriting, Rules, array_of, derived, node_of, shape_of
from onnx_import.nd.tape import spell
from onnx_import.nd.value import TapeNode

Grid = tuple[tuple[int, int], tuple[int, int]]
"""The first row and column, and the steps, of the elements that a slice takes."""


def focus(rewriting: Rewriting, node: TapeNode) -> bool:
    """A convolution of slices with steps, laid side by side as channels, is one with a larger kernel and these strides."""
    joined, weight = node_of(node.inputs[0], "Concat"), array_of(node.inputs[1])
    is_simple = (
        node.attrs.get("num_group", "1") == "1"
        and _ints(node.attrs["stride"]) == [1, 1]
        and set(_ints(node.attrs.get("dilate", ""))) <= {1}
    )
    if joined is None or weight is None or weight.size > LARGEST or not is_simple or joined.attrs["dim"] != "1":
        return False
    grids = [_grid(place) for place in joined.inputs]
    base = grids[0][0]
    steps = grids[0][1][1]
    if any(place[0] is not base[0] or place[1] != base[1] or grid[1] != steps for place, grid in grids) or max(steps) < 2:
        return False
    sizes, part = shape_of(base), shape_of(joined.inputs[0])
    if len(sizes) != 4 or any(size % step for size, step in zip(sizes[2:], steps, strict=True)):
        return False
    if any(
        shape_of(place) != (*sizes[:2], *(n // s for n, s in zip(sizes[2:], steps, strict=True))) for place in joined.inputs
    ):
        return False
    offsets = tuple(grid[0] for _, grid in grids)
    spread = derived(lambda w: _spread(w, offsets, steps, part[1]), weight, key=(offsets, steps))
    inputs = [base, rewriting.constant(spread, node.inputs[1], "float32"), *node.inputs[2:]]
    new = rewriting.make("Convolution", inputs, (node, 0))
    padding = [size * step for size, step in zip(_ints(node.attrs["pad"]), steps, strict=True)]
    changes = {"kernel": spread.shape[2:], "stride": steps, "pad": padding}
    new[0].attrs = {**node.attrs, **{name: spell(value) for name, value in changes.items()}}
    return rewriting.replace((node, 0), new)


def _spread(weight: Array, offsets: tuple[tuple[int, int], ...], steps: tuple[int, int], channels: int) -> Array:
    """The kernel over the image: that of each slice at its own rows and columns."""
    filters, _, height, width = weight.shape
    result = np.zeros((filters, channels, height * steps[0], width * steps[1]), weight.dtype)
    for at, (row, column) in enumerate(offsets):
        result[:, :, row :: steps[0], column :: steps[1]] += weight[:, at * channels : (at + 1) * channels]
    return result


def _grid(place: Place) -> tuple[Place, Grid]:
    """What slices of rows and columns with steps are taken from, and which of them they take together."""
    first, steps = [0, 0], [1, 1]
    chain = []
    while (cut := node_of(place, "slice")) is not None and len(shape_of(place)) == 4:
        begin, step = (_entries(cut.attrs.get(name, "")) for name in ("begin", "step"))
        if any(entry not in (None, 0) for entry in begin[:2]) or shape_of(place)[1] != shape_of(cut.inputs[0])[1]:
            break
        chain.append(([entry or 0 for entry in begin[2:]], [entry or 1 for entry in step[2:] or (1, 1)]))
        place = cut.inputs[0]
    for begin_at, step_by in reversed(chain):
        first = [f + s * b for f, s, b in zip(first, steps, _two(begin_at, 0), strict=True)]
        steps = [s * b for s, b in zip(steps, _two(step_by, 1), strict=True)]
    return place, ((first[0], first[1]), (steps[0], steps[1]))


def _two(values: list[Any], filler: int) -> list[int]:
    return [*values, filler, filler][:2]


def _entries(text: str) -> list[int | None]:
    return [None if part.strip() == "None" else int(part) for part in text.strip("()").split(",") if part.strip()]


def _ints(text: str) -> list[int]:
    return [entry for entry in _entries(text) if entry is not None]


RULES: Rules = {"Convolution": [focus]}
