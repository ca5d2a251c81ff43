"""Operators on text against ONNX's evaluator."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from onnx_import.errors import OnnxImportError
from tests.unit.onnx_import.checking import check

SHAPES = [(), (0,), (3,), (2, 1), (1, 2, 3)]


def texts(shape: tuple[int, ...], seed: int = 0, letters: str = "ab ,é") -> np.ndarray:
    """Random text."""
    chance = random.Random(seed)
    array = np.empty(int(np.prod(shape)), dtype=object)
    array[:] = ["".join(chance.choices(letters, k=chance.randint(0, 6))) for _ in range(array.size)]
    return array.reshape(shape)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_string_concat(shape: tuple[int, ...]) -> None:
    """Texts are joined, with broadcasting."""
    check("StringConcat", [texts(shape), texts((1, *shape[1:]) if shape else (2,), 1)])


@pytest.mark.parametrize("attributes", [{}, {"delimiter": ","}, {"delimiter": "a", "maxsplit": 1}, {"maxsplit": 1}], ids=str)
@pytest.mark.parametrize("shape", [(0,), (3,), (2, 4)], ids=str)
def test_string_split(shape: tuple[int, ...], attributes: dict[str, Any]) -> None:
    """Parts and counts, at blanks or at a delimiter, with and without a limit."""
    check("StringSplit", [texts(shape, 2)], attributes, outputs=2)


@pytest.mark.parametrize("action", ["NONE", "LOWER", "UPPER"])
@pytest.mark.parametrize("shape", [(5,), (1, 5)], ids=str)
def test_string_normalizer(shape: tuple[int, ...], action: str) -> None:
    """Stop words go, letters change, as the evaluator has it where words are plain."""
    words = np.array(["a", "Monday", "monday", "b", "TUESDAY"], dtype=object).reshape(shape)
    check("StringNormalizer", [words], {"stopwords": ["monday", "b"], "case_change_action": action, "is_case_sensitive": 1})


@pytest.mark.parametrize("pattern", [r"[a-z]+", r"www\.[\w.-]+\.\bcom\b", r"(a|b)*,?", ""])
def test_regex_full_match(pattern: str) -> None:
    """The whole text must match."""
    words = np.array([["www.a-b.com", "ab"], ["", "ab,"]], dtype=object)
    check("RegexFullMatch", [words], {"pattern": pattern})


def test_bad_pattern_is_refused() -> None:
    """A pattern that RE2 does not take is told, by name, before anything runs."""
    with pytest.raises(OnnxImportError, match="RE2"):
        check("RegexFullMatch", [texts((1,))], {"pattern": "(?=a)"}, want=[])


@pytest.mark.parametrize("mode", ["TF", "IDF", "TFIDF"])
@pytest.mark.parametrize("lengths", [(1, 1), (1, 2), (2, 2), (1, 3)], ids=str)
@pytest.mark.parametrize("shape", [(9,), (3, 6), (2, 1)], ids=str)
def test_tf_idf_vectorizer(shape: tuple[int, ...], lengths: tuple[int, int], mode: str) -> None:
    """Counts of n-grams, with skips and weights."""
    pool = [0, 1, 3, 0, 1, 1, 1, 2, 0, 0, 1, 2, 2, 1, 0]
    attributes = {
        "mode": mode,
        "min_gram_length": lengths[0],
        "max_gram_length": lengths[1],
        "max_skip_count": 2,
        "ngram_counts": [0, 3, 9],
        "ngram_indexes": [0, 1, 2, 3, 4, 5, 6, 7],
        "weights": [0.5, 1.5, 2, 2.5, 3, 3.5, 4, 4.5],
    }
    x = np.random.RandomState(5).randint(0, 4, shape)
    prepared = check("TfIdfVectorizer", [x.astype(np.int32)], {**attributes, "pool_int64s": pool})
    assert not any(hasattr(stage, "function") for stage in prepared.program.last[0].stages), "numbers need no host function"
    check(
        "TfIdfVectorizer", [np.array(list("abcd"), dtype=object)[x]], {**attributes, "pool_strings": ["abcd"[i] for i in pool]}
    )
