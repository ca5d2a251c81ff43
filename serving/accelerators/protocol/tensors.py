"""Arrays to and from ModelInfer's messages, with the contents as raw bytes that are copied once.

    {name: array} -> head (names, datatypes, shapes; remembered) + raw contents -> {name: array}

A head is what a message holds besides its raw contents and its id. Calls of one model have few different heads, so each is
built and parsed once. [kserve/open-inference-protocol, "Raw Data for Inference Request"; BYTES elements are preceded by
their length as four bytes, little end first: triton-inference-server/server docs/protocol/extension_binary_data.md]
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from serving.accelerators.errors import AcceleratorError, Code
from serving.accelerators.protocol.messages import ModelInferRequest, ModelInferResponse
from serving.invocation import Array, Inputs, Outputs

DATATYPES = {
    "bool": "BOOL",
    **{f"{kind}{bits}": f"{kind.upper()}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)},
    **{f"float{bits}": f"FP{bits}" for bits in (16, 32, 64)},
}
DTYPES = {name: np.dtype(dtype) for dtype, name in DATATYPES.items()}
_WORDS = {dtype: name for name, dtype in DTYPES.items()}  # a dtype's own name takes numpy microseconds to put together
CONTENTS = {
    "BOOL": "bool_contents",
    **{f"INT{bits}": "int_contents" for bits in (8, 16, 32)},
    "INT64": "int64_contents",
    **{f"UINT{bits}": "uint_contents" for bits in (8, 16, 32)},
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}
MAX_REMEMBERED = 512
LONGEST_REMEMBERED = 4096
"""Bytes of a head that is kept parsed; a longer one holds contents, or very many names."""
REQUEST_RAW, REQUEST_ID = 7, 3
RESPONSE_RAW, RESPONSE_ID = 6, 3
Buffer = bytes | bytearray | memoryview


class Spec(NamedTuple):
    """One tensor as a message names it. `datatype` is the protocol's word."""

    name: str
    datatype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Head:
    """What a message says besides its contents and its id; `outputs` are those that a request asks for."""

    model: str
    tensors: tuple[Spec, ...]
    outputs: tuple[str, ...] = ()
    version: str = ""
    typed: bool = False
    """Whether the contents are in the tensors themselves, and not raw."""


def datatype(dtype: np.dtype[Any]) -> str:
    """The protocol's word for a dtype; AcceleratorError where it has none."""
    found = _WORDS.get(dtype) or ("BYTES" if dtype.kind in "OSU" else None)
    if found is None:
        raise AcceleratorError(
            Code.INVALID_ARGUMENT, f"tensors of dtype {dtype} cannot be sent: the protocol has {list(DTYPES)}"
        )
    return found


def request(model: str, inputs: Inputs, outputs: Sequence[str] = (), id: str = "") -> list[Buffer]:
    """A ModelInferRequest in pieces: whoever sends them need not join them."""
    specs = tuple([Spec(name, datatype(array.dtype), array.shape) for name, array in inputs.items()])
    head = _request_head(model, specs, tuple(outputs))
    return [head, *_id(id), *_raw(REQUEST_RAW, inputs.values())]


def response(model: str, outputs: Mapping[str, Array], id: str = "") -> list[Buffer]:
    """A ModelInferResponse in pieces."""
    specs = tuple([Spec(name, datatype(array.dtype), array.shape) for name, array in outputs.items()])
    return [_response_head(model, specs), *_id(id), *_raw(RESPONSE_RAW, outputs.values())]


def response_of(model: str, specs: tuple[Spec, ...], raw: Sequence[Buffer], id: str = "") -> list[Buffer]:
    """Likewise, of contents that are raw already."""
    pieces: list[Buffer] = [_response_head(model, specs), *_id(id)]
    for data in raw:
        pieces += (tagged(RESPONSE_RAW, len(data)), data)
    return pieces


def read_request(body: Buffer) -> tuple[Head, str, list[Buffer]]:
    """A ModelInferRequest's head, its id and its raw contents, which are views of the body. AcceleratorError where it is none."""
    head, id, raw = _split(memoryview(body), REQUEST_RAW, REQUEST_ID)
    parsed = _parsed_request(head) if len(head) <= LONGEST_REMEMBERED else _parse_request(head)
    if parsed.typed and not raw:
        return parsed, id, _typed_contents(ModelInferRequest.FromString(head).inputs)
    return parsed, id, raw


def read_response(body: Buffer) -> Outputs:
    """The arrays of a ModelInferResponse, as views of the body; those of BYTES hold bytes."""
    head, _, raw = _split(memoryview(body), RESPONSE_RAW, RESPONSE_ID)
    parsed = _parsed_response(head) if len(head) <= LONGEST_REMEMBERED else _parse_response(head)
    if parsed.typed and not raw:
        raw = _typed_contents(ModelInferResponse.FromString(head).outputs)
    return arrays(parsed.tensors, raw)


def arrays(specs: Sequence[Spec], raw: Sequence[Buffer]) -> dict[str, Array]:
    """Arrays over raw contents; AcceleratorError where their number or a length contradicts the specs."""
    if len(specs) != len(raw):
        raise AcceleratorError(
            Code.INVALID_ARGUMENT, f"the message names {len(specs)} tensors and holds the contents of {len(raw)}"
        )
    return {spec.name: array(spec, data) for spec, data in zip(specs, raw, strict=True)}


def array(spec: Spec, data: Buffer) -> Array:
    """One tensor over its raw contents; AcceleratorError where datatype, shape and length contradict each other."""
    count = 1
    for size in spec.shape:
        if size < 0:
            raise _contradiction(spec, "a size is below 0")
        count *= size
    if spec.datatype == "BYTES":
        return _elements(spec, data, count)
    dtype = DTYPES.get(spec.datatype)
    if dtype is None:
        raise _contradiction(spec, f"the datatype is none of {[*DTYPES, 'BYTES']}")
    if count * dtype.itemsize != len(data):
        raise _contradiction(spec, f"its contents are {len(data)} bytes, not {count * dtype.itemsize}")
    return np.frombuffer(data, dtype).reshape(spec.shape)


def contents(value: Array) -> Buffer:
    """An array's raw contents: its own memory where that is in order."""
    if value.dtype.kind in "OSU":
        items = [item.encode() if isinstance(item, str) else bytes(item) for item in value.reshape(-1)]
        return b"".join(struct.pack("<I", len(item)) + item for item in items)
    return np.ascontiguousarray(value).reshape(-1).view(np.uint8).data


def _contradiction(spec: Spec, why: str) -> AcceleratorError:
    return AcceleratorError(
        Code.INVALID_ARGUMENT, f"tensor {spec.name[:60]!r} ({spec.datatype[:20]} {list(spec.shape)}): {why}"
    )


def _elements(spec: Spec, data: Buffer, count: int) -> Array:
    view, at, items = memoryview(data), 0, []
    while at + 4 <= len(view):
        (length,) = struct.unpack_from("<I", view, at)
        items.append(bytes(view[at + 4 : at + 4 + length]))
        at += 4 + length
    if at != len(view) or len(items) != count:
        raise _contradiction(spec, f"its contents are not {count} elements, each behind its length")
    found: Array = np.empty(count, object)
    found[:] = items
    return found.reshape(spec.shape)


# ---- heads


@lru_cache(MAX_REMEMBERED)
def _request_head(model: str, specs: tuple[Spec, ...], outputs: tuple[str, ...]) -> bytes:
    message = ModelInferRequest(model_name=model)
    for name, word, shape in specs:
        message.inputs.add(name=name, datatype=word, shape=shape)
    for name in outputs:
        message.outputs.add(name=name)
    return bytes(message.SerializeToString())


@lru_cache(MAX_REMEMBERED)
def _response_head(model: str, specs: tuple[Spec, ...]) -> bytes:
    message = ModelInferResponse(model_name=model, model_version="1")
    for name, word, shape in specs:
        message.outputs.add(name=name, datatype=word, shape=shape)
    return bytes(message.SerializeToString())


def _parse_request(head: bytes) -> Head:
    message = _parse(ModelInferRequest, head)
    specs = tuple([Spec(t.name, t.datatype, tuple(t.shape)) for t in message.inputs])
    typed = any(tensor.HasField("contents") for tensor in message.inputs)
    wanted = tuple([output.name for output in message.outputs])
    return Head(message.model_name, specs, wanted, message.model_version, typed)


def _parse_response(head: bytes) -> Head:
    message = _parse(ModelInferResponse, head)
    specs = tuple([Spec(t.name, t.datatype, tuple(t.shape)) for t in message.outputs])
    return Head(message.model_name, specs, typed=any(tensor.HasField("contents") for tensor in message.outputs))


_parsed_request = lru_cache(MAX_REMEMBERED)(_parse_request)
_parsed_response = lru_cache(MAX_REMEMBERED)(_parse_response)


def _parse(kind: Any, data: bytes) -> Any:
    from google.protobuf.message import DecodeError

    try:
        return kind.FromString(data)
    except DecodeError:
        raise AcceleratorError(Code.INVALID_ARGUMENT, f"the bytes are no {kind.DESCRIPTOR.name} message") from None


def _typed_contents(tensors: Any) -> list[Buffer]:
    """Raw contents of tensors that hold them as repeated fields."""
    raw = []
    for tensor in tensors:
        field = CONTENTS.get(tensor.datatype)
        if field is None:
            raise AcceleratorError(Code.INVALID_ARGUMENT, f"{tensor.datatype[:20]!r} has no typed contents: send it raw")
        values = getattr(tensor.contents, field)
        if tensor.datatype == "BYTES":
            whole: Array = np.empty(len(values), object)
            whole[:] = list(values)
        else:
            whole = np.array(values, DTYPES[tensor.datatype])
        raw.append(contents(whole))
    return raw


# ---- protobuf's wire form, as far as it takes to leave raw contents where they are
# [protocolbuffers.dev, "Encoding": a field is its number and wire type as a varint, then its value]


def _split(view: memoryview, raw_field: int, id_field: int) -> tuple[bytes, str, list[Buffer]]:
    """The message without its id and raw contents; the id; the contents as views."""
    rest: list[memoryview] = []
    raw: list[Buffer] = []
    id, at, end = "", 0, len(view)
    try:
        while at < end:
            start = at
            tag, at = _varint(view, at)
            value = at
            if tag & 7 == 2:
                length, value = _varint(view, at)
                at = value + length
            else:
                at = _skip(tag & 7, view, at)
            if at > end:
                raise IndexError
            if tag >> 3 == raw_field:
                raw.append(view[value:at])
            elif tag >> 3 == id_field:
                id = str(view[value:at], "utf-8")
            else:
                rest.append(view[start:at])
    except (IndexError, ValueError):
        raise AcceleratorError(Code.INVALID_ARGUMENT, "the bytes are no message of the Open Inference Protocol") from None
    return b"".join(rest), id, raw


def _varint(view: memoryview, at: int) -> tuple[int, int]:
    """The number at a place, and the place behind it."""
    byte = view[at]
    at += 1
    if byte < 128:
        return byte, at
    number, shift = byte & 127, 7
    while True:
        byte = view[at]
        at += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number, at
        shift += 7
        if shift > 63:
            raise ValueError


def _skip(wire: int, view: memoryview, at: int) -> int:
    """The place behind a value that is not length-delimited."""
    if wire == 0:
        return _varint(view, at)[1]
    if wire in (1, 5):
        return at + (8 if wire == 1 else 4)
    raise ValueError


def tagged(field: int, length: int) -> bytes:
    """What stands before a length-delimited value."""
    head = bytearray([field << 3 | 2])
    while length > 127:
        head.append(length & 127 | 128)
        length >>= 7
    head.append(length)
    return bytes(head)


def _raw(field: int, values: Iterable[Array]) -> Iterator[Buffer]:
    for value in values:
        data = contents(value)
        yield tagged(field, len(data))
        yield data


def _id(id: str) -> tuple[bytes, ...]:
    if not id:
        return ()
    data = id.encode()
    return (tagged(REQUEST_ID, len(data)) + data,)
