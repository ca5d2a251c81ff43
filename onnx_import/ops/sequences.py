"""Sequences and optionals: lists of values, and a value or None. Nothing of them reaches MXNet's graph."""

from __future__ import annotations

from typing import Any

import numpy as np

from onnx_import import nd
from onnx_import.dtypes import CARRIERS
from onnx_import.errors import InvalidInput
from onnx_import.graph import Graph, Type
from onnx_import.host import selection
from onnx_import.lower import subgraph
from onnx_import.nd import Value
from onnx_import.registry import op

Values = list[Value]


@op("SequenceEmpty", since=11)
def sequence_empty(*, dtype: int | None) -> Values:
    """A sequence of nothing; its `dtype` is that of what comes into it."""
    return []


@op("SequenceConstruct", since=11)
def sequence_construct(*values: Value) -> Values:
    """A sequence of the inputs."""
    return list(values)


@op("SequenceLength", since=11)
def sequence_length(values: Values) -> Value:
    """How many there are."""
    return nd.constant(np.int64(len(values)))


@op("SequenceAt", since=11)
def sequence_at(values: Values, position: Value) -> Value:
    """The one at a position, counted from the end where it is negative."""
    return values[_place(position, len(values))]


@op("SequenceInsert", since=11)
def sequence_insert(values: Values, value: Value, position: Value | None = None) -> Values:
    """A sequence with one more, before the position; at the end without one."""
    place = len(values) if position is None else int(nd.scalar(position))
    if not -len(values) <= place <= len(values):
        raise InvalidInput(f"position {place} is none in a sequence of {len(values)}")
    longer = list(values)
    longer.insert(place, value)
    return longer


@op("SequenceErase", since=11)
def sequence_erase(values: Values, position: Value | None = None) -> Values:
    """A sequence without the one at a position; without the last, without one."""
    place = len(values) - 1 if position is None else _place(position, len(values))
    if not values:
        raise InvalidInput("nothing is left to erase in an empty sequence")
    return [*values[:place], *values[place + 1 :]]


@op("SplitToSequence", since=11)
def split_to_sequence(x: Value, split: Value | None = None, *, axis: int, keepdims: int) -> Values:
    """Slices along an axis: of one size, the last one perhaps smaller, or of the given sizes; of 1 without any."""
    axis = nd.normal_axis(axis, x.rank)
    length = x.shape[axis]
    sizes = [1] if split is None else nd.ints(split)
    if split is None or not split.rank:
        if sizes[0] < 1:
            raise InvalidInput(f"a split into slices of {sizes[0]}")
        sizes = [min(sizes[0], length - start) for start in range(0, length, sizes[0])]
    if min(sizes, default=0) < 0 or sum(sizes) != length:
        raise InvalidInput(f"slices of {sizes} do not make up {length}")
    slices = nd.split(x, sizes, axis)
    return slices if keepdims or split is not None else [nd.squeeze(value, [axis]) for value in slices]


@op("ConcatFromSequence", since=11)
def concat_from_sequence(values: Values, *, axis: int, new_axis: int) -> Value:
    """All one behind the other along an axis, or along a new one."""
    if not values:
        raise InvalidInput("an empty sequence cannot be concatenated")
    return nd.stack(values, axis) if new_axis else nd.concatenate(values, axis)


@op("SequenceMap", since=17)
def sequence_map(values: Values, *others: Any, body: Graph) -> tuple[Values, ...]:
    """The body for each value, with those at the same place of other sequences, and with other tensors as they are."""
    for other in others:
        if isinstance(other, list) and len(other) != len(values):
            raise InvalidInput(f"sequences of {len(values)} and {len(other)} are mapped together")
    columns: list[Values] = [[] for _ in body.outputs]
    for place, value in enumerate(values):
        items = [other[place] if isinstance(other, list) else other for other in others]
        for column, result in zip(columns, subgraph(body, [value, *items]), strict=True):
            column.append(result)
    return tuple(columns)


@op("ReverseSequence", since=10)
def reverse_sequence(x: Value, lengths: Value, *, batch_axis: int, time_axis: int) -> Value:
    """The first `lengths[i]` slices of each item back to front, the rest where they were."""
    axes = [time_axis, batch_axis, *range(2, x.rank)]
    if {time_axis, batch_axis} != {0, 1} or x.rank < 2:
        raise InvalidInput(f"batch_axis {batch_axis} and time_axis {time_axis} of {x.rank} axes must be 0 and 1")
    if lengths.shape != (x.shape[batch_axis],):
        raise InvalidInput(f"{list(lengths.shape)} lengths for {x.shape[batch_axis]} sequences")
    if x.dtype not in CARRIERS:
        turned: Value = nd.host(selection.reverse_starts, [x, lengths], [(x.shape, x.dtype)], time_axis=time_axis)[0]
        return turned
    if x.dtype == "bool":
        bytes_ = reverse_sequence(nd.cast(x, "uint8"), lengths, batch_axis=batch_axis, time_axis=time_axis)
        return nd.cast(bytes_, "bool")
    return nd.transpose(nd.turned_around(nd.transpose(x, axes), lengths), axes)


@op("Optional", since=15)
def optional(value: Any = None, *, type: Type | None) -> Any:
    """The input, or nothing."""
    return value


@op("OptionalHasElement", since=15)
def optional_has_element(value: Any = None) -> Value:
    """Whether there is something."""
    return nd.constant(np.bool_(value is not None))


@op("OptionalGetElement", since=15)
def optional_get_element(value: Any = None) -> Any:
    """What there is."""
    if value is None:
        raise InvalidInput("an empty optional has no element to get")
    return value


def _place(position: Value, length: int) -> int:
    place = int(nd.scalar(position))
    if not -length <= place < length:
        raise InvalidInput(f"position {place} is none in a sequence of {length}")
    return place % length
