"""The fast reading of JSON: what it takes on, what it leaves, and that it never takes on something irregular."""

from __future__ import annotations

import numpy as np
import orjson
import pytest

from serving.codecs import json_document
from serving.errors import BadRequest
from serving.invocation import UNNAMED


@pytest.mark.parametrize(
    "body",
    [
        b"[[1, 2], [3]]",
        b"[[1, 2], [3], [4, 5, 6]]",
        b"[[[1], [2]], [[3, 4], []]]",
        b"[[1], 2]",
        b"[1, [2]]",
        b"[[1, [2]], [3, 4]]",
        b"[[1, 2], [[3], 4]]",
        b"[[], [1]]",
        b"[[[]]]",
        b"[]",
        b"{}",
        b'{"inputs": {}}',
        b'{"a": [[1], [2, 3]], "b": [[1]]}',
        b'{"a": [[1, [2]]], "b": [1]}',
        b'{"a": [1], "a": [2]}',
        b'{"a": [1], "b": 2}',
        b'{"a": {"b": [1]}}',
        b'{"instances": {"a": [1]}}',
        b'{"instances": [1], "parameters": {"a": [1]}}',
        b'{"a[": [1]}',
        b'["a", "b"]',
        b"[true]",
        b"[1, null]",
        b"[[1, 2], {}]",
        b"[[1, 2], [3, true]]",
        b"[18446744073709551615]",
        b"5",
        b"[1",
        b"",
    ],
)
def test_leaves_what_is_not_proven(body: bytes) -> None:
    """What is irregular, no number, or looks as if it might be, is left to the careful reading."""
    assert json_document.dense(body) is None


@pytest.mark.parametrize("count", [1, 3, 2000])
def test_short_and_long_texts(count: int) -> None:
    """Texts on both sides of the size where brackets are counted in another way read the same."""
    rows = [[at + 0.5, at] for at in range(count)]
    body = orjson.dumps(rows)
    for text in (body, memoryview(body)):
        found = json_document.dense(text)
        assert found is not None
        assert found[UNNAMED].tolist() == rows
    assert json_document.dense(body[:-2] + b",[1]]]") is None


def test_large_documents_give_their_parser_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """A parser that grew on a large document is not kept."""
    monkeypatch.setattr(json_document, "_KEPT", 100)
    monkeypatch.setattr(json_document, "_spare", [])
    json_document.dense(b"[1.5]")
    assert len(json_document._spare) == 1
    json_document.dense(orjson.dumps([1.5] * 100))
    json_document.load(orjson.dumps(["x"] * 100))
    assert json_document._spare == []


def test_uncounted_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists beyond what simdjson counts are read by orjson, with the same values."""
    monkeypatch.setattr(json_document, "_UNCOUNTED", 3)
    assert json_document.dense(b"[1, 2, 3]") is None
    assert json_document.dense(b"[[1, 2, 3]]") is None
    assert json_document.load(b'\xef\xbb\xbf["a", 2, 3]') == ["a", 2, 3]


def test_load_says_the_line() -> None:
    """A fault is placed by the number of the text's first line."""
    with pytest.raises(BadRequest, match="line 8 column 3"):
        json_document.load(b"[\n1 2]", line=7)


def test_arrays_may_be_written_to() -> None:
    """What the fast reading gives is memory of its own."""
    found = json_document.dense(b"[[1, 2]]")
    assert found is not None
    found[UNNAMED][0, 0] = 7
    np.testing.assert_array_equal(found[UNNAMED], [[7, 2]])
