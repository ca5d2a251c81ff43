"""RNN, GRU and LSTM in full: both directions, sequence lengths, every activation, clipping."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from onnx_import.dtypes import Array
from onnx_import.oracle.evaluator import own

Curve = Callable[[Array], Array]


def _sigmoid(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-x)))


# Name: (function of x, alpha and beta; the default alpha; the default beta), after ONNX's RNN.
_CURVES: dict[str, tuple[Callable[[Array, float, float], Array], float, float]] = {
    "affine": (lambda x, a, b: a * x + b, 1.0, 0.0),
    "relu": (lambda x, a, b: np.maximum(x, 0), 0.0, 0.0),
    "leakyrelu": (lambda x, a, b: np.where(x < 0, a * x, x), 0.01, 0.0),
    "thresholdedrelu": (lambda x, a, b: np.where(x >= a, x, 0), 1.0, 0.0),
    "tanh": (lambda x, a, b: np.tanh(x), 0.0, 0.0),
    "scaledtanh": (lambda x, a, b: a * np.tanh(b * x), 1.0, 1.0),
    "sigmoid": (lambda x, a, b: _sigmoid(x), 0.0, 0.0),
    "hardsigmoid": (lambda x, a, b: np.clip(a * x + b, 0, 1), 0.2, 0.5),
    "elu": (lambda x, a, b: np.where(x < 0, a * (np.exp(np.minimum(x, 0)) - 1), x), 1.0, 0.0),
    "softsign": (lambda x, a, b: x / (1 + np.abs(x)), 0.0, 0.0),
    "softplus": (lambda x, a, b: np.logaddexp(x, 0), 0.0, 0.0),
}
_TAKES = {"affine": 2, "leakyrelu": 1, "thresholdedrelu": 1, "scaledtanh": 2, "hardsigmoid": 2, "elu": 1}
"""How many of activation_alpha and activation_beta a function takes: the lists hold those of the functions that take them."""


def _curves(names: list[str], alphas: list[float] | None, betas: list[float] | None) -> list[Curve]:
    """The activation functions of all directions."""
    left, right = iter(alphas or []), iter(betas or [])
    return [_curve(str(name).lower(), left, right) for name in names]


def _curve(name: str, alphas: Iterator[float], betas: Iterator[float]) -> Curve:
    function, alpha, beta = _CURVES[name]
    taken = _TAKES.get(name, 0)
    a = float(next(alphas, alpha)) if taken > 0 else alpha
    b = float(next(betas, beta)) if taken > 1 else beta
    return lambda x: function(x, a, b)


class _Network:
    """What RNN, GRU and LSTM share: directions, lengths, layouts. A `step` takes and gives the states of one moment."""

    def __init__(self, given: dict[str, Any], defaults: list[str]) -> None:
        self.direction = given.get("direction") or "forward"
        self.layout = given.get("layout") or 0
        directions = 2 if self.direction == "bidirectional" else 1
        names = list(given.get("activations") or []) or defaults * directions
        self.curves = _curves(names, given.get("activation_alpha"), given.get("activation_beta"))
        limit = given.get("clip")
        self.clip: Curve = (lambda x: x) if not limit else (lambda x: np.clip(x, -limit, limit))

    def run(
        self, x: Array, lengths: Array | None, states: list[Array | None], step: Callable[..., list[Array]], size: int
    ) -> Any:
        """Y and the last states: `step(direction, curves, x_t, states)` moment by moment."""
        if self.layout:
            x, states = np.swapaxes(x, 0, 1), [None if s is None else np.swapaxes(s, 0, 1) for s in states]
        time, batch = x.shape[:2]
        ends = np.full(batch, time) if lengths is None else np.asarray(lengths).astype(np.int64)
        count = 2 if self.direction == "bidirectional" else 1
        each = len(self.curves) // count
        y = np.zeros((time, count, batch, size), x.dtype)
        lasts = []
        for d in range(count):
            now = [np.zeros((batch, size), x.dtype) if s is None else s[d] for s in states]
            curves = self.curves[d * each : (d + 1) * each]
            backward = d == 1 or self.direction == "reverse"
            for t in reversed(range(time)) if backward else range(time):
                alive = (t < ends)[:, None]
                new = step(d, curves, x[t], now)
                now = [np.where(alive, after, before).astype(x.dtype) for after, before in zip(new, now, strict=True)]
                y[t, d] = np.where(alive, now[0], 0)
            lasts.append(now)
        finals = [np.stack([last[at] for last in lasts]) for at in range(len(states))]
        if self.layout:
            y, finals = y.transpose(2, 0, 1, 3), [np.swapaxes(final, 0, 1) for final in finals]
        return (y, *finals)


def _filled(optional: tuple[Array | None, ...], count: int) -> tuple[Array | None, ...]:
    """Optional inputs, None for those that are not given."""
    return (*optional, *[None] * (count - len(optional)))


def _biases(b: Array | None, directions: int, gates: int, size: int, like: Array) -> tuple[Array, Array]:
    """The biases of the input and of the recurrence."""
    both = np.zeros((directions, 2 * gates * size), like.dtype) if b is None else b
    return both[:, : gates * size], both[:, gates * size :]


@own("RNN")
def rnn(
    x: Array,
    w: Array,
    r: Array,
    *optional: Array | None,
    activations: Any,
    activation_alpha: Any,
    activation_beta: Any,
    clip: Any,
    direction: Any,
    layout: Any,
    outputs: int,
) -> Any:
    """A simple recurrent network."""
    b, lengths, h = _filled(optional, 3)
    net = _Network(locals(), ["Tanh"])
    size = r.shape[-1]
    wb, rb = _biases(b, len(w), 1, size, x)

    def step(d: int, curves: list[Curve], x_t: Array, states: list[Array]) -> list[Array]:
        return [curves[0](net.clip(x_t @ w[d].T + states[0] @ r[d].T + wb[d] + rb[d]))]

    return net.run(x, lengths, [h], step, size)[:outputs]


@own("GRU")
def gru(
    x: Array,
    w: Array,
    r: Array,
    *optional: Array | None,
    activations: Any,
    activation_alpha: Any,
    activation_beta: Any,
    clip: Any,
    direction: Any,
    layout: Any,
    linear_before_reset: int | None,
    outputs: int,
) -> Any:
    """Gated recurrent units; gates lie in the order update, reset, hidden."""
    b, lengths, h = _filled(optional, 3)
    net = _Network(locals(), ["Sigmoid", "Tanh"])
    size = r.shape[-1]
    wb, rb = _biases(b, len(w), 3, size, x)

    def step(d: int, curves: list[Curve], x_t: Array, states: list[Array]) -> list[Array]:
        (before,) = states
        given = np.split(x_t @ w[d].T + wb[d], 3, -1)
        gates = before @ r[d, : 2 * size].T + rb[d, : 2 * size]
        z = curves[0](net.clip(given[0] + gates[:, :size]))
        reset = curves[0](net.clip(given[1] + gates[:, size:]))
        last, bias = r[d, 2 * size :].T, rb[d, 2 * size :]
        inner = reset * (before @ last + bias) if linear_before_reset else (reset * before) @ last + bias
        return [(1 - z) * curves[1](net.clip(given[2] + inner)) + z * before]

    return net.run(x, lengths, [h], step, size)[:outputs]


@own("LSTM")
def lstm(
    x: Array,
    w: Array,
    r: Array,
    *optional: Array | None,
    activations: Any,
    activation_alpha: Any,
    activation_beta: Any,
    clip: Any,
    direction: Any,
    layout: Any,
    input_forget: int | None,
    outputs: int,
) -> Any:
    """Long short-term memory; gates lie in the order input, output, forget, cell, peepholes input, output, forget."""
    b, lengths, h, c, p = _filled(optional, 5)
    net = _Network(locals(), ["Sigmoid", "Tanh", "Tanh"])
    size = r.shape[-1]
    wb, rb = _biases(b, len(w), 4, size, x)
    peep = np.zeros((len(w), 3 * size), x.dtype) if p is None else p

    def step(d: int, curves: list[Curve], x_t: Array, states: list[Array]) -> list[Array]:
        before, cell = states
        i, o, f, g = np.split(x_t @ w[d].T + before @ r[d].T + wb[d] + rb[d], 4, -1)
        pi, po, pf = np.split(peep[d], 3)
        i = curves[0](net.clip(i + pi * cell))
        f = 1 - i if input_forget else curves[0](net.clip(f + pf * cell))
        new = f * cell + i * curves[1](net.clip(g))
        return [curves[0](net.clip(o + po * new)) * curves[2](new), new]

    return net.run(x, lengths, [h, c], step, size)[:outputs]
