"""TensorProto <-> numpy, against TensorFlow's own reader (`TF_TensorFromProto` of its C library)."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import pytest

from serving.backends import tensorflow_import, tf_tensors
from serving.backends.tf_library import Buffer, check
from serving.backends.tf_tensors import DTYPES
from serving.errors import BadRequest, PayloadTooLarge
from serving.tfs import tensor_proto

tensorflow_import.protos()

from tensorflow.core.framework import tensor_pb2, types_pb2  # noqa: E402

LIMIT = 1 << 20
NAMES = {enum: types_pb2.DataType.Name(enum) for enum in DTYPES}
each_dtype = pytest.mark.parametrize("enum", DTYPES, ids=NAMES.values())
DT = types_pb2.DataType.Value


def message(dtype: str, shape: list[int], **fields: Any) -> Any:
    """A TensorProto by the name of its dtype."""
    made = tensor_pb2.TensorProto(dtype=DT(f"DT_{dtype}"), **fields)
    made.tensor_shape.SetInParent()
    for size in shape:
        made.tensor_shape.dim.add(size=size)
    return made


def tensorflow_reads(proto: Any) -> Any:
    """The array that TensorFlow makes of a message."""
    library = tensorflow_import.library()
    data = proto.SerializeToString()
    held = ctypes.create_string_buffer(data, len(data))
    tensor = library.TF_AllocateTensor(DT("DT_UINT8"), (ctypes.c_int64 * 1)(0), 1, 0)
    status = library.TF_NewStatus()
    library.TF_TensorFromProto(Buffer(ctypes.addressof(held), len(data), None), tensor, status)
    check(library, status)
    library.TF_DeleteStatus(status)
    shape = [library.TF_Dim(tensor, axis) for axis in range(library.TF_NumDims(tensor))]
    if proto.dtype == DT("DT_STRING"):
        read = tf_tensors.read(library, tensor, proto.dtype)
    else:
        memory = ctypes.string_at(library.TF_TensorData(tensor), library.TF_TensorByteSize(tensor))
        read = np.frombuffer(memory, DTYPES[proto.dtype]).reshape(shape)
    library.TF_DeleteTensor(tensor)
    return read


def read(proto: Any, limit: int = LIMIT) -> Any:
    """What ours makes of it; the message itself is left as it was."""
    return tensor_proto.read(tensor_pb2.TensorProto.FromString(proto.SerializeToString()), limit)


def bits(array: Any) -> Any:
    """Dtype, shape and every bit that counts: half a byte of the 4-bit types is padding."""
    if array.dtype == object:
        values = array.tolist()
    else:
        values = array.astype(np.int32).tolist() if "int4" in array.dtype.name else array.tobytes()
    return array.dtype, array.shape, values


def values(enum: int, shape: tuple[int, ...]) -> Any:
    """Random bits of a dtype, NaNs of every payload among them."""
    random, size, dtype = np.random.default_rng(enum), int(np.prod(shape)), DTYPES[enum]
    if dtype.kind == "O":
        array = np.empty(size, object)
        array[:] = [random.bytes(at % 5) for at in range(size)]
        return array.reshape(shape)
    if dtype.kind == "b" or "int4" in dtype.name:
        return random.integers(0, 2 if dtype.kind == "b" else 8, shape).astype(dtype)
    return np.frombuffer(random.bytes(size * dtype.itemsize), dtype).reshape(shape)


@each_dtype
@pytest.mark.parametrize("write", [tensor_proto.write, tensor_proto.write_content])
def test_every_dtype_comes_back_bit_for_bit(enum: int, write: Any) -> None:
    """Whatever the dtype, both ways of writing it give what TensorFlow, and we, read back bit for bit."""
    for shape in ((300,), (), (2, 3), (2, 1, 2)):
        proto, array = tensor_pb2.TensorProto(), values(enum, shape)
        write(array, proto)
        assert bits(tensorflow_reads(proto)) == bits(array)
        assert bits(read(proto)) == bits(array)


@each_dtype
def test_empty_tensors_keep_their_shape(enum: int) -> None:
    """A shape with a zero in it comes back as it was."""
    for write in (tensor_proto.write, tensor_proto.write_content):
        proto, array = tensor_pb2.TensorProto(), np.empty((2, 0, 3), DTYPES[enum])
        write(array, proto)
        assert read(proto).shape == (2, 0, 3)
        assert read(proto).dtype == DTYPES[enum]


@pytest.mark.parametrize(
    ("dtype", "field"),
    [
        ("FLOAT", "float_val"),
        ("DOUBLE", "double_val"),
        ("INT32", "int_val"),
        ("UINT8", "int_val"),
        ("INT64", "int64_val"),
        ("UINT64", "uint64_val"),
        ("HALF", "half_val"),
        ("BFLOAT16", "half_val"),
        ("BOOL", "bool_val"),
        ("STRING", "string_val"),
        ("COMPLEX64", "scomplex_val"),
        ("FLOAT8_E5M2", "float8_val"),
    ],
)
def test_replies_use_the_typed_field(dtype: str, field: str) -> None:
    """An array is written into the field that clients read for its dtype, and into no other."""
    proto = tensor_pb2.TensorProto()
    tensor_proto.write(values(DT(f"DT_{dtype}"), (3,)), proto)
    assert {f.name for f, _ in proto.ListFields()} == {"dtype", "tensor_shape", field}


@pytest.mark.parametrize(
    "proto",
    [
        message("FLOAT", [3], float_val=[1.5, 2.5]),
        message("FLOAT", [2, 2]),
        message("FLOAT", [2], float_val=[1, 2, 3]),
        message("DOUBLE", [3], double_val=[float("nan")]),
        message("COMPLEX64", [2], scomplex_val=[1, 2, 3]),
        message("COMPLEX64", [1], scomplex_val=[1]),
        message("COMPLEX128", [2], dcomplex_val=[1, 2]),
        message("INT32", [], int_val=[-4]),
        message("INT8", [2], int_val=[300, -5]),
        message("UINT16", [3], int_val=[70000, 3]),
        message("UINT32", [2], uint32_val=[(1 << 32) - 1]),
        message("UINT64", [2], uint64_val=[(1 << 64) - 1]),
        message("INT64", [2], int64_val=[-(1 << 63)]),
        message("BOOL", [2], bool_val=[True]),
        message("STRING", [3], string_val=[b"a", b"b"]),
        message("STRING", [2]),
        message("STRING", [3], tensor_content=b"\x01\x00\x02abc"),
        message("STRING", [1], tensor_content=b"\x82\x01" + b"x" * 130),
        message("HALF", [2], half_val=[15360]),
        message("BFLOAT16", [2], half_val=[16256, 70000]),
        message("FLOAT8_E5M2", [3], float8_val=b"\x01\x02"),
        message("INT4", [3], int_val=[7, -8]),
        message("UINT4", [2], int_val=[15, 17]),
    ],
    ids=lambda proto: f"{NAMES[proto.dtype]}-{proto.ListFields()[-1][0].name}",
)
def test_fewer_and_more_values(proto: Any) -> None:
    """Values that are missing, too many, too large or half a complex number are what TensorFlow takes them for."""
    assert bits(read(proto)) == bits(tensorflow_reads(proto))


@pytest.mark.parametrize(
    ("proto", "words"),
    [
        (message("QINT8", [1], int_val=[1]), "DT_QINT8"),
        (message("RESOURCE", []), "DT_RESOURCE"),
        (message("INVALID", [1]), "DT_INVALID"),
        (tensor_pb2.TensorProto(dtype=77), "type 77"),
        (message("FLOAT", [-1], float_val=[1]), "open size"),
        (message("FLOAT", [1] * 33, float_val=[1]), "33 axes"),
        (message("FLOAT", [2], tensor_content=b"1234567"), "7 bytes"),
        (message("FLOAT", [2], tensor_content=b"123456789"), "9 bytes"),
        (message("STRING", [2], tensor_content=b"\x01"), "lengths"),
        (message("STRING", [2], tensor_content=b"\x01\x01abc"), "5 bytes"),
        (message("STRING", [1], tensor_content=b"\xff" * 40), "lengths"),
    ],
)
def test_what_is_no_tensor_is_refused(proto: Any, words: str) -> None:
    """A message that holds no array is a 400 that says why."""
    with pytest.raises(BadRequest, match=words):
        read(proto)


def test_unknown_rank_is_refused() -> None:
    """A shape of unknown rank belongs to a signature, not to a tensor."""
    proto = message("FLOAT", [], float_val=[1])
    proto.tensor_shape.unknown_rank = True
    with pytest.raises(BadRequest, match="open size"):
        read(proto)


def test_a_few_bytes_cannot_ask_for_much_memory() -> None:
    """A huge shape behind one value, which would repeat, is a 413 before any memory is taken."""
    for shape in ([1 << 40], [1 << 40, 1 << 40], [1 << 62] * 30):
        with pytest.raises(PayloadTooLarge, match="limit"):
            read(message("FLOAT", shape, float_val=[1]))
    assert read(message("FLOAT", [1 << 40, 0])).shape == (1 << 40, 0)
    assert read(message("FLOAT", [4], float_val=[1]), 16).shape == (4,)


def test_a_string_cannot_repeat_beyond_the_limit() -> None:
    """A string that would be repeated to many times the limit is a 413 before it is; short ones may."""
    with pytest.raises(PayloadTooLarge, match="limit"):
        read(message("STRING", [200], string_val=[b"a" * 1000]), 8000)
    assert read(message("STRING", [200], string_val=[b"ab"]), 8000).tolist() == [b"ab"] * 200


@pytest.mark.parametrize("shape", [[1 << 40, 1 << 40, 0], [1 << 40, 0, 1 << 40], [0, 1 << 62, 1 << 62]])
def test_empty_tensors_of_axes_that_overflow(shape: list[int]) -> None:
    """An empty tensor whose other axes nobody can multiply is a 413, not a fault of the server's."""
    for dtype in ("FLOAT", "STRING"):
        with pytest.raises(PayloadTooLarge, match="limit"):
            read(message(dtype, shape))


def test_what_has_no_dtype_there_is_our_fault() -> None:
    """An array that TensorFlow has no type for is a TypeError, not a client's fault."""
    with pytest.raises(TypeError, match="datetime64"):
        tensor_proto.write(np.array(["2024-01-01"], "datetime64[s]"), tensor_pb2.TensorProto())
