"""Heads and chunked bodies against llhttp, right and mutated: whatever the two disagree on is in a list, with its reason.

Two readers that frame a request differently are what request smuggling needs, so a difference must be a decision.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

import httptools
import pytest
from hypothesis import given, settings

from serving.errors import ServingError
from serving.http import head as heads
from serving.http.chunked import MAX_LINE, Chunked
from tests.fuzz.mutations import BODY, CHUNKED, HEADS, mutated

EXAMPLES = 500
LIMIT = 1 << 20
CHUNKED_HEAD = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


class Message(NamedTuple):
    """What a reader understood of a first message that was all there."""

    method: str
    headers: list[tuple[str, str]]
    body: bytes


class Collector:
    """What llhttp calls back with, up to the end of the first message."""

    def __init__(self) -> None:
        self.headers: list[tuple[str, str]] = []
        self.body = b""
        self.method = ""
        self.done = False
        self.parser = httptools.HttpRequestParser(self)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer."""
        if not self.method:
            self.headers.append((name.decode("latin-1"), value.decode("latin-1").strip(" \t")))

    def on_headers_complete(self) -> None:
        """The end of a head."""
        self.method = self.method or self.parser.get_method().decode()

    def on_body(self, data: bytes) -> None:
        """A piece of a body."""
        if not self.done:
            self.body += data

    def on_message_complete(self) -> None:
        """The end of a message."""
        self.done = True


def theirs(data: bytes) -> Message | None:
    """What llhttp understands: None where it refuses, or wants more."""
    seen = Collector()
    with suppress(httptools.HttpParserError, httptools.HttpParserUpgrade):  # of a later message, where the first is done
        seen.parser.feed_data(data)
    return Message(seen.method, seen.headers, seen.body) if seen.done else None


def ours(data: bytes) -> Message | None:
    """What we understand: None where we refuse, or want more."""
    while data.startswith(b"\r\n"):
        data = data[2:]
    end = data.find(heads.END) + len(heads.END)
    if end < len(heads.END):
        return None
    try:
        head = heads.parse(data[:end])
        body = undone(data[end:]) if head.length is None else data[end : end + head.length]
    except ServingError:
        return None
    is_whole = body is not None and (head.length is None or len(body) == head.length)
    return Message(head.method, head.headers, body or b"") if is_whole else None


def undone(data: bytes) -> bytes | None:
    """The content of a chunked body, None where it is not all there."""
    chunked = Chunked(LIMIT)
    chunked.feed(data)
    return bytes(chunked.body) if chunked.done else None


def fields(data: bytes, name: bytes) -> list[bytes]:
    """The values of a header of the first head, by a plain search."""
    lines = data.lstrip(b"\r\n").partition(heads.END)[0].split(b"\r\n")[1:]
    return [value.strip(b" \t") for key, _, value in (line.partition(b":") for line in lines) if key.lower() == name]


def has_bad_whitespace(body: bytes) -> bool:
    """Whether spaces or tabs stand around the `;` or `=` of an extension."""
    return re.search(rb"(?:[ \t][;=]|[;=][ \t])", body) is not None


Reason = Callable[[bytes], bool]
WE_REFUSE: dict[str, tuple[Reason, bytes]] = {
    "not one Host (RFC 9112, section 3.2)": (
        lambda data: len(fields(data, b"host")) != 1,
        b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
    ),
    "a version other than 1.0 and 1.1": (
        lambda data: re.match(rb"[^\r\n]*HTTP/1\.[01]\r\n", data.lstrip(b"\r\n")) is None,
        b"GET / HTTP/0.9\r\nHost: x\r\n\r\n",
    ),
    "codings before chunked (RFC 9112, section 6.1: none that we read)": (
        lambda data: [value.lower() for value in fields(data, b"transfer-encoding")] not in ([], [b"chunked"]),
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    ),
    "extensions without a name or with an empty value (RFC 9112, section 7.1.1)": (
        lambda data: re.search(rb"(?:;|=)[ \t]*(?:[;=]|\r\n)|;\"\"|=\"\"", data) is not None,
        CHUNKED_HEAD + b"0;a=\r\n\r\n",
    ),
    "lines of a chunked body that are too long": (
        lambda data: any(len(line) > MAX_LINE for line in data.split(b"\n")) or re.search(rb"\n0{17,}", data) is not None,
        CHUNKED_HEAD + b"0" * 17 + b"\r\n\r\n",
    ),
}
"""Where llhttp understands a request and we refuse it: by what it is recognised, and an example."""

THEY_REFUSE: dict[str, tuple[Reason, bytes]] = {
    "whitespace around an extension's marks (RFC 9112, section 7.1.1: must be read)": (
        has_bad_whitespace,
        CHUNKED_HEAD + b"3 ; a = b\r\nabc\r\n0\r\n\r\n",
    ),
}
"""Where we understand a request and llhttp refuses it."""

UPGRADES = re.compile(rb"\r\nUpgrade:|^(?:\r\n)*CONNECT ", re.IGNORECASE)
"""After an offer to upgrade llhttp reads no body; we ignore the offer (RFC 9110, section 7.8) and do."""


def check(data: bytes) -> None:
    """The two readers agree on this input, or it is in a list why not."""
    heads.forget()
    we, they = ours(data), theirs(data)
    if we == they or UPGRADES.search(data):
        return
    if we is None:
        assert any(reason(data) for reason, _ in WE_REFUSE.values()), f"only llhttp understands {data!r}: {they}"
        return
    assert they is None, f"framed differently: {data!r}\n{we}\n{they}"
    assert any(reason(data) for reason, _ in THEY_REFUSE.values()), f"only we understand {data!r}: {we}"


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("chunked", CHUNKED)
def test_right_input(head: bytes, chunked: bytes) -> None:
    """What is right both readers understand, and understand alike."""
    heads.forget()
    data = head + (chunked if b"chunked" in head else BODY)
    assert ours(data) is not None
    assert ours(data) == theirs(data)


@settings(max_examples=EXAMPLES)
@given(mutated(*[head + BODY for head in HEADS]))
def test_mutated_heads(data: bytes) -> None:
    """A head that is nearly right is refused by both readers, or framed alike, or in a list."""
    check(data)


@settings(max_examples=EXAMPLES)
@given(mutated(*CHUNKED))
def test_mutated_chunks(body: bytes) -> None:
    """A chunked body that is nearly right is refused by both readers, or has the same content, or is in a list."""
    check(CHUNKED_HEAD + body)


@pytest.mark.parametrize("reason", WE_REFUSE)
def test_we_refuse(reason: str) -> None:
    """Each reason to refuse what llhttp takes has an input that shows it; one that llhttp refuses too leaves the list."""
    is_it, example = WE_REFUSE[reason]
    heads.forget()
    assert is_it(example)
    assert ours(example) is None
    assert theirs(example) is not None


@pytest.mark.parametrize("reason", THEY_REFUSE)
def test_they_refuse(reason: str) -> None:
    """Each reason to take what llhttp refuses has an input that shows it."""
    is_it, example = THEY_REFUSE[reason]
    assert is_it(example)
    assert ours(example) is not None
    assert theirs(example) is None


def test_chunks_of_an_old_client() -> None:
    """An HTTP/1.0 request with a transfer coding is read, and its connection closed (RFC 9112, section 6.1)."""
    head = heads.parse(b"POST / HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert (head.length, head.keep_alive) == (None, False)
