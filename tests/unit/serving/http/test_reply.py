"""Reply heads as bytes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import pytest

from serving.http import reply as replies
from serving.invocation import Reply

NOON = 1_700_000_000.4


@pytest.fixture(autouse=True)
def _noon(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The clock stands at one moment; what was made of it is renewed afterwards."""
    monkeypatch.setattr(replies.time, "time", lambda: NOON)
    replies.tick()
    yield
    monkeypatch.undo()
    replies.tick()


def lines(reply: Reply, request_id: str = "id-1", keep_alive: bool = True, length: int | None = 2) -> list[bytes]:
    """The lines of a reply's head."""
    raw = replies.head(reply, request_id, keep_alive, length)
    assert raw.endswith(b"\r\n\r\n")
    return raw[:-4].split(b"\r\n")


def test_a_whole_reply() -> None:
    """Status line, type, Date, length and id, and nothing else."""
    date = b"Date: Tue, 14 Nov 2023 22:13:20 GMT"
    expected = [b"HTTP/1.1 200 OK", b"Content-Type: application/json", date, b"Content-Length: 2", b"X-Request-Id: id-1"]
    assert lines(Reply(b"{}")) == expected


def test_date_follows_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a tick replies carry the new second."""
    lines(Reply(b""))
    monkeypatch.setattr(replies.time, "time", lambda: NOON + 61)
    replies.tick()
    date = next(line for line in lines(Reply(b"")) if line.startswith(b"Date: "))
    assert parsedate_to_datetime(date[6:].decode()) == datetime.fromtimestamp(int(NOON) + 61, UTC)


def test_close() -> None:
    """A connection that is not kept is announced."""
    assert b"Connection: close" in lines(Reply(b""), keep_alive=False)
    assert b"Connection: close" not in lines(Reply(b""), keep_alive=True)


@pytest.mark.parametrize("keep_alive", [True, False], ids=["kept", "closed"])
@pytest.mark.parametrize("length", [None, replies.UNTIL_CLOSE], ids=["chunked", "until close"])
def test_a_stream_has_no_length(keep_alive: bool, length: int | None) -> None:
    """A body of unknown length is chunked, on a connection that is closed after it too, or ends with the connection."""
    head = lines(Reply(b""), keep_alive=keep_alive, length=length)
    assert (b"Transfer-Encoding: chunked" in head) == (length is None)
    assert (b"Connection: close" in head) == (not keep_alive)
    assert not [line for line in head if line.startswith(b"Content-Length")]


@pytest.mark.parametrize("status", replies.NO_BODY)
def test_without_a_body(status: int) -> None:
    """A status that has no body has no framing headers either (RFC 9110, section 8.6)."""
    for length in (0, None):
        head = lines(Reply(b"", "", status), length=length)
        assert not [line for line in head if line.startswith((b"Content-", b"Transfer-"))]


@pytest.mark.parametrize(
    ("status", "phrase"), [(404, b"Not Found"), (431, b"Request Header Fields Too Large"), (599, b"Unknown")]
)
def test_phrases(status: int, phrase: bytes) -> None:
    """A status has its phrase, an unknown one too has something there."""
    assert lines(Reply(b"", status=status))[0] == b"HTTP/1.1 %d %b" % (status, phrase)


def test_headers_of_a_script() -> None:
    """A script's headers are sent as they are, save those that frame the message, which are ours."""
    own = [("content-length", "9"), ("Transfer-Encoding", "chunked"), ("Connection", "upgrade"), ("Date", "x")]
    head = lines(Reply(b"{}", headers=[("X-Amzn-SageMaker-Custom-Attributes", "a=é"), *own]))
    assert "X-Amzn-SageMaker-Custom-Attributes: a=é".encode("latin-1") in head
    assert (
        len([line for line in head if line.lower().startswith((b"content-length", b"transfer", b"connection", b"date"))]) == 2
    )
    assert b"Content-Length: 2" in head


def test_no_content_type() -> None:
    """A reply without a content type sends none."""
    assert not [line for line in lines(Reply(b"", "")) if line.startswith(b"Content-Type")]


@pytest.mark.parametrize(
    ("data", "sent"), [(b"abc", b"3\r\nabc\r\n"), (b"x" * 26, b"1a\r\n" + b"x" * 26 + b"\r\n"), (b"", b"")]
)
def test_chunks(data: bytes, sent: bytes) -> None:
    """A piece is one chunk; an empty one, which would end the body, is none."""
    assert replies.chunk(data) == sent
