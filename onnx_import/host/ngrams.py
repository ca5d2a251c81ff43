"""TfIdfVectorizer: how often each n-gram of a pool occurs in each row of tokens."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np

from onnx_import.dtypes import Array
from onnx_import.errors import InvalidInput


@dataclass(frozen=True)
class Pool:
    """N-grams laid end to end, shortest first; `starts[n-1]` is where those of n tokens begin, `columns` has one entry each."""

    tokens: list[Any]
    starts: list[int]
    columns: list[int]

    def table(self, low: int, high: int) -> dict[tuple[Any, ...], int]:
        """The output column of each n-gram with `low` to `high` tokens."""
        columns, number = {}, 0
        for length, (start, end) in enumerate(itertools.pairwise([*self.starts, len(self.tokens)]), start=1):
            for first in range(start, end - length + 1, length):
                if low <= length <= high:
                    columns[tuple(self.tokens[first : first + length])] = self.columns[number]
                number += 1
        return columns


def count(x: Array, *, pool: Pool, lengths: tuple[int, int], max_skip_count: int) -> Array:
    """Counts by row and column. N-grams of one token have nothing to skip: they are counted once."""
    low, high = lengths
    table = pool.table(low, high)
    counts = np.zeros((len(x), max(pool.columns) + 1), dtype=np.float32)
    for row, tokens in zip(counts, x.tolist(), strict=True):
        for step in range(1, max_skip_count + 2):
            for length in range(max(low, 1 if step == 1 else 2), high + 1):
                for first in range(len(tokens) - (length - 1) * step):
                    column = table.get(tuple(tokens[first : first + (length - 1) * step + 1 : step]))
                    if column is not None:
                        row[column] += 1
    return counts


def vectorize(
    x: Array, *, pool: Pool, lengths: tuple[int, int], max_skip_count: int, mode: str, weights: list[float] | None
) -> tuple[Array]:
    """Counts (TF), whether there are any (IDF) or counts again (TFIDF), the last two times the weight of the column."""
    if x.ndim > 2:
        raise InvalidInput(f"TfIdfVectorizer takes [C] or [N, C], not {list(x.shape)}")
    counts = count(np.atleast_2d(x), pool=pool, lengths=lengths, max_skip_count=max_skip_count)
    if mode == "IDF":
        counts = np.minimum(counts, 1)
    if mode != "TF" and weights:
        counts = counts * np.asarray(weights, dtype=np.float32)[: counts.shape[1]]
    return (counts if x.ndim == 2 else counts[0],)
