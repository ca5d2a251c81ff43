"""Probabilities of many classes from those of every two of them (Wu, Lin and Weng, 2004, the second of their methods)."""

from __future__ import annotations

import numpy as np

from onnx_import.dtypes import Array

ROUNDS = 100
SMALLEST = 1e-7


def couple(chances: Array, *, count: int) -> tuple[Array]:
    """For each row, the probabilities of `count` classes, of the chance that the first of each two classes wins.

    Minimises the sum of (r_ji p_i - r_ij p_j)**2 by one coordinate after the other until all derivatives are equal to
    within 0.005 / count: where ONNX's runtimes stop, too.
    """
    wins = _table(np.clip(chances, SMALLEST, 1 - SMALLEST), count)
    quadratic = -np.swapaxes(wins, 1, 2) * wins
    index = np.arange(count)
    quadratic[:, index, index] = (wins**2).sum(1)
    shares = np.full((len(chances), count), 1 / count)
    rows = np.arange(len(chances))  # those that have not converged
    for _ in range(max(ROUNDS, count)):
        slope = np.einsum("nij,nj->ni", quadratic[rows], shares[rows])
        height = (slope * shares[rows]).sum(1)
        is_open = np.abs(slope - height[:, None]).max(1, initial=0) >= 0.005 / count
        rows, slope, height = rows[is_open], slope[is_open], height[is_open]
        if not rows.size:
            break
        shares[rows] = _round(quadratic[rows], shares[rows], slope, height)
    return (shares,)


def _table(chances: Array, count: int) -> Array:
    """wins[n, i, j]: the chance that class i beats class j; 0 on the diagonal."""
    wins = np.zeros((len(chances), count, count))
    first, second = np.triu_indices(count, 1)
    wins[:, first, second], wins[:, second, first] = chances, 1 - chances
    return wins


def _round(quadratic: Array, shares: Array, slope: Array, height: Array) -> Array:
    """Each class's probability moved once to where the sum is smallest, all being scaled to a sum of 1."""
    for i in range(shares.shape[1]):
        diagonal = quadratic[:, i, i]
        step = (height - slope[:, i]) / diagonal
        shares[:, i] += step
        scale = 1 + step
        height = (height + step * (step * diagonal + 2 * slope[:, i])) / scale**2
        slope = (slope + step[:, None] * quadratic[:, i]) / scale[:, None]
        shares = shares / scale[:, None]
    return shares
