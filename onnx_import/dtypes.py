"""ONNX's element types, and the MXNet types that carry them.

MXNet 1.9.1 computes in float16/32/64, uint8, int8, int32, int64 and bool. Every other element type is carried by a wider one
in which each of its values is exact, and brought back to its own range after arithmetic (`nd.settle`). A dtype is named as
numpy and ml_dtypes name it (`float32`, `bfloat16`, `float8_e4m3fn`, `int4`); `string` stands for text.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = "np.ndarray[Any, Any]"

NATIVE = ("float16", "float32", "float64", "uint8", "int8", "int32", "int64", "bool")
SMALL_FLOATS = (
    "bfloat16",
    "float8_e4m3fn",
    "float8_e4m3fnuz",
    "float8_e5m2",
    "float8_e5m2fnuz",
    "float8_e8m0fnu",
    "float4_e2m1fn",
)
CARRIERS: dict[str, str] = {
    **{name: name for name in NATIVE},
    "int16": "int32",
    "uint16": "int32",
    "uint32": "int64",
    "uint64": "int64",  # its bits: arithmetic is right modulo 2**64, comparisons flip the sign bit first
    "int4": "int8",
    "uint4": "uint8",
    "int2": "int8",
    "uint2": "uint8",
    **{name: "float32" for name in SMALL_FLOATS},
}
"""The MXNet dtype that carries each ONNX element type; `string`, `complex64` and `complex128` have none: host operators alone."""

BITS = {"int16": 16, "uint16": 16, "uint32": 32, "int4": 4, "uint4": 4, "int2": 2, "uint2": 2}
"""Width of the integers that are narrower than what carries them."""

ONNX_NAMES = {
    1: "float32",
    2: "uint8",
    3: "int8",
    4: "uint16",
    5: "int16",
    6: "int32",
    7: "int64",
    8: "string",
    9: "bool",
    10: "float16",
    11: "float64",
    12: "uint32",
    13: "uint64",
    14: "complex64",
    15: "complex128",
    16: "bfloat16",
    17: "float8_e4m3fn",
    18: "float8_e4m3fnuz",
    19: "float8_e5m2",
    20: "float8_e5m2fnuz",
    21: "uint4",
    22: "int4",
    23: "float4_e2m1fn",
    24: "float8_e8m0fnu",
    25: "uint2",
    26: "int2",
}
"""TensorProto.DataType (onnx.proto3) to our names."""

ONNX_NUMBERS = {name: number for number, name in ONNX_NAMES.items()}


def is_float(dtype: str) -> bool:
    """Whether a dtype holds real numbers."""
    return "float" in dtype


def is_integer(dtype: str) -> bool:
    """Whether a dtype holds whole numbers."""
    return "int" in dtype


def is_unsigned(dtype: str) -> bool:
    """Whether a dtype holds whole numbers without a sign."""
    return dtype.startswith("uint")


def bits(dtype: str) -> int:
    """Width of an integer dtype."""
    return BITS.get(dtype) or np.dtype(dtype).itemsize * 8


def bounds(dtype: str) -> tuple[int, int]:
    """Smallest and largest value of an integer dtype."""
    width = bits(dtype)
    return (0, (1 << width) - 1) if is_unsigned(dtype) else (-(1 << (width - 1)), (1 << (width - 1)) - 1)


def true_dtype(dtype: str) -> np.dtype[Any]:
    """The numpy dtype in which callers feed and get values; ml_dtypes' for the types that numpy lacks."""
    if dtype == "string":
        return np.dtype(object)
    try:
        return np.dtype(dtype)
    except TypeError:
        import ml_dtypes

        return np.dtype(getattr(ml_dtypes, dtype))


def name_of(array: Array) -> str:
    """Our name of an array's dtype."""
    return "string" if array.dtype.kind in "OUS" else array.dtype.name


def carry(array: Array) -> Array:
    """A caller's array in its carrier dtype; object arrays of str for text."""
    name = name_of(array)
    if name == "string":
        return array.astype(object)
    carrier = CARRIERS.get(name)
    if carrier is None or carrier == name:
        return array
    return array.view(np.int64) if name == "uint64" else array.astype(carrier)


def deliver(array: Array, dtype: str) -> Array:
    """A carried array in the dtype that callers expect."""
    if name_of(array) == dtype or dtype == "string":
        return array
    if dtype == "uint64":
        return np.ascontiguousarray(array).view(np.uint64).reshape(array.shape)
    return array.astype(true_dtype(dtype))
