"""Operands of different shapes as MXNet takes them: on five axes at most, not counting neighbours that broadcast alike."""

from __future__ import annotations

import math

import numpy as np

from onnx_import.errors import InvalidInput
from onnx_import.nd.tape import emit
from onnx_import.nd.value import Value

MOST_AXES = 5


def broadcast_shape(*values: Value) -> tuple[int, ...]:
    """The shape that operands broadcast to."""
    return broadcast_sizes(*[value.shape for value in values])


def broadcast_sizes(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that shapes broadcast to."""
    try:
        return tuple(int(size) for size in np.broadcast_shapes(*shapes))
    except ValueError:
        raise InvalidInput(f"shapes {' and '.join(str(list(shape)) for shape in shapes)} do not broadcast") from None


def emit_broadcast(op: str, values: list[Value], shape: tuple[int, ...], dtype: str) -> Value:
    """An operator that broadcasts. MXNet's take five axes, so that more are merged where all operands have them or none."""
    if len(shape) <= MOST_AXES or 0 in shape:
        return emit(op, values, shape, dtype)
    padded = [(1,) * (len(shape) - value.rank) + value.shape for value in values]
    marks = [[size != full for size in sizes] for full, *sizes in zip(shape, *padded, strict=True) if full != 1]
    starts = [place for place in range(len(marks)) if place == 0 or marks[place] != marks[place - 1]]
    if len(starts) > MOST_AXES:
        flat = [_reshaped(_filled(value, sizes, shape), (-1,)) for value, sizes in zip(values, padded, strict=True)]
        return _reshaped(emit(op, flat, (math.prod(shape),), dtype), shape)

    def merged(sizes: tuple[int, ...]) -> tuple[int, ...]:
        kept = [size for size, full in zip(sizes, shape, strict=True) if full != 1]
        return tuple(math.prod(kept[a:b]) for a, b in zip(starts, [*starts[1:], len(kept)], strict=True))

    flat = [_reshaped(value, merged(sizes)) for value, sizes in zip(values, padded, strict=True)]
    return _reshaped(emit(op, flat, merged(shape), dtype), shape)


def spread(value: Value, shape: tuple[int, ...], like: Value | None) -> Value:
    """Broadcast to a shape of up to five axes: to that of `like`, where there is one, so that its sizes stay open."""
    if value.shape == shape:
        return value
    value = _reshaped(value, (1,) * (len(shape) - value.rank) + value.shape)
    if like is not None:
        return emit("broadcast_like", [value, like], shape, value.dtype)
    return emit("broadcast_to", [value], shape, value.dtype, shape=shape)


def _filled(value: Value, sizes: tuple[int, ...], shape: tuple[int, ...]) -> Value:
    """Broadcast to a shape one axis after the other."""
    if value.dtype == "bool":
        bytes_ = emit("Cast", [value], value.shape, "uint8", dtype="uint8")
        return emit("Cast", [_filled(bytes_, sizes, shape)], shape, "bool", dtype="bool")
    for axis, (size, full) in enumerate(zip(sizes, shape, strict=True)):
        if size != full:
            before, after = math.prod(shape[:axis]), math.prod(sizes[axis + 1 :])
            line = _reshaped(value, (before, 1, after))
            value = emit("broadcast_to", [line], (before, full, after), value.dtype, shape=(before, full, after))
    return value


def _reshaped(value: Value, shape: tuple[int, ...]) -> Value:
    shape = shape if shape != (-1,) else (value.size,)
    if value.data is not None:
        return Value(value.dtype, shape, value.data.reshape(shape))
    return emit("_np_reshape", [value], shape, value.dtype, newshape=shape)
