"""Cast and its kin: between every two element types, as ONNX rounds, saturates, wraps and reads them.

text                 by the host library
to few-bit floats    rounded in the graph (`nd.round_to`), saturated where the node says so
to whole numbers     cut toward zero, then wrapped to the width
uint64 and floats    by halves: its upper half is negative in what carries it
"""

from __future__ import annotations

import numpy as np

from onnx_import import nd
from onnx_import.dtypes import CARRIERS, ONNX_NAMES, SMALL_FLOATS, Array, bits, carry, deliver, is_float, is_integer, true_dtype
from onnx_import.errors import InvalidModel, Unsupported
from onnx_import.host import text
from onnx_import.nd import Value
from onnx_import.registry import op

HALF = 2.0**63
WORDS = {"float": "float32", "double": "float64"}
"""What opset 1 calls the types that we name otherwise."""


@op("Cast", since=1)
def cast(x: Value, *, to: int | str, saturate: int | None, round_mode: str | None) -> Value:
    """The numbers as another type."""
    if isinstance(to, str):
        return cast_to(x, WORDS.get(to.lower(), to.lower()))
    return cast_to(x, dtype_of(to), saturate=saturate != 0, round_mode=round_mode or "up")


@op("CastLike", since=15)
def cast_like(x: Value, like: Value, *, saturate: int | None, round_mode: str | None) -> Value:
    """The numbers as the type of another tensor."""
    return cast_to(x, like.dtype, saturate=saturate != 0, round_mode=round_mode or "up")


@op("BitCast", since=26)
def bit_cast(x: Value, *, to: int) -> Value:
    """The bits read as another type of the same width."""
    dtype = dtype_of(to)
    if dtype == x.dtype:
        return x
    if _width(x.dtype) != _width(dtype):
        raise InvalidModel(f"{x.dtype} and {dtype} differ in width")
    if "float" not in x.dtype + dtype:
        return nd.cast(x, dtype)
    if is_integer(x.dtype) and _width(dtype) <= 16:
        return _bits_as_float(x, dtype)
    seen: Value = nd.host(_view, [x], [(x.shape, dtype)], source=x.dtype, target=dtype)[0]
    return seen


def dtype_of(number: int) -> str:
    """Our name of a TensorProto.DataType."""
    if number not in ONNX_NAMES:
        raise InvalidModel(f"there is no element type {number}")
    return ONNX_NAMES[number]


def cast_to(x: Value, dtype: str, *, saturate: bool = True, round_mode: str = "up") -> Value:
    """The numbers as another type, by ONNX's rules."""
    if x.dtype == dtype:
        return x
    if "string" in (x.dtype, dtype):
        return _cast_text(x, dtype, saturate, round_mode)
    if dtype not in CARRIERS or x.dtype not in CARRIERS:
        raise Unsupported(f"MXNet has no {dtype if x.dtype in CARRIERS else x.dtype}", "keep real and imaginary parts apart")
    if x.dtype == "uint64" and is_float(dtype):
        return cast_to(_wide_of_unsigned(x, dtype), dtype, saturate=saturate, round_mode=round_mode)
    if dtype == "uint64" and is_float(x.dtype):
        return _unsigned_of_wide(nd.cast(x, "float64"))
    if dtype == "float8_e8m0fnu":
        return nd.round_to_power(x, round_mode, saturate=saturate)
    if dtype in SMALL_FLOATS and dtype != "bfloat16":
        return nd.round_to(x, dtype, saturate=saturate)
    if x.dtype == "float64" and dtype in ("bfloat16", "float16"):
        return nd.round_to(x, dtype, saturate=False)  # by way of float32 it would be rounded twice
    return nd.cast(x, dtype)


def _cast_text(x: Value, dtype: str, saturate: bool, round_mode: str) -> Value:
    if dtype == "string":
        written: Value = nd.host(text.format_number, [x], [(x.shape, "string")], dtype=x.dtype)[0]
        return written
    if dtype in SMALL_FLOATS and dtype != "bfloat16":
        number = _cast_text(x, "float64", saturate, round_mode)
        return cast_to(number, dtype, saturate=saturate, round_mode=round_mode)
    read: Value = nd.host(text.parse_number, [x], [(x.shape, dtype)], dtype=dtype)[0]
    return read


def _wide_of_unsigned(x: Value, dtype: str) -> Value:
    """uint64 as float64 or float32, rounded once: a large number is halved, its lost bit kept as the last one of the half."""
    wide = "float64" if dtype == "float64" else "float32"
    if x.data is not None:
        return nd.fold(lambda array: array.view(np.uint64).astype(wide), x, dtype=wide)
    signed = nd.reinterpret(x, "int64")
    even = nd.bitwise_and(signed, nd.constant(np.array(-2)))
    half = nd.bitwise_and(nd.emit("_div_scalar", [even], x.shape, "int64", scalar=2), nd.constant(np.array(2**63 - 1)))
    large = nd.cast(nd.bitwise_or(half, nd.bitwise_and(signed, nd.constant(np.array(1)))), wide)
    return nd.where(nd.less(signed, nd.constant(np.array(0))), nd.add(large, large), nd.cast(signed, wide))


def _unsigned_of_wide(x: Value) -> Value:
    """float64 as uint64, cut toward zero."""
    half = nd.constant(np.array(HALF))
    upper = nd.cast(nd.subtract(x, half), "int64")
    flipped = nd.bitwise_xor(upper, nd.constant(np.array(np.iinfo(np.int64).min)))
    return nd.reinterpret(nd.where(nd.less(x, half), nd.cast(x, "int64"), flipped), "uint64")


def _width(dtype: str) -> int:
    if dtype.startswith("float4"):
        return 4
    return bits(dtype) if is_integer(dtype) else true_dtype(dtype).itemsize * 8


def _bits_as_float(x: Value, dtype: str) -> Value:
    """Whole numbers of few bits looked up in the list of what each of them means."""
    count = 1 << _width(dtype)
    patterns = np.arange(count, dtype=np.uint16 if count > 256 else np.uint8)
    kind = true_dtype(dtype)
    meanings = patterns.view(kind) if kind.itemsize * 8 == _width(dtype) else patterns.astype(true_dtype("uint4")).view(kind)
    place = nd.cast(nd.cast(x, f"uint{_width(dtype)}"), "int32")
    if place.data is not None:
        return nd.constant(carry(meanings)[place.data], dtype)
    return nd.emit("take", [nd.constant(carry(meanings), dtype), place], x.shape, dtype, axis=0, mode="clip")


def _view(x: Array, *, source: str, target: str) -> tuple[Array]:
    """BitCast: the bits of an array of one dtype as another's."""
    return (carry(np.ascontiguousarray(deliver(x, source)).view(true_dtype(target))).reshape(x.shape),)
