"""Requests' header blocks, made once for a path and a timeout."""

from __future__ import annotations

import math
from os import getpid
from socket import gethostname

from serving.accelerators.rpc.heads import AGENT, block
from serving.accelerators.rpc.target import Target

REMEMBERED = 256


class RequestBlocks:
    """The blocks of calls to one target."""

    def __init__(self, target: Target) -> None:
        self._first = block([(":method", "POST"), (":scheme", "http" if target.ca is None else "https")])
        fields = [
            ("te", "trailers"),
            ("content-type", "application/grpc"),
            ("user-agent", f"{AGENT}{gethostname()}-{getpid()}"),
        ]
        if target.token:
            fields.append(("authorization", f"Bearer {target.token}"))
        self._rest = block([(":authority", target.authority), *fields])
        self._known: dict[tuple[str, float], bytes] = {}

    def __call__(self, path: str, seconds: float) -> bytes:
        """The block of a call to a path with so much time."""
        known = self._known.get((path, seconds))
        if known is None:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            timeout = block([("grpc-timeout", timeout_of(seconds))])
            known = self._known[path, seconds] = self._first + block([(":path", path)]) + self._rest + timeout
        return known


def timeout_of(seconds: float) -> str:
    """A grpc-timeout, rounded up to two digits: servers then see few different ones, and remember what they mean.

    It may be longer than what the caller waits by a tenth; that end counts by itself.
    """
    seconds = max(seconds, 1e-6)
    step = 10.0 ** (math.floor(math.log10(seconds)) - 1)
    rounded = math.ceil(seconds / step - 1e-9) * step
    for unit, size in (("u", 1e-6), ("m", 1e-3)):
        if rounded / size < 99_999_999:
            return f"{max(round(rounded / size), 1)}{unit}"
    return f"{min(round(rounded), 99_999_999)}S"
