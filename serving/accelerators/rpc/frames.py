"""HTTP/2's frames, as far as gRPC needs them [RFC 9113]: numbers, and what they look like in bytes."""

from __future__ import annotations

from enum import IntEnum
from struct import Struct

from serving.accelerators.errors import Code

Buffer = bytes | bytearray | memoryview

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEAD = Struct(">IBI")
"""A frame's head: its length and kind in one number, its flags, its stream."""
HEAD_SIZE = 9
PREFIX = Struct(">BI")
"""What stands before a gRPC message: whether it is compressed, and its length."""
PREFIX_SIZE = 5

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM = ACK = 0x1
END_HEADERS, PADDED, PRIORITISED = 0x4, 0x8, 0x20

HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE = range(1, 7)
DEFAULT_WINDOW, DEFAULT_FRAME, MAX_WINDOW, MAX_STREAM = 65_535, 16_384, (1 << 31) - 1, (1 << 31) - 1
LARGEST_FRAME = (1 << 24) - 1


class Fault(IntEnum):
    """HTTP/2's error codes."""

    NO_ERROR = 0
    PROTOCOL_ERROR = 1
    INTERNAL_ERROR = 2
    FLOW_CONTROL_ERROR = 3
    SETTINGS_TIMEOUT = 4
    STREAM_CLOSED = 5
    FRAME_SIZE_ERROR = 6
    REFUSED_STREAM = 7
    CANCEL = 8
    COMPRESSION_ERROR = 9
    CONNECT_ERROR = 10
    ENHANCE_YOUR_CALM = 11
    INADEQUATE_SECURITY = 12
    HTTP_1_1_REQUIRED = 13


STATUS = {
    Fault.REFUSED_STREAM: Code.UNAVAILABLE,
    Fault.CANCEL: Code.CANCELLED,
    Fault.ENHANCE_YOUR_CALM: Code.RESOURCE_EXHAUSTED,
    Fault.INADEQUATE_SECURITY: Code.PERMISSION_DENIED,
}
"""What a reset stream means to a caller, else INTERNAL [grpc/grpc doc/PROTOCOL-HTTP2.md, "Errors"]."""


class ConnectionFault(Exception):
    """The peer has broken the protocol: the connection ends."""

    def __init__(self, fault: Fault, message: str) -> None:
        super().__init__(message)
        self.fault = fault


class StreamFault(Exception):
    """The peer has broken the protocol in one stream: that one ends."""

    def __init__(self, fault: Fault, message: str) -> None:
        super().__init__(message)
        self.fault = fault


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """A whole frame."""
    return HEAD.pack(len(payload) << 8 | kind, flags, stream) + payload


def settings(values: dict[int, int]) -> bytes:
    """A SETTINGS frame."""
    return frame(SETTINGS, 0, 0, b"".join(_SETTING.pack(key, value) for key, value in values.items()))


def window_update(stream: int, more: int) -> bytes:
    """A WINDOW_UPDATE frame; stream 0 is the connection."""
    return frame(WINDOW_UPDATE, 0, stream, more.to_bytes(4, "big"))


def reset(stream: int, fault: Fault) -> bytes:
    """An RST_STREAM frame."""
    return frame(RST_STREAM, 0, stream, fault.to_bytes(4, "big"))


def goaway(last_stream: int, fault: Fault, message: str = "") -> bytes:
    """A GOAWAY frame."""
    return frame(GOAWAY, 0, 0, _GOAWAY.pack(last_stream, fault) + message.encode()[:200])


SETTINGS_ACK = frame(SETTINGS, ACK, 0)


def read_settings(payload: Buffer) -> dict[int, int]:
    """What a SETTINGS frame says, checked."""
    if len(payload) % _SETTING.size:
        raise ConnectionFault(Fault.FRAME_SIZE_ERROR, "a SETTINGS frame that is no multiple of 6 bytes")
    values = dict(_SETTING.iter_unpack(payload))
    if values.get(ENABLE_PUSH, 0) > 1:
        raise ConnectionFault(Fault.PROTOCOL_ERROR, "ENABLE_PUSH that is neither 0 nor 1")
    if values.get(INITIAL_WINDOW_SIZE, 0) > MAX_WINDOW:
        raise ConnectionFault(Fault.FLOW_CONTROL_ERROR, "INITIAL_WINDOW_SIZE beyond 2^31-1")
    if not DEFAULT_FRAME <= values.get(MAX_FRAME_SIZE, DEFAULT_FRAME) <= LARGEST_FRAME:
        raise ConnectionFault(Fault.PROTOCOL_ERROR, "MAX_FRAME_SIZE outside of its bounds")
    return values


def read_goaway(payload: Buffer) -> tuple[int, int, str]:
    """The last stream, the error code and the message of a GOAWAY frame."""
    if len(payload) < _GOAWAY.size:
        raise ConnectionFault(Fault.FRAME_SIZE_ERROR, "a GOAWAY frame of less than 8 bytes")
    last, fault = _GOAWAY.unpack_from(payload)
    return last & MAX_STREAM, fault, bytes(payload[_GOAWAY.size :]).decode("utf-8", "replace")


def number(payload: Buffer, what: str) -> int:
    """The four bytes of a RST_STREAM or WINDOW_UPDATE frame."""
    if len(payload) != 4:
        raise ConnectionFault(Fault.FRAME_SIZE_ERROR, f"a {what} frame that is not 4 bytes long")
    return int.from_bytes(payload, "big")


def unpadded(flags: int, payload: Buffer) -> Buffer:
    """The block of a HEADERS frame, without padding and priority."""
    start, end = 0, len(payload)
    if flags & PADDED:
        if not end or payload[0] >= end:
            raise ConnectionFault(Fault.PROTOCOL_ERROR, "padding longer than its frame")
        start, end = 1, end - payload[0]
    if flags & PRIORITISED:
        start += 5
    if start > end:
        raise ConnectionFault(Fault.FRAME_SIZE_ERROR, "a HEADERS frame too short for what its flags say")
    return payload[start:end]


_SETTING = Struct(">HI")
_GOAWAY = Struct(">II")
