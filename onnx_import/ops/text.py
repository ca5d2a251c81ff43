"""Text: operators on strings go by the host library, as MXNet has numbers alone; n-grams of numbers become a graph."""

from __future__ import annotations

import functools

import numpy as np

from onnx_import import nd
from onnx_import.dtypes import Array
from onnx_import.errors import InvalidModel
from onnx_import.host import ngrams, regex, text
from onnx_import.nd import Value
from onnx_import.registry import op

LARGEST = 1 << 22
"""Comparisons (tokens times n-grams) up to which counting n-grams of numbers is a graph."""


@op("StringConcat", since=20)
def string_concat(x: Value, y: Value) -> Value:
    """x followed by y."""
    joined: Value = nd.host(text.concat, [x, y], [(nd.broadcast_shape(x, y), "string")])[0]
    return joined


@op("StringSplit", since=20)
def string_split(x: Value, *, delimiter: str | None, maxsplit: int | None) -> tuple[Value, Value]:
    """The parts of each text along a new last axis, and how many there are."""
    parts, counts = nd.host(text.split, [x], [(None, "string"), (None, "int64")], delimiter=delimiter, maxsplit=maxsplit)
    return parts, counts


@op("StringNormalizer", since=10)
def string_normalizer(
    x: Value, *, case_change_action: str, is_case_sensitive: int, locale: str | None, stopwords: list[str] | None
) -> Value:
    """Texts without stop words, in one case."""
    if case_change_action not in ("LOWER", "UPPER", "NONE"):
        raise InvalidModel(f"case_change_action is {case_change_action!r}, not LOWER, UPPER or NONE")
    cleaned: Value = nd.host(
        text.normalize,
        [x],
        [(None, "string")],
        stopwords=stopwords,
        case_change_action=case_change_action,
        is_case_sensitive=is_case_sensitive,
        locale=locale,
    )[0]
    return cleaned


@op("RegexFullMatch", since=20, limits="no Unicode scripts in \\p{...}")
def regex_full_match(x: Value, *, pattern: str) -> Value:
    """Whether each whole text matches."""
    regex.compile(pattern)  # a bad pattern is told when the model is converted
    found: Value = nd.host(text.full_match, [x], [(x.shape, "bool")], pattern=pattern)[0]
    return found


@op("TfIdfVectorizer", since=9)
def tf_idf_vectorizer(
    x: Value,
    *,
    max_gram_length: int,
    max_skip_count: int,
    min_gram_length: int,
    mode: str,
    ngram_counts: list[int],
    ngram_indexes: list[int],
    pool_int64s: list[int] | None,
    pool_strings: list[str] | None,
    weights: list[float] | None,
) -> Value:
    """How often each n-gram of the pool occurs in a row of tokens."""
    if mode not in ("TF", "IDF", "TFIDF"):
        raise InvalidModel(f"mode is {mode!r}, not TF, IDF or TFIDF")
    pool = ngrams.Pool(list(pool_strings or pool_int64s or ()), ngram_counts, ngram_indexes, weights)
    if x.dtype != "string" and x.rank in (1, 2):
        table = pool.numbers(min_gram_length, max_gram_length)
        if 0 < x.size * len(table) * (max_skip_count + 1) <= LARGEST and np.isfinite(weights or 0).all():
            return _count_numbers(x, pool, table, max_skip_count, mode)
    counts: Value = nd.host(
        ngrams.vectorize,
        [x],
        [((*x.shape[:-1], pool.width), "float32")],
        pool=pool,
        lengths=(min_gram_length, max_gram_length),
        max_skip_count=max_skip_count,
        mode=mode,
    )[0]
    return counts


def _count_numbers(x: Value, pool: ngrams.Pool, table: dict[ngrams.Gram, int], max_skip_count: int, mode: str) -> Value:
    """Counts by comparing every n-gram of the pool with every window of the rows; a product puts them into their columns."""
    rows = nd.reshape(x, [1, *x.shape][-2:])
    counts, numbers = [], []
    for length in sorted({len(gram) for gram in table}):
        grams = [gram for gram in table if len(gram) == length]
        numbers += [table[gram] for gram in grams]
        steps = [step for step in range(1, max_skip_count + 2 if length > 1 else 2) if rows.shape[1] > (length - 1) * step]
        terms = [_count_windows(rows, np.array(grams), step) for step in steps]
        counts.append(functools.reduce(nd.add, terms) if terms else nd.zeros((rows.shape[0], len(grams)), "float32"))
    found = nd.concatenate(counts, 1)
    columns = np.zeros((len(numbers), pool.width), np.float32)
    columns[np.arange(len(numbers)), [pool.columns[n] for n in numbers]] = 1
    if mode == "IDF":
        found = nd.minimum(found, nd.constant(np.float32(1)))
    if mode != "TF" and pool.weights:
        columns *= np.array([pool.weights[n] for n in numbers], np.float32)[:, None]
    shape = (rows.shape[0], pool.width)
    return nd.reshape(nd.emit("dot", [found, nd.constant(columns)], shape, "float32"), (*x.shape[:-1], pool.width))


def _count_windows(rows: Value, grams: Array, step: int) -> Value:
    """How often each n-gram (a row of `grams`) occurs in a row with its tokens `step` apart."""
    positions = rows.shape[1] - (grams.shape[1] - 1) * step
    hits = nd.full((1, 1, 1), 1, "float32")
    for place in range(grams.shape[1]):
        window = nd.expand_dims(nd.slice_axis(rows, 1, place * step, place * step + positions), [2])
        hits = nd.multiply(hits, nd.cast(nd.equal(window, nd.constant(grams[:, place], rows.dtype)), "float32"))
    return nd.emit("sum", [hits], (rows.shape[0], len(grams)), "float32", axis=1)
