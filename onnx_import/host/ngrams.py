"""TfIdfVectorizer: how often each n-gram of a pool occurs in each row of tokens."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np

from onnx_import.dtypes import Array
from onnx_import.errors import InvalidInput, InvalidModel

Columns = dict[tuple[Any, ...], int]
"""The output column of each n-gram."""


@dataclass(frozen=True)
class Pool:
    """N-grams laid end to end, shortest first: `starts[n-1]` is where those of n tokens begin, `columns` has one entry each."""

    tokens: list[Any]
    starts: list[int]
    columns: list[int]

    def columns_of(self, low: int, high: int) -> Columns:
        """The n-grams with `low` to `high` tokens."""
        found, number = {}, 0
        for length, (start, end) in enumerate(itertools.pairwise([*self.starts, len(self.tokens)]), start=1):
            for first in range(start, end - length + 1, length):
                if number >= len(self.columns):
                    raise InvalidModel(f"the pool has more n-grams than the {len(self.columns)} of ngram_indexes")
                if low <= length <= high:
                    found[tuple(self.tokens[first : first + length])] = self.columns[number]
                number += 1
        return found


def vectorize(
    x: Array,
    *,
    columns: Columns,
    width: int,
    lengths: tuple[int, int],
    max_skip_count: int,
    weighting: tuple[str, list[float] | None],
) -> tuple[Array]:
    """Counts (TF), whether there are any (IDF) or counts again (TFIDF); the last two times the weight of the column.

    The text has one weight for each n-gram of the pool; the reference evaluator and onnxruntime both take the weight at the
    place of the output column, and so does this. It is the same where `ngram_indexes` counts up from 0.
    """
    if x.ndim > 2:
        raise InvalidInput(f"TfIdfVectorizer takes [C] or [N, C], not {list(x.shape)}")
    mode, weights = weighting
    counts = np.zeros((len(x) if x.ndim == 2 else 1, width), dtype=np.float32)
    for row, tokens in zip(counts, np.atleast_2d(x).tolist(), strict=True):
        for gram in _grams(tokens, lengths, max_skip_count):
            column = columns.get(gram)
            if column is not None:
                row[column] += 1
    if mode == "IDF":
        counts = np.minimum(counts, 1)
    if mode != "TF" and weights:
        counts = counts * np.asarray(weights, dtype=np.float32)[:width]
    return (counts if x.ndim == 2 else counts[0],)


def _grams(tokens: list[Any], lengths: tuple[int, int], max_skip_count: int) -> Any:
    """Every n-gram, with 0 to `max_skip_count` tokens left out between its own; single tokens, which skip nothing, once."""
    low, high = lengths
    for step in range(1, max_skip_count + 2):
        for length in range(low if step == 1 else max(low, 2), high + 1):
            span = (length - 1) * step + 1
            for first in range(len(tokens) - span + 1):
                yield tuple(tokens[first : first + span : step])
