"""Text: operators on strings, all by the host library, as MXNet has numbers alone."""

from __future__ import annotations

from onnx_import import nd
from onnx_import.errors import InvalidModel
from onnx_import.host import ngrams, regex, text
from onnx_import.nd import Value
from onnx_import.registry import op


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
