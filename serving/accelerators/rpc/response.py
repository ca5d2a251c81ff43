"""What an answer's header blocks say: the head and the trailers."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote

from serving.accelerators.errors import AcceleratorError, Code
from serving.accelerators.rpc import frames
from serving.accelerators.rpc.frames import Buffer, Fault
from serving.accelerators.rpc.heads import Field, gunzip

FROM_HTTP = {
    400: Code.INTERNAL,
    401: Code.UNAUTHENTICATED,
    403: Code.PERMISSION_DENIED,
    404: Code.UNIMPLEMENTED,
    429: Code.UNAVAILABLE,
    502: Code.UNAVAILABLE,
    503: Code.UNAVAILABLE,
    504: Code.UNAVAILABLE,
}
"""What answers without a gRPC status mean: a proxy's [grpc/grpc doc/http-grpc-status-mapping.md]."""
MAX_MESSAGE = (1 << 31) - 1


@dataclass(slots=True)
class ResponseHead:
    """A head, or trailers: those have a gRPC status."""

    http_status: int | None = None
    status: int | None = None
    message: str = ""
    encoding: str = "identity"


def read_head(fields: list[Field]) -> ResponseHead:
    """The head that the fields make; it never raises."""
    head = ResponseHead()
    for name, value in fields:
        if name == b":status":
            head.http_status = int(value) if value.isdigit() else 500
        elif name == b"grpc-status":
            head.status = int(value) if value.isdigit() else int(Code.UNKNOWN)
        elif name == b"grpc-message":
            head.message = unquote(value.decode("latin-1"))[:4000]
        elif name == b"grpc-encoding":
            head.encoding = value.decode("latin-1")
    return head


def error_of(head: ResponseHead, address: str) -> AcceleratorError:
    """The error that a head or trailers tell."""
    if head.status is not None:
        code = Code(head.status) if head.status in Code._value2member_map_ else Code.UNKNOWN
        return AcceleratorError(code, head.message or f"{address} answered {code.name} without a message")
    code = FROM_HTTP.get(head.http_status or 0, Code.UNKNOWN)
    return AcceleratorError(code, f"{address} answered HTTP status {head.http_status} without a gRPC status")


def reset_error(fault: int, address: str) -> AcceleratorError:
    """The error that a reset stream means."""
    name = Fault(fault).name if fault in Fault._value2member_map_ else str(fault)
    known = Fault(fault) if fault in Fault._value2member_map_ else Fault.INTERNAL_ERROR
    return AcceleratorError(frames.STATUS.get(known, Code.INTERNAL), f"{address} has reset the call: {name}")


def plain(compressed: int, body: Buffer, encoding: str) -> Buffer:
    """An answer's message as it was before compression."""
    if not compressed:
        return body
    if encoding != "gzip":
        raise AcceleratorError(Code.INTERNAL, f"an answer that is compressed by {encoding[:40]!r}, which was not asked for")
    try:
        found = gunzip(body, MAX_MESSAGE)
    except ValueError as error:
        raise AcceleratorError(Code.INTERNAL, str(error)) from None
    if found is None:
        raise AcceleratorError(Code.RESOURCE_EXHAUSTED, f"an answer of more than {MAX_MESSAGE} bytes")
    return found
