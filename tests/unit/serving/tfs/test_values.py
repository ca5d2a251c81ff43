"""What each dtype takes out of JSON, and the words for what it does not."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from serving.errors import BadRequest
from serving.tfs import values

FLOATS = ("float16", "float32", "float64", ml_dtypes.bfloat16, ml_dtypes.float8_e5m2, ml_dtypes.float8_e4m3fn)
INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", ml_dtypes.int4, ml_dtypes.uint4)
RANGES = {"int8": (-128, 127), "uint8": (0, 255), "int32": (-(2**31), 2**31 - 1), "int4": (-8, 7), "uint4": (0, 15)}
RANGES |= {"int64": (-(2**63), 2**63 - 1), "uint64": (0, 2**64 - 1), "uint16": (0, 65535), "uint32": (0, 2**32 - 1)}
RANGES |= {"int16": (-(2**15), 2**15 - 1)}


def built(value: Any, dtype: Any) -> Any:
    """The tensor's values as lists; the fault's words where there is none."""
    dtype = np.dtype(dtype)
    array = values.build(value, dtype)
    if array is not None:
        assert array.dtype == dtype
        return array.tolist()
    found = values.fault(value, values.shape_of(value), dtype)
    assert found is not None
    return found[1]


@pytest.mark.parametrize("dtype", FLOATS)
def test_floats_take_any_number(dtype: Any) -> None:
    """Float types take whole numbers and others."""
    assert built([[1, 2.5], [-0.5, 3]], dtype) == [[1, 2.5], [-0.5, 3]]


@pytest.mark.parametrize("dtype", FLOATS[:4])
def test_floats_overflow_to_infinity(dtype: Any) -> None:
    """A number too large for the type is infinity, as in TensorFlow Serving (FloatTensorThatExceedsMaxReturnsInf)."""
    expected = [1e308, -1e308] if dtype == "float64" else [np.inf, -np.inf]
    assert built([1e308, -1e308], dtype) == expected


@pytest.mark.parametrize("dtype", INTEGERS)
def test_integers_take_their_range(dtype: Any) -> None:
    """Integer types take the whole numbers of their range and no others."""
    low, high = RANGES[np.dtype(dtype).name]
    assert built([low, high], dtype) == [low, high]
    name = np.dtype(dtype).name
    for beyond in {low - 1, high + 1} - {-(2**63) - 1, 2**64}:  # which no JSON text gives as integers
        assert built([0, beyond], dtype) == f"JSON Value: {beyond} Type: Number is not of expected type: {name}"


@pytest.mark.parametrize(
    ("value", "dtype", "why"),
    [
        ("][", "float32", 'JSON Value: "][" Type: String is not of expected type: float'),
        (["a"], "float64", 'JSON Value: "a" Type: String is not of expected type: double'),
        ([True], "float32", "JSON Value: true Type: True is not of expected type: float"),
        ([1, None], "float16", "JSON Value: null Type: Null is not of expected type: half"),
        ([{"a": 1}], "float32", 'JSON Value: {"a":1} Type: Object is not of expected type: float'),
        ([1.0], "int32", "JSON Value: 1.0 Type: Number is not of expected type: int32"),
        ([1, True], "int64", "JSON Value: true Type: True is not of expected type: int64"),
        ([1], "bool", "JSON Value: 1 Type: Number is not of expected type: bool"),
        ([1], "object", "JSON Value: 1 Type: Number is not of expected type: string"),
        ([{"b64": "?"}], "object", 'JSON Value: {"b64":"?"} is not bytes in base64'),
        ([{"b64": "aGk=", "x": 1}], "object", "is not bytes in base64"),
        ([{"b64": 5}], "object", "is not bytes in base64"),
        (["\ud800"], "object", "half a surrogate pair"),
        ([[1, 2], [3]], "float32", "a list of 1 stands where a list of 2 is due, at depth 1"),
        ([[1, 2], 3], "float32", "JSON Value: 3 stands where a list of 2 is due, at depth 1"),
        ([[1, [2]]], "float32", "a list of 1 stands where a single value is due"),
        ([[[1]], [[]]], "float32", "a list of 0 stands where a list of 1 is due, at depth 2"),
    ],
)
def test_refused(value: Any, dtype: Any, why: str) -> None:
    """What a dtype does not take, and what is not regular, is told by its first fault."""
    assert why in built(value, dtype)


def test_too_many_lists() -> None:
    """More lists inside each other than an array has axes are told."""
    value: Any = 1.0
    for _ in range(33):
        value = [value]
    assert built(value, "float32") == "nested deeper than 32 lists"
    assert np.shape(built(value[0], "float32")) == (1,) * 32


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (["a", "é", ""], [b"a", "é".encode(), b""]),
        ([{"b64": "aGVsbG8="}, "x"], [b"hello", b"x"]),
        ({"b64": "aGk"}, b"hi"),
        ({"b64": "aG\nk ="}, b"hi"),
        ({"b64": ""}, b""),
        ([[{"b64": "/w=="}]], [[b"\xff"]]),
    ],
)
def test_strings(value: Any, expected: Any) -> None:
    """Strings are their UTF-8, and base64 its bytes, with white space in it or without padding too."""
    assert built(value, "object") == expected


@pytest.mark.parametrize("dtype", ["float32", "int64", "bool", "object"])
def test_empty_lists_are_tensors(dtype: str) -> None:
    """Lists of none are tensors of no elements, as in TensorFlow Serving."""
    assert [np.shape(built(value, dtype)) for value in ([], [[], []], [[[]]])] == [(0,), (2, 0), (1, 1, 0)]


@pytest.mark.parametrize("dtype", ["complex64", "complex128", "V8"])
def test_types_without_a_form(dtype: str) -> None:
    """Complex and other types that JSON has no form for are a 400 that names them."""
    with pytest.raises(BadRequest, match="JSON has no form for tensors of type"):
        values.build([1], np.dtype(dtype))
