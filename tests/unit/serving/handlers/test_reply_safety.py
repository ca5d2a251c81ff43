"""Nothing that a script puts into its reply breaks the reply apart, or the message that carries it between processes."""

from __future__ import annotations

import marshal
from enum import Enum
from http import HTTPStatus
from typing import Any

import numpy as np
import pytest

from serving.errors import UserCodeError
from serving.execution import channel
from serving.handlers import body
from serving.handlers.context import Context, of_request
from serving.invocation import Reply, Request

REQUEST = Request(b"", id="id-1")


class Type(str, Enum):  # noqa: UP042 - what scripts for older Pythons have
    """Content types as a careful author writes them."""

    CSV = "text/csv"


@pytest.fixture
def context() -> Context:
    """The context of one request."""
    return of_request(Context("model", "/model"), REQUEST)


def replied(returned: Any, context: Context | None = None) -> Reply:
    """The reply to what an output_fn returned."""
    return body.reply(returned, "output_fn", "application/json", context, REQUEST)


@pytest.mark.parametrize("content_type", ["text/plain\r\nX-Evil: 1", "text/plain\n", "a\0b", "text/\u4e2d"])
def test_content_type_of_a_pair(content_type: str) -> None:
    """A content type with a line break, a control character or what no header can hold is a 500 that names it."""
    with pytest.raises(UserCodeError, match="Content-Type"):
        replied(("x", content_type))


@pytest.mark.parametrize(
    ("name", "value"), [("X Y", "1"), ("X:", "1"), ("", "1"), ("\u00e4", "1"), ("X", "a\x7f"), ("X", "\u4e2d"), ("X", "a\0")]
)
def test_headers(context: Context, name: str, value: str) -> None:
    """A header name that is no token, or a value that no header can have, is a 500."""
    context.set_response_header(0, name, value)
    with pytest.raises(UserCodeError, match="header"):
        replied("x", context)


def test_line_breaks_in_headers(context: Context) -> None:
    """A value of several lines becomes one: no header of a client's choice can be added."""
    context.set_response_header(0, "X-Echo", "a\r\nSet-Cookie: b")
    assert [name for name, _ in replied("x", context).headers] == ["X-Echo"]


def test_replies_are_plain(context: Context) -> None:
    """Statuses, content types and bodies of derived types reach the other process, and the client, as their values."""
    context.set_response_status(HTTPStatus.CREATED)
    reply = replied((np.bytes_(b"a,b"), Type.CSV), context)
    packed = marshal.loads(marshal.dumps(channel.pack_reply(reply, reply.body)))
    found = channel.unpack_reply(packed)
    assert (found.status, found.content_type, found.body) == (201, "text/csv", b"a,b")


@pytest.mark.parametrize("returned", [b"text", "text", {"a": 1}, iter([b"a"])], ids=["bytes", "str", "dict", "iterator"])
@pytest.mark.parametrize("status", [204, 304])
def test_statuses_without_a_body(context: Context, status: int, returned: Any) -> None:
    """A status that has no body is sent without what the script returned, a stream too."""
    context.set_response_status(status)
    reply = replied(returned, context)
    assert (reply.status, reply.body) == (status, b"")
