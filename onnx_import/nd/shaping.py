"""The same elements in another arrangement. Axes count from 0; negative ones from the end.

MXNet limits the axes of most operators (slice 5, transpose 6, Concat 6): what has more goes through views with fewer. Text and
complex numbers, which MXNet does not have, are moved by numpy.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from onnx_import.dtypes import CARRIERS, Array
from onnx_import.errors import InvalidInput
from onnx_import.nd.elementwise import all_known, cast
from onnx_import.nd.tape import emit, host
from onnx_import.nd.turned import turned
from onnx_import.nd.value import MOST_KNOWN, Value, constant, fitting

__all__ = [
    "concatenate",
    "expand",
    "expand_dims",
    "flip",
    "full_like",
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

SLICE_AXES = 5
MOST_AXES = 6
LARGE = 1024
"""Elements of an item from which on it pays to take more than one operator."""


def normal_axis(axis: int, rank: int) -> int:
    """An axis counted from 0; InvalidInput where there is none such."""
    if not -rank <= axis < max(rank, 1):
        raise InvalidInput(f"axis {axis} is none of a tensor of {rank} axes")
    return axis % max(rank, 1)


def normal_axes(axes: Sequence[int], rank: int) -> list[int]:
    """Axes counted from 0, each once."""
    normal = [normal_axis(int(axis), rank) for axis in axes]
    if len(set(normal)) < len(normal):
        raise InvalidInput(f"axes {list(axes)} name one axis twice")
    return normal


def moved(value: Value, shape: Sequence[int], function: Callable[[Array], Array], op: str, /, **attrs: Any) -> Value:
    """A primitive that only moves elements; bool goes as uint8 through operators that do not take it."""
    shape = tuple(int(size) for size in shape)
    if value.data is not None:
        fitting(shape, max(value.size, MOST_KNOWN))
        return constant(np.ascontiguousarray(function(value.data)).reshape(shape), value.dtype)
    if value.dtype not in CARRIERS:
        return by_numpy(function, [value], shape)
    if value.dtype != "bool":
        return emit(op, [value], shape, value.dtype, **attrs)
    bytes_ = emit("Cast", [value], value.shape, "uint8", dtype="uint8")
    return emit("Cast", [emit(op, [bytes_], shape, "uint8", **attrs)], shape, "bool", dtype="bool")


def by_numpy(function: Callable[..., Array], values: Sequence[Value], shape: Sequence[int]) -> Value:
    """What a numpy function gives of values whose type no MXNet array can have."""

    def move(*arrays: Array) -> tuple[Array]:
        return (np.ascontiguousarray(function(*arrays)).reshape(shape),)

    result: Value = host(move, values, [(tuple(shape), values[0].dtype)])[0]
    return result


def reshape(value: Value, shape: Sequence[int]) -> Value:
    """The elements in row-major order in another shape, all of whose sizes are given.

    MXNet gets the leading sizes that stay as 0 and the next one as -1, so that the same node serves other batch sizes.
    """
    shape = tuple(int(size) for size in shape)
    if math.prod(shape) != value.size or any(size < 0 for size in shape):
        raise InvalidInput(f"{value.size} elements of shape {list(value.shape)} do not fill the shape {list(shape)}")
    if shape == value.shape:
        return value
    if value.data is not None:
        return Value(value.dtype, shape, value.data.reshape(shape))
    if value.dtype not in CARRIERS:
        return by_numpy(lambda array: array, [value], shape)
    if not shape or not value.shape or 0 in shape or len(shape) > 8:  # more than oneDNN takes
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
    if 0 in new and value.node is not None and value.dtype in CARRIERS:
        # In front of a number of rows that is open no reshape can put an axis.
        front = emit("expand_dims", [value], (1, *value.shape), value.dtype, axis=0)
        return expand_dims(front, sorted(new - {0})) if len(new) > 1 else front
    old = iter(value.shape)
    return reshape(value, [1 if axis in new else next(old) for axis in range(rank)])


def squeeze(value: Value, axes: Sequence[int] | None = None) -> Value:
    """Axes of size 1 left out: those named, or all."""
    gone = set(normal_axes(axes, value.rank)) if axes is not None else {i for i, size in enumerate(value.shape) if size == 1}
    if any(axis >= value.rank or value.shape[axis] != 1 for axis in gone):
        raise InvalidInput(f"axes {sorted(gone)} of shape {list(value.shape)} are not all of size 1")
    if 0 in gone and value.rank > len(gone) and value.node is not None and value.dtype in CARRIERS:
        rest = emit("squeeze", [value], value.shape[1:], value.dtype, axis=(0,))
        return squeeze(rest, [axis - 1 for axis in sorted(gone - {0})])
    return reshape(value, [size for axis, size in enumerate(value.shape) if axis not in gone])


def transpose(value: Value, axes: Sequence[int]) -> Value:
    """The axes in another order."""
    axes = normal_axes(axes, value.rank)
    if len(axes) != value.rank:
        raise InvalidInput(f"{list(axes)} is no order of {value.rank} axes")
    shape = [value.shape[axis] for axis in axes]
    moving = [axis for axis in axes if value.shape[axis] != 1]
    # Where only axes of size 1 change their places; but the first may be of one row by chance.
    if moving == sorted(moving) and (value.node is None or not axes or axes[0] == 0):
        return reshape(value, shape)
    if value.data is not None:
        return constant(turned(value.data, axes), value.dtype)
    if value.rank > MOST_AXES and value.dtype in CARRIERS:
        return _transpose_many(value, axes)
    return moved(value, shape, lambda array: array.transpose(axes), "transpose", axes=tuple(axes))


def _transpose_many(value: Value, axes: list[int]) -> Value:
    """`transpose` one axis at a time: each goes in front of those that are still to be moved."""
    shape, order = value.shape, list(range(value.rank))
    for place, axis in enumerate(axes):
        at = order.index(axis)
        if at != place:
            sizes = [shape[i] for i in order]
            view = (math.prod(sizes[:place]), math.prod(sizes[place:at]), sizes[at], math.prod(sizes[at + 1 :]))
            value = transpose(reshape(value, view), [0, 2, 1, 3])
            order.insert(place, order.pop(at))
    return reshape(value, [shape[axis] for axis in axes])


def expand(value: Value, shape: Sequence[int]) -> Value:
    """Broadcast to a shape that it broadcasts to."""
    shape = tuple(int(size) for size in shape)
    if shape == value.shape:
        return value
    if value.data is None and value.dtype in CARRIERS:
        value = reshape(value, (1,) * (len(shape) - value.rank) + value.shape)
    # 0 keeps a size, so that the node serves other batch sizes.
    same = zip(shape[len(shape) - value.rank :], value.shape, strict=True)
    code = (*shape[: len(shape) - value.rank], *(0 if size == old else size for size, old in same))
    return moved(value, shape, lambda array: np.broadcast_to(array, shape), "broadcast_to", shape=code)


def tile(value: Value, repeats: Sequence[int]) -> Value:
    """The whole repeated along each axis."""
    repeats = tuple(int(count) for count in repeats)
    shape = [size * count for size, count in zip(value.shape, repeats, strict=True)]
    if value.data is not None or value.dtype not in CARRIERS or 0 in shape:
        return moved(value, shape, lambda array: np.tile(array, repeats), "tile")
    for axis, count in enumerate(repeats):
        if count > 1:
            before, size, behind = _around(value, axis)
            sizes = [*value.shape[:axis], size * count, *value.shape[axis + 1 :]]
            view = reshape(value, (before, 1, size * behind))
            value = reshape(expand(view, (before, count, size * behind)), sizes)
    return value


BLOCK = 16
"""The most channels that oneDNN lays side by side."""


def slices(value: Value, ranges: Sequence[range]) -> Value:
    """The elements at the indices of one range for each axis, which lie within the axis."""
    shape = [len(places) for places in ranges]
    whole = [places == range(size) for places, size in zip(ranges, value.shape, strict=True)]
    if all(whole):
        return value
    index = tuple(slice(p.start, None if p.stop < 0 else p.stop, p.step) if len(p) else slice(0, 0) for p in ranges)
    if value.data is None and value.rank > SLICE_AXES and value.dtype in CARRIERS and 0 not in shape:
        return _slice_many(value, ranges)
    begin = tuple(None if all_ else p.start for p, all_ in zip(ranges, whole, strict=True))
    end = tuple(None if all_ or p.stop < 0 else p.stop for p, all_ in zip(ranges, whole, strict=True))
    step = tuple(None if all_ else p.step for p, all_ in zip(ranges, whole, strict=True))
    steps = {} if all(number in (1, None) for number in step) else {"step": step}
    if value.data is None and value.dtype in CARRIERS:
        if CARRIERS[value.dtype] == "float32" and not steps and value.rank > 2 and not _is_on_blocks(ranges[1], value.shape[1]):
            shape = [value.shape[0], len(ranges[1]), *value.shape[2:]]
            part = emit("slice_axis", [value], shape, value.dtype, axis=1, begin=begin[1], end=end[1])
            return slices(part, [ranges[0], range(shape[1]), *ranges[2:]])
        return emit("slice", [value], shape, value.dtype, begin=begin, end=end, **steps)
    return moved(value, shape, lambda array: array[index], "slice")


def _is_on_blocks(channels: range, count: int) -> bool:
    """Whether a cut keeps blocks of channels whole: a convolution leaves 8 or 16 side by side, and `slice` dies of a part of one.

    `slice_axis` has no code of oneDNN's, and goes by the plain layout.
    """
    return channels.start % BLOCK == 0 and (channels.stop % BLOCK == 0 or channels.stop == count)


def _slice_many(value: Value, ranges: Sequence[range]) -> Value:
    """`slices` one axis at a time."""
    for axis, places in enumerate(ranges):
        if places != range(value.shape[axis]):
            before, size, behind = _around(value, axis)
            part = slices(reshape(value, (before, size, behind)), [range(before), places, range(behind)])
            value = reshape(part, [*value.shape[:axis], len(places), *value.shape[axis + 1 :]])
    return value


def _around(value: Value, axis: int) -> tuple[int, int, int]:
    """Sizes of three axes: all before an axis, itself, all behind it."""
    return math.prod(value.shape[:axis]), value.shape[axis], math.prod(value.shape[axis + 1 :])


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
    shape[axis] = sum(_fitting(value, values[0], axis) for value in values)
    parts = [value for value in values if value.shape[axis]]
    if len(parts) == 1 or not parts:
        return parts[0] if parts else values[0]
    if all_known(*parts):
        return constant(np.concatenate([value.data for value in parts if value.data is not None], axis), dtype)
    if dtype not in CARRIERS:
        return by_numpy(lambda *arrays: np.concatenate(arrays, axis), parts, shape)
    if dtype == "bool":
        return cast(concatenate([cast(part, "uint8") for part in parts], axis), "bool")
    if axis == len(shape) - 1 and all(part.shape[axis] == 1 for part in parts) and math.prod(shape[1:]) >= LARGE:
        return _interleave(parts, shape)
    # oneDNN joins matrices and images; what else is joined along its last axis MXNet copies element by element.
    is_matrix = parts[0].carrier == "float32" and axis == len(shape) - 1 and len(shape) in (3, 5, 6)
    if is_matrix and 0 not in shape:
        return reshape(concatenate([reshape(part, _around(part, axis)[:2]) for part in parts], 1), shape)
    if len(shape) > MOST_AXES and 0 not in shape:
        views = [reshape(part, _around(part, axis)) for part in parts]
        return reshape(concatenate(views, 1), shape)
    return emit("Concat", parts, shape, dtype, dim=axis, num_args=len(parts))


def _interleave(parts: Sequence[Value], shape: Sequence[int]) -> Value:
    """Parts of size 1 joined along the last axis: as rows, and turned, which MXNet does 30 times as fast."""
    rows = [emit("Reshape", [part], (1, part.size), part.dtype, shape=(1, -1)) for part in parts]
    return reshape(transpose(concatenate(rows, 0), [1, 0]), shape)


def _fitting(value: Value, first: Value, axis: int) -> int:
    """The size along an axis of a value that agrees with another one in all others."""
    if value.rank != first.rank or any(
        a != b for i, (a, b) in enumerate(zip(value.shape, first.shape, strict=True)) if i != axis
    ):
        raise InvalidInput(f"shapes {list(first.shape)} and {list(value.shape)} cannot be joined along axis {axis}")
    return value.shape[axis]


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
    if 0 in value.shape:
        fitting(shape)
        return constant(np.full(shape, number, CARRIERS.get(value.dtype, object)), value.dtype)
    if value.data is not None or value.dtype not in CARRIERS:
        fitting(shape)
        return moved(value, shape, lambda array: np.pad(array, widths, constant_values=number), "Pad")
    # MXNet's operator pads images: four axes or five, not the first two, and floats only.
    is_float = value.carrier in ("float32", "float64")
    if value.rank in (4, 5) and is_float and not any(a or b for a, b in widths[:2]) and not _is_joined_faster(value, widths):
        flat = tuple(size for pair in widths for size in pair)
        return emit("Pad", [value], shape, value.dtype, mode="constant", pad_width=flat, constant_value=float(number))
    for axis, (a, b) in enumerate(widths):
        value = concatenate([_band(value, axis, a, number), value, _band(value, axis, b, number)], axis)
    return value


def _is_joined_faster(value: Value, widths: Sequence[tuple[int, int]]) -> bool:
    """Whether one axis alone is padded; what comes from a convolution may lie in oneDNN's blocks, which Pad takes better."""
    is_image = value.node is not None and value.node.op in ("Convolution", "Activation", "BatchNorm")
    return sum(a + b > 0 for a, b in widths) == 1 and not is_image


def _band(value: Value, axis: int, width: int, number: float | int | bool) -> Value:
    """One number everywhere, of a value's shape but for one axis."""
    shape = [*value.shape[:axis], width, *value.shape[axis + 1 :]]
    if not width:
        return constant(np.zeros(shape, value.carrier), value.dtype)
    # Derived from the value, so that the node serves other batch sizes.
    return expand(full_like(slice_axis(value, axis, 0, width if width <= value.shape[axis] else 1), number), shape)


def full_like(value: Value, number: float | int | bool) -> Value:
    """One number everywhere, of a value's shape and dtype."""
    # MXNet's operator takes the number as a double.
    if value.data is not None or 0 in value.shape or (isinstance(number, int) and abs(number) > 1 << 53):
        return constant(np.full(value.shape, number, value.carrier), value.dtype)
    return emit("_npi_full_like", [value], value.shape, value.dtype, fill_value=float(number))
