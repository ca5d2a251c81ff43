"""What a call's header block says, read once for all calls that have the same block."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass, field

from serving.accelerators.errors import Code
from serving.accelerators.rpc.heads import Field

UNITS = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}
HOP_BY_HOP = {b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"}


@dataclass(slots=True)
class RequestHead:
    """A call's path, metadata and timeout; `refused` is why it is answered without being looked at."""

    path: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    timeout: float | None = None
    encoding: str = "identity"
    streaming: bool = False
    malformed: str = ""
    http_status: int = 200
    refused: tuple[Code, str] | None = None


class RequestReader:
    """Reads requests' fields, checks the token, and asks whether a path is streamed."""

    def __init__(self, token: str | None, is_streaming: Callable[[str], bool]) -> None:
        self._token = f"Bearer {token}".encode() if token else None
        self._is_streaming = is_streaming

    def __call__(self, fields: list[Field]) -> RequestHead:
        """The head that the fields make; it never raises."""
        head = RequestHead()
        pseudo: dict[bytes, bytes] = {}
        plain: dict[bytes, bytes] = {}
        for name, value in fields:
            if name.startswith(b":"):
                if plain or name in pseudo or name not in (b":method", b":scheme", b":path", b":authority"):
                    head.malformed = "pseudo-headers out of place"
                pseudo[name] = value
            elif name != name.lower() or name in HOP_BY_HOP:
                head.malformed = "a header that HTTP/2 has no place for"
            else:
                plain[name] = plain[name] + b"," + value if name in plain else value
        if not head.malformed and not (pseudo.get(b":method") and pseudo.get(b":path") and pseudo.get(b":scheme")):
            head.malformed = "a request without method, scheme or path"
        head.path = pseudo.get(b":path", b"").decode("latin-1")
        head.metadata = {name.decode("latin-1"): value.decode("latin-1") for name, value in plain.items()}
        if not head.malformed:
            self._check(head, pseudo, plain)
        return head

    def _check(self, head: RequestHead, pseudo: dict[bytes, bytes], plain: dict[bytes, bytes]) -> None:
        kind = plain.get(b"content-type", b"")
        if pseudo[b":method"] != b"POST":
            head.http_status, head.refused = 405, (Code.INTERNAL, "gRPC takes POST alone")
        elif kind != b"application/grpc" and not kind.startswith((b"application/grpc+", b"application/grpc;")):
            head.http_status, head.refused = 415, (Code.UNKNOWN, "this is a gRPC port: content-type must be application/grpc")
        elif self._token is not None and not hmac.compare_digest(plain.get(b"authorization", b""), self._token):
            head.refused = Code.UNAUTHENTICATED, "the token is missing or wrong"
        head.encoding = head.metadata.get("grpc-encoding", "identity")
        if head.encoding not in ("identity", "gzip"):
            head.refused = head.refused or (
                Code.UNIMPLEMENTED,
                f"compression {head.encoding[:40]!r} is not known: send identity or gzip",
            )
        try:
            timeout = head.metadata.get("grpc-timeout")
            head.timeout = None if timeout is None else seconds(timeout)
        except ValueError as error:
            head.refused = head.refused or (Code.INVALID_ARGUMENT, str(error))
        head.streaming = head.refused is None and self._is_streaming(head.path)


def seconds(timeout: str) -> float:
    """A grpc-timeout in seconds."""
    amount, unit = timeout[:-1], timeout[-1:]
    if not (amount.isascii() and amount.isdigit() and len(amount) <= 8 and unit in UNITS):
        raise ValueError(f"grpc-timeout {timeout[:20]!r} is none")
    return int(amount) * UNITS[unit]
