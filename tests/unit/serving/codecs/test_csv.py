"""text/csv: tables of numbers or strings, in and out."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving import codecs
from serving.errors import BadRequest
from serving.invocation import UNNAMED, Array
from serving.models.signature import Signature
from tests.unit.serving.codecs.contract import LIMIT, EncoderContract, fuzz, one_input


def table(body: bytes, signature: Signature | None = None, params: str = "") -> Array:
    """The only tensor of a CSV body."""
    return codecs.decode(body, "text/csv" + params, signature, LIMIT)[UNNAMED]


class TestCsv(EncoderContract):
    """The contract of codecs, and the rules of CSV."""

    content_type = "text/csv"
    samples = (b"1,2.5\n3,4\n", b'"1","nan"\r\n\r\n-3e2,inf', b"7\n8\n9")

    @pytest.mark.parametrize(
        ("body", "dtype", "expected"),
        [
            (b"1,2\n3,4", "int64", [[1, 2], [3, 4]]),
            (b"1,2.5\n3,4\n", "float64", [[1, 2.5], [3, 4]]),
            (b"1,2\r\n3,4\r\n", "int64", [[1, 2], [3, 4]]),
            (b"\n1, 2 \n\n \n3,4\n\n", "float64", [[1, 2], [3, 4]]),
            (b'"1","2"\n"3",4', "float64", [[1, 2], [3, 4]]),
            (b"+1,.5\n1.,01", "float64", [[1, 0.5], [1, 1]]),
            (b"\xef\xbb\xbf1,2", "float64", [[1, 2]]),
            (b"1e3,-1E-2", "float64", [[1000, -0.01]]),
            (b"5", "int64", [[5]]),
        ],
    )
    def test_numbers(self, body: bytes, dtype: str, expected: object) -> None:
        """Lines of numbers, in all the ways that they are written, are a table; whole numbers alone stay integers."""
        found = table(body)
        assert (found.dtype, found.tolist()) == (np.dtype(dtype), expected)

    def test_not_finite(self) -> None:
        """NaN and infinities are carried as they are, both ways."""
        found = table(b"nan,inf\n-inf,NaN\n")
        np.testing.assert_array_equal(found, [[math.nan, math.inf], [-math.inf, math.nan]])
        assert self.write(np.float32([[math.nan, 0.1], [1, -math.inf]])) == b"nan,0.1\n1.0,-inf\n"

    @pytest.mark.parametrize(
        ("body", "message"),
        [
            (b"\n\r\n", "empty"),
            (b"a,b\n1,2", "line 1 looks like a header of names \\('a'\\)"),
            (b'"sepal length","width"\n1,2', "header of names"),
            (b"1,2\n3,x\n", "line 2 field 2 'x' is not a number"),
            (b"1,2\n3\n", "line 2 has 1 fields, the lines before it 2"),
            (b"nan,2\n\n3,4,5\n", "line 3 has 3 fields"),
            (b"1,,2", "line 1 field 2 is empty: write nan"),
            (b"1,2,", "field 3 is empty"),
            (b"#1,2\n3,4", "line 1 field 1 '#1' is not a number"),
            (b"1,2 # two", "field 2"),
            (b"1;2", "'1;2' is not a number"),
            (b"1_000,2", "'1_000' is not a number"),
            (b"1],[2", "is not a number"),
            (b"[1,2]", "is not a number"),
            (b"1,[2]", "is not a number"),
            (b"{'a':1,'b':2}", "is not a number"),
            (b"true,false", "header|not a number"),
            (b'1,"2', "malformed CSV"),
            (b'1,"2"3', "malformed CSV"),
            (b"1,\xff", "not valid utf-8 at byte 2"),
            (b"1" * 140_000 + b"x", "malformed CSV"),
        ],
    )
    def test_refuses(self, body: bytes, message: str) -> None:
        """A header, a comment, a missing or a foreign field is a 400 that names the line and the field."""
        self.refuse(body, message)

    @pytest.mark.parametrize(
        ("body", "row", "shape"),
        [
            (b"1,2,3,4\n5,6,7,8", (4,), (2, 4)),
            (b"1,2,3,4\n5,6,7,8", (2, 2), (2, 2, 2)),
            (b"1,2\n3,4\n5,6\n7,8", (2, 2), (2, 2, 2)),
            (b"1,2\n3,4\n5,6\n7,8", (1, 2, 2), (2, 1, 2, 2)),
            (b"1,2\n3,4\n5,6", (2, 2), (3, 2)),
            (b"1,2,3\n4,5,6", (2,), (2, 3)),
            (b"1\n2\n3\n4", (4,), (4, 1)),
            (b"1\n2", (), (2,)),
            (b"1,2", (), (1, 2)),
            (b"1,2,3,4", (None, 2), (1, 2, 2)),
            (b"1,2,3", (None, 2), (1, 3)),
            (b"1,2,3,4", (None, None), (1, 4)),
            (b"1,2", (0,), (1, 2)),
        ],
    )
    def test_rows_take_the_models_shape(self, body: bytes, row: tuple[int | None, ...], shape: tuple[int, ...]) -> None:
        """A line, or several of a row's innermost length, become a row of the model; what does not fit stays a table."""
        assert table(body, one_input(None, *row)).shape == shape

    def test_strings_for_a_model_of_strings(self) -> None:
        """Where the model's input takes strings every field is one, quotes and commas included."""
        signature = one_input(None, 2, dtype="U")
        assert table(b'a,"b, ""c"""\n1,2\n', signature).tolist() == [["a", 'b, "c"'], ["1", "2"]]

    @pytest.mark.parametrize(("body", "message"), [(b"a,b\nc", "line 2 has 1 fields"), (b"\n", "empty")])
    def test_strings_are_a_table_too(self, body: bytes, message: str) -> None:
        """Lines of several lengths, and no line, are a 400 for strings as for numbers."""
        with pytest.raises(BadRequest, match=message):
            table(body, one_input(None, 2, dtype="U"))

    def test_charset(self) -> None:
        """The charset of the Content-Type says how the text is read."""
        assert table("1,2".encode("utf-16"), params="; charset=utf-16").tolist() == [[1, 2]]

    @pytest.mark.parametrize(
        ("output", "text"),
        [
            (np.float32([[0.1, 1], [2, 3]]), "0.1,1.0\n2.0,3.0\n"),
            (np.array([1, 2]), "1\n2\n"),
            (np.array([[True, False]]), "1,0\n"),
            (np.zeros((2, 2, 2), np.int8), "0,0,0,0\n0,0,0,0\n"),
            (np.array(["a", 'b "c", d']), 'a\n"b ""c"", d"\n'),
            (np.array([b"a", b"\xff"]), "a\n\ufffd\n"),
            (np.array(["a", b"b"], object), "a\nb\n"),
            (np.float64(2.5), "2.5\n"),
            (np.zeros((0, 3)), ""),
        ],
    )
    def test_text(self, output: Array, text: str) -> None:
        """An answer has a line for each row, flattened; strings are quoted where they must be, booleans are 1 and 0."""
        assert self.write(output).decode() == text

    @fuzz
    @given(rows=st.lists(st.tuples(st.floats(), st.floats(width=32)), min_size=1, max_size=5))
    def test_round_trip(self, rows: list[tuple[float, float]]) -> None:
        """Every float that is written reads back as itself."""
        body, _ = codecs.encode({"a": np.array(rows)}, self.content_type)
        np.testing.assert_array_equal(table(body), np.array(rows))
