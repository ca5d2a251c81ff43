"""Text in numpy: joined, split, cleaned, and read or written as numbers."""

from __future__ import annotations

import numpy as np
import pytest

from onnx_import.errors import InvalidInput
from onnx_import.host import text


def texts(*items: str) -> np.ndarray:
    """A tensor of text."""
    return np.array(items, dtype=object)


def test_concat_broadcasts() -> None:
    """A scalar joins every element; the result is a tensor even of no axis."""
    assert text.concat(texts("a", "b"), np.array("é", dtype=object))[0].tolist() == ["aé", "bé"]
    joined = text.concat(np.array("a", dtype=object), np.array("b", dtype=object))[0]
    assert (joined.shape, joined.item()) == ((), "ab")


def test_split_pads_to_the_longest() -> None:
    """Rows are as long as the longest, counts say what is real; blanks alone part by default."""
    parts, counts = text.split(texts(" a  b ", "", "c"))
    assert parts.tolist() == [["a", "b"], ["", ""], ["c", ""]]
    assert counts.tolist() == [2, 0, 1]


def test_split_keeps_empty_parts_between_delimiters() -> None:
    """Two delimiters side by side part an empty text; what is beyond `maxsplit` stays whole."""
    parts, counts = text.split(texts("a--b-c"), delimiter="-", maxsplit=2)
    assert (parts.tolist(), counts.tolist()) == ([["a", "", "b-c"]], [3])


def test_split_nothing() -> None:
    """An empty tensor has no parts."""
    parts, counts = text.split(np.empty((2, 0), dtype=object), delimiter=",")
    assert (parts.shape, counts.shape) == ((2, 0, 0), (2, 0))


@pytest.mark.parametrize(
    ("action", "sensitive", "want"),
    [
        ("NONE", 1, ["The", "", "Élan"]),
        ("NONE", 0, ["", "Élan"]),
        ("LOWER", 0, ["", "élan"]),
        ("UPPER", 1, ["THE", "", "ÉLAN"]),
    ],
)
def test_normalize(action: str, sensitive: int, want: list[str]) -> None:
    """Stop words go in their own case or in any; accents and empty texts stay; letters change last."""
    words = texts("The", "the", "", "Élan")
    got = text.normalize(words, stopwords=["the"], case_change_action=action, is_case_sensitive=sensitive)[0]
    assert got.tolist() == want


def test_normalize_leaves_one_empty_text() -> None:
    """Where every word is a stop word one empty text is left, in a row where a row came."""
    got = text.normalize(texts("a")[None], stopwords=["a"], case_change_action="NONE", is_case_sensitive=1)[0]
    assert got.tolist() == [[""]]
    with pytest.raises(InvalidInput, match=r"\[2, 1\]"):
        text.normalize(texts("a", "b")[:, None], stopwords=None, case_change_action="NONE", is_case_sensitive=1)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "bfloat16", "int8", "uint64", "int64", "bool", "uint4"])
def test_numbers_come_back_from_their_text(dtype: str) -> None:
    """A number written and read again is the same one, at the edges of its dtype too."""
    carried = {
        "uint64": np.array([0, 2**63 - 1, -1, -(2**63)], np.int64),  # bits
        "int64": np.array([2**53 + 1, -(2**63), 2**63 - 1]),
        "int8": np.array([-128, 0, 127], np.int8),
        "uint4": np.array([0, 15], np.uint8),
        "bool": np.array([True, False]),
        "bfloat16": np.array([1.5, 3.140625, -np.inf], np.float32),
    }.get(dtype)
    if carried is None:
        carried = np.array([0.1, -1e-5, 60000, np.inf, np.nan], dtype)
    written = text.format_number(carried, dtype=dtype)[0]
    if dtype == "bool":
        assert written.tolist() == ["True", "False"]
        written = texts("1", "0")
    read = text.parse_number(written, dtype=dtype)[0]
    assert read.dtype == carried.dtype
    np.testing.assert_array_equal(read, carried)


def test_parse_number_reads_what_onnx_lists() -> None:
    """Plain and scientific numbers, INF and NaN in any case; a fraction is cut off for whole numbers."""
    read = text.parse_number(texts("3.14", "1E8", "-inf", "+INF", "nAn"), dtype="float32")[0]
    np.testing.assert_array_equal(read, np.array([3.14, 1e8, -np.inf, np.inf, np.nan], np.float32))
    assert text.parse_number(texts("100.5", "-7"), dtype="int32")[0].tolist() == [100, -7]


@pytest.mark.parametrize(("word", "dtype"), [("Hello", "float32"), ("300", "uint8"), ("nan", "int64"), ("-1", "uint64")])
def test_parse_number_refuses(word: str, dtype: str) -> None:
    """A text that is no number of the dtype is named, not guessed at."""
    with pytest.raises(InvalidInput, match=word):
        text.parse_number(texts("1", word), dtype=dtype)
