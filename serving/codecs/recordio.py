"""application/x-recordio-protobuf: SageMaker's Record messages (package aialgs.data) in MXNet's RecordIO frames.

    bytes -> frames (magic, length, data, padding to 4) -> Record -> a row of each feature -> stack -> Inputs

The feature `values` is the unnamed tensor, others keep their names; labels are passed over. Sparse features (keys beside
values, flat and row-major) are made dense. Answers have a Record for each row, in the same features, so that the reply of
one container can be the request of the next. The message types are built here at run time, in a pool of their own: a
user's script may load the same names from its own generated module. protobuf is imported on first use.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from functools import cache
from math import prod
from typing import Any

import numpy as np

from serving.codecs import answer, rows, sparse
from serving.errors import BadRequest, NotAcceptable
from serving.invocation import UNNAMED, Array, Inputs, Outputs
from serving.models.signature import Signature

CONTENT_TYPES = ("application/x-recordio-protobuf",)

MAGIC = 0xCED7230A
_VALUES = "values"
_DTYPES = {"float32_tensor": "<f4", "float64_tensor": "<f8", "int32_tensor": "<i4"}

# The upper three bits of a length say which part of a split record a frame holds (dmlc-core, recordio.h).
_WHOLE, _BEGIN, _MIDDLE, _END = range(4)
_LENGTH_BITS = 29


def decode(body: bytes | memoryview, params: Mapping[str, str], signature: Signature | None, limit: int) -> Inputs:
    """Stack the features of all records; BadRequest names the record that is malformed or unlike the first."""
    columns: dict[str, list[Array]] = {}
    left = limit
    for number, data in enumerate(_frames(bytes(body))):
        features = _record(number, data, signature, left)
        if number and features.keys() != columns.keys():
            raise BadRequest(f"record {number} has other features than record 0: {sorted(columns)[:8]}")
        for name, value in features.items():
            column = columns.setdefault(name, [])
            if column and (value.shape != column[0].shape or value.dtype != column[0].dtype):
                raise BadRequest(f"feature {name[:40]!r} of record {number} differs from record 0 in shape or type")
            column.append(value)
            left -= value.nbytes
    if not columns:
        raise BadRequest("the body is empty: expected RecordIO frames, each a Record with features")
    return {UNNAMED if name == _VALUES else name: _stacked(column, signature) for name, column in columns.items()}


def encode(outputs: Outputs, params: Mapping[str, str]) -> bytes:
    """Write a Record for each row, with every output as a feature; a single output is `values`."""
    columns = {name: answer.rows(output) for name, output in outputs.items()}
    if len(columns) == 1:
        columns = {_VALUES: next(iter(columns.values()))}
    if len({len(column) for column in columns.values()}) != 1:
        raise NotAcceptable("the outputs differ in their number of rows: accept application/json")
    fields = {name: _field(column) for name, column in columns.items()}
    columns = {name: column.astype(_DTYPES[fields[name]], copy=False) for name, column in columns.items()}
    frames = []
    for at in range(len(next(iter(columns.values())))):
        record = _record_type()()
        for name, column in columns.items():
            tensor = getattr(record.features[name], fields[name])
            tensor.values.extend(column[at].ravel().tolist())
            if column.ndim != 2:
                tensor.shape.extend(column.shape[1:] or (1,))
        frames.append(_frame(record.SerializeToString()))
    return b"".join(frames)


def _frames(body: bytes) -> Iterator[bytes]:
    """Cut the body into records; a record that held the magic number was split there by its writer."""
    at = 0
    parts: list[bytes] = []
    while at < len(body):
        part, data = _part(body, at, is_open=bool(parts))
        at += 8 + len(data) + -len(data) % 4
        parts.append(data)
        if part in (_WHOLE, _END):
            yield struct.pack("<I", MAGIC).join(parts)
            parts = []
    if parts:
        raise BadRequest("malformed RecordIO: the last record has no end")


def _part(body: bytes, at: int, *, is_open: bool) -> tuple[int, bytes]:
    """Read the frame at a position; `is_open` where it must go on with a record."""
    magic, word = struct.unpack_from("<II", body, at) if len(body) - at >= 8 else (0, 0)
    part, length = word >> _LENGTH_BITS, word & (1 << _LENGTH_BITS) - 1
    if magic != MAGIC or part not in ((_MIDDLE, _END) if is_open else (_WHOLE, _BEGIN)):
        raise BadRequest(f"malformed RecordIO: no frame begins at byte {at}")
    if at + 8 + length > len(body):
        raise BadRequest(f"malformed RecordIO: the frame at byte {at} is truncated")
    return part, body[at + 8 : at + 8 + length]


def _frame(data: bytes) -> bytes:
    return struct.pack("<II", MAGIC, len(data)) + data + bytes(-len(data) % 4)


def _record(number: int, data: bytes, signature: Signature | None, left: int) -> dict[str, Array]:
    from google.protobuf.message import DecodeError

    record = _record_type()()
    try:
        record.ParseFromString(data)
        features = dict(record.features.items())
    except (DecodeError, UnicodeDecodeError):  # names are not checked before they are read
        raise BadRequest(f"record {number} is not a Record message") from None
    if not features:
        raise BadRequest(f"record {number} has no features")
    try:
        return {name: _feature(value, signature, left) for name, value in features.items()}
    except BadRequest as fault:
        raise BadRequest(f"record {number}: {fault.message}") from None


def _feature(value: Any, signature: Signature | None, left: int) -> Array:
    kind = value.WhichOneof("value")
    if kind not in _DTYPES:
        raise BadRequest("a feature is no float32, float64 or int32 tensor")
    tensor = getattr(value, kind)
    values = np.array(list(tensor.values), dtype=_DTYPES[kind])
    shape = tuple(tensor.shape)
    if tensor.keys:
        return sparse.dense(np.array(list(tensor.keys), dtype=np.uint64), values, shape or _row_size(signature), left)
    if len(shape) > 31 or (shape and prod(shape) != values.size) or not values.size:
        raise BadRequest(f"a feature has {values.size} values for its shape {str(shape)[:40]}")
    return values.reshape(shape) if shape else values


def _row_size(signature: Signature | None) -> tuple[int]:
    """Return the length of a flat row of the model's only input, for sparse features that state none."""
    tensor = rows.only(signature)
    if tensor is None or not tensor.row or None in tensor.row:
        raise BadRequest("a sparse feature states no shape")
    return (prod(size or 0 for size in tensor.row),)


def _stacked(column: list[Array], signature: Signature | None) -> Array:
    stacked = np.stack(column)
    return rows.fit(stacked, signature) if stacked.ndim == 2 else stacked


def _field(column: Array) -> str:
    """Choose the tensor type that holds an output's values."""
    kind, size = column.dtype.kind, column.dtype.itemsize
    if kind == "f":
        return "float32_tensor" if size < 8 else "float64_tensor"
    if kind not in "biu" or (column.size and (column.max() > 2**31 - 1 or column.min() < -(2**31))):
        raise NotAcceptable("RecordIO answers carry floats and 32-bit integers: accept application/json or application/x-npz")
    return "int32_tensor"


@cache
def _record_type() -> Any:
    """Build the message class; field numbers are those of the guide's "Common data formats", the record's schema."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    types = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="record.proto", package="aialgs.data", syntax="proto2")
    for name, kind in (
        ("Float32Tensor", types.TYPE_FLOAT),
        ("Float64Tensor", types.TYPE_DOUBLE),
        ("Int32Tensor", types.TYPE_INT32),
    ):
        message = file.message_type.add(name=name)
        for number, (field, of) in enumerate(
            (("values", kind), ("keys", types.TYPE_UINT64), ("shape", types.TYPE_UINT64)), start=1
        ):
            message.field.add(name=field, number=number, type=of, label=types.LABEL_REPEATED).options.packed = True
    value = file.message_type.add(name="Value")
    value.oneof_decl.add(name="value")
    for field, number in (("float32_tensor", 2), ("float64_tensor", 3), ("int32_tensor", 7)):
        name = f".aialgs.data.{field.title().replace('_', '')}"
        value.field.add(name=field, number=number, type=types.TYPE_MESSAGE, type_name=name, label=1, oneof_index=0)
    record = file.message_type.add(name="Record")
    entry = record.nested_type.add(name="FeaturesEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=types.TYPE_STRING, label=1)
    entry.field.add(name="value", number=2, type=types.TYPE_MESSAGE, type_name=".aialgs.data.Value", label=1)
    record.field.add(
        name="features",
        number=1,
        type=types.TYPE_MESSAGE,
        type_name=".aialgs.data.Record.FeaturesEntry",
        label=types.LABEL_REPEATED,
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("aialgs.data.Record"))
