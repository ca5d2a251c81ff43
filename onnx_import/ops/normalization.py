"""Normalization by statistics, given or taken from the input, and Dropout."""

from __future__ import annotations

import math

import numpy as np

from onnx_import import nd
from onnx_import.errors import InvalidInput, Unsupported
from onnx_import.graph import Node
from onnx_import.nd import Value
from onnx_import.registry import op


@op("BatchNormalization", since=1)
def batch_normalization_1(
    x: Value,
    scale: Value,
    bias: Value,
    mean: Value,
    variance: Value,
    *,
    epsilon: float,
    is_test: int,
    momentum: float,
    spatial: int,
    node: Node,
) -> Value | tuple[Value | None, ...]:
    """By given statistics; by the batch's own where outputs beyond the first are asked for."""
    if not spatial and x.rank > 2:
        return _by_element(x, (scale, bias, mean, variance), epsilon, _is_training(node))
    if is_test or not _is_training(node):
        return _normalized(x, (scale, bias, mean, variance), epsilon)
    return _trained(x, (scale, bias, mean, variance), epsilon, momentum)


@op("BatchNormalization", since=7)
def batch_normalization_7(
    x: Value,
    scale: Value,
    bias: Value,
    mean: Value,
    variance: Value,
    *,
    epsilon: float,
    momentum: float,
    spatial: int | None,
    node: Node,
) -> Value | tuple[Value | None, ...]:
    """By given statistics; by the batch's own where outputs beyond the first are asked for."""
    if spatial == 0 and x.rank > 2:
        return _by_element(x, (scale, bias, mean, variance), epsilon, _is_training(node))
    if not _is_training(node):
        return _normalized(x, (scale, bias, mean, variance), epsilon)
    return _trained(x, (scale, bias, mean, variance), epsilon, momentum)


@op("BatchNormalization", since=14)
def batch_normalization(
    x: Value, scale: Value, bias: Value, mean: Value, variance: Value, *, epsilon: float, momentum: float, training_mode: int
) -> Value | tuple[Value | None, ...]:
    """By given statistics, or by the batch's own, which then move the running ones."""
    if not training_mode:
        return _normalized(x, (scale, bias, mean, variance), epsilon)
    return _trained(x, (scale, bias, mean, variance), epsilon, momentum)[:3]


def _normalized(x: Value, parts: tuple[Value, ...], epsilon: float) -> Value:
    """By given statistics; where types differ, in one that holds them all."""
    dtypes = {part.dtype for part in (x, *parts)}
    if len(dtypes) == 1:
        return nd.batch_norm(x, parts, epsilon)
    wide = "float64" if "float64" in dtypes else "float32"
    result = nd.batch_norm(nd.cast(nd.widen(x), wide), [nd.cast(nd.widen(part), wide) for part in parts], epsilon)
    return nd.narrow(result, x.dtype) if nd.is_small_float(x.dtype) else nd.cast(result, x.dtype)


def _is_training(node: Node) -> bool:
    return any(node.outputs[1:])


def _by_element(x: Value, parts: tuple[Value, ...], epsilon: float, is_training: bool) -> Value:
    """Statistics of each element over the batch, which old opsets have."""
    if is_training:
        raise Unsupported("trains statistics of every element", "set is_test, or leave out outputs beyond the first")
    scale, bias, mean, variance = parts
    deviation = nd.sqrt(nd.add(variance, nd.full((), epsilon, x.dtype)))
    return nd.add(nd.multiply(nd.divide(nd.subtract(x, mean), deviation), scale), bias)


def _trained(x: Value, parts: tuple[Value, ...], epsilon: float, momentum: float) -> tuple[Value, ...]:
    """Normalized, the moved mean and variance, and those of the batch."""
    scale, bias, mean, variance = (nd.widen(part) for part in parts)
    wide = nd.widen(x)
    axes = [axis for axis in range(x.rank) if axis != 1]
    center = nd.reduce_mean(wide, axes)
    spread = nd.subtract(wide, center)
    power = nd.reduce_mean(nd.multiply(spread, spread), axes)
    shape = (-1, *(1,) * (x.rank - 2))
    shape = (x.shape[1], *shape[1:])
    unit = nd.divide(spread, nd.sqrt(nd.add(power, nd.full((), epsilon, wide.dtype))))
    scaled = nd.add(
        nd.multiply(unit, nd.reshape(nd.cast(scale, wide.dtype), shape)), nd.reshape(nd.cast(bias, wide.dtype), shape)
    )
    old = nd.full((), momentum, mean.dtype)
    new = nd.full((), 1 - momentum, mean.dtype)
    own = [nd.cast(nd.reshape(value, (x.shape[1],)), mean.dtype) for value in (center, power)]
    moved = [nd.add(nd.multiply(a, old), nd.multiply(b, new)) for a, b in zip((mean, variance), own, strict=True)]
    states = [nd.narrow(value, parts[2].dtype) for value in (*moved, *own)]
    return (nd.narrow(scaled, x.dtype), *states)


@op("InstanceNormalization", since=1)
def instance_normalization(x: Value, scale: Value, bias: Value, *, epsilon: float) -> Value:
    """Each channel of each item by its own mean and variance."""
    wide = nd.widen(x)
    ones = (x.shape[1], *(1,) * (x.rank - 2))
    unit = nd.reshape(_unit(nd.reshape(wide, (*x.shape[:2], math.prod(x.shape[2:]))), epsilon), x.shape)
    return nd.narrow(nd.add(nd.multiply(unit, nd.reshape(nd.widen(scale), ones)), nd.reshape(nd.widen(bias), ones)), x.dtype)


@op("GroupNormalization", since=18)
def group_normalization_18(x: Value, scale: Value, bias: Value, *, epsilon: float, num_groups: int) -> Value:
    """Groups of channels by their own mean and variance; one scale and bias a group."""
    each = x.shape[1] // num_groups
    repeated = [nd.reshape(nd.expand(nd.reshape(v, (num_groups, 1)), (num_groups, each)), (x.shape[1],)) for v in (scale, bias)]
    return group_normalization(x, *repeated, epsilon=epsilon, num_groups=num_groups, stash_type=1)


@op("GroupNormalization", since=21)
def group_normalization(x: Value, scale: Value, bias: Value, *, epsilon: float, num_groups: int, stash_type: int) -> Value:
    """Groups of channels by their own mean and variance; one scale and bias a channel."""
    if x.shape[1] % num_groups:
        raise InvalidInput(f"{x.shape[1]} channels in {num_groups} groups")
    wide = _stashed(x, stash_type)
    rows = nd.reshape(wide, (x.shape[0], num_groups, x.size // (x.shape[0] * num_groups) if x.size else 0))
    unit = nd.reshape(_unit(rows, epsilon), x.shape)
    ones = (x.shape[1], *(1,) * (x.rank - 2))
    factor, shift = (nd.reshape(nd.cast(value, wide.dtype), ones) for value in (scale, bias))
    return nd.cast(nd.add(nd.multiply(unit, factor), shift), x.dtype)


@op("LayerNormalization", since=17)
def layer_normalization(
    x: Value, scale: Value, bias: Value | None = None, *, axis: int, epsilon: float, stash_type: int
) -> tuple[Value, ...]:
    """All axes from `axis` on by their mean and variance; also the mean, and one over the standard deviation."""
    axis = nd.normal_axis(axis, x.rank)
    wide, inner, outer = _stashed(x, stash_type), x.shape[axis:], x.shape[:axis]
    means = (*outer, *(1,) * len(inner))
    count = math.prod(inner)
    if not x.size:
        nothing = nd.zeros(means, "float64" if stash_type == 11 else "float32")
        return nd.zeros(x.shape, x.dtype), nothing, nothing
    ones, zeros = nd.full((count,), 1, wide.dtype), nd.zeros((count,), wide.dtype)
    # float16 rounds what is normalized before it is scaled.
    is_fused = x.dtype == wide.dtype and scale.shape == inner and (bias is None or bias.shape == inner)
    gain = nd.reshape(scale, (count,)) if is_fused else ones
    shift = nd.reshape(bias, (count,)) if is_fused and bias is not None else zeros
    normal, mean, deviation = nd.layer_norm(nd.reshape(wide, (*outer, count)), gain, shift, epsilon)
    normal = nd.reshape(normal, x.shape)
    if not is_fused:
        normal = nd.multiply(nd.cast(normal, x.dtype), scale)
        normal = normal if bias is None else nd.add(normal, bias)
    inverse = nd.divide(nd.full((), 1, wide.dtype), deviation)
    stash = "float64" if stash_type == 11 else "float32"
    return normal, nd.cast(nd.reshape(mean, means), stash), nd.cast(nd.reshape(inverse, means), stash)


@op("RMSNormalization", since=23)
def rms_normalization(x: Value, scale: Value, *, axis: int, epsilon: float, stash_type: int) -> Value:
    """Divided by the root of the mean square over all axes from `axis` on."""
    axes = range(nd.normal_axis(axis, x.rank), x.rank)
    wide = _stashed(x, stash_type)
    power = nd.reduce_mean(nd.multiply(wide, wide), axes)
    unit = nd.divide(wide, nd.sqrt(nd.add(power, nd.full((), epsilon, wide.dtype))))
    return nd.multiply(nd.cast(unit, scale.dtype), scale)


def _stashed(x: Value, stash_type: int) -> Value:
    """The input in the type that statistics are taken in: float32 (1), float64 (11)."""
    return nd.cast(x, "float64") if stash_type == 11 else nd.widen(x)


def _unit(rows: Value, epsilon: float) -> Value:
    """The last axis, less its mean, over its standard deviation."""
    count = rows.shape[-1]
    if not rows.size:
        return rows
    return nd.layer_norm(rows, nd.full((count,), 1, rows.dtype), nd.zeros((count,), rows.dtype), epsilon)[0]


@op("LRN", since=1)
def lrn(x: Value, *, alpha: float, beta: float, bias: float, size: int) -> Value:
    """Divided by the strength of neighbouring channels."""
    if x.dtype == "float32" and size % 2 and x.rank == 4 and not nd.all_known(x):
        return nd.emit("LRN", [x], x.shape, x.dtype, alpha=alpha, beta=beta, knorm=bias, nsize=size)
    wide = nd.widen(x)
    before, after = ([0, width, *[0] * (x.rank - 2)] for width in ((size - 1) // 2, size // 2))
    squares = nd.pad(nd.multiply(wide, wide), before, after)
    total = nd.slice_axis(squares, 1, 0, x.shape[1])
    for step in range(1, size):
        total = nd.add(total, nd.slice_axis(squares, 1, step, step + x.shape[1]))
    strength = nd.add(nd.multiply(total, nd.full((), alpha / size, wide.dtype)), nd.full((), bias, wide.dtype))
    return nd.narrow(nd.divide(wide, nd.power(strength, nd.full((), beta, wide.dtype))), x.dtype)


@op("LpNormalization", since=1)
def lp_normalization(x: Value, *, axis: int, p: int) -> Value:
    """Divided by the norm along an axis; zeros stay zeros."""
    wide = nd.widen(x)
    size = nd.reduce_sum(nd.absolute(wide) if p == 1 else nd.multiply(wide, wide), [axis])
    norm = size if p == 1 else nd.sqrt(size)
    divisor = nd.where(nd.equal(norm, nd.zeros((), wide.dtype)), nd.full((), 1, wide.dtype), norm)
    return nd.narrow(nd.divide(wide, divisor), x.dtype)


@op("Dropout", since=1)
def dropout_1(x: Value, *, is_test: int, ratio: float, node: Node) -> Value | tuple[Value, ...]:
    """The input in inference, which is all that is left of training."""
    if not is_test and ratio:
        raise Unsupported("drops elements by chance", "set is_test")
    return x if not _is_training(node) else (x, nd.full(x.shape, 1, x.dtype))


@op("Dropout", since=7)
def dropout_7(x: Value, *, node: Node, ratio: float) -> Value | tuple[Value, ...]:
    """The input: these versions know no training."""
    return x if not _is_training(node) else (x, nd.full(x.shape, True, "bool" if node.since >= 10 else x.dtype))


@op("Dropout", since=12, limits="no training without a seed")
def dropout(
    x: Value, ratio: Value | None = None, training_mode: Value | None = None, *, seed: int | None, node: Node
) -> Value | tuple[Value, ...]:
    """The input, unless it is in training; then the elements that the seed does not drop, made larger, and which those are."""
    is_training = training_mode is not None and bool(nd.scalar(training_mode))
    share = 0.5 if ratio is None else float(nd.scalar(ratio))
    if not is_training or share == 0:
        return x if not _is_training(node) else (x, nd.full(x.shape, True, "bool"))
    if seed is None:
        raise Unsupported("drops elements by chance", "set a seed, or training_mode to false")
    mask = nd.constant(np.asarray(np.random.RandomState(seed).uniform(0, 1, x.shape) >= share))
    scaled = nd.multiply(nd.multiply(x, nd.cast(mask, x.dtype)), nd.full((), 1 / (1 - share), x.dtype))
    return scaled, mask
