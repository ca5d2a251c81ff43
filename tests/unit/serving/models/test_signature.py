"""A request's tensors against a model's signature: names, shapes, dtypes, rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from serving.errors import BadRequest
from serving.invocation import UNNAMED
from serving.models.signature import Signature, Tensor

ROW = (None, 3)
Shape = tuple[int | None, ...] | None


def one(shape: Shape = ROW, dtype: str = "float32") -> Signature:
    """A signature of one input."""
    return Signature((Tensor("data", shape, np.dtype(dtype)),))


TWO = Signature((Tensor("a", ROW, np.dtype("float32")), Tensor("b", (None,), np.dtype("int32"))))


def fitted(value: Any, shape: Shape = ROW, dtype: str = "float32", name: str = UNNAMED) -> Any:
    """The only input as the model gets it."""
    return one(shape, dtype).validate({name: np.asarray(value)})["data"]


def refusal(signature: Signature, **inputs: Any) -> str:
    """The message of the 400 that these inputs earn; `_` stands for no name."""
    with pytest.raises(BadRequest) as caught:
        signature.validate({UNNAMED if name == "_" else name: np.asarray(value) for name, value in inputs.items()})
    return caught.value.message


# ---- names


@pytest.mark.parametrize("name", [UNNAMED, "data"])
def test_the_only_input_needs_no_name(name: str) -> None:
    """One tensor without a name, or with the right one, is the only input."""
    assert fitted([[1, 2, 3]], name=name).tolist() == [[1.0, 2.0, 3.0]]


def test_wrong_name() -> None:
    """A wrong name is not guessed around."""
    message = refusal(one(), other=[[1, 2, 3]])
    assert "missing ['data']" in message
    assert "unknown ['other']" in message


def test_several_inputs_by_name() -> None:
    """Named tensors come in the signature's order, whatever the request's."""
    inputs = TWO.validate({"b": np.array([1, 2]), "a": np.zeros((2, 3))})
    assert list(inputs) == ["a", "b"]
    assert (inputs["a"].dtype, inputs["b"].dtype) == (np.float32, np.int32)


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({"a": [[1, 2, 3]]}, ["missing ['b']", "has ['a', 'b']"]),
        ({"a": [[1, 2, 3]], "b": [1], "c": [1]}, ["unknown ['c']"]),
        ({"a": [[1, 2, 3]], "c": [1]}, ["missing ['b']", "unknown ['c']"]),
        ({}, ["missing ['a', 'b']"]),
        ({"_": [[1, 2, 3]]}, ["name each tensor", '{"a": [...]']),
        ({"_": [1], "a": [[1, 2, 3]], "b": [1]}, ["name each tensor"]),
    ],
    ids=["missing", "unknown", "both", "none", "unnamed", "unnamed beside named"],
)
def test_wrong_names(inputs: dict[str, Any], words: list[str]) -> None:
    """The 400 says which names are missing and which unknown, and which the model has."""
    message = refusal(TWO, **inputs)
    assert all(word in message for word in words)


def test_a_long_name_is_cut() -> None:
    """A client's megabyte of a name does not come back in the message."""
    assert len(refusal(TWO, a=[[1, 2, 3]], b=[1], **{"c" * 100_000: [1]})) < 300


# ---- rows


@pytest.mark.parametrize(
    ("value", "shape", "expected"),
    [
        ([[1, 2, 3]], (None, 3), (1, 3)),
        ([[1, 2, 3]] * 4, (None, 3), (4, 3)),
        ([1, 2, 3], (None, 3), (1, 3)),
        ([[1, 2, 3]] * 2, (1, 3), (2, 3)),
        ([[1, 2, 3]] * 2, (None, None), (2, 3)),
        ([1, 2, 3], (None, None), (1, 3)),
        ([1, 2, 3], (None,), (3,)),
        (7, (None,), (1,)),
        (np.zeros((2, 4, 3)), (None, None, 3), (2, 4, 3)),
        (np.zeros((4, 3)), (None, None, 3), (1, 4, 3)),
        (np.zeros((5, 2)), None, (5, 2)),
        (np.zeros(5), None, (5,)),
        (7, None, (1,)),
    ],
)
def test_the_first_axis_counts_rows(value: Any, shape: Shape, expected: tuple[int, ...]) -> None:
    """A tensor without the row axis is one row; the signature's own first size does not bind."""
    assert fitted(value, shape).shape == expected


@pytest.mark.parametrize(
    ("value", "shape"),
    [
        ([[1, 2]], (None, 3)),
        ([1, 2], (None, 3)),
        ([[[1, 2, 3]]], (None, 3)),
        (7, (None, 3)),
        (np.zeros((2, 3)), (None,)),
        (np.zeros((2, 4)), (None, None, 3)),
        (np.zeros((2, 2, 2, 3)), (None, None, 3)),
        (7, (None, None)),
    ],
)
def test_wrong_shapes(value: Any, shape: Shape) -> None:
    """The 400 has the shape that came and the one that is expected, with * for any size."""
    message = refusal(one(shape), _=value)
    assert str(np.shape(value)) in message
    assert "data: float32 (*" in message


@pytest.mark.parametrize(("value", "shape"), [(np.zeros((0, 3)), (None, 3)), ([], (None,)), (np.zeros((0, 2)), None)])
def test_no_rows(value: Any, shape: Shape) -> None:
    """A request for nothing is a 400."""
    assert refusal(one(shape), _=value) == "data has no rows"


def test_rows_that_differ() -> None:
    """Inputs with different numbers of rows belong to no common request."""
    assert "{'a': 2, 'b': 3}" in refusal(TWO, a=np.zeros((2, 3)), b=[1, 2, 3])


# ---- dtypes


@pytest.mark.parametrize(
    ("value", "dtype", "expected"),
    [
        (np.array([1.5], "float64"), "float32", 1.5),
        (np.array([1.5], "float16"), "float32", 1.5),
        (np.array([300], "float16"), "float32", 300.0),
        (np.array([0.1], "float64"), "float32", np.float32(0.1)),
        (np.array([True]), "float32", 1.0),
        (np.array([7], "int64"), "float32", 7.0),
        (np.array([2.0]), "int32", 2),
        (np.array([-128]), "int8", -128),
        (np.array([255]), "uint8", 255),
        (np.array([True]), "int32", 1),
        (np.array([1]), "bool", True),
        (np.array([65504.0]), "float16", 65504.0),
        (np.array([3.4028234e38]), "float32", np.float32(3.4028235e38)),
        (np.array([2**63 - 1]), "int64", 2**63 - 1),
        (np.array([2**62], "uint64"), "int64", 2**62),
    ],
)
def test_values_that_survive(value: Any, dtype: str, expected: Any) -> None:
    """A value that the dtype can hold is cast; a float may lose digits, an integer nothing."""
    cast = fitted(value, (None,), dtype)
    assert cast.dtype == dtype
    assert cast[0] == expected


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_stays_so(value: float) -> None:
    """NaN and infinity are values of a float: they arrive as they are, beside others."""
    np.testing.assert_array_equal(fitted(np.array([1.0, value, 2.0]), (None,)), np.array([1, value, 2], "float32"))


@pytest.mark.parametrize(
    ("value", "dtype", "words"),
    [
        (np.array([1e39]), "float32", "too large for float32"),
        (np.array([1.0, -1e300]), "float32", "too large for float32"),
        (np.array([1e39, np.nan]), "float32", "too large for float32"),
        (np.array([70000.0], "float32"), "float16", "too large for float16"),
        (np.array([70000]), "float16", "too large for float16"),
        (np.array([2.5]), "int32", "not a int32: float64 given"),
        (np.array([np.nan]), "int32", "not a int32"),
        (np.array([np.inf]), "int64", "not a int64"),
        (np.array([1e300]), "int64", "not a int64"),
        (np.array([2.0**63]), "int64", "not a int64"),
        (np.array([128]), "int8", "not a int8"),
        (np.array([256]), "uint8", "not a uint8"),
        (np.array([-1]), "uint8", "not a uint8"),
        (np.array([-1]), "uint64", "not a uint64"),
        (np.array([2**63], "uint64"), "int64", "not a int64"),
        (np.array([2**31]), "int32", "not a int32"),
        (np.array([2]), "bool", "not a bool"),
        (np.array(["1"]), "float32", "wrong dtype string"),
        (np.array([b"1"]), "int32", "wrong dtype string"),
        (np.array([1j]), "float32", "wrong dtype complex128"),
        (np.array(["2020-01-01"], "M8[D]"), "float32", "wrong dtype datetime64[D]"),
        (np.array([object()]), "float32", "wrong dtype object"),
    ],
)
def test_values_that_do_not_survive(value: Any, dtype: str, words: str) -> None:
    """A value that the dtype cannot hold is a 400 that says which dtype; nothing wraps around or is cut."""
    assert words in refusal(one((None,), dtype), _=value)


def test_nothing_is_copied_that_fits() -> None:
    """An array of the right dtype and shape goes on as it is."""
    array = np.zeros((2, 3), "float32")
    assert fitted(array) is array


@given(arrays.arrays("float64", st.integers(1, 5), elements=st.floats(width=64, allow_nan=True, allow_infinity=True)))
def test_float_casts_are_numpys_or_refused(values: Any) -> None:
    """Any floats are cast as numpy casts them, or refused where one that was finite would not be."""
    with np.errstate(over="ignore"):
        cast = values.astype("float32")
    if (np.isfinite(values) & ~np.isfinite(cast)).any():
        assert "too large" in refusal(one((None,)), _=values)
    else:
        np.testing.assert_array_equal(fitted(values, (None,)), cast)


@given(
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=5), st.sampled_from(["int8", "uint8", "int32", "uint64"])
)
def test_integer_casts_keep_every_value(values: list[int], dtype: str) -> None:
    """Integers arrive as the same integers, or not at all."""
    limits = np.iinfo(dtype)
    if all(limits.min <= value <= limits.max for value in values):
        assert fitted(np.array(values), (None,), dtype).tolist() == values
    else:
        assert "is not a" in refusal(one((None,), dtype), _=np.array(values))


@pytest.mark.parametrize(("shape", "text"), [((None, 3, None), "(*, 3, *)"), (None, "any shape"), ((None,), "(*)")])
def test_a_tensor_in_words(shape: Shape, text: str) -> None:
    """A tensor is written as its name, dtype and sizes."""
    assert str(Tensor("x", shape, np.dtype("int64"))) == f"x: int64 {text}"
