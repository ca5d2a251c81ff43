"""The same elements in another arrangement. Axes count from 0; negative ones from the end."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from onnx_import.dtypes import Array
from onnx_import.errors import InvalidInput
from onnx_import.nd.elementwise import all_known
from onnx_import.nd.tape import emit
from onnx_import.nd.value import Value, constant

__all__ = [
    "concatenate",
    "expand",
    "expand_dims",
    "flip",
    "normal_axes",
    "normal_axis",
    "pad",
    "reshape",
    "slice_axis",
    "slices",
    "split",
    "squeeze",
    "stack",
    "tile",
    "transpose",
]


def normal_axis(axis: int, rank: int) -> int:
    """An axis counted from 0; InvalidInput where there is none such."""
    if not -rank <= axis < max(rank, 1):
        raise InvalidInput(f"axis {axis} is none of a tensor of {rank} axes")
    return axis % max(rank, 1)


def normal_axes(axes: Sequence[int], rank: int) -> list[int]:
    """Axes counted from 0."""
    return [normal_axis(int(axis), rank) for axis in axes]


def moved(value: Value, shape: Sequence[int], function: Callable[[Array], Array], op: str, **attrs: Any) -> Value:
    """A primitive that only moves elements; bool goes as uint8 through operators that do not take it."""
    if value.data is not None:
        return constant(np.ascontiguousarray(function(value.data)).reshape(shape), value.dtype)
    if value.dtype != "bool":
        return emit(op, [value], shape, value.dtype, **attrs)
    bytes_ = emit("Cast", [value], value.shape, "uint8", dtype="uint8")
    return emit("Cast", [emit(op, [bytes_], shape, "uint8", **attrs)], shape, "bool", dtype="bool")


def reshape(value: Value, shape: Sequence[int]) -> Value:
    """The elements in row-major order in another shape, all of whose sizes are given.

    MXNet gets the leading sizes that stay as 0 and the next one as -1, so that the same node serves other batch sizes.
    """
    shape = tuple(int(size) for size in shape)
    if math.prod(shape) != value.size:
        raise InvalidInput(f"{value.size} elements of shape {list(value.shape)} do not fill the shape {list(shape)}")
    if shape == value.shape:
        return value
    if value.data is not None:
        return Value(value.dtype, shape, value.data.reshape(shape))
    if not shape or not value.shape or 0 in shape:
        return emit("_np_reshape", [value], shape, value.dtype, newshape=shape)
    kept = next((i for i, (a, b) in enumerate(zip(value.shape, shape, strict=False)) if a != b), min(len(shape), value.rank))
    code = [0] * kept + [-1 if axis == kept else size for axis, size in enumerate(shape) if axis >= kept]
    if kept == len(shape):  # the source has more axes, all of size 1
        code[-1] = -1
    return emit("Reshape", [value], shape, value.dtype, shape=code)


def expand_dims(value: Value, axes: Sequence[int]) -> Value:
    """Axes of size 1 put in; `axes` count in the result."""
    rank = value.rank + len(axes)
    new = set(normal_axes(axes, rank))
    old = iter(value.shape)
    return reshape(value, [1 if axis in new else next(old) for axis in range(rank)])


def squeeze(value: Value, axes: Sequence[int] | None = None) -> Value:
    """Axes of size 1 left out: those named, or all."""
    gone = set(normal_axes(axes, value.rank)) if axes is not None else {i for i, size in enumerate(value.shape) if size == 1}
    if any(value.shape[axis] != 1 for axis in gone):
        raise InvalidInput(f"axes {sorted(gone)} of shape {list(value.shape)} are not all of size 1")
    return reshape(value, [size for axis, size in enumerate(value.shape) if axis not in gone])


def transpose(value: Value, axes: Sequence[int]) -> Value:
    """The axes in another order."""
    axes = normal_axes(axes, value.rank)
    if list(axes) == list(range(value.rank)):
        return value
    shape = [value.shape[axis] for axis in axes]
    return moved(value, shape, lambda array: array.transpose(axes), "transpose", axes=tuple(axes))


def expand(value: Value, shape: Sequence[int]) -> Value:
    """Broadcast to a shape that it broadcasts to."""
    shape = tuple(int(size) for size in shape)
    if shape == value.shape:
        return value
    if value.data is not None:
        return constant(np.ascontiguousarray(np.broadcast_to(value.data, shape)), value.dtype)
    padded = reshape(value, (1,) * (len(shape) - value.rank) + value.shape)
    return moved(padded, shape, lambda array: array, "broadcast_to", shape=shape)


def tile(value: Value, repeats: Sequence[int]) -> Value:
    """The whole repeated along each axis."""
    repeats = tuple(int(count) for count in repeats)
    shape = [size * count for size, count in zip(value.shape, repeats, strict=True)]
    if all(count == 1 for count in repeats):
        return value
    return moved(value, shape, lambda array: np.tile(array, repeats), "tile", reps=repeats)


def slices(value: Value, ranges: Sequence[range]) -> Value:
    """The elements at the indices of one range for each axis, which lie within the axis."""
    shape = [len(places) for places in ranges]
    if all(places == range(size) for places, size in zip(ranges, value.shape, strict=True)):
        return value
    if value.data is not None or 0 in shape:
        index = tuple(slice(p.start, None if p.stop < 0 else p.stop, p.step) if len(p) else slice(0, 0) for p in ranges)
        array = value.data if value.data is not None else np.zeros(value.shape, value.carrier)
        return constant(np.ascontiguousarray(array[index]), value.dtype)
    whole = [places == range(size) for places, size in zip(ranges, value.shape, strict=True)]
    begin = [None if all_ else p.start for p, all_ in zip(ranges, whole, strict=True)]
    end = [None if all_ or p.stop < 0 else p.stop for p, all_ in zip(ranges, whole, strict=True)]
    step = [None if all_ else p.step for p, all_ in zip(ranges, whole, strict=True)]
    if all(s in (1, None) for s in step):
        return emit("slice", [value], shape, value.dtype, begin=tuple(begin), end=tuple(end))
    return emit("slice", [value], shape, value.dtype, begin=tuple(begin), end=tuple(end), step=tuple(step))


def slice_axis(value: Value, axis: int, begin: int, end: int, step: int = 1) -> Value:
    """A numpy slice along one axis."""
    axis = normal_axis(axis, value.rank)
    ranges = [range(size) for size in value.shape]
    ranges[axis] = range(value.shape[axis])[begin:end:step]
    return slices(value, ranges)


def flip(value: Value, axis: int) -> Value:
    """One axis back to front."""
    axis = normal_axis(axis, value.rank)
    return moved(value, value.shape, lambda array: np.flip(array, axis), "reverse", axis=(axis,))


def concatenate(values: Sequence[Value], axis: int) -> Value:
    """Values one behind the other along an axis."""
    axis = normal_axis(axis, values[0].rank)
    dtype, shape = values[0].dtype, list(values[0].shape)
    shape[axis] = sum(value.shape[axis] for value in values)
    parts = [value for value in values if value.shape[axis]]
    if len(parts) == 1 or not parts:
        return parts[0] if parts else values[0]
    if all_known(*parts):
        return constant(np.concatenate([value.data for value in parts if value.data is not None], axis), dtype)
    return emit("Concat", parts, shape, dtype, dim=axis, num_args=len(parts))


def stack(values: Sequence[Value], axis: int) -> Value:
    """Values of one shape one behind the other along a new axis."""
    return concatenate([expand_dims(value, [axis]) for value in values], axis)


def split(value: Value, sizes: Sequence[int], axis: int) -> list[Value]:
    """Pieces of the given sizes along an axis."""
    axis = normal_axis(axis, value.rank)
    ends = np.cumsum(sizes)
    return [slice_axis(value, axis, int(end - size), int(end)) for size, end in zip(sizes, ends, strict=True)]


def pad(value: Value, before: Sequence[int], after: Sequence[int], number: float | int | bool = 0) -> Value:
    """Rows of one number put around; sizes of 0 or more for each axis."""
    widths = list(zip(before, after, strict=True))
    if not any(a or b for a, b in widths):
        return value
    shape = [size + a + b for size, (a, b) in zip(value.shape, widths, strict=True)]
    if value.data is not None or 0 in value.shape:
        array = value.data if value.data is not None else np.zeros(value.shape, value.carrier)
        return constant(np.pad(array, widths, constant_values=number), value.dtype)
    # MXNet's operator pads images: four axes or five, not the first two, and floats only.
    if value.rank in (4, 5) and value.carrier in ("float32", "float64") and not any(a or b for a, b in widths[:2]):
        flat = tuple(size for pair in widths for size in pair)
        return emit("Pad", [value], shape, value.dtype, mode="constant", pad_width=flat, constant_value=float(number))
    for axis, (a, b) in enumerate(widths):
        sides = []
        for width in (a, b):
            side = list(value.shape)
            side[axis] = width
            sides.append(constant(np.full(side, number, value.carrier), value.dtype))
        value = concatenate([sides[0], value, sides[1]], axis)
    return value
