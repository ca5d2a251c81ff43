"""Text: joined, split, cleaned, matched, and read or written as numbers. Tensors of text are object arrays of str."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from onnx_import.dtypes import SMALL_FLOATS, Array, bounds, carry, deliver, is_float, is_integer, is_unsigned, true_dtype
from onnx_import.errors import InvalidInput
from onnx_import.host import regex


def concat(x: Array, y: Array) -> tuple[Array]:
    """StringConcat: element by element, broadcast."""
    return (np.asarray(np.add(x, y), dtype=object),)


def split(x: Array, *, delimiter: str | None = None, maxsplit: int | None = None) -> tuple[Array, Array]:
    """StringSplit: the parts, padded with empty text to the longest row, and how many there are of each."""
    parts = [text.split(delimiter or None, -1 if maxsplit is None else maxsplit) for text in x.ravel()]
    counts = np.array([len(row) for row in parts], dtype=np.int64)
    width = int(counts.max(initial=0))
    padded = np.full((len(parts), width), "", dtype=object)
    for row, texts in zip(padded, parts, strict=True):
        row[: len(texts)] = texts
    return padded.reshape(*x.shape, width), counts.reshape(x.shape)


def normalize(
    x: Array, *, stopwords: list[str] | None, case_change_action: str, is_case_sensitive: int, locale: str | None = None
) -> tuple[Array]:
    """StringNormalizer: stop words dropped, then letters lowered or raised; one empty text where nothing is left.

    As its text has it, elements are dropped and nothing else is: the reference evaluator also strips accents, drops words
    inside an element, and ignores case only where it changes case. `locale` may choose the letters; Unicode's are used.
    """
    if not (x.ndim == 1 or (x.ndim == 2 and x.shape[0] == 1)):
        raise InvalidInput(f"StringNormalizer takes [C] or [1, C], not {list(x.shape)}")
    fold: Callable[[str], str] = str if is_case_sensitive else str.lower
    stops = {fold(word) for word in stopwords or ()}
    changes: dict[str, Callable[[str], str]] = {"LOWER": str.lower, "UPPER": str.upper, "NONE": str}
    change = changes[case_change_action]
    kept = [change(text) for text in x.ravel() if not stops or fold(text) not in stops] or [""]
    return (_texts(kept).reshape((1, -1) if x.ndim == 2 else -1),)


def full_match(x: Array, *, pattern: str) -> tuple[Array]:
    """RegexFullMatch: whether the whole of each text matches a pattern in RE2's syntax."""
    matches = regex.compile(pattern)
    return (np.array([matches(text) for text in x.ravel()], dtype=bool).reshape(x.shape),)


def equal(x: Array, y: Array) -> tuple[Array]:
    """Equal, of text."""
    return (np.asarray(x == y, dtype=bool),)


def format_number(x: Array, *, dtype: str) -> tuple[Array]:
    """Cast to text: the shortest digits that read back as the same number of `dtype`."""
    numbers = x if is_integer(dtype) and dtype != "uint64" else deliver(x, dtype)
    if dtype in SMALL_FLOATS:  # numpy cannot write them
        return (_texts([str(number) for number in numbers.ravel()]).reshape(x.shape),)
    return (np.asarray(numbers.astype(np.str_), dtype=object),)


def parse_number(x: Array, *, dtype: str) -> tuple[Array]:
    """Cast from text to `dtype`, in its carrier; NaN and signed INF in any case; a fraction is cut off for whole numbers."""
    read: Callable[[str], Any] = float if is_float(dtype) else _truth if dtype == "bool" else whole
    numbers = []
    for text in x.ravel():
        try:
            numbers.append(read(text))
        except (ValueError, OverflowError) as problem:
            raise InvalidInput(f"{text!r} is no {dtype}") from problem
    if not is_float(dtype) and dtype != "bool":
        low, high = bounds(dtype)
        if outside := [number for number in numbers if not low <= number <= high]:
            raise InvalidInput(f"{outside[0]} is no {dtype}")
    widest = np.float64 if is_float(dtype) else np.uint64 if is_unsigned(dtype) else np.int64
    with np.errstate(over="ignore"):  # what is too large for a narrow float is infinite
        return (carry(np.array(numbers, widest).astype(true_dtype(dtype))).reshape(x.shape),)


def whole(text: str) -> int:
    """The whole number that a text says, a fraction cut off."""
    try:
        return int(text)  # exact where a float64 would not be
    except ValueError:
        return int(float(text))


def _truth(text: str) -> bool:
    return float(text) != 0


def _texts(items: list[str]) -> Array:
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array
