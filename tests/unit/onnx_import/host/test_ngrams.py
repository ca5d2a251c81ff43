"""Counting n-grams; `ops/test_text.py` compares with ONNX's evaluator."""

from __future__ import annotations

import numpy as np
import pytest

from onnx_import.errors import InvalidInput, InvalidModel
from onnx_import.host import ngrams

POOL = ngrams.Pool([1, 2, 3, 1, 2, 2, 3], [0, 3], [0, 1, 2, 4, 3], [1.0, 2, 3, 4, 5])


def test_numbers_of_the_lengths_asked_for() -> None:
    """Lengths outside the range still take up their numbers."""
    assert POOL.numbers(1, 1) == {(1,): 0, (2,): 1, (3,): 2}
    assert POOL.numbers(2, 2) == {(1, 2): 3, (2, 3): 4}


def test_pool_and_indexes_must_agree() -> None:
    """More n-grams than indexes are an invalid model."""
    with pytest.raises(InvalidModel, match="2 of ngram_indexes"):
        ngrams.Pool([1, 2, 3], [0], [0, 1]).numbers(1, 1)
    with pytest.raises(InvalidModel, match="from 0"):
        ngrams.Pool([1], [0], [-1])
    with pytest.raises(InvalidModel, match="3 weights for 1"):
        ngrams.Pool([1], [0], [0], [1.0, 2.0, 3.0])


@pytest.mark.parametrize(
    ("mode", "want"),
    [("TF", [2, 2, 0, 0, 2]), ("IDF", [1, 2, 0, 0, 4]), ("TFIDF", [2, 4, 0, 0, 8])],
    ids=["TF", "IDF", "TFIDF"],
)
def test_weights(mode: str, want: list[float]) -> None:
    """TF counts, IDF weighs what is there, TFIDF weighs counts; a weight belongs to the n-gram, whatever its column."""
    tokens = np.array([[1, 2, 9, 1, 2]])
    got = ngrams.vectorize(tokens, pool=POOL, lengths=(1, 2), max_skip_count=0, mode=mode)[0]
    assert got.tolist() == [want]
    assert got.dtype == np.float32


def test_no_more_than_two_axes() -> None:
    """A batch of batches is refused."""
    with pytest.raises(InvalidInput, match=r"\[1, 1, 1\]"):
        ngrams.vectorize(np.ones((1, 1, 1)), pool=POOL, lengths=(1, 1), max_skip_count=0, mode="TF")
