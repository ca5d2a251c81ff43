"""TfIdfVectorizer: how often each n-gram of a pool occurs in each row of tokens."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from onnx_import.dtypes import Array
from onnx_import.errors import InvalidInput, InvalidModel

Gram = tuple[Any, ...]


@dataclass(frozen=True)
class Pool:
    """N-grams laid end to end, shortest first: `starts[n-1]` is where those of n tokens begin.

    `columns` (`ngram_indexes`) and `weights`, where there are any, have one entry for each n-gram.
    """

    tokens: list[Any]
    starts: list[int]
    columns: list[int]
    weights: list[float] | None = None

    def __post_init__(self) -> None:
        if min(self.columns, default=-1) < 0 or min(self.starts, default=-1) < 0:
            raise InvalidModel("ngram_indexes and ngram_counts must be whole numbers from 0, and at least one")
        if self.weights and len(self.weights) != len(self.columns):
            raise InvalidModel(f"{len(self.weights)} weights for {len(self.columns)} n-grams")

    @property
    def width(self) -> int:
        """Columns of the output."""
        return max(self.columns) + 1

    def numbers(self, low: int, high: int) -> dict[Gram, int]:
        """The number of each n-gram with `low` to `high` tokens among those of all lengths."""
        found, number = {}, 0
        for length, (start, end) in enumerate(itertools.pairwise([*self.starts, len(self.tokens)]), start=1):
            for first in range(start, end - length + 1, length):
                if number >= len(self.columns):
                    raise InvalidModel(f"the pool has more n-grams than the {len(self.columns)} of ngram_indexes")
                if low <= length <= high:
                    found[tuple(self.tokens[first : first + length])] = number
                number += 1
        return found


def vectorize(x: Array, *, pool: Pool, lengths: tuple[int, int], max_skip_count: int, mode: str) -> tuple[Array]:
    """Counts (TF), whether there are any (IDF) or counts again (TFIDF); the last two times the weight of the n-gram.

    A weight belongs to the n-gram at its place in the pool, as the text and onnxruntime have it; the reference evaluator
    takes it for the output column of that number.
    """
    if x.ndim > 2:
        raise InvalidInput(f"TfIdfVectorizer takes [C] or [N, C], not {list(x.shape)}")
    numbers = pool.numbers(*lengths)
    output = np.zeros((len(x) if x.ndim == 2 else 1, pool.width), dtype=np.float32)
    for row, tokens in zip(output, np.atleast_2d(x).tolist(), strict=True):
        found = Counter(numbers[gram] for gram in _grams(tokens, lengths, max_skip_count) if gram in numbers)
        for number, count in found.items():
            weight = 1 if mode == "TF" or not pool.weights else pool.weights[number]
            row[pool.columns[number]] += weight if mode == "IDF" else np.float32(weight) * count
    return (output if x.ndim == 2 else output[0],)


def _grams(tokens: list[Any], lengths: tuple[int, int], max_skip_count: int) -> Iterator[Gram]:
    """Every n-gram, with 0 to `max_skip_count` tokens left out between its own; single tokens, which skip nothing, once."""
    low, high = lengths
    for step in range(1, max_skip_count + 2):
        for length in range(low if step == 1 else max(low, 2), high + 1):
            span = (length - 1) * step + 1
            for first in range(len(tokens) - span + 1):
                yield tuple(tokens[first : first + span : step])
