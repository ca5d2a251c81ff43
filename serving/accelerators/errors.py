"""What can go wrong with an accelerator: the gRPC status on the wire, and the HTTP status that a container answers with.

    attach -> connect -> authenticate -> load -> admit -> infer -> reply
              14         16              3 5     8        3 8 4     13 14

Every message is one line: servers that copy it into an HTTP reason phrase break on more [awslabs/multi-model-server#774,
aws/sagemaker-python-sdk#1370].
"""

from __future__ import annotations

from enum import IntEnum

from serving.errors import ServingError


class Code(IntEnum):
    """gRPC status codes [grpc/grpc doc/statuscodes.md]."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


HTTP = {
    Code.CANCELLED: 499,
    Code.INVALID_ARGUMENT: 400,
    Code.OUT_OF_RANGE: 400,
    Code.DEADLINE_EXCEEDED: 504,
    Code.NOT_FOUND: 404,
    Code.RESOURCE_EXHAUSTED: 507,
    Code.FAILED_PRECONDITION: 400,
    Code.UNIMPLEMENTED: 501,
    Code.UNAVAILABLE: 503,
    Code.UNAUTHENTICATED: 503,
    Code.PERMISSION_DENIED: 503,
}
"""The container's answer for a status of the accelerator; others are a 500. A wrong token is the container's own fault."""

UNDETECTED = "Failed to detect any accelerator"
"""The phrase that Elastic Inference's client printed, and that its users search for."""


class AcceleratorError(ServingError):
    """A call that an accelerator, or the way to it, has failed; `code` is its gRPC status."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(one_line(message))
        self.code = code
        self.status = HTTP.get(code, 500)


class Undetected(AcceleratorError):
    """No accelerator is declared, or none of those that are can be reached."""

    def __init__(self, why: str) -> None:
        super().__init__(Code.UNAVAILABLE, f"{UNDETECTED}: {why}")


def unreachable(address: str, why: str) -> AcceleratorError:
    """Nobody answers at an address."""
    return AcceleratorError(Code.UNAVAILABLE, f"{UNDETECTED}: {address} cannot be reached: {why}"[:400])


def one_line(text: str) -> str:
    """A message without line breaks or other control characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
