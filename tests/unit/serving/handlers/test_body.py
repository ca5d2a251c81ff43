"""What scripts receive of bodies and headers, and the replies made of what they return."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from typing import Any

import numpy as np
import pytest

from serving.errors import BadRequest, NotAcceptable, UnsupportedMediaType, UserCodeError
from serving.handlers import body
from serving.handlers.context import Context, of_request
from serving.invocation import Reply, Request

REQUEST = Request(b"", id="id-1")


def replied(returned: Any, accept: str = "application/json", context: Context | None = None) -> Reply:
    """The reply to what an output_fn returned."""
    return body.reply(returned, "output_fn", accept, context, REQUEST)


@pytest.mark.parametrize(
    ("sent", "content_type", "data", "told"),
    [
        (b"[1]", "application/json", "[1]", "application/json"),
        (b"[1]", "Application/JSON; charset=UTF-8", "[1]", "application/json"),
        (b"[1]", "", "[1]", "application/json"),
        (b"a,\xe9", "text/csv; charset=latin-1", "a,é", "text/csv"),
        (b"a", "text/plain", b"a", "text/plain"),
        (b"\x93", "multipart/form-data; boundary=X", b"\x93", "multipart/form-data; boundary=X"),
        (b"x", "json", b"x", "json"),
    ],
)
def test_received(sent: bytes, content_type: str, data: str | bytes, told: str) -> None:
    """JSON and CSV come as str with the bare type, in their charset; all else as bytes with the type as sent."""
    assert body.received(Request(sent, content_type)) == (data, told)
    assert body.received(Request(memoryview(sent), content_type)) == (data, told)


def test_received_text_that_is_none() -> None:
    """A JSON body in no UTF-8 is a 400, an unknown charset a 415."""
    with pytest.raises(BadRequest, match="at byte 1"):
        body.received(Request(b"[\xff]", "application/json"))
    with pytest.raises(UnsupportedMediaType, match="charset"):
        body.received(Request(b"[]", "application/json; charset=klingon"))


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("text/csv", "text/csv"),
        ("image/png", "image/png"),
        ("text/csv, application/json", "text/csv"),
        ("text/csv;q=0.1, image/png;q=0.8, */*;q=0.2", "image/png"),
        ("text/*;q=0.9, application/*", "application/json"),
        ("application/json;verbose=1;q=0.5", "application/json; verbose=1"),
        ("text/csv;q=0, */*", "application/json"),
    ],
)
def test_preferred(accept: str, chosen: str) -> None:
    """A script is asked for one type: the best weight, then the first; any means the default."""
    assert body.preferred(accept, "application/json") == chosen


@pytest.mark.parametrize("accept", ["text/csv;q=0", "image/*", "nonsense"])
def test_nothing_preferred(accept: str) -> None:
    """An Accept that leaves no one type is a 406."""
    with pytest.raises(NotAcceptable):
        body.preferred(accept, "application/json")


@pytest.mark.parametrize(
    ("returned", "content", "content_type"),
    [
        ("text", b"text", "text/csv"),
        (b"bytes", b"bytes", "text/csv"),
        (bytearray(b"array"), b"array", "text/csv"),
        (memoryview(b"view"), b"view", "text/csv"),
        (("text", "text/html"), b"text", "text/html"),
        ((b"bytes", None), b"bytes", "text/csv"),
        ({"a": np.arange(2)}, b'{"a":[0,1]}', "application/json"),
        ([1, None, float("nan")], b"[1,null,null]", "application/json"),
        (({1: 2}, "application/vnd.x"), b'{"1":2}', "application/vnd.x"),
        (iter(()), b"", "text/csv"),
    ],
)
def test_reply(returned: Any, content: bytes, content_type: str) -> None:
    """A body, or a body with its type; dict and list are JSON; a bare body is in the accepted type."""
    reply = replied(returned, "text/csv")
    assert (reply.status, reply.body, reply.content_type) == (200, content, content_type)


@pytest.mark.parametrize("returned", [None, 5, object(), ("a",), ("a", 5), ("a", "b", "c"), np.zeros(2), {"a": object()}])
def test_wrong_returns(returned: Any) -> None:
    """What is neither is a UserCodeError that names the function."""
    with pytest.raises(UserCodeError, match="output_fn"):
        replied(returned)


def test_streams() -> None:
    """An iterator is a body in chunks, encoded, without empty ones (they would end the transfer)."""
    reply = replied(iter(["a", b"", b"b", memoryview(b"c")]))
    assert not isinstance(reply.body, bytes)
    assert list(reply.body) == [b"a", b"b", b"c"]


def test_files_are_streams() -> None:
    """An open file is sent as it iterates."""
    reply = replied((BytesIO(b"1\n2\n"), "text/plain"))
    assert not isinstance(reply.body, bytes)
    assert list(reply.body) == [b"1\n", b"2\n"]


def test_stream_faults() -> None:
    """A first chunk of a wrong type has a status; a later fault, sys.exit too, is a ServingError out of the iterator."""

    def leaves() -> Iterator[str]:
        yield "a"
        raise SystemExit(1)

    with pytest.raises(UserCodeError, match="type int"):
        replied(iter([5]))
    reply = replied(leaves())
    assert not isinstance(reply.body, bytes)
    assert next(reply.body) == b"a"
    with pytest.raises(UserCodeError, match=r"sys\.exit"):
        next(reply.body)


def test_a_stream_that_is_left_closes_the_users_generator() -> None:
    """When the client goes, the generator's own clean-up runs."""
    closed = []

    def chunks() -> Iterator[str]:
        try:
            yield "a"
            yield "b"
        finally:
            closed.append(True)

    stream = replied(chunks()).body
    assert not isinstance(stream, bytes)
    assert next(stream) == b"a"
    stream.close()  # type: ignore[attr-defined]
    assert closed == [True]


def test_context_gives_type_status_and_headers() -> None:
    """What was set on the context counts for a bare body; a pair's type wins; a status out of range is passed over."""
    context = of_request(Context("m", "/d"), REQUEST)
    context.set_response_content_type(0, "text/html")
    context.set_response_header(0, "X-A", "1")
    context.set_response_status(404, "not there")
    reply = replied("x", context=context)
    assert (reply.content_type, reply.status, reply.headers, reply.fault) == ("text/html", 404, [("X-A", "1")], "not there")
    assert replied(("x", "text/plain"), context=context).content_type == "text/plain"
    context.set_response_status(7)
    assert replied("x", context=context).status == 200
