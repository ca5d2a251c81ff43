"""text/plain: one string in, strings or JSON text out."""

from __future__ import annotations

import json

import numpy as np
import pytest

from serving import codecs
from serving.errors import UnsupportedMediaType
from serving.invocation import UNNAMED, Array
from tests.unit.serving.codecs.contract import LIMIT, EncoderContract, one_input


class TestText(EncoderContract):
    """The contract of codecs, and the rules of plain text."""

    content_type = "text/plain"
    carries_several = True
    samples = (b"some words\nand more", "é\0x".encode())

    def read_back(self, body: bytes, array: Array) -> Array:
        """The JSON text that outputs of numbers are."""
        return np.array(json.loads(body))

    def test_the_body_is_one_row(self) -> None:
        """The whole body is one string, in its charset."""
        assert self.read("zwei\nWörter".encode())[UNNAMED].tolist() == ["zwei\nWörter"]
        assert self.read("Wörter".encode("latin-1"), "text/plain; charset=latin-1")[UNNAMED].tolist() == ["Wörter"]

    @pytest.mark.parametrize(("row", "shape"), [((), (1,)), ((1,), (1, 1)), ((1, 1), (1, 1, 1)), ((2,), (1, 1))])
    def test_takes_the_models_shape(self, row: tuple[int, ...], shape: tuple[int, ...]) -> None:
        """The string stands in a row of the model's shape where that has one element."""
        found = codecs.decode(b"x", "text/plain", one_input(None, *row, dtype="U"), LIMIT)[UNNAMED]
        assert found.shape == shape

    def test_refuses(self) -> None:
        """Bytes that leave their charset, a NUL at the end and more than the limit are a 400, other charsets a 415."""
        self.refuse(b"a\xff", "not valid utf-8 at byte 1")
        self.refuse(b"a\0", "NUL")
        self.refuse(b"x" * 300, "more than 1000 bytes", limit=1000)
        with pytest.raises(UnsupportedMediaType):
            self.read(b"x", "text/plain; charset=none")

    @pytest.mark.parametrize(
        ("output", "text"),
        [
            (np.array(["a", "b c"]), "a\nb c"),
            (np.array([b"a", b"\xff"]), "a\n\ufffd"),
            (np.array(["a", b"b"], object), "a\nb"),
            (np.array("one"), "one"),
            (np.float32([[0.5, np.nan]]), "[[0.5,null]]"),
        ],
    )
    def test_text(self, output: Array, text: str) -> None:
        """Strings are written a line each, numbers as the JSON codec writes them."""
        assert self.write(output).decode() == text
