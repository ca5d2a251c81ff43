"""Tensors (N, C, spatial axes) read at places that the run computes: interpolated, with a rule for what lies outside.

Elements are rows of all channels, so that one place is one copied row.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from onnx_import.nd import elementwise
from onnx_import.nd.elementwise import add, cast, full, maximum, minimum, multiply, subtract, unary, where
from onnx_import.nd.indexing import starts
from onnx_import.nd.narrowing import half_even
from onnx_import.nd.shaping import concatenate, expand_dims, reshape, transpose
from onnx_import.nd.tape import emit
from onnx_import.nd.value import Value, constant

__all__ = ["Sampler", "clip", "number"]

CUBIC = -0.75


def number(value: float, like: Value) -> Value:
    """One number of another value's dtype."""
    return full((), value, like.dtype)


def clip(value: Value, low: float, high: float) -> Value:
    """Numbers brought between two bounds."""
    return minimum(maximum(value, number(low, value)), number(high, value))


@dataclass(frozen=True)
class Sampler:
    """How places between elements are answered (nearest, linear, cubic) and what is outside: zeros, border or reflection.

    Reflection is about the centres of the outermost elements, or about their outer edges.
    """

    mode: str = "linear"
    outside: str = "zeros"
    about_centers: bool = False

    def sample(self, x: Value, places: Sequence[Value], items: Value | None = None) -> Value:
        """(rows, points, C) of places (rows, points), float64, along each spatial axis; row i reads item i, or `items[i]`."""
        sizes = x.shape[2:]
        rows = _as_rows(x, self.outside == "zeros")
        size = constant(np.int64(math.prod(sizes)))
        first = expand_dims(starts(x, 1, math.prod(sizes)) if items is None else multiply(items, size), [1])
        axes = [self._taps(self._inside(place, size), size) for place, size in zip(places, sizes, strict=True)]
        total = None
        for taps in itertools.product(*axes):
            index, weight, is_inside = first, None, None
            for (at, share, inside), stride in zip(taps, _strides(sizes), strict=True):
                index = add(index, multiply(at, constant(np.int64(stride))))
                weight = _product(weight, share)
                is_inside = inside if is_inside is None or inside is None else elementwise.logical_and(is_inside, inside)
            if is_inside is not None:
                index = where(is_inside, add(index, constant(np.int64(1))), constant(np.int64(0)))
            part = emit("take", [rows, index], (*index.shape, x.shape[1]), x.dtype, axis=0, mode="clip")
            if weight is not None:
                part = multiply(part, expand_dims(cast(weight, x.dtype), [2]))
            total = part if total is None else add(total, part)
        assert total is not None
        return total

    def _inside(self, place: Value, size: int) -> Value:
        """Places beyond the border moved to where their answer is found; of zeros anywhere far outside."""
        low, high = (0.0, size - 1.0) if self.about_centers else (-0.5, size - 0.5)
        if self.outside == "zeros":
            return clip(place, -4.0, size + 3.0)
        beyond = elementwise.logical_or(
            elementwise.less(place, number(low, place)), elementwise.greater(place, number(high, place))
        )
        moved = clip(place, 0.0, size - 1.0) if self.outside == "border" else _reflect(place, low, high)
        return where(beyond, moved, place)

    def _taps(self, place: Value, size: int) -> list[tuple[Value, Value | None, Value | None]]:
        """Neighbours along one axis: index, weight, and whether it is inside (None: it always is)."""
        if self.mode == "nearest":
            return [self._tap(half_even(place), None, size)]
        below = unary("floor", place, np.floor)
        rest = subtract(place, below)
        shares = [subtract(number(1.0, rest), rest), rest] if self.mode == "linear" else _cubic(rest)
        first = 0 if self.mode == "linear" else -1
        return [self._tap(add(below, number(first + i, below)), share, size) for i, share in enumerate(shares)]

    def _tap(self, at: Value, share: Value | None, size: int) -> tuple[Value, Value | None, Value | None]:
        inside = None
        if self.outside == "zeros":
            inside = elementwise.logical_and(
                elementwise.greater_equal(at, number(0, at)), elementwise.less_equal(at, number(size - 1, at))
            )
        elif self.outside == "reflection":
            at = _reflect(at, *((0.0, size - 1.0) if self.about_centers else (-0.5, size - 0.5)))
        return cast(clip(at, 0, size - 1), "int64"), share, inside


def _as_rows(x: Value, with_zeros: bool) -> Value:
    """All places of all items in rows of channels, and where asked a row of zeros in front of them."""
    last = transpose(x, [0, *range(2, x.rank), 1])
    rows = reshape(last, [x.size // x.shape[1], x.shape[1]])
    return concatenate([elementwise.zeros((1, x.shape[1]), x.dtype), rows], 0) if with_zeros else rows


def _strides(sizes: Sequence[int]) -> list[int]:
    return [math.prod(sizes[axis + 1 :]) for axis in range(len(sizes))]


def _product(weight: Value | None, share: Value | None) -> Value | None:
    return share if weight is None else weight if share is None else multiply(weight, share)


def _reflect(place: Value, low: float, high: float) -> Value:
    """Places folded back at both borders until they are between them."""
    span = high - low
    if span <= 0:
        return multiply(place, number(0.0, place))
    there = subtract(place, number(low, place))
    turns = multiply(number(2 * span, place), unary("floor", elementwise.divide(there, number(2 * span, place)), np.floor))
    folded = subtract(there, turns)
    return add(minimum(folded, subtract(number(2 * span, place), folded)), number(low, place))


def _cubic(rest: Value) -> list[Value]:
    """Weights of four neighbours by Keys' kernel, whose distances are rest + 1, rest, 1 - rest and 2 - rest."""
    one = number(1.0, rest)
    after = subtract(one, rest)
    return [_far(add(rest, one)), _near(rest), _near(after), _far(add(after, one))]


def _near(distance: Value) -> Value:
    line = subtract(multiply(distance, number(CUBIC + 2, distance)), number(CUBIC + 3, distance))
    return add(multiply(multiply(line, distance), distance), number(1.0, distance))


def _far(distance: Value) -> Value:
    line = subtract(multiply(distance, number(CUBIC, distance)), number(5 * CUBIC, distance))
    inner = add(multiply(line, distance), number(8 * CUBIC, distance))
    return subtract(multiply(inner, distance), number(4 * CUBIC, distance))
