"""TensorProto <-> numpy, for every dtype that a client can send: as `tensor_content`, or in the typed `*_val` fields.

    tensor_content                    the array's bytes (strings: their lengths as varints, then their bytes)
    float_val, int_val, half_val ...  values; fewer than the shape asks for: the last one repeats; none: zeros; more: dropped

The rules are those of `Tensor::FromProto` in TensorFlow. What was written with one field is read back bit for bit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from serving.backends import tensorflow_import
from serving.backends.tf_tensors import DTYPES
from serving.errors import BadRequest, PayloadTooLarge
from serving.invocation import Array

tensorflow_import.protos()

from tensorflow.core.framework import tensor_pb2, types_pb2  # noqa: E402 - importable from here on

STRING = np.dtype(object)
BITS = np.dtype("uint16")
MAX_AXES = 32
"""numpy 1's limit; TensorFlow's own is 254."""
MAX_PRODUCT = 1 << 63
"""What numpy and TensorFlow cannot multiply the axes of an empty tensor to, either."""


@dataclass(frozen=True)
class Kind:
    """How the values of a dtype travel in their typed field: as `sent`; `tag` is set where the wire has them as memory does."""

    enum: int
    dtype: np.dtype[Any]
    field: str
    sent: np.dtype[Any]
    tag: bytes = b""


PACKED = {
    types_pb2.DT_FLOAT: "float_val",
    types_pb2.DT_DOUBLE: "double_val",
    types_pb2.DT_COMPLEX64: "scomplex_val",
    types_pb2.DT_COMPLEX128: "dcomplex_val",
    types_pb2.DT_BOOL: "bool_val",
}
OTHERS = {
    types_pb2.DT_INT64: ("int64_val", "int64"),
    types_pb2.DT_UINT32: ("uint32_val", "uint32"),
    types_pb2.DT_UINT64: ("uint64_val", "uint64"),
    types_pb2.DT_HALF: ("half_val", "int32"),
    types_pb2.DT_BFLOAT16: ("half_val", "int32"),
    types_pb2.DT_FLOAT8_E5M2: ("float8_val", "uint8"),
    types_pb2.DT_FLOAT8_E4M3FN: ("float8_val", "uint8"),
    types_pb2.DT_STRING: ("string_val", "object"),
}
"""The rest travels in `int_val`."""


def _kind(enum: int, dtype: np.dtype[Any]) -> Kind:
    if enum in PACKED:
        number = tensor_pb2.TensorProto.DESCRIPTOR.fields_by_name[PACKED[enum]].number
        return Kind(enum, dtype, PACKED[enum], dtype, bytes([number << 3 | 2]))
    field, sent = OTHERS.get(enum, ("int_val", "int32"))
    return Kind(enum, dtype, field, np.dtype(sent))


KINDS = {enum: _kind(enum, dtype) for enum, dtype in DTYPES.items()}
_BY_DTYPE = {kind.dtype: kind for kind in KINDS.values()}


def read(proto: tensor_pb2.TensorProto, limit: int) -> Array:
    """The array of a message, which it empties; BadRequest where it holds none, PayloadTooLarge beyond `limit` bytes."""
    kind = KINDS.get(proto.dtype)
    if kind is None:
        raise BadRequest(f"a tensor of {_name(proto.dtype)} cannot be sent here")
    shape = tuple(dim.size for dim in proto.tensor_shape.dim)
    if proto.tensor_shape.unknown_rank or any(size < 0 for size in shape):
        raise BadRequest("a tensor's shape has an open size")
    size, width = math.prod(shape), kind.dtype.itemsize
    if size * width > limit or math.prod(axis or 1 for axis in shape) * width >= MAX_PRODUCT:
        raise _too_large(shape, limit)
    if len(shape) > MAX_AXES:
        raise BadRequest(f"a tensor has {len(shape)} axes; {MAX_AXES} are the most")
    if proto.tensor_content:
        return _from_content(proto.tensor_content, kind, shape)
    values = _values(proto, kind)
    if kind.dtype == STRING and len(values) and len(values[-1]) * (size - len(values)) > limit:
        raise _too_large(shape, limit)
    return _filled(values, size, kind).reshape(shape)


def write(array: Array, proto: tensor_pb2.TensorProto) -> None:
    """Fill an empty message with an array, in the typed field of its dtype."""
    kind = _BY_DTYPE.get(array.dtype)
    if kind is None:
        raise TypeError(f"an array of {array.dtype} has no TensorProto")
    _head(array, kind, proto)
    values = getattr(proto, kind.field) if kind.field != "float8_val" else None
    if kind.tag:
        data = array.tobytes()
        if data:
            proto.MergeFromString(b"%b%b%b" % (kind.tag, _varint(len(data)), data))
    elif values is None:
        proto.float8_val = array.tobytes()
    elif kind.field == "half_val":
        values.extend(array.view(BITS).ravel().tolist())
    elif kind.dtype == STRING:
        values.extend(array.ravel().tolist())
    else:
        values.extend(array.astype(kind.sent, copy=False).ravel().tolist())


def write_content(array: Array, proto: tensor_pb2.TensorProto) -> None:
    """Fill an empty message with an array, as `tensor_content`; strings in their typed field, as every reader takes them."""
    kind = _BY_DTYPE.get(array.dtype)
    if kind is None or kind.dtype == STRING:
        write(array, proto)
        return
    _head(array, kind, proto)
    proto.tensor_content = array.tobytes()


def _head(array: Array, kind: Kind, proto: tensor_pb2.TensorProto) -> None:
    proto.dtype = kind.enum
    proto.tensor_shape.SetInParent()
    for size in array.shape:
        proto.tensor_shape.dim.add().size = size


def _too_large(shape: tuple[int, ...], limit: int) -> PayloadTooLarge:
    return PayloadTooLarge(f"a tensor is over the limit of {limit} bytes: its shape is {list(shape)}"[:240])


def _from_content(content: bytes, kind: Kind, shape: tuple[int, ...]) -> Array:
    size = math.prod(shape)
    if kind.dtype == STRING:
        return _strings(content, size).reshape(shape)
    if len(content) != size * kind.dtype.itemsize:
        raise BadRequest(
            f"tensor_content has {len(content)} bytes; a tensor of {_name(kind.enum)} and shape {list(shape)} "
            f"has {size * kind.dtype.itemsize}"
        )
    return np.frombuffer(content, kind.dtype).reshape(shape)


def _values(proto: tensor_pb2.TensorProto, kind: Kind) -> Array:
    """The values of the typed field."""
    values = getattr(proto, kind.field)
    if kind.tag:
        return _packed(proto, kind)
    if kind.field == "float8_val":
        return np.frombuffer(values, kind.dtype)
    if kind.dtype == STRING:
        return _objects(values)
    sent = np.fromiter(values, kind.sent, len(values))
    return sent.astype(BITS).view(kind.dtype) if kind.field == "half_val" else sent.astype(kind.dtype, copy=False)


def _packed(proto: tensor_pb2.TensorProto, kind: Kind) -> Array:
    """The values of a field whose wire form is an array's memory: all that is left of the message is that field.

    Python floats would cost 50 ns a value, and change the bits of a NaN.
    """
    count = len(getattr(proto, kind.field)) // (2 if kind.dtype.kind == "c" else 1)
    if not count:
        return np.empty(0, kind.dtype)
    for field, _ in proto.ListFields():
        if field.name != kind.field:
            proto.ClearField(field.name)
    proto.DiscardUnknownFields()
    wire = proto.SerializeToString()
    odd = kind.dtype.kind == "c" and len(getattr(proto, kind.field)) % 2
    begin = len(wire) - count * kind.dtype.itemsize - (kind.dtype.itemsize // 2 if odd else 0)
    return np.frombuffer(wire, kind.dtype, count, begin).copy()  # to an address that suits the dtype


def _filled(values: Array, size: int, kind: Kind) -> Array:
    """Exactly `size` values: the last one repeats, what is too many is dropped."""
    if len(values) >= size:
        return values[:size]
    if not len(values):
        values = np.array([b""], object) if kind.dtype == STRING else np.zeros(1, kind.dtype)
    filled = np.empty(size, kind.dtype)
    filled[: len(values)] = values
    filled[len(values) :] = values[-1]
    return filled


def _strings(content: bytes, size: int) -> Array:
    """The strings of a `tensor_content`: all lengths first."""
    lengths, at = [], 0
    try:
        for _ in range(size):
            length = shift = 0
            while True:
                byte = content[at]
                at += 1
                length |= (byte & 127) << shift
                shift += 7
                if byte < 128:
                    break
            lengths.append(length)
    except IndexError:
        raise BadRequest(f"tensor_content ends within the lengths of its {size} strings") from None
    if at + sum(lengths) != len(content):
        raise BadRequest(f"tensor_content has {len(content)} bytes; its strings have {at + sum(lengths)}")
    found = []
    for length in lengths:
        found.append(content[at : at + length])
        at += length
    return _objects(found)


def _objects(values: Any) -> Array:
    array = np.empty(len(values), object)
    array[:] = list(values)
    return array


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 127:
        encoded.append(number & 127 | 128)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def _name(enum: int) -> str:
    """`DT_FLOAT`, or the number of a type that is not known here."""
    named = types_pb2.DataType.DESCRIPTOR.values_by_number.get(enum)
    return str(named.name) if named else f"type {enum}"
