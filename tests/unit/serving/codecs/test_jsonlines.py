"""JSON Lines: a row a line, in and out."""

from __future__ import annotations

import numpy as np
import pytest

from serving import codecs
from serving.errors import NotAcceptable
from serving.invocation import UNNAMED, Outputs
from tests.unit.serving.codecs.contract import EncoderContract


class TestJsonLines(EncoderContract):
    """The contract of codecs, and the rules of lines."""

    content_type = "application/jsonlines"
    carries_several = True
    samples = (
        b"[1.5, 2]\n[3, 4]\n",
        b'{"features": [1, 2]}\r\n\r\n{"features": [3, 4]}',
        b'{"a": [1], "b": "x"}\n{"a": [2], "b": "y"}',
        b'{"instances": [[1, 2], [3, 4]]}\n[5, 6]',
    )

    @pytest.mark.parametrize(
        ("body", "expected"),
        [
            (b"[1, 2]\n[3, 4]", [[1, 2], [3, 4]]),
            (b"\n[1, 2]\r\n \n[3, 4]\n\n", [[1, 2], [3, 4]]),
            (b'{"features": [1, 2]}\n{"features": [3, 4]}', [[1, 2], [3, 4]]),
            (b'{"instances": [[1, 2]]}\n{"instances": [[3, 4]]}', [[1, 2], [3, 4]]),
            (b'{"instances": 1}\n2', [1, 2]),
            (b'"a"\n"b"', ["a", "b"]),
        ],
    )
    def test_rows(self, body: bytes, expected: object) -> None:
        """Each line is a row, or has rows; blank lines are none."""
        assert self.read(body)[UNNAMED].tolist() == expected

    def test_names(self) -> None:
        """Lines that are objects are stacked by name."""
        found = self.read(b'{"a": [1, 2], "b": 5}\n{"a": [3, 4], "b": 6}')
        assert {name: array.tolist() for name, array in found.items()} == {"a": [[1, 2], [3, 4]], "b": [5, 6]}

    @pytest.mark.parametrize(
        ("body", "message"),
        [
            (b"\n \n", "empty"),
            (b"[1]\n\n[2,\n", "line 3 column 4"),
            (b"[1]\n[NaN]", "line 2 column 2: send null"),
            (b"[1],[2]\n", "line 1"),
            (b"[1],\n[2]", "line 1"),
            (b"[1]\n[2, 3]", "ragged"),
            (b'{"a": 1}\n{"b": 1}', "row 1 does not have the names of row 0"),
            (b'[1]\n{"a": 1}', "row 0"),
        ],
    )
    def test_refuses(self, body: bytes, message: str) -> None:
        """A line that is malformed or unlike the others is a 400 that says which."""
        self.refuse(body, message)

    def test_lines_are_not_joined(self) -> None:
        """Two lines that make sense only together are a 400."""
        self.refuse(b"[1\n,2]", "line 1")

    @pytest.mark.parametrize(
        ("outputs", "text"),
        [
            ({"a": np.array([[1.5, 2], [3, np.nan]], np.float32)}, "[1.5,2.0]\n[3.0,null]\n"),
            ({"a": np.array([1, 2])}, "1\n2\n"),
            ({"a": np.array(["x", "y"])}, '"x"\n"y"\n'),
            ({"a": np.array([[1], [2]]), "b": np.array([True, False])}, '{"a":[1],"b":true}\n{"a":[2],"b":false}\n'),
        ],
    )
    def test_text(self, outputs: Outputs, text: str) -> None:
        """An answer has a line for each row, by name where there are several outputs."""
        assert codecs.encode(outputs, self.content_type)[0].decode() == text

    def test_outputs_of_different_lengths(self) -> None:
        """Outputs that differ in rows have no lines: a 406 that says what carries them."""
        with pytest.raises(NotAcceptable, match="application/json"):
            self.write([[1.0]], [[2.0], [3.0]])
