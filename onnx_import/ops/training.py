"""One step of an optimiser: Adagrad, Adam and Momentum of ai.onnx.preview.training. `Gradient` needs a framework that differentiates."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from onnx_import import nd
from onnx_import.nd import Value
from onnx_import.ops.casting import cast_to
from onnx_import.registry import op

DOMAIN = "ai.onnx.preview.training"


@op("Adagrad", since=1, domain=DOMAIN)
def adagrad(
    rate: Value, step: Value, *tensors: Value, decay_factor: float, epsilon: float, norm_coefficient: float
) -> tuple[Value, ...]:
    """New tensors and sums of squared gradients, of tensors, gradients and sums."""

    def of(x: Value, gradient: Value, squares: Value) -> tuple[Value, ...]:
        decayed = nd.divide(cast_to(rate, x.dtype), _plus(_times(cast_to(step, x.dtype), decay_factor), 1))
        slope = nd.add(_times(x, norm_coefficient), gradient)
        squares = nd.add(squares, nd.multiply(slope, slope))
        move = nd.divide(nd.multiply(decayed, slope), _plus(nd.sqrt(squares), epsilon))
        return nd.subtract(x, move), squares

    return _for_each(of, tensors, 3)


@op("Adam", since=1, domain=DOMAIN)
def adam(
    rate: Value,
    step: Value,
    *tensors: Value,
    alpha: float,
    beta: float,
    epsilon: float,
    norm_coefficient: float,
    norm_coefficient_post: float,
) -> tuple[Value, ...]:
    """New tensors and running means, of tensors, gradients, their running means and those of their squares."""

    def of(x: Value, gradient: Value, means: Value, squares: Value) -> tuple[Value, ...]:
        slope = nd.add(_times(x, norm_coefficient), gradient)
        means = nd.add(_times(means, alpha), _times(slope, 1 - alpha))
        squares = nd.add(_times(squares, beta), _times(nd.multiply(slope, slope), 1 - beta))
        count = cast_to(step, x.dtype)
        bias = nd.divide(nd.sqrt(_rest_of_power(beta, count)), _rest_of_power(alpha, count))
        first = cast_to(rate, x.dtype)
        adjusted = nd.where(nd.greater(count, nd.zeros((), x.dtype)), nd.multiply(first, bias), first)
        moved = nd.subtract(x, nd.multiply(adjusted, nd.divide(means, _plus(nd.sqrt(squares), epsilon))))
        return _times(moved, 1 - norm_coefficient_post), means, squares

    return _for_each(of, tensors, 4)


@op("Momentum", since=1, domain=DOMAIN)
def momentum(
    rate: Value, step: Value, *tensors: Value, alpha: float, beta: float, mode: str, norm_coefficient: float
) -> tuple[Value, ...]:
    """New tensors and momenta, of tensors, gradients and momenta."""

    def of(x: Value, gradient: Value, momenta: Value) -> tuple[Value, ...]:
        slope = nd.add(_times(x, norm_coefficient), gradient)
        count = cast_to(step, x.dtype)
        share = nd.where(nd.greater(count, nd.zeros((), x.dtype)), _number(beta, x), _number(1, x))
        momenta = nd.add(_times(momenta, alpha), nd.multiply(share, slope))
        move = nd.add(slope, _times(momenta, alpha)) if mode == "nesterov" else momenta
        return nd.subtract(x, nd.multiply(cast_to(rate, x.dtype), move)), momenta

    return _for_each(of, tensors, 3)


def _for_each(function: Callable[..., tuple[Value, ...]], tensors: Sequence[Value], kinds: int) -> tuple[Value, ...]:
    """The function of each tensor with what belongs to it; inputs and outputs are listed kind by kind."""
    count = len(tensors) // kinds
    results = [function(*tensors[place::count]) for place in range(count)]
    return tuple(value for column in zip(*results, strict=True) for value in column)


def _rest_of_power(base: float, exponent: Value) -> Value:
    """1 - base**exponent."""
    return nd.subtract(_number(1, exponent), nd.power(_number(base, exponent), exponent))


def _times(x: Value, factor: float) -> Value:
    return nd.multiply(x, _number(factor, x))


def _plus(x: Value, term: float) -> Value:
    return nd.add(x, _number(term, x))


def _number(number: float, like: Value) -> Value:
    return nd.constant(np.array(number, like.carrier), like.dtype)
