"""Constants, ranges, diagonals, triangles and one-hot rows."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import onnx
import pytest

from onnx_import.errors import OnnxImportError
from tests.unit.onnx_import.checking import check, check_refused


@pytest.mark.parametrize(
    ("attribute", "want"),
    [
        ({"value_int": 3}, np.array(3, np.int64)),
        ({"value_ints": [3, 4]}, np.array([3, 4], np.int64)),
        ({"value_float": 0.5}, np.array(0.5, np.float32)),
        ({"value_floats": [0.5, 1.5]}, np.array([0.5, 1.5], np.float32)),
        ({"value_string": "ä"}, np.array("ä", object)),
        ({"value_strings": ["a", "b"]}, np.array(["a", "b"], object)),
        ({"value": onnx.numpy_helper.from_array(np.eye(2, dtype=np.int16))}, np.eye(2, dtype=np.int16)),
        ({"value": onnx.numpy_helper.from_array(np.zeros((0, 2), bool))}, np.zeros((0, 2), bool)),
    ],
    ids=lambda value: next(iter(value), "") if isinstance(value, dict) else "",
)
def test_constant(attribute: dict[str, Any], want: Any) -> None:
    """Every form in which a constant is written."""
    check("Constant", [], attribute, want=[want])


def test_sparse_constant() -> None:
    """A sparse constant is filled up with zeros."""
    values, places = (onnx.numpy_helper.from_array(array) for array in (np.array([5.0, 7.0], np.float32), np.array([1, 5])))
    values.name = "sparse"
    sparse = onnx.helper.make_sparse_tensor(values, places, [2, 3])
    check("Constant", [], {"sparse_value": sparse}, want=[np.array([[0, 5, 0], [0, 0, 7]], np.float32)])


@pytest.mark.parametrize("dtype", ["float32", "int8", "bool", "bfloat16", "uint64", "float16"])
@pytest.mark.parametrize("shape", [[], [3], [2, 0], [2, 3, 1]], ids=str)
def test_constant_of_shape(shape: list[int], dtype: str) -> None:
    """One value of any type in any shape, a fed one too."""
    value = onnx.helper.make_tensor(
        "value", onnx.helper.np_dtype_to_tensor_dtype(np.dtype(getattr(ml_dtypes, dtype, dtype))), [1], [1]
    )
    want = np.ones(shape, getattr(ml_dtypes, dtype, dtype))
    check("ConstantOfShape", [np.array(shape, np.int64)], {"value": value}, want=[want])


def test_no_such_shape() -> None:
    """A negative or absurd shape is an error, before any memory is taken."""
    for shape in ([-1], [1 << 40]):
        with pytest.raises(OnnxImportError, match="shape"):
            check("ConstantOfShape", [np.array(shape, np.int64)], {}, want=[np.zeros(1)])


@pytest.mark.parametrize("dtype", ["float32", "float64", "int16", "int32", "int64"])
@pytest.mark.parametrize("limits", [(0, 5, 1), (10, 1, -3), (1, 1, 1), (5, 1, 1), (-3, 4, 2)], ids=str)
def test_range(limits: tuple[int, int, int], dtype: str) -> None:
    """From start to limit, up or down, or nothing."""
    check("Range", [np.array(number, dtype) for number in limits], {})


def test_range_of_fractions() -> None:
    """Real steps do not accumulate their errors; 16-bit floats count in float32 where the node says so."""
    check("Range", [np.array(number, np.float32) for number in (0.1, 100, 0.1)], {})
    for dtype in ("float16", "bfloat16"):
        check("Range", [np.array(number).astype(getattr(ml_dtypes, dtype, dtype)) for number in (1, 5, 0.5)], {"stash_type": 1})


def test_no_such_range() -> None:
    """A step of 0 is an error."""
    with pytest.raises(OnnxImportError, match="by 0"):
        check("Range", [np.array(number) for number in (1, 5, 0)], {}, want=[np.zeros(1)])


@pytest.mark.parametrize("k", [0, 1, -2, 9])
@pytest.mark.parametrize("shape", [(3, 4), (4, 2), (0, 3)], ids=str)
def test_eye_like(shape: tuple[int, ...], k: int) -> None:
    """A diagonal anywhere, in the input's type or another."""
    check("EyeLike", [np.ones(shape, np.int32)], {"k": k})
    check("EyeLike", [np.ones(shape, np.int32)], {"k": k, "dtype": onnx.TensorProto.DOUBLE})


@pytest.mark.parametrize("upper", [0, 1])
@pytest.mark.parametrize("k", [None, 0, 2, -1, -9, 9])
@pytest.mark.parametrize("dtype", ["float32", "bool"])
def test_trilu(upper: int, k: int | None, dtype: str) -> None:
    """Either side of any diagonal; what is no number on the other side is gone."""
    x = np.arange(1, 25).reshape(2, 3, 4).astype(dtype)
    if dtype == "float32":
        x[0, 0, 3] = x[1, 2, 0] = np.nan
    check("Trilu", [x, *([] if k is None else [np.array(k)])], {"upper": upper})


@pytest.mark.parametrize("known", [(), (0,)])
def test_trilu_of_what_mxnet_has_no_type_for(known: tuple[int, ...]) -> None:
    """Text gives way to empty text, complex numbers to 0."""
    words = np.array([["a", "b"], ["c", "d"]], object)
    check("Trilu", [words], known=known, want=[np.array([["a", "b"], ["", "d"]], object)])
    check("Trilu", [np.array([[1, 2j], [3, 4]], np.complex64)], known=known)


def test_trilu_of_nothing() -> None:
    """An empty matrix."""
    check("Trilu", [np.zeros((2, 0, 3), np.float32)], {})


@pytest.mark.parametrize("axis", [-1, 0, 1])
@pytest.mark.parametrize("dtype", ["int64", "int32", "float32", "uint8"])
def test_one_hot(axis: int, dtype: str) -> None:
    """Negative places count from the end; places outside are off everywhere."""
    places = np.array([[0, 2, 5], [1, 3, 4]], dtype) if dtype == "uint8" else np.array([[0, -1, 5], [-5, -4, 3]], dtype)
    check("OneHot", [places, np.array(4), np.array([2, 7], np.int32)], {"axis": axis})
    check("OneHot", [places, np.array([4], np.float32), np.array([0.5, -1], np.float32)], {"axis": axis})


def test_one_hot_texts_and_truths() -> None:
    """What is on and off may be of any type."""
    places = np.array([0, 2])
    check("OneHot", [places, np.array(3), np.array([False, True])], want=[np.eye(3, dtype=bool)[places]])
    want = np.where(np.eye(3)[places] > 0, "on", "off").astype(object)
    check("OneHot", [places, np.array(3), np.array(["off", "on"], object)], want=[want])


def test_identity() -> None:
    """Tensors, texts and sequences pass."""
    check("Identity", [np.array([[1, 2]], np.int16)])
    check("Identity", [np.array(["a"], object)])
    check("Identity", [[np.array([1.0], np.float32), np.array([2.0], np.float32)]])


def test_trilu_of_any_diagonal() -> None:
    """Also of one that no C integer holds."""
    for place in (np.iinfo(np.int64).min, np.iinfo(np.int64).max):
        check("Trilu", [np.ones((2, 3), np.float32), np.array(place)], want=[np.full((2, 3), place < 0, np.float32)])


def test_one_hot_of_no_depth_is_refused() -> None:
    """A depth may be a float, but must be a number."""
    for depth in (np.inf, np.nan):
        check_refused("OneHot", [np.array([0]), np.array(depth, np.float32), np.array([0, 1])])
