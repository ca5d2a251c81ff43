"""LSTM, GRU and RNN: fused where MXNet's operator computes the same, else unrolled over time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from onnx_import import nd
from onnx_import.errors import InvalidInput, InvalidModel
from onnx_import.nd import Layer, Value
from onnx_import.nd.recurrent import Step
from onnx_import.ops import activations as curves
from onnx_import.registry import op

Curve = Callable[[Value], Value]
Gate = Callable[..., Value]
Given = Sequence[Value | None]

_GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
_DEFAULTS = {"LSTM": ["sigmoid", "tanh", "tanh"], "GRU": ["sigmoid", "tanh"], "RNN": ["tanh"]}
_FUSED = {
    ("LSTM", "sigmoid", "tanh", "tanh"): ("lstm", (0, 2, 3, 1)),
    ("GRU", "sigmoid", "tanh"): ("gru", (1, 0, 2)),
    ("RNN", "tanh"): ("rnn_tanh", (0,)),
    ("RNN", "relu"): ("rnn_relu", (0,)),
}
"""MXNet's mode, and its gates by their places in ONNX's order."""


@dataclass(frozen=True)
class Network:
    """What the three operators share: `functions` are named activations, one list for each direction."""

    kind: str
    direction: str
    layout: int
    clip: float | None
    functions: list[list[tuple[str, Curve]]]
    variant: int = 0
    """linear_before_reset of GRU, input_forget of LSTM."""

    @property
    def directions(self) -> int:
        """Passes over the sequence."""
        return 2 if self.direction == "bidirectional" else 1

    def clipped(self, x: Value) -> Value:
        """What an activation function gets."""
        if not self.clip:
            return x
        return nd.maximum(nd.minimum(x, nd.full((), self.clip, x.dtype)), nd.full((), -self.clip, x.dtype))


@op("LSTM", since=1)
def lstm(
    x: Value,
    *more: Value | None,
    activation_alpha: list[float] | None,
    activation_beta: list[float] | None,
    activations: list[str] | None,
    clip: float | None,
    direction: str,
    hidden_size: int | None,
    input_forget: int,
    layout: int | None,
) -> tuple[Value, ...]:
    """Long short-term memory: gates input, output, forget and cell."""
    functions = _functions("LSTM", direction, activations, activation_alpha, activation_beta)
    net = Network("LSTM", direction, layout or 0, clip, functions, input_forget)
    weight, recurrence, bias, lengths, hidden, cell, peepholes = _padded(more, 7)
    return _run(net, x, (weight, recurrence, bias), [hidden, cell], (lengths, peepholes))


@op("GRU", since=1)
def gru(
    x: Value,
    *more: Value | None,
    activation_alpha: list[float] | None,
    activation_beta: list[float] | None,
    activations: list[str] | None,
    clip: float | None,
    direction: str,
    hidden_size: int | None,
    layout: int | None,
    linear_before_reset: int | None,
) -> tuple[Value, ...]:
    """Gated recurrent units: gates update, reset and hidden."""
    if direction == "foward":  # the default as opset 1 spells it
        direction = "forward"
    functions = _functions("GRU", direction, activations, activation_alpha, activation_beta)
    net = Network("GRU", direction, layout or 0, clip, functions, linear_before_reset or 0)
    weight, recurrence, bias, lengths, hidden = _padded(more, 5)
    return _run(net, x, (weight, recurrence, bias), [hidden], (lengths, None))


@op("RNN", since=1)
def rnn(
    x: Value,
    *more: Value | None,
    activation_alpha: list[float] | None,
    activation_beta: list[float] | None,
    activations: list[str] | None,
    clip: float | None,
    direction: str,
    hidden_size: int | None,
    layout: int | None,
) -> tuple[Value, ...]:
    """One activation of the input and of the state before."""
    names = (activations or [])[: 2 if direction == "bidirectional" else 1]
    functions = _functions("RNN", direction, names, activation_alpha, activation_beta)
    net = Network("RNN", direction, layout or 0, clip, functions)
    weight, recurrence, bias, lengths, hidden = _padded(more, 5)
    return _run(net, x, (weight, recurrence, bias), [hidden], (lengths, None))


def _padded(inputs: Given, count: int) -> list[Any]:
    return [*inputs, *[None] * (count - len(inputs))]


def _run(
    net: Network, x: Value, weights: tuple[Any, Any, Any], states: Given, extras: tuple[Value | None, Value | None]
) -> tuple[Value, ...]:
    """Outputs of all moments and the last states, in the node's layout; `extras` are sequence lengths and peepholes."""
    lengths, peepholes = extras
    dtype = x.dtype
    if nd.is_small_float(dtype):
        wide = [None if value is None else nd.widen(value) for value in (*weights, *states, peepholes)]
        results = _run(net, nd.widen(x), (wide[0], wide[1], wide[2]), wide[3:-1], (lengths, wide[-1]))
        return tuple(nd.narrow(result, dtype) for result in results)
    if net.layout:
        x = nd.transpose(x, [1, 0, 2])
        states = [None if state is None else nd.transpose(state, [1, 0, 2]) for state in states]
    layers = _layers(net, *weights)
    size = layers[0].size
    begin = [nd.initial_state(x, net.directions, size) if state is None else state for state in states]
    for state in begin:
        if state.shape != (net.directions, x.shape[1], size):
            raise InvalidInput(
                f"a state of shape {list(state.shape)} does not fit {net.directions} passes over {x.shape[1]} rows"
            )
    mode = _fused_mode(net, x, lengths, peepholes)
    if mode is not None:
        y, last = _fused(net, x, layers, begin, mode)
    else:
        y, last = _stepwise(net, x, layers, begin, (lengths, peepholes))
    if net.layout:
        return nd.transpose(y, [2, 0, 1, 3]), *[nd.transpose(state, [1, 0, 2]) for state in last]
    return y, *last


def _layers(net: Network, weight: Value, recurrence: Value, bias: Value | None) -> list[Layer]:
    count, rows = net.directions, _GATES[net.kind] * recurrence.shape[-1]
    if weight.shape[:2] != (count, rows) or recurrence.shape[:2] != (count, rows):
        raise InvalidInput(
            f"weights of shapes {list(weight.shape)} and {list(recurrence.shape)} do not fit {net.direction} {net.kind}"
        )
    both = nd.zeros((count, 2 * rows), weight.dtype) if bias is None else bias
    found = []
    for place in range(count):
        own = [nd.squeeze(nd.slice_axis(value, 0, place, place + 1), [0]) for value in (weight, recurrence, both)]
        found.append(Layer(own[0], own[1], *nd.split(own[2], [rows, rows], 0)))
    return found


def _fused_mode(net: Network, x: Value, lengths: Value | None, peepholes: Value | None) -> tuple[str, tuple[int, ...]] | None:
    """MXNet's mode and order of gates, where its operator computes just this."""
    names = [tuple(name for name, _ in functions) for functions in net.functions]
    if lengths is not None and (lengths.data is None or any(lengths.data != x.shape[0])):
        return None
    if net.clip or peepholes is not None or names[0] != names[-1] or 0 in x.shape or nd.all_known(x):
        return None
    if (net.kind == "GRU") != bool(net.variant):
        return None
    return _FUSED.get((net.kind, *names[0]))


def _fused(net: Network, x: Value, layers: list[Layer], states: list[Value], mode: Any) -> tuple[Value, list[Value]]:
    name, order = mode
    is_reversed = net.direction == "reverse"
    ordered = [nd.reorder_gates(layer, order) for layer in layers]
    y, *last = nd.fused_recurrence(nd.flip(x, 0) if is_reversed else x, ordered, states, name)
    return _by_direction(nd.flip(y, 0) if is_reversed else y, net.directions), last


def _by_direction(y: Value, count: int) -> Value:
    """(time, batch, count * size) as (time, count, batch, size), by nodes that name no batch size."""
    time, batch, size = y.shape
    if count == 1:
        return nd.emit("expand_dims", [y], (time, 1, batch, size), y.dtype, axis=1)
    each = size // count
    halves = nd.emit("Reshape", [y], (time, batch, count, each), y.dtype, shape=(0, 0, -4, count, -1))
    return nd.emit("transpose", [halves], (time, count, batch, each), y.dtype, axes=(0, 2, 1, 3))


def _stepwise(
    net: Network, x: Value, layers: list[Layer], states: list[Value], extra: tuple[Value | None, Value | None]
) -> tuple[Value, list[Value]]:
    lengths, peepholes = extra
    passes, ends = [], []
    for place, layer in enumerate(layers):
        is_reversed = place == 1 or net.direction == "reverse"
        own = [nd.squeeze(nd.slice_axis(state, 0, place, place + 1), [0]) for state in states]
        peephole = None if peepholes is None else nd.squeeze(nd.slice_axis(peepholes, 0, place, place + 1), [0])
        step = _step(net, layer, [curve for _, curve in net.functions[place]], peephole)
        given = nd.turned_around(x, lengths) if is_reversed else x
        outputs, last = nd.stepwise_recurrence(given, layer, own, step, None if lengths is None else nd.cast(lengths, "int64"))
        if not outputs:
            passes.append(nd.zeros((0, *own[0].shape), x.dtype))
        else:
            y = nd.stack(outputs, 0)
            passes.append(nd.turned_around(y, lengths) if is_reversed else y)
        ends.append(last)
    finals = [nd.stack([last[place] for last in ends], 0) for place in range(len(states))]
    return nd.stack(passes, 1), finals


def _step(net: Network, layer: Layer, functions: list[Curve], peepholes: Value | None) -> Step:
    matrix = nd.transpose(layer.recurrence, [1, 0])
    if net.kind == "LSTM":
        return lambda given, states: _lstm_step(net, functions, _recurred(given, states, matrix, layer), states[1], peepholes)
    if net.kind == "GRU":
        return lambda given, states: [_gru_step(net, functions, layer, given, states[0])]
    return lambda given, states: [functions[0](net.clipped(_recurred(given, states, matrix, layer)))]


def _recurred(given: Value, states: list[Value], matrix: Value, layer: Layer) -> Value:
    return nd.add(given, nd.add(nd.matmul(states[0], matrix), layer.recurrent_bias))


def _lstm_step(net: Network, functions: list[Curve], gates: Value, cell: Value, peepholes: Value | None) -> list[Value]:
    size = cell.shape[-1]
    parts = nd.split(gates, [size] * 4, 1)
    of_input, of_output, of_forget = nd.split(peepholes, [size] * 3, 0) if peepholes is not None else (None, None, None)
    first, second, third = functions

    def gate(value: Value, peephole: Value | None, seen: Value) -> Value:
        return first(net.clipped(value if peephole is None else nd.add(value, nd.multiply(peephole, seen))))

    let_in = gate(parts[0], of_input, cell)
    kept = nd.subtract(nd.full((), 1, cell.dtype), let_in) if net.variant else gate(parts[2], of_forget, cell)
    new = nd.add(nd.multiply(kept, cell), nd.multiply(let_in, second(net.clipped(parts[3]))))
    return [nd.multiply(gate(parts[1], of_output, new), third(new)), new]


def _gru_step(net: Network, functions: list[Curve], layer: Layer, given: Value, state: Value) -> Value:
    size = layer.size
    matrices = nd.split(layer.recurrence, [2 * size, size], 0)
    biases = nd.split(layer.recurrent_bias, [2 * size, size], 0)
    first, last = (nd.transpose(matrix, [1, 0]) for matrix in matrices)
    gates, hidden = nd.split(given, [2 * size, size], 1)
    both = functions[0](net.clipped(nd.add(gates, nd.add(nd.matmul(state, first), biases[0]))))
    update, reset = nd.split(both, [size, size], 1)
    if net.variant:
        inner = nd.multiply(reset, nd.add(nd.matmul(state, last), biases[1]))
    else:
        inner = nd.add(nd.matmul(nd.multiply(reset, state), last), biases[1])
    new = functions[1](net.clipped(nd.add(hidden, inner)))
    return nd.add(nd.multiply(nd.subtract(nd.full((), 1, state.dtype), update), new), nd.multiply(update, state))


# Name: the function of x, alpha and beta; how many of the two it takes; their defaults.
_CURVES: dict[str, tuple[Gate, int, float, float]] = {
    "affine": (lambda x, a, b: nd.add(_scaled(x, a), nd.full((), b, x.dtype)), 2, 1.0, 0.0),
    "relu": (lambda x, a, b: curves.relu(x), 0, 0.0, 0.0),
    "leakyrelu": (lambda x, a, b: curves.leaky_relu(x, alpha=a), 1, 0.01, 0.0),
    "thresholdedrelu": (lambda x, a, b: curves.thresholded_relu(x, alpha=a), 1, 1.0, 0.0),
    "tanh": (lambda x, a, b: nd.tanh(x), 0, 0.0, 0.0),
    "scaledtanh": (lambda x, a, b: _scaled(nd.tanh(_scaled(x, b)), a), 2, 1.0, 1.0),
    "sigmoid": (lambda x, a, b: nd.sigmoid(x), 0, 0.0, 0.0),
    "hardsigmoid": (lambda x, a, b: curves.hard_sigmoid(x, alpha=a, beta=b), 2, 0.2, 0.5),
    "elu": (lambda x, a, b: curves.elu(x, alpha=a), 1, 1.0, 0.0),
    "softsign": (lambda x, a, b: curves.softsign(x), 0, 0.0, 0.0),
    "softplus": (lambda x, a, b: curves.softplus(x), 0, 0.0, 0.0),
}


def _scaled(x: Value, factor: float) -> Value:
    return nd.multiply(x, nd.full((), factor, x.dtype))


def _functions(
    kind: str, direction: str, names: list[str] | None, alphas: list[float] | None, betas: list[float] | None
) -> list[list[tuple[str, Curve]]]:
    """Activations by direction; the lists of numbers hold those of the functions that take them, one after the other."""
    if direction not in ("forward", "reverse", "bidirectional"):
        raise InvalidModel(f"direction is {direction!r}, not forward, reverse or bidirectional")
    count, each = (2 if direction == "bidirectional" else 1), len(_DEFAULTS[kind])
    wanted = [str(name).lower() for name in names or _DEFAULTS[kind] * count]
    unknown = [name for name in wanted if name not in _CURVES]
    if unknown or len(wanted) != count * each:
        raise InvalidModel(f"activations {wanted} are no {count * each} of {sorted(_CURVES)}")
    left, right = iter(alphas or []), iter(betas or [])
    found = [(name, _curve(name, left, right)) for name in wanted]
    return [found[place * each : (place + 1) * each] for place in range(count)]


def _curve(name: str, alphas: Iterator[float], betas: Iterator[float]) -> Curve:
    function, taken, alpha, beta = _CURVES[name]
    a = float(next(alphas, alpha)) if taken > 0 else alpha
    b = float(next(betas, beta)) if taken > 1 else beta
    return lambda x: function(x, a, b)
