"""Probabilities of many classes from those of every two of them (Wu, Lin and Weng, 2004, the second of their methods).

Minimises the sum of (r_ji p_i - r_ij p_j)**2, one coordinate after the other, until all derivatives are equal to within
0.005 / count: where ONNX's runtimes stop, too. Each sample stops by itself: from then on its steps are 0.
"""

from __future__ import annotations

import numpy as np

from onnx_import import nd
from onnx_import.dtypes import Array
from onnx_import.nd import Value

ROUNDS = 8
"""Runtimes allow 100. From 2 to 40 classes no chances were found, at their ends and at random, that take more than 5."""
SMALLEST = 1e-7


def couple(chances: Value, count: int) -> Value:
    """For each row, the probabilities of `count` classes, of the chances (float64) that the first of each two classes wins."""
    bounded = nd.minimum(nd.maximum(chances, _number(SMALLEST)), _number(1 - SMALLEST))
    wins, losses = (_square(bounded, count, transposed) for transposed in (False, True))
    squares = nd.reduce_sum(nd.multiply(wins, wins), [1])  # a row for each sample: what its classes lose, squared
    diagonal = nd.multiply(squares, nd.constant(np.eye(count)))
    quadratic = nd.subtract(diagonal, nd.multiply(losses, wins))
    rows = [nd.squeeze(part, [1]) for part in nd.split(quadratic, [1] * count, 1)]
    diagonals = nd.split(nd.squeeze(squares, [1]), [1] * count, 1)
    shares = nd.expand(nd.constant(np.full((1, count), 1 / count)), (chances.shape[0], count))
    for _ in range(ROUNDS):
        shares = _round(quadratic, rows, diagonals, shares)
    return shares


def _round(quadratic: Value, rows: list[Value], diagonals: list[Value], shares: Value) -> Value:
    """Each class's probability moved once to where the sum is smallest, all being scaled to a sum of 1."""
    slope = nd.reduce_sum(nd.multiply(quadratic, nd.expand_dims(shares, [1])), [2], False)
    height = nd.reduce_sum(nd.multiply(slope, shares), [1])
    error = nd.reduce_max(nd.absolute(nd.subtract(slope, height)), [1])
    is_open = nd.greater_equal(error, _number(0.005 / len(rows)))
    for index, (row, diagonal) in enumerate(zip(rows, diagonals, strict=True)):
        mine = nd.slice_axis(slope, 1, index, index + 1)
        step = nd.where(is_open, nd.divide(nd.subtract(height, mine), diagonal), _number(0))
        scale = nd.add(step, _number(1))
        twice = nd.multiply(mine, _number(2))
        raised = nd.add(height, nd.multiply(step, nd.add(nd.multiply(step, diagonal), twice)))
        height = nd.divide(raised, nd.multiply(scale, scale))
        slope = nd.divide(nd.add(slope, nd.multiply(step, row)), scale)
        unit = nd.constant(np.eye(len(rows))[index])
        shares = nd.divide(nd.add(shares, nd.multiply(step, unit)), scale)
    return shares


def _square(chances: Value, count: int, transposed: bool) -> Value:
    """The chance of class i over class j at [n, i, j], 0 on the diagonal; or the other way round."""
    first, second = np.triu_indices(count, 1)
    sign, shift = np.zeros((count, count, len(first))), np.zeros((count, count))
    pairs = np.arange(len(first))
    sign[first, second, pairs], sign[second, first, pairs], shift[second, first] = 1, -1, 1
    if transposed:
        sign, shift = np.swapaxes(sign, 0, 1), shift.T
    flat = nd.fully_connected(chances, _constant(sign.reshape(-1, len(first))), _constant(shift.ravel()))
    return nd.reshape(flat, (chances.shape[0], count, count))


def _constant(array: Array) -> Value:
    return nd.constant(np.ascontiguousarray(array))


def _number(value: float) -> Value:
    return nd.constant(np.array(value, np.float64))
