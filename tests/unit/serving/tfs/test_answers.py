"""Outputs as TensorFlow Serving lays them out, byte for byte."""

from __future__ import annotations

import json
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from serving.errors import BadRequest
from serving.invocation import Array
from serving.tfs import answers
from tests.unit.serving.codecs.contract import NUMBERS, fuzz


def strings(*values: bytes) -> Array:
    """A one-dimensional array of strings."""
    array = np.empty(len(values), object)
    array[:] = values
    return array


def test_row_of_scalars() -> None:
    """One output: its rows on one line, the closing bracket on the next; newlines taken out, it is what AWS's tests compare."""
    text = answers.row({"y": np.array([3.5, 4.0, 5.5], np.float32)})
    assert text == b'{\n    "predictions": [3.5, 4.0, 5.5\n    ]\n}'
    assert text.replace(b"\n", b"") == b'{    "predictions": [3.5, 4.0, 5.5    ]}'


def test_row_of_lists() -> None:
    """Lists inside rows stay on the line."""
    text = answers.row({"y": np.arange(8).reshape(2, 2, 2)})
    assert text == b'{\n    "predictions": [[[0, 1], [2, 3]], [[4, 5], [6, 7]]\n    ]\n}'


ROWS = b"""{
    "predictions": [
        {
            "a": 1.0,
            "b%": [[1, 2], [3, 4]],
            "s": "x"
        },
        {
            "a": 2.5,
            "b%": [[5, 6], [7, 8]],
            "s": "y"
        }
    ]
}"""


def test_row_of_several_outputs() -> None:
    """Several outputs: an object a row, in the order of the names."""
    outputs = {"s": strings(b"x", b"y"), "b%": np.arange(1, 9).reshape(2, 2, 2), "a": np.array([1, 2.5])}
    assert answers.row(outputs) == ROWS


COLUMN = b"""{
    "outputs": [
        [
            1.0,
            2.0
        ],
        [
            3.0,
            NaN
        ]
    ]
}"""

COLUMNS = b"""{
    "outputs": {
        "a": [
            [
                1
            ]
        ],
        "b": 2.5,
        "s": [
            "x  y",
            "z"
        ]
    }
}"""


def test_column_form() -> None:
    """Columns have every element on a line of its own."""
    assert answers.column({"y": np.array([[1, 2], [3, np.nan]], np.float32)}) == COLUMN


def test_columns_by_name() -> None:
    """Several outputs go by name, in the order of the names; a single value stands alone."""
    assert answers.column({"s": strings(b"x  y", b"z"), "b": np.array(2.5), "a": np.array([[1]])}) == COLUMNS


BYTES_IN_A_ROW = b"""{
    "predictions": [[{
                "b64": "aGVsbG8="
            }, {
                "b64": "/w=="
            }]
    ]
}"""

BYTES_BY_NAME = b"""{
    "predictions": [
        {
            "t_bytes": {
                "b64": "aGk="
            },
            "y": 1
        }
    ]
}"""

BYTES_IN_A_COLUMN = b"""{
    "outputs": [
        {
            "b64": "aGk="
        }
    ]
}"""


def test_bytes() -> None:
    """Outputs whose names end in `_bytes`, and strings that are no UTF-8, are base64, laid out at the depth they stand at."""
    assert answers.row({"t_bytes": strings(b"hello", b"\xff").reshape(1, 2)}) == BYTES_IN_A_ROW
    assert answers.row({"t_bytes": strings(b"hi"), "y": np.array([1])}) == BYTES_BY_NAME
    assert answers.column({"t_bytes": strings(b"hi")}) == BYTES_IN_A_COLUMN
    assert json.loads(answers.row({"t": strings(b"a", b"\xff")})) == {"predictions": ["a", {"b64": "/w=="}]}
    assert answers.column({"t": strings(b"\xff").reshape(())}) == b'{\n    "outputs": {\n        "b64": "/w=="\n    }\n}'


@pytest.mark.parametrize(
    ("array", "row"),
    [
        (np.zeros((0, 3)), "[]"),
        (np.zeros(0), "[]"),
        (np.zeros((2, 0)), "[[], []\n    ]"),
        (np.zeros((2, 0, 3)), "[[], []\n    ]"),
        (np.zeros((2, 2, 0)), "[[[], []], [[], []]\n    ]"),
        (strings(), "[]"),
        (strings().reshape(2, 0), "[[], []\n    ]"),
        (np.array([np.nan, np.inf, -np.inf, 1], np.float16), "[NaN, Infinity, -Infinity, 1.0\n    ]"),
        (np.array([True, False]), "[true, false\n    ]"),
        (np.array([255], np.uint8), "[255\n    ]"),
        (np.array([2**64 - 1], np.uint64), "[18446744073709551615\n    ]"),
        (np.array([0.1, 1e10, 1e-7, 16777216], np.float32), "[0.1, 10000000000.0, 1e-7, 16777216.0\n    ]"),
        (np.array([0.1, 1e22, 5e-324]), "[0.1, 1e+22, 5e-324\n    ]"),
        (np.array([1.5, np.nan], ml_dtypes.bfloat16), "[1.5, NaN\n    ]"),
        (np.array([1.5], ml_dtypes.float8_e5m2), "[1.5\n    ]"),
        (np.array([-8, 7], ml_dtypes.int4), "[-8, 7\n    ]"),
        (np.array([1, 2, 3, 4])[::2], "[1, 3\n    ]"),
        (np.array([True, False, True])[::2], "[true, true\n    ]"),
        (np.array([1.5], ">f4"), "[1.5\n    ]"),
        (np.arange(4, dtype=np.float32).reshape(2, 2).T, "[[0.0, 2.0], [1.0, 3.0]\n    ]"),
        (
            strings(b'q"\\/\n\x0b\x1f\x7f\\u000b', "é\u2028".encode()),
            '["q\\"\\\\/\\n\\u000B\\u001F\x7f\\\\u000b", "é\u2028"\n    ]',
        ),
    ],
)
def test_values(array: Array, row: str) -> None:
    """Every kind of value, of none too: floats with a point or an exponent, control characters in capital digits."""
    assert answers.row({"y": array}).decode() == f'{{\n    "predictions": {row}\n}}'


def test_rows_of_none() -> None:
    """Several outputs of no rows are an empty list."""
    assert answers.row({"a": np.zeros((0, 2)), "b": strings()}) == b'{\n    "predictions": []\n}'


def test_error() -> None:
    """An error's message is a JSON string, whatever is in it."""
    assert answers.error('it\'s "bad"') == b'{\n    "error": "it\'s \\"bad\\""\n}'
    assert answers.error("half \ud800") == b'{\n    "error": "half ?"\n}'


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ({"y": np.array(1.5)}, "output y is a single value and has no rows"),
        ({"y": np.array(1.5), "z": np.array([1])}, "output y is a single value"),
        ({"y": np.zeros(2), "z": np.zeros(3)}, "differ in their number of rows, {'y': 2, 'z': 3}"),
        ({"y": np.zeros(0), "z": np.zeros(1)}, "differ in their number of rows"),
        ({"y": np.array([1 + 2j])}, "no form for tensors of type complex128"),
        ({"y": np.array([1 + 2j], np.complex64), "z": np.zeros(1)}, "complex64"),
    ],
)
def test_what_rows_cannot_hold(outputs: dict[str, Array], message: str) -> None:
    """Outputs without rows, of several numbers of rows or of types that JSON has no form for are a 400, as there."""
    with pytest.raises(BadRequest, match=message):
        answers.row(outputs)


def test_complex_columns() -> None:
    """Types that JSON has no form for are a 400 in column form too."""
    with pytest.raises(BadRequest, match="complex64"):
        answers.column({"y": np.array([1j], np.complex64)})


@pytest.mark.parametrize("array", NUMBERS, ids=[f"{array.dtype.str}-{array.shape}" for array in NUMBERS])
def test_every_layout_in_memory(array: Array) -> None:
    """Numbers of every dtype and memory layout read back as the same values, in both forms."""
    for text, key in ((answers.row({"y": array}), "predictions"), (answers.column({"y": array}), "outputs")):
        np.testing.assert_array_equal(np.array(json.loads(text)[key], array.dtype), array)


def rapidjson(value: Any, level: int, one_line: bool) -> str:
    """A value as PrettyWriter lays it out, written from its description alone."""
    if isinstance(value, list) and value:
        inner = ", " if one_line else ",\n" + "    " * (level + 1)
        items = inner.join(rapidjson(item, level + 1, one_line) for item in value)
        return f"[{items}]" if one_line else "[\n" + "    " * (level + 1) + items + "\n" + "    " * level + "]"
    return json.dumps(value)


shapes = arrays.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=3)


@fuzz
@given(array=arrays.arrays(st.sampled_from([np.int32, np.uint8, np.bool_]), shapes))
def test_layout_of_any_shape(array: Array) -> None:
    """Arrays of any shape have the layout of the writer in both forms."""
    rows, block = rapidjson(array.tolist(), 1, True), rapidjson(array.tolist(), 1, False)
    closed = rows if rows == "[]" else rows[:-1] + "\n    ]"
    assert answers.row({"y": array}).decode() == f'{{\n    "predictions": {closed}\n}}'
    assert answers.column({"y": array}).decode() == f'{{\n    "outputs": {block}\n}}'


@fuzz
@given(array=arrays.arrays(np.float32, shapes), other=arrays.arrays(np.int64, shapes))
def test_several_outputs_of_any_shape(array: Array, other: Array) -> None:
    """Rows of several outputs are each output's rows."""
    rows = min(len(array), len(other))
    array, other = array[:rows], other[:rows]
    found = json.loads(answers.row({"a": array, "b": other}))["predictions"]
    assert repr([row["a"] for row in found]) == repr(json.loads(answers.row({"a": array}))["predictions"])
    assert [row["b"] for row in found] == other.tolist()


@fuzz
@given(values=st.lists(st.binary(max_size=6) | st.text(st.characters(codec="utf-8"), max_size=6).map(str.encode), max_size=4))
def test_strings_of_any_bytes(values: list[bytes]) -> None:
    """Whatever bytes a string holds, the answer is JSON from which they come back."""
    text = answers.row({"s": strings(*values)})
    found = [item.encode() if isinstance(item, str) else item for item in json.loads(text)["predictions"]]
    assert all(item == value or isinstance(item, dict) for item, value in zip(found, values, strict=True))
    assert json.loads(answers.column({"s": strings(*values)}))["outputs"] == json.loads(text)["predictions"]
