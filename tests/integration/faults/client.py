"""A client at the level of bytes, so that a test can be slow, rude or gone at any byte; and a load of many connections."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from types import TracebackType
from typing import Any, BinaryIO, NamedTuple, Self


class Response(NamedTuple):
    """A response: header names in lower case; `whole` is false where a chunked body ended without its last chunk."""

    status: int
    headers: dict[str, str]
    body: bytes
    whole: bool = True

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


def invocation(body: bytes | str, *headers: tuple[str, str], version: str = "1.1") -> bytes:
    """The bytes of a POST to `/invocations`, of CSV where the headers name no other type."""
    raw = body.encode() if isinstance(body, str) else body
    lines = [f"POST /invocations HTTP/{version}", "Host: x", f"Content-Length: {len(raw)}"]
    if not any(name == "Content-Type" for name, _ in headers):
        lines.append("Content-Type: text/csv")
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + raw


class Client:
    """One connection."""

    def __init__(self, port: int, timeout: float) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.stream: BinaryIO = self.socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Leave."""
        self.stream.close()
        self.socket.close()

    def send(self, data: bytes) -> None:
        """Send bytes."""
        self.socket.sendall(data)

    def invoke(self, body: bytes | str, *headers: tuple[str, str]) -> None:
        """Send an invocation without waiting for its answer."""
        self.send(invocation(body, *headers))

    def response(self) -> Response:
        """The next response; AssertionError where there is none."""
        status, headers = self.head()
        if headers.get("transfer-encoding") == "chunked":
            return Response(status, headers, *self.pieces())
        if "content-length" not in headers:
            return Response(status, headers, self.stream.read())
        return Response(status, headers, self.stream.read(int(headers["content-length"])))

    def head(self) -> tuple[int, dict[str, str]]:
        """Status and headers of the next response."""
        line = self.stream.readline()
        match = re.match(rb"HTTP/1\.1 (\d{3}) ", line)
        assert match is not None, f"no status line, but {line[:80]!r}"
        headers = {}
        while (line := self.stream.readline().strip()) != b"":
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        return int(match[1]), headers

    def piece(self) -> bytes | None:
        """The next chunk's content; empty for the last chunk, None where the connection ended before it."""
        try:
            line = self.stream.readline()
            if not line:
                return None
            size = int(line, 16)
            data = self.stream.read(size)
            return data if self.stream.read(2) == b"\r\n" else None
        except ConnectionResetError:
            return None

    def pieces(self) -> tuple[bytes, bool]:
        """What is left of a chunked body, and whether it came to its last chunk."""
        data = b""
        while piece := self.piece():
            data += piece
        return data, piece is not None

    def at_end(self) -> bool:
        """Whether the server closes without a further byte; a reset is an end too."""
        try:
            return self.stream.read(1) == b""
        except ConnectionResetError:
            return True


async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, data: bytes) -> Response | None:
    """Send one request and read its answer, which has a Content-Length; None where the connection ended without one."""
    try:
        writer.write(data)
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:] if line)}
        body = await reader.readexactly(int(headers["content-length"]))
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    return Response(int(lines[0].split()[1]), headers, body)
