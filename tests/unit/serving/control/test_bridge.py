"""From a connection to a WSGI app, in a thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from serving.control.bridge import Bridge
from serving.http import head as heads
from serving.invocation import Reply, Request

App = Callable[..., Any]


def ask(app: App, raw: bytes, body: bytes = b"") -> Reply:
    """The app's reply to a request."""

    async def main() -> Reply:
        bridge = Bridge(lambda: app, 8080)  # type: ignore[arg-type, return-value]
        try:
            return await bridge(heads.parse(raw), Request(body, id="id-1"))
        finally:
            bridge.close()

    return asyncio.run(main())


def seen(raw: bytes, body: bytes = b"") -> dict[str, Any]:
    """The environ that an app gets, with its input read."""
    found: dict[str, Any] = {}

    def app(environ: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
        found.update(environ, input=environ["wsgi.input"].read(), thread=threading.current_thread().name)
        start("204 No Content", [])
        return []

    ask(app, raw, body)
    return found


def test_the_request_arrives() -> None:
    """Method, path, query, headers and body are those of the request, as PEP 3333 has them."""
    raw = b"PUT /a%20b/%C3%A9?x=1&y HTTP/1.1\r\nHost: h:81\r\nContent-Type: a/b\r\nContent-Length: 3\r\nX-Any: 1\r\n\r\n"
    environ = seen(raw, b"abc")
    assert (environ["REQUEST_METHOD"], environ["QUERY_STRING"], environ["SERVER_PROTOCOL"]) == ("PUT", "x=1&y", "HTTP/1.1")
    assert environ["PATH_INFO"].encode("latin-1").decode() == "/a b/é"
    assert (environ["CONTENT_TYPE"], environ["CONTENT_LENGTH"], environ["input"]) == ("a/b", "3", b"abc")
    assert environ["ei.request_id"] == "id-1"
    assert (environ["HTTP_HOST"], environ["HTTP_X_ANY"], environ["SERVER_PORT"]) == ("h:81", "1", "8080")


def test_a_header_is_no_variable() -> None:
    """No header can stand in for what the server itself says."""
    environ = seen(b"GET / HTTP/1.1\r\nHost: h\r\nwsgi.url_scheme: x\r\nPATH-INFO: /evil\r\n\r\n")
    assert (environ["wsgi.url_scheme"], environ["PATH_INFO"]) == ("http", "/")


def test_the_loop_goes_on() -> None:
    """The app runs in a thread of its own."""
    assert seen(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")["thread"].startswith("control")


def test_the_reply_comes_back() -> None:
    """Status, content type, other headers and body are the app's."""

    def app(environ: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
        start("418 I'm a teapot", [("Content-Type", "text/plain"), ("X-A", "1"), ("X-A", "2")])
        return [b"a", b"b"]

    reply = ask(app, b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    assert (reply.status, reply.content_type, reply.body) == (418, "text/plain", b"ab")
    assert [pair for pair in reply.headers if pair[0] == "X-A"] == [("X-A", "1"), ("X-A", "2")]


def test_the_app_is_made_once_and_only_when_asked() -> None:
    """A server that is never asked never imports Flask."""
    made: list[int] = []

    def create() -> App:
        made.append(1)

        def app(environ: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
            start("200 OK", [])
            return []

        return app

    async def main() -> None:
        bridge = Bridge(create, 8080)  # type: ignore[arg-type]
        assert made == []
        for _ in range(2):
            await bridge(heads.parse(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"), Request(b""))
        bridge.close()

    asyncio.run(main())
    assert made == [1]


def test_an_app_that_raises() -> None:
    """Its exception is the future's: the routes answer it."""

    def app(environ: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        ask(app, b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
