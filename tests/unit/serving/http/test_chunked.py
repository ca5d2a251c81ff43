"""Chunked bodies: cut anywhere they are the same body, and what is not the grammar is refused."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.errors import BadRequest, PayloadTooLarge
from serving.http.chunked import MAX_LINE, Chunked

WHOLE = b"5;name=v\r\nhello\r\n1\r\n \r\n00a \t;x\r\nto you all\r\n0\r\nTrailer: t\r\nB:\r\n\r\n"


def undone(data: bytes, step: int = 0, limit: int = 1 << 20) -> Chunked:
    """The decoder after these bytes, in pieces of `step`."""
    chunked = Chunked(limit)
    for at in range(0, len(data), step or len(data) or 1):
        piece = data[at : at + (step or len(data))]
        if chunked.done:
            chunked.rest += piece
        else:
            chunked.feed(piece)
    return chunked


@pytest.mark.parametrize("step", [0, 1, 2, 3, 7])
def test_cut_anywhere(step: int) -> None:
    """Byte by byte or in one read, the body and what follows it are the same."""
    chunked = undone(WHOLE + b"GET /", step)
    assert (bytes(chunked.body), chunked.done, chunked.rest) == (b"hello to you all", True, b"GET /")


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=5), st.lists(st.integers(1, 30), max_size=12))
def test_what_was_chunked_comes_back(chunks: list[bytes], cuts: list[int]) -> None:
    """Any chunks, in reads of any sizes, give their bytes in order."""
    data = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    chunked = Chunked(1 << 20)
    at = 0
    for cut in cuts:
        if data[at : at + cut] and not chunked.done:
            chunked.feed(data[at : at + cut])
            at += cut
    if data[at:]:
        chunked.feed(data[at:])
    assert (bytes(chunked.body), chunked.done, chunked.rest) == (b"".join(chunks), True, b"")


@pytest.mark.parametrize("end", range(1, len(WHOLE)))
def test_unfinished(end: int) -> None:
    """No beginning of a chunked body counts as a whole one."""
    assert not undone(WHOLE[:end]).done


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n",
        b"g\r\n",
        b"-1\r\n",
        b"+1\r\n",
        b"0x1\r\na\r\n",
        b"1_0\r\n",
        b" 1\r\na\r\n",
        b"1 \r\na\r\n",
        b"1" * 17 + b"\r\n",
        b"1\na\r\n",
        b"1\r\nab\r\n",
        b"1\r\na\n0",
        b"1\r\na\r\r\n",
        b"1;\0\r\na\r\n",
        b"1;a\rb\r\na\r\n",
        b"0\r\nno colon\r\n\r\n",
        b"0\r\n: nameless\r\n\r\n",
        b"0\r\nA: b\r\n folded\r\n\r\n",
        b"0\r\nA: \0\r\n\r\n",
        b"0\r\n\n",
        b"1;" + b"x" * MAX_LINE + b"\r\na\r\n",
        b"1;" + b"x" * 2 * MAX_LINE,
        b"0\r\n" + b"A: b\r\n" * MAX_LINE,
    ],
)
@pytest.mark.parametrize("step", [0, 1])
def test_malformed(data: bytes, step: int) -> None:
    """What is not exactly the grammar of RFC 9112, section 7.1 is a 400, however it is cut."""
    with pytest.raises(BadRequest):
        undone(data, step)


@pytest.mark.parametrize("data", [b"a\r\n0123456789\r\n1\r\n", b"b\r\n", b"ffffffffffffffff\r\n"])
def test_limit(data: bytes) -> None:
    """A body over the limit is refused at the size line, before its bytes are kept."""
    with pytest.raises(PayloadTooLarge, match="limit of 10 bytes"):
        undone(data, limit=10)
    assert undone(b"a\r\n0123456789\r\n0\r\n\r\n", limit=10).done


@given(st.binary(max_size=100))
def test_noise(noise: bytes) -> None:
    """Any bytes are taken, refused or waited on; nothing else is raised."""
    for data in (noise, b"3\r\nabc\r\n" + noise, b"0\r\n" + noise):
        with suppress(BadRequest, PayloadTooLarge):
            undone(data, limit=1000)
