"""application/json: its forms, its rules for numbers, and what it refuses."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from serving import codecs
from serving.errors import UnsupportedMediaType
from serving.invocation import UNNAMED
from tests.unit.serving.codecs.contract import LIMIT, EncoderContract, fuzz

TENSOR = '{"name": "a", "shape": [2, 2], "datatype": "FP32", "data": [1, 2, 3, 4]}'


class TestJson(EncoderContract):
    """The contract of codecs, and the rules of JSON."""

    content_type = "application/json"
    carries_several = True
    samples = (
        b"[[1.5, 2], [3, -4e2]]",
        b'{"instances": [{"a": [1], "b": "x"}, {"a": [2], "b": "yz"}]}',
        b'{"inputs": {"a": [[1, 2]], "b": [true]}, "parameters": {"n": [1]}}',
        f'{{"inputs": [{TENSOR}]}}'.encode(),
        b'{"first": [[1, 2], [3, 4]], "second": [[0.5], [null]]}',
    )

    @pytest.mark.parametrize(
        ("body", "dtype", "expected"),
        [
            ("[[1.5, 2], [3, 4]]", "float64", [[1.5, 2], [3, 4]]),
            ("[1, 2.5]", "float64", [1, 2.5]),
            ("[[[1]], [[2]]]", "int64", [[[1]], [[2]]]),
            ("[0, 18446744073709551615]", "uint64", [0, 2**64 - 1]),
            ("[9223372036854775807, -9223372036854775808]", "int64", [2**63 - 1, -(2**63)]),
            ("[9007199254740993]", "int64", [2**53 + 1]),
            ("[18446744073709551615, -0.5]", "float64", [2.0**64, -0.5]),
            ("[true, false]", "bool", [True, False]),
            ("[true, 2]", "int64", [1, 2]),
            ("[true, 0.5]", "float64", [1, 0.5]),
            ('["a", "bcd"]', "<U3", ["a", "bcd"]),
            ("5", "int64", 5),
            (" [ 1 ,\r\n\t2 ] ", "int64", [1, 2]),
        ],
    )
    def test_natural_dtype(self, body: str, dtype: str, expected: object) -> None:
        """Values come in the dtype that they have as they stand; whole numbers keep every digit."""
        found = self.read(body.encode())[UNNAMED]
        assert found.dtype == np.dtype(dtype)
        assert found.tolist() == expected

    def test_null_is_nan(self) -> None:
        """Null among numbers is NaN."""
        found = self.read(b"[[1, null], [null, 4]]")[UNNAMED]
        np.testing.assert_array_equal(found, [[1, np.nan], [np.nan, 4]])

    @pytest.mark.parametrize(
        ("body", "names"),
        [
            ('{"instances": [[1, 2]]}', [UNNAMED]),
            ('{"instances": ["a", "b"]}', [UNNAMED]),
            ('{"instances": [[1, 2]], "signature_name": "x", "parameters": {"a": [[1]]}}', [UNNAMED]),
            ('{"instances": [{"features": [1]}, {"features": [2]}]}', [UNNAMED]),
            ('{"instances": [{"a": [1], "b": 2}, {"b": 2, "a": [1]}]}', ["a", "b"]),
            ('[{"a": [1], "b": 2}]', ["a", "b"]),
            ('{"inputs": [[1, 2]]}', [UNNAMED]),
            ('{"inputs": 1}', [UNNAMED]),
            ('{"inputs": {"a": [[1]], "b": [[2]]}}', ["a", "b"]),
            (f'{{"inputs": [{TENSOR}], "id": "7", "outputs": []}}', ["a"]),
            ('{"a": [[1]], "b": [["x"]]}', ["a", "b"]),
            ('{"a.b[0]": [[1]], "c": [2]}', ["a.b[0]", "c"]),
            ('{"a\\u0000b": [1], "a": [2]}', ["a\0b", "a"]),
        ],
    )
    def test_forms(self, body: str, names: list[str]) -> None:
        """Each form gives its tensors under their names, or one that has none."""
        assert sorted(self.read(body.encode())) == sorted(names)

    def test_rows_are_stacked(self) -> None:
        """Rows that are objects become one tensor a name, a row each."""
        found = self.read(b'{"instances": [{"a": [1, 2], "b": 5}, {"a": [3, 4], "b": 6}]}')
        assert found["a"].tolist() == [[1, 2], [3, 4]]
        assert found["b"].tolist() == [5, 6]

    @pytest.mark.parametrize("body", [b'{"a": [1], "a": [2, 3]}', b'{"instances": [[0]], "instances": [2, 3]}'])
    def test_last_of_repeated_keys_counts(self, body: bytes) -> None:
        """Of a key that is repeated the last value counts."""
        assert next(iter(self.read(body).values())).tolist() == [2, 3]

    def test_nul_in_a_key_finds_its_own_value(self) -> None:
        """A name with NUL in it does not get the value of the name before the NUL."""
        found = self.read(b'{"a\\u0000b": [1], "a": [2]}')
        assert (found["a\0b"].tolist(), found["a"].tolist()) == ([1], [2])

    @pytest.mark.parametrize(
        ("body", "message"),
        [
            (b" \n", "empty"),
            (b"[]", "empty"),
            (b"[[], []]", "empty: axis 1 has no elements"),
            (b"{}", "empty object"),
            (b"null", "found null"),
            (b'{"instances": []}', "not empty"),
            (b'{"instances": 5}', "list of rows"),
            (b"[[1, 2], [3]]", "ragged: axis 1 has lengths from 1 to 2"),
            (b"[[1, 2], [3], [4, 5, 6]]", "ragged: axis 1 has lengths from 1 to 3"),
            (b"[[1, [2]]]", "ragged: a number stands beside a list at depth 2"),
            (b"[[[1]], [2]]", "ragged: a number stands beside a list"),
            (b"[[1, 2], 3]", "ragged: a number stands beside a list"),
            (b'[1, "a"]', "holds numbers and strings"),
            (b'["a", null]', "holds nulls and strings"),
            (b'{"a": [{"b": 1}]}', "'a' holds objects"),
            (b'[{"a": 1}, 2]', "row 1 does not have the names of row 0"),
            (b'[1, {"a": 1}]', "row 0|row 1"),
            (b'{"instances": [1], "inputs": [1]}', "not both"),
            (b'{"instances": [1], "extra": [1]}', "unknown key 'extra' beside 'instances'"),
            (b"[-1, 18446744073709551615]", "below 0 and above"),
            (b"[18446744073709551616]", "64 bits"),
            (b"[-9223372036854775809]", "64 bits"),
            (b"[NaN]", "no NaN and no Infinity, found one at line 1 column 2: send null"),
            (b"[1,\n -Infinity]", "no NaN and no Infinity, found one at line 2"),
            (b"[1e999]", "too large for a double: send null"),
            (b"[1, 2", "line 1 column 6"),
            (b"[1,\n2,]", "line 2 column 2"),
            (b"[01]", "line 1 column"),
            (b"[1] x", "line 1 column 5"),
            (b'["\xff"]', "UTF-8 at byte 2"),
            (b'["\\ud800"]', "surrogate"),
            (b'["a\\u0000"]', "NUL"),
            (b"[" * 33 + b"1" + b"]" * 33, "deeper than 32"),
            (b"[" * 10_000 + b"]" * 10_000, "depth|deep"),
            (b"[" * 10_000, "depth|deep"),
            (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, "depth|deep"),
        ],
    )
    def test_refuses(self, body: bytes, message: str) -> None:
        """What is malformed, ragged, empty or no number is a 400 that says what and where."""
        self.refuse(body, message)

    @pytest.mark.parametrize(
        ("fields", "message"),
        [
            ('"name": "a", "shape": [3], "datatype": "FP32", "data": [1, 2]', "2 elements"),
            ('"name": "a", "shape": [2], "datatype": "FP32"', "no data"),
            ('"name": "a", "shape": [2], "datatype": [], "data": [1, 2]', "datatype"),
            ('"name": "a", "shape": [2], "datatype": "FP33", "data": [1, 2]', "datatype"),
            ('"name": "a", "shape": [-1, -2], "datatype": "FP32", "data": [1, 2]', "whole numbers above 0"),
            ('"name": "a", "shape": 2, "datatype": "FP32", "data": [1, 2]', "whole numbers above 0"),
            ('"name": "a", "shape": [2], "datatype": "INT8", "data": [1, 200]', "does not fit into int8"),
            ('"name": "a", "shape": [2], "datatype": "INT8", "data": [1, 2.5]', "does not fit into int8"),
            ('"name": "a", "shape": [1], "datatype": "FP16", "data": [1e9]', "does not fit into float16"),
            ('"name": "a", "shape": [1], "datatype": "BYTES", "data": [1]', "datatype"),
            ('"name": "", "shape": [1], "datatype": "FP32", "data": [1]', "name"),
        ],
    )
    def test_refuses_protocol_tensors(self, fields: str, message: str) -> None:
        """A tensor of the Open Inference Protocol that contradicts itself is a 400 that names it."""
        self.refuse(f'{{"inputs": [{{{fields}}}]}}'.encode(), message)

    def test_protocol_tensor_has_its_dtype_and_shape(self) -> None:
        """A tensor of the Open Inference Protocol comes in the dtype and the shape that it states."""
        found = self.read(f'{{"inputs": [{TENSOR}]}}'.encode())["a"]
        assert (found.dtype, found.tolist()) == (np.float32, [[1, 2], [3, 4]])

    def test_strings_cannot_ask_for_more_than_the_limit(self) -> None:
        """Many short strings beside a long one, which numpy would give terabytes, are a 400."""
        self.refuse(json.dumps(["x" * 10_000] + [""] * 1000).encode(), "more than")

    @pytest.mark.parametrize(
        ("charset", "body"),
        [
            ("utf-8", b"[[1, 2]]"),
            ("UTF-8", "\ufeff[[1, 2]]".encode()),
            ("us-ascii", b"[[1, 2]]"),
            ("iso-8859-1", b"[[1, 2]]"),
            ("utf-16", "[[1, 2]]".encode("utf-16")),
            ("utf-16be", "[[1, 2]]".encode("utf-16-be")),
        ],
    )
    def test_charset(self, charset: str, body: bytes) -> None:
        """The charset of the Content-Type says how the text is read; a byte order mark is passed over."""
        assert self.read(body, f'application/json; charset="{charset}"')[UNNAMED].tolist() == [[1, 2]]

    def test_unknown_charset(self) -> None:
        """A charset that is not read is a 415."""
        with pytest.raises(UnsupportedMediaType, match="punycode"):
            self.read(b"[1]", "application/json; charset=punycode")

    def test_results_outlive_the_next_parse(self) -> None:
        """Arrays keep their values while later bodies are parsed."""
        kept = [self.read(b"[[%d, 0.5], [2, 3]]" % at)[UNNAMED] for at in range(50)]
        assert [int(array[0, 0]) for array in kept] == list(range(50))

    def test_a_held_error_does_not_stop_the_parser(self) -> None:
        """An error that somebody keeps, with its frames, does not stop the next body."""
        held = []
        for body in (b"[[1, 2], [3]]", b"[1, ", b'{"a": [1, "b"]}'):
            try:
                self.read(body)
            except Exception as error:
                held.append(error)
            assert self.read(b"[[1.5]]")[UNNAMED].tolist() == [[1.5]]
        assert len(held) == 3

    @fuzz
    @given(array=arrays.arrays(st.sampled_from([np.float64, np.float32, np.int64, np.bool_]), arrays.array_shapes(max_dims=4)))
    def test_round_trip(self, array: np.ndarray) -> None:  # type: ignore[type-arg]
        """What is written reads back as the same values and shape; NaN and infinities as NaN."""
        body, _ = codecs.encode({"a": array}, self.content_type)
        expected = np.where(np.isfinite(array), array, np.nan) if array.dtype.kind == "f" else array
        found = codecs.decode(body, self.content_type, None, LIMIT)[UNNAMED]
        np.testing.assert_array_equal(found.astype(expected.dtype), expected)

    @fuzz
    @given(
        value=st.recursive(
            st.integers(-9, 9) | st.floats(-1, 1), lambda inner: st.lists(inner, min_size=1, max_size=3), max_leaves=12
        )
    )
    def test_shape_is_numpys(self, value: object) -> None:
        """Nested lists are read where numpy makes a regular array of them, and are a 400 where it cannot."""
        try:
            expected = np.array(value)
        except ValueError:
            self.refuse(json.dumps(value).encode(), "ragged")
            return
        np.testing.assert_array_equal(self.read(json.dumps(value).encode())[UNNAMED], expected)


@pytest.mark.parametrize(
    ("outputs", "text"),
    [
        ({"a": np.array([[0.1, 1]], np.float32)}, "[[0.1,1.0]]"),
        ({"a": np.array([np.nan, np.inf, -np.inf, 1])}, "[null,null,null,1.0]"),
        ({"a": np.array([[1]]), "b": np.array([True])}, '{"a":[[1]],"b":[true]}'),
        ({"a": np.array(2.5)}, "2.5"),
        ({"a": np.array(["x", "é"])}, '["x","é"]'),
        ({"a": np.array([b"x", b"\xff"])}, '["x",{"b64":"/w=="}]'),
        ({"a": np.array(["x", b"y", None], object)}, '["x","y",null]'),
        ({"a": np.array([1.5], ">f8")}, "[1.5]"),
        ({"a": np.array(["\ud800"])}, '["?"]'),
    ],
)
def test_text(outputs: dict[str, np.ndarray], text: str) -> None:  # type: ignore[type-arg]
    """One output is its bare list, several go by name; NaN and infinities are null, bytes are text or base64."""
    assert codecs.encode(outputs, "application/json")[0].decode() == text
