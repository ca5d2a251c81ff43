"""Request heads: what is read of them, what is refused, and that remembering them changes nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.errors import BadRequest, ExpectationFailed
from serving.http import head as heads
from serving.http.head import Head

HOST = b"Host: here\r\n"


def parsed(line: bytes, *fields: bytes, host: bool = True) -> Head:
    """The head of a request line and header lines."""
    return heads.parse(line + b"\r\n" + (HOST if host else b"") + b"".join(field + b"\r\n" for field in fields) + b"\r\n")


def refusal(line: bytes, *fields: bytes, host: bool = True) -> str:
    """The message of the 400 that a head earns."""
    with pytest.raises(BadRequest) as caught:
        parsed(line, *fields, host=host)
    return caught.value.message


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        (b"/ping", "/ping", ""),
        (b"/ping?a=1?b", "/ping", "a=1?b"),
        (b"/a%20b", "/a%20b", ""),
        (b"http://elsewhere:99/ping?x=1", "/ping", "x=1"),
        (b"https://elsewhere", "/", ""),
        (b"/redirect?to=http://z/y", "/redirect", "to=http://z/y"),
        (b"http://h/p?to=http://z/y", "/p", "to=http://z/y"),
        (b"*", "*", ""),
    ],
)
def test_targets(target: bytes, path: str, query: str) -> None:
    """Path and query come from the origin form and, without scheme and host, from the absolute form."""
    head = parsed(b"GET " + target + b" HTTP/1.1")
    assert (head.method, head.path, head.query) == ("GET", path, query)


@pytest.mark.parametrize(
    ("line", "fields", "minor", "kept"),
    [
        (b"GET / HTTP/1.1", (), 1, True),
        (b"GET / HTTP/1.1", (b"Connection: close",), 1, False),
        (b"GET / HTTP/1.1", (b"Connection: Close, x",), 1, False),
        (b"GET / HTTP/1.0", (), 0, False),
        (b"GET / HTTP/1.0", (b"Connection: keep-alive",), 0, True),
        (b"POST / HTTP/1.1", (b"Content-Length: 3",), 1, True),
        (b"POST / HTTP/1.1", (b"Content-Length: 3", b"Connection: close"), 1, False),
        (b"POST / HTTP/1.0", (b"Content-Length: 3",), 0, False),
    ],
)
def test_persistence(line: bytes, fields: tuple[bytes, ...], minor: int, kept: bool) -> None:
    """HTTP/1.1 connections are kept unless the client says close, HTTP/1.0 ones only where it asks (RFC 9112, 9.3)."""
    head = parsed(line, *fields)
    assert (head.minor, head.keep_alive) == (minor, kept)


@pytest.mark.parametrize(
    ("fields", "length"),
    [
        ((), 0),
        ((b"Content-Length: 12",), 12),
        ((b"Content-Length: 0",), 0),
        ((b"Transfer-Encoding: chunked",), None),
        ((b"transfer-encoding: Chunked",), None),
    ],
)
def test_framing(fields: tuple[bytes, ...], length: int | None) -> None:
    """A body has the Content-Length, or is chunked, or is not there."""
    assert parsed(b"POST / HTTP/1.1", *fields).length == length


@pytest.mark.parametrize(
    "fields",
    [
        (b"Content-Length: 1", b"Transfer-Encoding: chunked"),
        (b"Content-Length: 1", b"Content-Length: 2"),
        (b"Content-Length: 1", b"Content-Length: 1"),
        (b"Content-Length: 1, 1",),
        (b"Content-Length: +1",),
        (b"Content-Length: -1",),
        (b"Content-Length: 0x1",),
        (b"Content-Length: 1_0",),
        (b"Content-Length: 1 1",),
        (b"Content-Length:",),
        (b"Content-Length: " + b"9" * 5000,),
        (b"Transfer-Encoding: gzip, chunked",),
        (b"Transfer-Encoding: chunked, gzip",),
        (b"Transfer-Encoding: identity",),
        (b"Transfer-Encoding: xchunked",),
        (b"Transfer-Encoding:",),
        (b"Transfer-Encoding: identity", b"Transfer-Encoding: chunked"),
        (b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity"),
        (b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"),
        (b"Transfer-Encoding : chunked",),
        (b" folded: 1",),
        (b"X: a", b" folded"),
        (b"no colon",),
        (b"X: a\0b",),
        (b"X: a\rb",),
        (b"X: a\x0bb",),
        (b"X Y: a",),
    ],
)
def test_what_could_be_read_two_ways_is_refused(fields: tuple[bytes, ...]) -> None:
    """Framing that another server could understand otherwise, and malformed lines, are a 400 (RFC 9112, 5.1, 6.3)."""
    assert refusal(b"POST / HTTP/1.1", *fields)


@pytest.mark.parametrize(
    "line",
    [
        b"GET / HTTP/2.0",
        b"GET / HTTP/0.9",
        b"GET / HTTP/1.2",
        b"GET / HTTQ/1.1",
        b"GET / RTSP/1.0",
        b"SOURCE / ICE/1.0",
        b"GET /",
        b"PRI * HTTP/2.0",
        b"get / HTTP/1.1",
        b"GET  HTTP/1.1",
        b"GET /\xc3\xa4 HTTP/1.1",
        b"GET /a b HTTP/1.1",
        b"GET /\x00 HTTP/1.1",
        b"",
    ],
)
def test_what_is_not_http(line: bytes) -> None:
    """Another protocol, another version or a malformed request line is a 400."""
    assert refusal(line)


def test_hosts() -> None:
    """HTTP/1.1 wants exactly one Host, HTTP/1.0 none (RFC 9112, section 3.2)."""
    assert "one Host" in refusal(b"GET / HTTP/1.1", host=False)
    assert "one Host" in refusal(b"GET / HTTP/1.1", b"host: other")
    assert parsed(b"GET / HTTP/1.0", host=False).path == "/"


def test_headers_keep_their_spelling_and_order() -> None:
    """A script sees the client's own names, repeated ones too; values are stripped of outer blanks."""
    head = parsed(b"GET / HTTP/1.1", b"X-a: 1", b"x-A: \t2 ", b"B: caf\xe9")
    assert head.headers == [("Host", "here"), ("X-a", "1"), ("x-A", "2"), ("B", "café")]


def test_content_types() -> None:
    """The first Content-Type counts; several Accept lines are one list (RFC 9110, section 5.3)."""
    head = parsed(b"GET / HTTP/1.1", b"content-type: a/b", b"Content-Type: c/d", b"Accept: x/y;q=0.5", b"accept: z/z")
    assert (head.content_type, head.accept) == ("a/b", "x/y;q=0.5, z/z")


@pytest.mark.parametrize(
    ("fields", "kept"),
    [
        ((b"X-Request-Id: abc-1",), "abc-1"),
        ((b"x-amzn-requestid: r2",), "r2"),
        ((b"X-Amzn-SageMaker-Inference-Id: i3",), "i3"),
        ((b"X-Amzn-SageMaker-Inference-Id: i3", b"X-Request-Id: abc"), "abc"),
        ((b"X-Request-Id: " + b"a" * 128,), "a" * 128),
        ((b"X-Request-Id: " + b"a" * 129,), ""),
        ((b"X-Request-Id: a b",), ""),
        ((b"X-Request-Id: a\tb",), ""),
        ((b"X-Request-Id: caf\xe9",), ""),
        ((b"X-Request-Id:",), ""),
        ((), ""),
    ],
)
def test_request_ids(fields: tuple[bytes, ...], kept: str) -> None:
    """A client's id is taken where it is safe in a header and on a log line, by the first of three names."""
    assert parsed(b"GET / HTTP/1.1", *fields).request_id == kept


def test_expectations() -> None:
    """100-continue is known in any case; any other expectation is a 417."""
    assert parsed(b"POST / HTTP/1.1", b"Expect: 100-Continue").fault is None
    assert parsed(b"POST / HTTP/1.1", b"Expect: 100-continue").expects
    assert isinstance(parsed(b"POST / HTTP/1.1", b"Expect: a-pony").fault, ExpectationFailed)
    assert not parsed(b"POST / HTTP/1.1").expects


def test_an_upgrade_is_ignored() -> None:
    """An offer to change the protocol leaves an ordinary request with its body (RFC 9110, section 7.8)."""
    head = parsed(b"POST / HTTP/1.1", b"Connection: Upgrade", b"Upgrade: h2c", b"Content-Length: 3")
    assert (head.method, head.length, head.keep_alive) == ("POST", 3, True)


@pytest.mark.parametrize("partial", [b"GET /p", b"GET /ping HTTP/1.1\r\nHo", b"POST / HTTP/1.1\r\nA: b\r\n", b"\r", b"G"])
def test_what_can_still_become_a_head(partial: bytes) -> None:
    """The beginning of a good head is waited for."""
    heads.check_partial(partial)


@pytest.mark.parametrize("partial", [b"\x16\x03\x01", b"GET / HTTX", b"POST / HTTP/1.1\r\nA b\r\n", b"get", b"{}"])
def test_what_can_no_longer_become_a_head(partial: bytes) -> None:
    """TLS, another protocol, a broken line: refused as soon as they are seen, not after a timeout."""
    with pytest.raises(BadRequest):
        heads.check_partial(partial)


def test_equal_bytes_are_parsed_once() -> None:
    """A head that repeats byte for byte is the same object."""
    assert parsed(b"GET /a HTTP/1.1") is parsed(b"GET /a HTTP/1.1")
    assert parsed(b"GET /a HTTP/1.1") is not parsed(b"GET /b HTTP/1.1")


def test_memory_is_bounded() -> None:
    """However many different heads come, and however long, what is remembered stays small."""
    for number in range(3 * heads.MAX_REMEMBERED):
        parsed(b"GET /%d HTTP/1.1" % number)
    parsed(b"GET / HTTP/1.1", b"X: " + b"a" * heads.MAX_REMEMBERED_BYTES)
    assert 0 < len(heads._remembered) <= heads.MAX_REMEMBERED
    assert max(map(len, heads._remembered)) <= heads.MAX_REMEMBERED_BYTES


def test_refused_heads_are_not_remembered() -> None:
    """A fault is found anew each time."""
    for _ in range(2):
        assert refusal(b"GET / HTTP/3.0")
    assert not heads._remembered


@given(st.lists(st.tuples(st.sampled_from(["a", "A", "b"]), st.sampled_from(["1", "2", "x y"])), max_size=4), st.integers(0, 3))
def test_heads_never_mix_up(fields: list[tuple[str, str]], number: int) -> None:
    """Whatever came before, the head of some bytes is the head of these bytes."""
    head = parsed(b"GET /%d HTTP/1.1" % number, *[f"{name}: {value}".encode() for name, value in fields])
    assert head.path == f"/{number}"
    assert head.headers[1:] == fields


@given(st.binary(max_size=200))
def test_any_bytes_are_a_head_or_a_400(noise: bytes) -> None:
    """No bytes raise anything but BadRequest."""
    for raw in (noise, b"GET / HTTP/1.1\r\n" + noise + b"\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nX: " + noise + b"\r\n\r\n"):
        for read in (heads.parse, heads.check_partial):
            try:
                read(raw)
            except BadRequest:
                continue
