"""Request heads: the bytes up to the first empty line, parsed by llhttp (httptools) and remembered.

A client repeats its head from request to request, so parsed heads are kept by their exact bytes. What is reused is the
parse alone: bodies are framed, decoded and answered anew each time. Framing follows RFC 9112, section 6: llhttp refuses a
Content-Length beside a Transfer-Encoding, two Content-Lengths, obsolete folding and spaces before a colon.
"""

from __future__ import annotations

import httptools

from serving.errors import BadRequest, ExpectationFailed, ServingError

END = b"\r\n\r\n"
MAX_REMEMBERED = 512
MAX_REMEMBERED_BYTES = 2048
REQUEST_ID_HEADERS = ("x-request-id", "x-amzn-requestid", "x-amzn-sagemaker-inference-id")


class Head:
    """A parsed request head. `length` is the Content-Length, None for a chunked body; header names keep their spelling."""

    __slots__ = (
        "accept",
        "content_type",
        "expects",
        "fault",
        "headers",
        "keep_alive",
        "length",
        "method",
        "minor",
        "path",
        "query",
        "request_id",
    )

    def __init__(self, method: str, target: str, minor: int, keep_alive: bool, headers: list[tuple[str, str]]) -> None:
        self.method, self.minor, self.headers = method, minor, headers
        self.path, _, self.query = target.partition("?")
        fields = {name.lower(): value for name, value in reversed(headers)}
        self.content_type = fields.get("content-type", "")
        self.accept = ", ".join(value for name, value in headers if name.lower() == "accept")
        self.request_id = next((_clean_id(fields[name]) for name in REQUEST_ID_HEADERS if name in fields), "")
        self.length = _length(fields)
        # A coding that HTTP/1.0 does not know: a reader before us may have framed it otherwise (RFC 9112, section 6.1).
        self.keep_alive = keep_alive and (minor > 0 or self.length is not None)
        self.expects = "expect" in fields
        self.fault: ServingError | None = None  # set by the routes: what can be refused without the body
        if self.expects and fields["expect"].lower() != "100-continue":
            self.fault = ExpectationFailed("the only expectation that can be met is 100-continue")


class _Collector:
    """What llhttp calls back with."""

    def __init__(self) -> None:
        self.parser: httptools.HttpRequestParser
        self.target = b""
        self.headers: list[tuple[str, str]] = []
        self.complete = False
        self.keep_alive = False

    def on_url(self, url: bytes) -> None:
        self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.decode("latin-1"), value.decode("latin-1").strip(" \t")))

    def on_headers_complete(self) -> None:
        self.complete = True
        self.keep_alive = self.parser.should_keep_alive()  # llhttp forgets it at the end of a request without a body


_remembered: dict[bytes, Head] = {}


def parse(raw: bytes) -> Head:
    """The head of these bytes, which end with the empty line; BadRequest where they break RFC 9112."""
    head = _remembered.get(raw)
    if head is None:
        head = _parse(raw)
        if len(raw) <= MAX_REMEMBERED_BYTES:
            if len(_remembered) >= MAX_REMEMBERED:
                _remembered.clear()
            _remembered[raw] = head
    return head


def check_partial(raw: bytes) -> None:
    """BadRequest where bytes that are not yet a whole head can no longer become one."""
    _feed(raw)


def forget() -> None:
    """Drop the remembered heads, where what the routes concluded from them may have changed."""
    _remembered.clear()


def _parse(raw: bytes) -> Head:
    parser, seen = _feed(raw)
    if not seen.complete or b" HTTP/" not in raw[: raw.find(b"\r\n")]:  # llhttp reads RTSP and ICE too
        raise BadRequest("the request head is not HTTP/1.1")
    version = parser.get_http_version()
    if version not in ("1.0", "1.1"):
        raise BadRequest(f"HTTP/{version} is not served here")
    method = parser.get_method().decode("ascii")
    hosts = [value for name, value in seen.headers if name.lower() == "host"]
    if version == "1.1" and len(hosts) != 1:
        raise BadRequest("an HTTP/1.1 request has one Host header (RFC 9112, section 3.2)")
    return Head(method, _origin_form(seen.target), int(version[-1]), seen.keep_alive, seen.headers)


def _feed(raw: bytes) -> tuple[httptools.HttpRequestParser, _Collector]:
    seen = _Collector()
    parser = seen.parser = httptools.HttpRequestParser(seen)
    try:
        parser.feed_data(raw)
    except httptools.HttpParserUpgrade:
        pass  # an offer that RFC 9110, section 7.8 lets a server ignore
    except httptools.HttpParserError as error:
        raise BadRequest(f"malformed request: {error}") from None
    return parser, seen


def _origin_form(target: bytes) -> str:
    """The path and query of a request target, of an absolute one too (RFC 9112, section 3.2.2)."""
    try:
        text = target.decode("ascii")
    except UnicodeDecodeError:
        raise BadRequest("the request target is not ASCII") from None
    if "://" in text.partition("?")[0] and not text.startswith("/"):
        _, slash, path = text.partition("://")[2].partition("/")
        return slash + path if slash else "/"
    return text


def _length(fields: dict[str, str]) -> int | None:
    coding = fields.get("transfer-encoding")
    if coding is not None:
        if coding.lower() != "chunked":
            raise BadRequest("the only transfer coding that is read is chunked (RFC 9112, section 6.1)")
        return None
    text = fields.get("content-length", "0")
    if not text.isascii() or not text.isdigit():
        raise BadRequest("Content-Length is not a number")
    return int(text)


def _clean_id(text: str) -> str:
    """A client's request id where it is safe in a header and a log line, else nothing."""
    return text if 0 < len(text) <= 128 and text.isascii() and text.isprintable() and " " not in text else ""
