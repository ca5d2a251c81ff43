"""Charsets of text bodies."""

from __future__ import annotations

import pytest

from serving.codecs import charset
from serving.errors import BadRequest, UnsupportedMediaType


@pytest.mark.parametrize(
    ("label", "name"),
    [("utf-8", "utf-8"), ("UTF8", "utf-8"), ("us-ascii", "ascii"), ("ISO-8859-15", "iso8859-15"), ("windows-1252", "cp1252")],
)
def test_encoding(label: str, name: str) -> None:
    """Labels are known in any case and under their aliases."""
    assert charset.encoding(label) == name


@pytest.mark.parametrize(
    "label", ["", "zlib", "rot13", "idna", "punycode", "unicode_escape", "utf-7", "x" * 5000, "a\0b", "../x", "é"]
)
def test_other_encodings(label: str) -> None:
    """Transforms, escapes and names that are none are a 415 that echoes little."""
    with pytest.raises(UnsupportedMediaType) as caught:
        charset.encoding(label)
    assert len(caught.value.message) < 120


def test_utf8_is_not_copied() -> None:
    """A body that is UTF-8 by its charset, or has none, is given back as it is."""
    body = b"x"
    assert charset.utf8(body, {}) is body
    assert charset.utf8(body, {"charset": "utf-8"}) is body
    assert charset.utf8("é".encode("latin-1"), {"charset": "latin-1"}) == "é".encode()


def test_text() -> None:
    """Text has no byte order mark, and a byte outside its charset is a 400 that says where."""
    assert charset.text("\ufeffx".encode(), {}) == "x"
    assert charset.text(memoryview("x".encode("utf-16")), {"charset": "utf-16"}) == "x"
    with pytest.raises(BadRequest, match="not valid utf-8 at byte 1"):
        charset.text(b"x\xff", {})
