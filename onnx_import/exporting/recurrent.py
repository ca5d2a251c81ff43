"""MXNet's fused RNN as ONNX's RNN, GRU and LSTM: a node a layer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from onnx_import.dtypes import Array
from onnx_import.exporting.build import Refused, Use, mx

# The order of gates in MXNet's rows for each of ONNX's: (update, reset, hidden) of (reset, update, new); (input, output,
# forget, cell) of (input, forget, cell, output).
_GATES = {"rnn_relu": [0], "rnn_tanh": [0], "gru": [1, 0, 2], "lstm": [0, 3, 1, 2]}
_OPS = {"rnn_relu": "RNN", "rnn_tanh": "RNN", "gru": "GRU", "lstm": "LSTM"}


@dataclass(frozen=True)
class _Sizes:
    mode: str
    layers: int
    directions: int
    state: int

    def split(self, flat: Array, features: int) -> list[tuple[Array, Array, Array]]:
        """W, R and B of each layer from MXNet's one vector: all weights first, then all biases."""
        rows, at = len(_GATES[self.mode]) * self.state, 0
        weights, found = [], []

        def next_block(count: int, shape: tuple[int, ...]) -> Array:
            nonlocal at
            block = flat[at : at + count].reshape(shape)
            at += count
            return block

        for layer in range(self.layers):
            wide = features if layer == 0 else self.state * self.directions
            for _ in range(self.directions):
                weights.append((next_block(rows * wide, (rows, wide)), next_block(rows * self.state, (rows, self.state))))
        biases = [(next_block(rows, (rows,)), next_block(rows, (rows,))) for _ in weights]
        for layer in range(self.layers):
            each = slice(layer * self.directions, (layer + 1) * self.directions)
            w = np.stack([self._ordered(one) for one, _ in weights[each]])
            r = np.stack([self._ordered(other) for _, other in weights[each]])
            b = np.stack([np.concatenate([self._ordered(one), self._ordered(other)]) for one, other in biases[each]])
            found.append((w, r, b))
        return found

    def _ordered(self, rows: Array) -> Array:
        gates = np.split(rows, len(_GATES[self.mode]))
        return np.concatenate([gates[at] for at in _GATES[self.mode]])


@mx("RNN")
def rnn(use: Use) -> list[str]:
    """A stack of layers; states come in and go out as MXNet stacks them."""
    mode, flat = use.get("mode"), use.known(1)
    if flat is None:
        raise Refused("its weights are computed from inputs")
    if use.get("projection_size") not in (None, "None"):
        raise Refused("its state is projected, which ONNX's LSTM has not")
    sizes = _Sizes(mode, int(use.get("num_layers")), 2 if use.flag("bidirectional") else 1, int(use.get("state_size")))
    count = 2 if mode == "lstm" else 1
    starts = [_starts(use, 2 + at, sizes) for at in range(count)]
    lengths = use.cast(use.inputs[2 + count], use.dtypes[2 + count], "int32") if use.flag("use_sequence_length") else ""
    x, lasts = use.inputs[0], []
    for layer, (w, r, b) in enumerate(sizes.split(flat, use.shapes[0][-1])):
        weights = [use.build.constant(each, f"{use.node.name}_{name}{layer}") for each, name in ((w, "W"), (r, "R"), (b, "B"))]
        y, *last = use.emit_many(
            _OPS[mode],
            _trimmed([x, *weights, lengths, *(start[layer] for start in starts)]),
            1 + count,
            hidden_size=sizes.state,
            direction="bidirectional" if sizes.directions == 2 else "forward",
            activations=["Relu"] * sizes.directions if mode == "rnn_relu" else None,
            linear_before_reset=1 if mode == "gru" else None,
        )
        # (time, direction, batch, state) to (time, batch, direction and state).
        x = use.emit("Reshape", use.emit("Transpose", y, perm=[0, 2, 1, 3]), use.const([0, 0, -1]))
        lasts.append(last)
    if use.outputs == 1:
        return [x]
    return [x, *(_together(use, [last[at] for last in lasts]) for at in range(use.outputs - 1))]


def _trimmed(names: list[str]) -> list[str]:
    while names and not names[-1]:
        names.pop()
    return names


def _together(use: Use, states: list[str]) -> str:
    return states[0] if len(states) == 1 else use.emit("Concat", *states, axis=0)


def _starts(use: Use, at: int, sizes: _Sizes) -> list[str]:
    """The first state of each layer; zeros are left out, whatever their batch."""
    known = use.known(at)
    if (known is not None and not known.any()) or _is_zeros(use, at):
        return [""] * sizes.layers
    if sizes.layers == 1:
        return [use.inputs[at]]
    parts = [sizes.directions] * sizes.layers
    return use.emit_many("Split", [use.inputs[at], use.const(parts)], sizes.layers, axis=0)


def _is_zeros(use: Use, at: int) -> bool:
    return use.source.nodes[use.node.inputs[at][0]].op in ("_zeros", "zeros_like", "_npi_zeros")
