"""The corpus: each `cases/NNN-name.http` is sent byte for byte, and `cases/NNN-name.json` says what must come back.

`README.md` beside this file has the form of both. Every case runs on both placements, and the server must answer the next
client whatever the case was.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Protocol

import pytest

CASES = sorted((Path(__file__).parent / "cases").glob("*.http"))
PLACEMENTS = ("inline", "pool")
TIMEOUT = 20.0
MAX_HEADER_BYTES = 4096
"""What the platform takes of a reply's headers, all together; with more the call fails."""
KEYS = {"promise", "model", "send", "responses", "closes"}
RESPONSE_KEYS = {"status", "headers", "absent", "json", "tolerance", "body", "matches", "message", "head"}

pytestmark = pytest.mark.contract


class Server(Protocol):
    """What the corpus needs of a server."""

    @property
    def port(self) -> int:
        """Where it listens."""


class Response(NamedTuple):
    """A response as it came: header names in lower case, a repeated header's values joined."""

    status: int
    headers: dict[str, str]
    body: bytes
    head_bytes: int


@pytest.mark.parametrize("placement", PLACEMENTS)
@pytest.mark.parametrize("path", CASES, ids=[path.stem for path in CASES])
def test_case(server: Callable[[str, str], Server], path: Path, placement: str) -> None:
    """The server keeps the promise that the case states, on either placement, and answers the next client."""
    case = json.loads(path.with_suffix(".json").read_text())
    port = server(case.get("model", "mlp"), placement).port
    with _connection(port) as sock, sock.makefile("rb") as stream:
        _send(sock, stream, path.read_bytes(), case.get("send", "whole"))
        for expected in case["responses"]:
            _check(_read(stream, expected.get("head", False)), expected)
        if case["closes"]:
            assert _at_end(stream), "the connection must be closed"
        elif case["closes"] is False:
            sock.sendall(b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n")
            assert _read(stream).status == 200, "the connection must stay usable"
    with _connection(port) as sock, sock.makefile("rb") as stream:
        sock.sendall(b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n")
        assert _read(stream).status == 200, "the next client must be answered"


@pytest.mark.parametrize("path", CASES, ids=[path.stem for path in CASES])
def test_case_is_well_formed(path: Path) -> None:
    """Every case has a promise, known keys, and a number of its own, so that a misspelt expectation is not passed over."""
    case = json.loads(path.with_suffix(".json").read_text())
    assert case["promise"].endswith(".")
    assert set(case) <= KEYS
    assert {"promise", "responses", "closes"} <= set(case)
    assert all("status" in expected and set(expected) <= RESPONSE_KEYS for expected in case["responses"])
    assert [other.name for other in CASES if other.name[:3] == path.name[:3]] == [path.name]


@contextlib.contextmanager
def _connection(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), TIMEOUT) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield sock


def _send(sock: socket.socket, stream: BinaryIO, data: bytes, how: str) -> None:
    """Send the case's bytes in its manner. A server that refuses early may close while bytes are still on their way."""
    with contextlib.suppress(ConnectionError):
        if how == "continue":
            head, end, body = data.partition(b"\r\n\r\n")
            sock.sendall(head + end)
            assert stream.readline() == b"HTTP/1.1 100 Continue\r\n"
            assert stream.readline() == b"\r\n"
            sock.sendall(body)
        elif how == "bytes":
            for at in range(len(data)):
                sock.sendall(data[at : at + 1])
        else:
            sock.sendall(data)
        if how == "half-close":
            sock.shutdown(socket.SHUT_WR)


def _read(stream: BinaryIO, is_head: bool = False) -> Response:
    """One response, its framing held to RFC 9112; AssertionError where there is none or it breaks the grammar."""
    line = stream.readline()
    match = re.fullmatch(rb"HTTP/1\.1 (\d{3}) [ -~]*\r\n", line)
    assert match is not None, f"no status line, but {line[:80]!r}"
    headers: dict[str, str] = {}
    size = len(line)
    while (line := stream.readline()) != b"\r\n":
        size += len(line)
        field = re.fullmatch(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([ -~\t]*?)[ \t]*\r\n", line)
        assert field is not None, f"no header field, but {line[:80]!r}"
        name, value = field[1].decode().lower(), field[2].decode()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    status = int(match[1])
    if is_head or status == 204:
        return Response(status, headers, b"", size)
    if headers.get("transfer-encoding") == "chunked":
        return Response(status, headers, b"".join(_chunks(stream)), size)
    assert "content-length" in headers, "a response must tell where it ends"
    return Response(status, headers, stream.read(int(headers["content-length"])), size)


def _chunks(stream: BinaryIO) -> Iterator[bytes]:
    while size := int(stream.readline(), 16):
        yield stream.read(size)
        assert stream.read(2) == b"\r\n"
    assert stream.readline() == b"\r\n"


def _at_end(stream: BinaryIO) -> bool:
    """Whether nothing more comes; a reset is an end as well where the server refused bytes still on their way."""
    try:
        return stream.read(1) == b""
    except ConnectionError:
        return True


def _check(found: Response, expected: dict[str, Any]) -> None:
    """The response is what the case expects, and what every response must be."""
    statuses = expected["status"] if isinstance(expected["status"], list) else [expected["status"]]
    assert found.status in statuses, f"{found.status}: {found.body[:300]!r}"
    assert found.head_bytes < MAX_HEADER_BYTES
    assert "date" in found.headers
    assert b"Traceback" not in found.body
    for name, pattern in expected.get("headers", {}).items():
        assert re.fullmatch(pattern, found.headers.get(name, "")), f"{name}: {found.headers.get(name)!r}"
    for name in expected.get("absent", []):
        assert name not in found.headers
    if found.status >= 400 and not expected.get("head"):
        _check_error(found, expected.get("message", "."))
    _check_body(found, expected)


def _check_body(found: Response, expected: dict[str, Any]) -> None:
    if "json" in expected:
        _compare(json.loads(found.body), expected["json"], expected.get("tolerance", 1e-5))
    if "body" in expected:
        assert found.body == expected["body"].encode("latin-1")
    if "matches" in expected:
        assert re.search(expected["matches"].encode("latin-1"), found.body, re.DOTALL), found.body[:300]


def _check_error(found: Response, message: str) -> None:
    """An error is JSON with its status, a short message that says what is wrong, and the id of the request."""
    error = json.loads(found.body)
    assert found.headers["content-type"] == "application/json"
    assert error["code"] == found.status
    assert error["type"].isidentifier()
    assert 0 < len(error["message"]) <= 400
    assert re.search(message, error["message"], re.IGNORECASE), error["message"]
    assert error["request_id"] == found.headers["x-request-id"]


def _compare(found: Any, expected: Any, tolerance: float) -> None:
    """Equal, numbers within the tolerance."""
    if isinstance(expected, list):
        assert isinstance(found, list)
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            _compare(one, other, tolerance)
    elif isinstance(expected, dict):
        assert set(found) == set(expected)
        for key, value in expected.items():
            _compare(found[key], value, tolerance)
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, abs=tolerance)
    else:
        assert found == expected
