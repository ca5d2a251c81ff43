"""Requests with a few bytes changed: what is nearly right finds more than noise does."""

from __future__ import annotations

from hypothesis import strategies as st

HEADS = (
    b"POST /invocations?x=1 HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\nContent-Length: 5\r\n\r\n",
    b"GET /ping HTTP/1.1\r\nHost: localhost:8080\r\nConnection: close\r\nAccept: a, b;q=0.5\r\n\r\n",
    b"POST /invocations HTTP/1.1\r\nTransfer-Encoding: chunked\r\nHost: x\r\nExpect: 100-continue\r\n\r\n",
    b"POST http://h/invocations HTTP/1.0\r\nContent-Length: 005\r\nX-Long: a  b\t c\r\n\r\n",
)
CHUNKED = (
    b"5;name=v\r\nhello\r\n1\r\n \r\n0\r\nTrailer: t\r\nB:\r\n\r\n",
    b'3;a="b;c"\r\nabc\r\n0;z\r\n\r\n',
    b"a\r\n0123456789\r\n00\r\n\r\n",
    b"0\r\n\r\n",
)
BODY = b"5\r\nhello\r\n0\r\n\r\n"
"""Follows a head: five bytes of it are a body, all of it a chunked one."""

_BYTES = [bytes([byte]) for byte in b'\r\n \t;:,="0-+Fgx\0\x7f\x80\xff']
_WORDS = [
    b"\r\n", b"\n\n", b"\r\n\r\n", b"\r\n folded", b"chunked", b"1.1", b"2.0", b"HTTP/", b"PRI * ", b"f" * 16, b"9" * 20, b"0" * 5000,
    b"Content-Length: 3\r\n", b"Transfer-Encoding: gzip\r\n", b"Transfer-Encoding: chunked\r\n", b"Host: y\r\n", b"A: b\r\n",
    b"Upgrade: h2c\r\nConnection: upgrade\r\n", b"Connection: keep-alive\r\n", b"Expect: 200-ok\r\n",
]  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn, *bases: bytes) -> bytes:
    """One of the bases, with up to three places where bytes are put in, taken out, or replaced."""
    data = draw(st.sampled_from(bases))
    starts = [0] + [at + 1 for at, byte in enumerate(data) if byte == 0x0A]
    for _ in range(draw(st.integers(0, 3))):
        at = min(len(data), draw(st.one_of(st.sampled_from(starts), st.integers(0, len(data)))))
        gone = draw(st.sampled_from([0, 0, 1, 1, 5, 40]))
        fresh = draw(st.sampled_from([b"", *_BYTES, *_WORDS]))
        data = data[:at] + fresh + data[at + gone :]
    return data
