"""Parts of a tensor, and more around it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from onnx_import import nd
from onnx_import.dtypes import Array
from onnx_import.errors import InvalidInput, InvalidModel
from onnx_import.nd import Value
from onnx_import.registry import op

Widths = list[tuple[int, int]]


@op("Slice", since=1)
def slice_by_attributes(x: Value, *, axes: list[int] | None, starts: list[int], ends: list[int]) -> Value:
    """Ranges of some axes, given by attributes."""
    return _slice(x, starts, ends, axes, None)


@op("Slice", since=10)
def slice_(x: Value, starts: Value, ends: Value, axes: Value | None = None, steps: Value | None = None) -> Value:
    """Ranges of some axes: where they start, where they end (not included), and their steps."""
    places = None if axes is None else nd.ints(axes)
    return _slice(x, nd.ints(starts), nd.ints(ends), places, None if steps is None else nd.ints(steps))


def _slice(
    x: Value, starts: Sequence[int], ends: Sequence[int], axes: Sequence[int] | None, steps: Sequence[int] | None
) -> Value:
    """ONNX clamps starts and ends as Python does."""
    ranges = [range(size) for size in x.shape]
    axes = nd.normal_axes(list(range(len(starts))) if axes is None else axes, x.rank)
    steps = [1] * len(starts) if steps is None else steps
    if not len(starts) == len(ends) == len(axes) == len(steps):
        raise InvalidInput(f"{len(starts)} starts, {len(ends)} ends, {len(axes)} axes and {len(steps)} steps are not as many")
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        if not step:
            raise InvalidInput("a step of 0")
        ranges[axis] = ranges[axis][start:end:step]
    return nd.slices(x, ranges)


@op("Pad", since=1)
def pad_by_paddings(x: Value, *, mode: str, paddings: list[int], value: float) -> Value:
    """More around a tensor, by opset 1's names."""
    return _pad(x, _widths(paddings, None, x.rank), mode, value)


@op("Pad", since=2)
def pad_by_attributes(x: Value, *, mode: str, pads: list[int], value: float) -> Value:
    """More around a tensor, or less where a width is negative."""
    return _pad(x, _widths(pads, None, x.rank), mode, value)


@op("Pad", since=11)
def pad(x: Value, pads: Value, constant_value: Value | None = None, axes: Value | None = None, *, mode: str) -> Value:
    """More around a tensor, or less where a width is negative: one number, the nearest, the mirrored, or the other side's."""
    widths = _widths(nd.ints(pads), None if axes is None else nd.ints(axes), x.rank)
    number: Any = "" if x.dtype == "string" else 0
    if constant_value is not None and mode == "constant" and constant_value.size:
        number = nd.known(constant_value).ravel().tolist()[0]
    return _pad(x, widths, mode, number)


def _widths(pads: Sequence[int], axes: Sequence[int] | None, rank: int) -> Widths:
    """How many rows go in front of each axis and behind it."""
    axes = nd.normal_axes(list(range(rank)) if axes is None else axes, rank)
    if len(pads) != 2 * len(axes):
        raise InvalidInput(f"{len(pads)} pads do not fit {len(axes)} axes")
    widths = [(0, 0)] * rank
    for axis, before, after in zip(axes, pads, pads[len(axes) :], strict=False):
        widths[axis] = (before, after)
    return widths


def _pad(x: Value, widths: Widths, mode: str, number: Any) -> Value:
    if mode not in ("constant", "reflect", "edge", "wrap"):
        raise InvalidModel(f"mode is {mode!r}, not constant, reflect, edge or wrap")
    if mode == "constant":
        inner = _crop(x, widths)
        return nd.pad(inner, [max(before, 0) for before, _ in widths], [max(after, 0) for _, after in widths], number)
    # Widths that are negative take away what other axes' mirror images are made of, so that they go first.
    x = _crop(x, widths)
    if 0 in x.shape and any(before > 0 or after > 0 for before, after in widths):
        raise InvalidInput(f"nothing of an empty tensor can be repeated around it (mode {mode})")
    for axis, (before, after) in enumerate(widths):
        if before > 0 or after > 0:
            x = _repeat_border(x, axis, max(before, 0), max(after, 0), mode)
    return x


def _crop(x: Value, widths: Widths) -> Value:
    ranges = []
    for size, (before, after) in zip(x.shape, widths, strict=True):
        start = min(max(-before, 0), size)
        ranges.append(range(start, max(size - max(-after, 0), start)))
    return nd.slices(x, ranges)


def _repeat_border(x: Value, axis: int, before: int, after: int, mode: str) -> Value:
    """Rows that are copies of others put around one axis."""
    size = x.shape[axis]
    nd.fitting((before + size + after,))
    places: Array = np.pad(np.arange(size), (before, after), mode=mode)  # type: ignore[call-overload]
    pieces = [x]
    if before:
        pieces.insert(0, nd.take_known(x, places[:before], axis))
    if after:
        pieces.append(nd.take_known(x, places[before + size :], axis))
    return nd.concatenate(pieces, axis)


@op("CenterCropPad", since=18)
def center_crop_pad(x: Value, sizes: Value, *, axes: list[int] | None) -> Value:
    """The middle of a tensor, or zeros around it, for axes to have given sizes."""
    places = nd.normal_axes(list(range(x.rank)) if axes is None else axes, x.rank)
    wanted = nd.ints(sizes)
    if len(wanted) != len(places):
        raise InvalidInput(f"{len(wanted)} sizes do not fit {len(places)} axes")
    widths = [(0, 0)] * x.rank
    for axis, size in zip(places, wanted, strict=True):
        missing = size - x.shape[axis]
        # Halves round down in front, both of what is put on and of what is taken away.
        before = missing // 2 if missing >= 0 else -(-missing // 2)
        widths[axis] = (before, missing - before)
    return _pad(x, widths, "constant", "" if x.dtype == "string" else 0)
