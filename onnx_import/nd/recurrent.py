"""Recurrent layers: by MXNet's fused operator, or step by step.

Here a layer's weights are one `Layer` for each direction; sequences are (time, batch, features).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from onnx_import.nd.elementwise import add, cast, less, maximum, minimum, where, zeros
from onnx_import.nd.linear import matmul
from onnx_import.nd.reducing import reduce_sum
from onnx_import.nd.shaping import (
    concatenate,
    expand,
    expand_dims,
    flip,
    full_like,
    reshape,
    slice_axis,
    slices,
    split,
    transpose,
)
from onnx_import.nd.tape import emit, emit_many
from onnx_import.nd.value import Value, constant

__all__ = ["Layer", "fused_recurrence", "initial_state", "reorder_gates", "stepwise_recurrence", "turned_around"]

Step = Callable[[Value, list[Value]], list[Value]]
"""The next states, the output first, of one moment's projected input and the states before."""


@dataclass(frozen=True)
class Layer:
    """One direction: weights (gates * size, features) and (gates * size, size), and the biases of both."""

    weight: Value
    recurrence: Value
    bias: Value
    recurrent_bias: Value

    @property
    def size(self) -> int:
        """Features of the output."""
        return self.recurrence.shape[-1]


def initial_state(x: Value, directions: int, size: int) -> Value:
    """Zeros for (directions, batch, size), of any batch size where `x` is pending."""
    shape = (directions, x.shape[1], size)
    if x.data is not None or 0 in shape or 0 in x.shape:
        return zeros(shape, x.dtype)
    corner = slice_axis(slice_axis(x, 0, 0, 1), 2, 0, 1)
    return expand(full_like(corner, 0), shape)


def reorder_gates(layer: Layer, order: Sequence[int]) -> Layer:
    """The layer with its gates in another order."""
    parts = (layer.weight, layer.recurrence, layer.bias, layer.recurrent_bias)

    def reordered(value: Value) -> Value:
        pieces = split(value, [value.shape[0] // len(order)] * len(order), 0)
        return concatenate([pieces[place] for place in order], 0)

    return Layer(*[reordered(part) for part in parts])


def fused_recurrence(x: Value, layers: Sequence[Layer], states: Sequence[Value], mode: str) -> list[Value]:
    """(time, batch, directions * size), and the last states; `mode` and the order of gates are MXNet's."""
    flat = [reshape(part, (part.size,)) for layer in layers for part in (layer.weight, layer.recurrence)]
    flat += [part for layer in layers for part in (layer.bias, layer.recurrent_bias)]
    attrs = {
        "mode": mode,
        "state_size": layers[0].size,
        "num_layers": 1,
        "state_outputs": True,
        "bidirectional": len(layers) == 2,
    }
    shape = (*x.shape[:2], len(layers) * layers[0].size)
    outputs = [(shape, x.dtype), *[(state.shape, x.dtype) for state in states]]
    return emit_many("RNN", [x, concatenate(flat, 0), *states], attrs, outputs)


def stepwise_recurrence(
    x: Value, layer: Layer, states: Sequence[Value], step: Step, lengths: Value | None = None
) -> tuple[list[Value], list[Value]]:
    """The outputs of every moment, and the last states; a sequence's states stay, and outputs are 0, behind its length."""
    projected = matmul(x, transpose(layer.weight, [1, 0]))
    projected = add(projected, layer.bias)
    outputs, now = [], list(states)
    for moment, given in enumerate(split(projected, [1] * x.shape[0], 0)):
        new = step(reshape(given, given.shape[1:]), now)
        output = new[0]
        if lengths is not None:
            is_within = expand_dims(less(constant(np.int64(moment)), lengths), [1])
            new = [where(is_within, after, before) for after, before in zip(new, now, strict=True)]
            output = where(is_within, output, constant(np.zeros((), output.carrier), output.dtype))
        outputs.append(output)
        now = new
    return outputs, now


def turned_around(x: Value, lengths: Value | None) -> Value:
    """Each sequence back to front within its length."""
    if lengths is None or 0 in x.shape:
        return flip(x, 0)
    # MXNet reads past the ends for a length that is too large, or negative.
    lengths = maximum(minimum(lengths, _steps(x, lengths.dtype)), constant(np.array(0, lengths.carrier), lengths.dtype))
    return emit("SequenceReverse", [x, cast(lengths, "float32")], x.shape, x.dtype, use_sequence_length=True)


def _steps(x: Value, dtype: str) -> Value:
    """How many steps there are, counted: a constant would be wrong when the symbol is bound to another number of them."""
    one = slices(x, [range(x.shape[0]), *[range(1)] * (x.rank - 1)])
    return reduce_sum(cast(full_like(reshape(one, (x.shape[0],)), 1), dtype), [0], keepdims=False)
