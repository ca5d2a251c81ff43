"""What a connection may take: bytes of a head, of a body, seconds for each, and how many connections there may be."""

from __future__ import annotations

from dataclasses import dataclass

from serving.settings import Settings

LINGER_SECONDS = 2.0
"""How long a refused client's bytes are still taken, so that it reads the answer and not a reset (RFC 9112, section 9.6)."""
LAST_REQUEST_SECONDS = 0.5
"""How long a connection must have been idle for a draining server to close it: a busy client's next request is on its way."""
MAX_PIPELINED_BYTES = 1 << 20
"""Bytes that a client may send ahead of its unanswered request before its connection is no longer read."""
READ_BUFFER_BYTES = 1 << 16


@dataclass(frozen=True)
class Limits:
    """The limits of one connection, in bytes and seconds."""

    header_bytes: int
    body_bytes: int
    header_seconds: float
    body_seconds: float
    idle_seconds: float
    connections: int

    @property
    def sweep_seconds(self) -> float:
        """How often connections are held against their times."""
        return max(0.05, min(1.0, self.header_seconds / 4, self.body_seconds / 4))


def of(settings: Settings) -> Limits:
    """The limits that the settings ask for."""
    return Limits(
        header_bytes=settings.max_header_bytes,
        body_bytes=settings.max_payload,
        header_seconds=settings.header_timeout,
        body_seconds=settings.body_timeout,
        idle_seconds=settings.keep_alive,
        connections=settings.max_connections,
    )
