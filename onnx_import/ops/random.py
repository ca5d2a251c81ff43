"""Draws at random: with a `seed`, constants, as the reference evaluator draws them; without, new ones by MXNet in every run."""

from __future__ import annotations

import numpy as np

from onnx_import import nd
from onnx_import.dtypes import CARRIERS, ONNX_NAMES
from onnx_import.errors import InvalidInput, InvalidModel
from onnx_import.nd import Value
from onnx_import.nd.tape import current
from onnx_import.registry import op

Shape = tuple[int, ...]


@op("RandomNormal", since=1)
def random_normal(*, dtype: int, mean: float, scale: float, seed: float | None, shape: list[int]) -> Value:
    """Numbers of a normal distribution in a given shape."""
    return _normal(_sizes(shape), _kind(dtype), mean, scale, seed)


@op("RandomNormalLike", since=1)
def random_normal_like(x: Value, *, dtype: int | None, mean: float, scale: float, seed: float | None) -> Value:
    """Numbers of a normal distribution in the shape of the input."""
    return _normal(x, _kind(dtype, x), mean, scale, seed)


@op("RandomUniform", since=1)
def random_uniform(*, dtype: int, high: float, low: float, seed: float | None, shape: list[int]) -> Value:
    """Numbers from `low` to `high` in a given shape."""
    return _uniform(_sizes(shape), _kind(dtype), low, high, seed)


@op("RandomUniformLike", since=1)
def random_uniform_like(x: Value, *, dtype: int | None, high: float, low: float, seed: float | None) -> Value:
    """Numbers from `low` to `high` in the shape of the input."""
    return _uniform(x, _kind(dtype, x), low, high, seed)


@op("Bernoulli", since=15)
def bernoulli(x: Value, *, dtype: int | None, seed: float | None) -> Value:
    """1 with the probability of the input, else 0.

    The two sides are numpy's binomial draw of one trial: it turns a probability above a half around.
    """
    probability = nd.cast(x, "float64")
    draw = _uniform(probability, "float64", 0.0, 1.0, seed)
    half, one = nd.constant(np.float64(0.5)), nd.constant(np.float64(1))
    is_one = nd.where(
        nd.less_equal(probability, half),
        nd.greater(draw, nd.subtract(one, probability)),
        nd.less_equal(draw, nd.minimum(probability, one)),
    )
    return nd.cast(is_one, _kind(dtype, x))


@op("Multinomial", since=7)
def multinomial(x: Value, *, dtype: int, sample_size: int, seed: float | None) -> Value:
    """`sample_size` classes for each row of unnormalized log-probabilities: where a draw falls in their running sum."""
    if x.rank != 2:
        raise InvalidInput(f"Multinomial takes [batch, classes], not {list(x.shape)}")
    rows, classes = x.shape
    odds = nd.emit("softmax", [nd.cast(x, "float64")], x.shape, "float64", axis=-1)
    sums = nd.emit("_np_cumsum", [odds], x.shape, "float64", axis=1)
    draws = _uniform((rows, sample_size, 1), "float64", 0.0, 1.0, seed)
    # The last sum is 1, give or take rounding: it bounds nothing.
    bounds = nd.expand_dims(nd.slice_axis(sums, 1, 0, classes - 1), [1])
    passed = nd.cast(nd.greater_equal(draws, bounds), "int64")
    if classes == 1:
        return nd.zeros((rows, sample_size), _kind(dtype))
    return nd.cast(nd.emit("sum", [passed], (rows, sample_size), "int64", axis=2), _kind(dtype))


def _sizes(shape: list[int]) -> Shape:
    if min(shape, default=0) < 0:
        raise InvalidModel(f"there is no shape {shape}")
    return tuple(shape)


def _kind(dtype: int | None, like: Value | None = None) -> str:
    """The dtype of the output."""
    if not dtype and like is not None:
        return like.dtype
    if dtype not in ONNX_NAMES or ONNX_NAMES[dtype] not in CARRIERS:
        raise InvalidModel(f"no draws come in the element type {dtype}")
    return ONNX_NAMES[dtype]


def _normal(shape: Shape | Value, dtype: str, mean: float, scale: float, seed: float | None) -> Value:
    if not _is_seeded(seed):
        return _draw("_random_normal", shape, dtype, loc=mean, scale=scale)
    numbers = nd.cast(nd.constant(np.asarray(_generator(seed).standard_normal(_shape(shape)))), dtype)
    return nd.add(nd.multiply(numbers, nd.full((), scale, dtype)), nd.full((), mean, dtype))


def _uniform(shape: Shape | Value, dtype: str, low: float, high: float, seed: float | None) -> Value:
    if not _is_seeded(seed):
        return _draw("_random_uniform", shape, dtype, low=low, high=high)
    numbers = nd.cast(nd.constant(np.asarray(_generator(seed).random_sample(_shape(shape)))), dtype)
    return nd.add(nd.multiply(numbers, nd.full((), high - low, dtype)), nd.full((), low, dtype))


def _draw(operator: str, shape: Shape | Value, dtype: str, **limits: float) -> Value:
    """A node that draws in every run, as many numbers as the value has in whose place its shape may stand.

    Equal nodes are one: each gets its place on the tape as an attribute of its own.
    """
    native = dtype if dtype in ("float16", "float32", "float64") else "float32"
    own = {**limits, "__draw__": len(current().nodes)}
    if isinstance(shape, Value) and not shape.is_known:
        drawn = nd.emit(f"{operator}_like", [nd.cast(shape, native)], shape.shape, native, **own)
    else:
        drawn = nd.emit(operator, [], _shape(shape), native, shape=_shape(shape), dtype=native, **own)
    return nd.cast(drawn, dtype)


def _shape(shape: Shape | Value) -> Shape:
    return shape.shape if isinstance(shape, Value) else shape


def _is_seeded(seed: float | None) -> bool:
    return seed is not None and not np.isnan(seed)


def _generator(seed: float | None) -> np.random.RandomState:
    return np.random.RandomState(int(seed or 0))
