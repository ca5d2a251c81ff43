"""Tensors made of little: constants, ranges, diagonals, one-hot rows; and what passes its input on."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from onnx_import import nd
from onnx_import.dtypes import ONNX_NAMES, is_integer
from onnx_import.errors import InvalidInput, InvalidModel
from onnx_import.graph import Tensor
from onnx_import.nd import Value
from onnx_import.ops.casting import cast_to
from onnx_import.ops.comparison import where
from onnx_import.registry import op


@op("Constant", since=1)
def constant(
    *,
    value: Tensor | None,
    sparse_value: Tensor | None,
    value_float: float | None,
    value_floats: list[float] | None,
    value_int: int | None,
    value_ints: list[int] | None,
    value_string: str | None,
    value_strings: list[str] | None,
) -> Value:
    """The one attribute that is given."""
    tensor = value if value is not None else sparse_value
    if tensor is not None:
        return nd.constant(tensor.data, tensor.dtype)
    for numbers, dtype in ((value_float, "float32"), (value_floats, "float32"), (value_int, "int64"), (value_ints, "int64")):
        if numbers is not None:
            return nd.constant(np.array(numbers, dtype))
    texts = value_string if value_string is not None else value_strings
    if texts is None:
        raise InvalidModel("a Constant without a value")
    return nd.constant(np.array(texts, object), "string")


@op("ConstantOfShape", since=9)
def constant_of_shape(shape: Value, *, value: Tensor | None) -> Value:
    """One number everywhere: 0 of float32 where none is given."""
    sizes = tuple(nd.ints(shape))
    nd.fitting(sizes)
    if value is None:
        return nd.zeros(sizes, "float32")
    return nd.full(sizes, value.data.reshape(-1)[0], value.dtype)


@op("Identity", since=1)
def identity(x: Any) -> Any:
    """The input, whatever it is."""
    return x


@op("Range", since=11)
def range_of(start: Value, limit: Value, delta: Value, *, stash_type: int | None) -> Value:
    """start, start + delta, ... below the limit."""
    first, end, step = (nd.scalar(value) for value in (start, limit, delta))
    if step == 0 or not all(math.isfinite(number) for number in (first, end, step)):
        raise InvalidInput(f"a range from {first} to {end} by {step}")
    count = len(range(first, end, step)) if is_integer(start.dtype) else math.ceil(min(max((end - first) / step, 0), 1e18))
    nd.fitting((count,))
    places = np.arange(count, dtype=np.int64 if is_integer(start.dtype) else np.float64)
    return cast_to(nd.constant(first + places * step), start.dtype)


@op("EyeLike", since=9)
def eye_like(x: Value, *, dtype: int | None, k: int) -> Value:
    """1 on the k-th diagonal of the input's shape, else 0."""
    if x.rank not in (1, 2):
        raise InvalidInput(f"EyeLike of {x.rank} axes")
    nd.fitting((x.shape[0], x.shape[-1]))
    return cast_to(nd.constant(np.eye(x.shape[0], x.shape[-1], k, np.float32)), x.dtype if dtype is None else ONNX_NAMES[dtype])


@op("Trilu", since=14)
def trilu(x: Value, diagonal: Value | None = None, *, upper: int) -> Value:
    """What is on one side of a diagonal of the last two axes; 0 on the other."""
    if x.rank < 2:
        raise InvalidInput(f"Trilu of {x.rank} axes")
    reach = sum(x.shape[-2:])  # no diagonal is farther off, and numpy takes no number of 64 bits
    k = 0 if diagonal is None else min(max(int(nd.scalar(diagonal)), -reach), reach)
    below = np.tri(x.shape[-2], x.shape[-1], k - 1 if upper else k, bool)
    nothing = nd.constant(np.array("", object), "string") if x.dtype == "string" else nd.zeros((), x.dtype)
    return where(nd.constant(~below if upper else below), x, nothing)


@op("OneHot", since=9)
def one_hot(indices: Value, depth: Value, values: Value, *, axis: int) -> Value:
    """`values[1]` at each index along a new axis, else `values[0]`; negative indices count from the end."""
    count = nd.scalar(depth)
    if not math.isfinite(count):
        raise InvalidInput(f"a depth of {count}")
    length = int(count)
    nd.fitting((length,))
    axis = nd.normal_axis(axis, indices.rank + 1)
    places = cast_to(indices, "int64")
    places = nd.where(nd.less(places, _int64(0)), nd.add(places, _int64(length)), places)
    numbers = np.arange(length).reshape([-1 if i == axis else 1 for i in range(indices.rank + 1)])
    is_there = nd.equal(nd.expand_dims(places, [axis]), nd.constant(numbers))
    off, on = (nd.squeeze(value) for value in nd.split(values, [1, 1], 0))
    return where(is_there, on, off)


def _int64(number: int) -> Value:
    return nd.constant(np.int64(number))
