"""One connection: from reads to requests, from replies to bytes, and its limits in bytes and in time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from serving.errors import UnsupportedMediaType
from serving.http.limits import LAST_REQUEST_SECONDS, LINGER_SECONDS, MAX_PIPELINED_BYTES
from serving.invocation import Reply

GET = b"GET /ping HTTP/1.1\r\nHost: h\r\n\r\n"
BIG = 100_000


def post(body: bytes, *fields: bytes, length: int | None = None) -> bytes:
    """A POST with this body, its length told truly unless given."""
    size = len(body) if length is None else length
    head = b"POST /invocations HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n" % size
    return head + b"".join(field + b"\r\n" for field in fields) + b"\r\n" + body


def chunked(data: bytes) -> bytes:
    """A POST with these bytes as its chunked body."""
    return b"POST /invocations HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + data


def answered(sent: bytes) -> list[tuple[int, bytes]]:
    """(status, body) of each reply with a length."""
    found = []
    while sent:
        head, _, rest = sent.partition(b"\r\n\r\n")
        length = next((int(line[16:]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length: ")), 0)
        found.append((int(head.split()[1]), rest[:length]))
        sent = rest[length:]
    return found


@pytest.mark.parametrize("step", [0, 1, 2, 5, 64])
@pytest.mark.parametrize(
    ("raw", "body"),
    [(post(b"hello"), b"hello"), (chunked(b"3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"), b"hello"), (GET, b""), (post(b""), b"")],
    ids=["length", "chunked", "get", "empty"],
)
def test_cut_anywhere(wire: Any, raw: bytes, body: bytes, step: int) -> None:
    """A request is the same however its bytes are cut into reads."""
    assert wire.feed(b"\r\n\r\n" + raw, step).bodies == [body]


def test_a_large_body_is_received_in_place(wire: Any, host: Any) -> None:
    """A body of known length lands in the memory that was allocated for it, and is handed on uncopied."""
    wire.feed(post(b"x" * BIG)[:1000])
    (memory,) = host.held
    wire.feed(post(b"x" * BIG)[1000:])
    (request,) = wire.requests
    assert request.body is memory
    assert bytes(memory) == b"x" * BIG


def test_a_reply_goes_out_in_one_write(wire: Any) -> None:
    """Head and body are one piece: two writes would wait for the client's acknowledgement (Nagle)."""
    wire.feed(post(b"1"))
    wire.connection.answer(Reply(b"[2]"))
    (write,) = wire.transport.writes
    assert answered(write) == [(200, b"[2]")]
    assert wire.transport.did == []


def test_requests_follow_each_other(wire: Any, host: Any) -> None:
    """A kept connection serves the next request, each under its own id."""
    for number in range(3):
        wire.feed(post(b"%d" % number))
        wire.connection.answer(Reply(b"ok"))
    assert wire.bodies == [b"0", b"1", b"2"]
    assert [request.id for request in wire.requests] == ["made-1", "made-2", "made-3"]
    assert wire.transport.sent.count(b"X-Request-Id: made-2\r\n") == 1


@pytest.mark.parametrize("step", [0, 1, 40])
def test_pipelined_requests_wait_their_turn(wire: Any, host: Any, step: int) -> None:
    """Requests sent ahead are answered one by one, in order."""
    wire.feed(post(b"a") + chunked(b"1\r\nb\r\n0\r\n\r\n") + post(b"c") + GET, step)
    for expected in ([b"a"], [b"a", b"b"], [b"a", b"b", b"c"], [b"a", b"b", b"c", b""]):
        assert wire.bodies == expected
        wire.connection.answer(Reply(expected[-1]))
        host.turn()
    assert [body for _, body in answered(wire.transport.sent)] == [b"a", b"b", b"c", b""]


def test_a_pipelined_flood_is_not_read(wire: Any, host: Any) -> None:
    """A client that sends far ahead of its answers is read again only when they have gone out."""
    wire.feed(post(b"a"))
    wire.feed(GET * (MAX_PIPELINED_BYTES // len(GET) + 1))
    assert wire.transport.did == ["pause"]
    wire.connection.answer(Reply(b""))
    assert wire.transport.did == ["pause", "resume"]


def test_head_has_no_body(wire: Any) -> None:
    """HEAD is answered with the head that GET would have."""
    wire.feed(b"HEAD /ping HTTP/1.1\r\nHost: h\r\n\r\n")
    wire.connection.answer(Reply(b"{}"))
    assert b"Content-Length: 2\r\n" in wire.transport.sent
    assert wire.transport.sent.endswith(b"\r\n\r\n")


@pytest.mark.parametrize("status", [204, 304])
def test_statuses_without_a_body(wire: Any, status: int) -> None:
    """A status that has no body is sent without the one that a script gave it: it would be taken for the next reply."""
    wire.feed(post(b""))
    wire.connection.answer(Reply(b"text", "", status))
    assert wire.transport.sent.endswith(b"\r\n\r\n")
    assert b"Content-Length" not in wire.transport.sent


@pytest.mark.parametrize("field", [b"Connection: close", None], ids=["the client asks", "the server drains"])
def test_close_after_the_answer(wire: Any, host: Any, field: bytes | None) -> None:
    """The last answer says that the connection closes, and then it does."""
    wire.feed(post(b"1", field) if field else post(b"1"))
    host.draining = field is None
    wire.connection.answer(Reply(b"[2]"))
    assert b"Connection: close\r\n" in wire.transport.sent
    assert wire.transport.did == ["close"]


def test_http10(wire: Any) -> None:
    """An HTTP/1.0 connection closes after its answer."""
    wire.feed(b"GET /ping HTTP/1.0\r\n\r\n")
    wire.connection.answer(Reply(b"{}"))
    assert wire.transport.did == ["close"]


# ---- refusals


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"\x16\x03\x01\x02", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * 3000, 431),
        (b"GET / HTTP/1.1\r\nHost: h\r\nX: " + b"a" * 3000 + b"\r\n\r\n", 431),
        (post(b"", length=(1 << 20) + 1), 413),
        (chunked(b"100001\r\n"), 413),
        (chunked(b"x\r\n"), 400),
        (post(b"", b"Expect: a-pony", length=9), 417),
    ],
    ids=["tls", "host", "partial head", "head", "length", "chunk", "chunk size", "expectation"],
)
def test_refused_and_closed(wire: Any, host: Any, raw: bytes, status: int) -> None:
    """What breaks the framing or a limit is answered at once and the connection closed; what follows is not read."""
    wire.feed(raw)
    wire.feed(GET)
    ((found, _),) = answered(wire.transport.sent)
    assert (found, wire.answer["code"]) == (status, status)
    assert b"Connection: close\r\n" in wire.transport.sent
    assert wire.transport.did == ["eof"]
    assert (host.routed, host.held) == ([], [])


def test_refusals_are_noted(wire: Any, host: Any) -> None:
    """A request that is refused before its body counts among the answers, under its id."""
    wire.feed(post(b"", b"X-Request-Id: mine", length=1 << 30))
    ((request, reply),) = host.refusals
    assert (request.id, reply.status) == ("mine", 413)
    assert request.arrived > 0


def test_a_refusal_has_the_id_of_its_own_request(wire: Any, host: Any) -> None:
    """Neither the id of the request before it nor none: the client's own, or a new one."""
    wire.feed(post(b"", b"X-Request-Id: first"))
    wire.connection.answer(Reply(b""))
    host.fault = UnsupportedMediaType("not read")
    wire.feed(post(b"", b"X-Request-Id: second", length=9))
    assert wire.transport.sent.count(b"X-Request-Id: first\r\n") == 1
    assert b"X-Request-Id: second\r\n" in wire.transport.sent


def test_a_malformed_second_request_has_an_id_of_its_own(wire: Any) -> None:
    """A head that cannot be read is not answered under the id of the request before it."""
    wire.feed(post(b"", b"X-Request-Id: first"))
    wire.connection.answer(Reply(b""))
    wire.feed(b"nonsense\r\n\r\n")
    assert wire.transport.sent.count(b"X-Request-Id: first\r\n") == 1
    assert b"X-Request-Id: made-" in wire.transport.sent


def test_refused_by_the_head_alone(wire: Any, host: Any) -> None:
    """A fault that the head shows is answered before the body comes, and without asking for it."""
    host.fault = UnsupportedMediaType("not read")
    wire.feed(post(b"", b"Expect: 100-continue", length=BIG))
    assert (wire.status, host.held) == (415, [])
    assert b"100 Continue" not in wire.transport.sent


def test_no_memory_for_a_body(wire: Any, host: Any) -> None:
    """Where the bodies that are held leave no room, the answer is a 503 with a hint in header and body."""
    host.full = True
    wire.feed(post(b"", length=BIG))
    assert wire.status == 503
    assert b"Retry-After: 1\r\n" in wire.transport.sent
    assert wire.answer["retry_after_seconds"] == 1


def test_too_many_connections(host: Any, another: Callable[[], Any]) -> None:
    """A connection over the limit is closed at once; those that are there go on."""
    wires = [another() for _ in range(4)]
    assert [wire.transport.did for wire in wires] == [[], [], [], ["abort"]]
    assert len(host.connections) == 3
    wires[0].connection.connection_lost(None)
    assert another().transport.did == []


def test_a_flood_of_empty_lines_is_skipped(wire: Any) -> None:
    """Empty lines before a request are passed over in one go."""
    assert wire.feed(b"\r\n" * 20_000 + GET).bodies == [b""]


# ---- Expect


def test_continue(wire: Any) -> None:
    """A client that waits is told to send its body."""
    wire.feed(post(b"", b"Expect: 100-continue", length=3))
    assert wire.transport.sent == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert wire.feed(b"abc").bodies == [b"abc"]


@pytest.mark.parametrize(
    "raw",
    [
        post(b"abc", b"Expect: 100-continue"),
        post(b"", b"Expect: 100-continue", length=3).replace(b"1.1", b"1.0"),
    ],
    ids=["the body is here", "HTTP/1.0"],
)
def test_no_continue(wire: Any, raw: bytes) -> None:
    """A body that came along is not asked for, nor is an HTTP/1.0 client sent what it does not know."""
    wire.feed(raw)
    assert wire.transport.sent == b""


# ---- streams


def stream(wire: Any, *pieces: bytes, whole: bool = True) -> bytes:
    """What a streamed answer of these pieces sends after its head."""
    wire.connection.begin_stream(Reply(b"", "text/plain"))
    for piece in pieces:
        wire.connection.send_piece(piece)
    wire.connection.end_stream(whole)
    return bytes(wire.transport.sent.partition(b"\r\n\r\n")[2])


def test_a_stream_is_chunked(wire: Any) -> None:
    """Pieces go out as chunks as they are made, and the connection serves on."""
    wire.feed(post(b""))
    assert stream(wire, b"ab", b"", b"c") == b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
    assert b"Transfer-Encoding: chunked\r\n" in wire.transport.sent
    assert wire.feed(post(b"next")).bodies == [b"", b"next"]


def test_a_stream_to_http10(wire: Any) -> None:
    """HTTP/1.0 knows no chunks: the body ends with the connection."""
    wire.feed(b"POST /invocations HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n")
    assert stream(wire, b"ab", b"c") == b"abc"
    assert b"chunked" not in wire.transport.sent
    assert wire.transport.did == ["close"]


def test_a_stream_that_breaks_off(wire: Any) -> None:
    """It ends without its last chunk, and the connection is cut, so that the client can tell."""
    wire.feed(post(b""))
    assert stream(wire, b"ab", whole=False) == b"2\r\nab\r\n"
    assert wire.transport.did == ["abort"]


@pytest.mark.parametrize("change", ["end of input", "drain"])
def test_a_stream_keeps_the_framing_it_began_with(wire: Any, host: Any, change: str) -> None:
    """Whatever happens while it runs, a chunked body stays chunked to its last chunk; then the connection closes."""
    wire.feed(post(b""))
    wire.connection.begin_stream(Reply(b""))
    host.draining = change == "drain"
    if change == "end of input":
        assert wire.connection.eof_received()
    wire.connection.send_piece(b"ab")
    wire.connection.end_stream(True)
    assert wire.transport.sent.endswith(b"\r\n\r\n2\r\nab\r\n0\r\n\r\n")
    assert wire.transport.did == ["close"]


def test_writable_follows_the_transport(wire: Any) -> None:
    """A client that reads slowly is known by `writable`."""
    wire.connection.pause_writing()
    assert not wire.connection.writable
    wire.connection.resume_writing()
    assert wire.connection.writable


# ---- ends


def test_the_client_goes(wire: Any, host: Any) -> None:
    """After the connection is lost nothing is written, and the memory of an unfinished body is given back."""
    wire.feed(post(b"a", length=BIG))
    wire.connection.connection_lost(None)
    assert (host.held, host.connections, wire.connection.closed) == ([], set(), True)


def test_an_answer_to_nobody(wire: Any) -> None:
    """A reply or a stream for a client that has gone is dropped."""
    wire.feed(post(b""))
    wire.connection.connection_lost(None)
    wire.connection.answer(Reply(b""))
    assert stream(wire, b"ab") == b""
    assert (wire.transport.sent, wire.transport.did) == (b"", [])


def test_half_closed(wire: Any, host: Any) -> None:
    """A client that has sent its last byte still gets all its answers, the pipelined ones too; the last says close."""
    wire.feed(post(b"a") + post(b"b") + post(b"c"))
    assert wire.connection.eof_received()
    for _ in range(3):
        wire.connection.answer(Reply(b"ok"))
        host.turn()
    assert wire.bodies == [b"a", b"b", b"c"]
    assert [status for status, _ in answered(wire.transport.sent)] == [200, 200, 200]
    assert wire.transport.sent.count(b"Connection: close\r\n") == 1
    assert wire.transport.did[-1] == "close"


@pytest.mark.parametrize("rest", [b"GET /p", post(b"a", length=9), chunked(b"5\r\na")], ids=["head", "body", "chunks"])
def test_half_closed_within_a_request(wire: Any, host: Any, rest: bytes) -> None:
    """A request that can no longer be completed is dropped with its connection, after the answers before it."""
    wire.feed(post(b"a") + rest)
    assert wire.connection.eof_received()
    wire.connection.answer(Reply(b"ok"))
    host.turn()
    assert wire.transport.did[-1] == "close"
    assert wire.bodies == [b"a"]


@pytest.mark.parametrize("raw", [b"", b"GET /p", post(b"a", length=9)], ids=["idle", "head", "body"])
def test_end_of_input_before_a_request_is_whole(wire: Any, raw: bytes) -> None:
    """Nothing is owed to a client that ends before its request does."""
    assert not wire.feed(raw).connection.eof_received()


# ---- time


def later(wire: Any, seconds: float) -> list[str]:
    """What a sweep does that comes so many seconds after the last event."""
    wire.connection.expire(wire.connection.since + seconds)
    return list(wire.transport.did)


@pytest.mark.parametrize("raw", [b"", b"\r\n"], ids=["nothing", "empty lines"])
def test_idle(wire: Any, raw: bytes) -> None:
    """An idle connection is closed after the keep-alive time, without a word."""
    assert later(wire.feed(raw), 74) == []
    assert later(wire, 76) == ["close"]
    assert wire.transport.sent == b""


def test_idle_while_draining(wire: Any, host: Any) -> None:
    """A server that drains closes connections that have been idle for half a second: a busy client's request may be under way."""
    host.draining = True
    assert later(wire, LAST_REQUEST_SECONDS - 0.1) == []
    assert later(wire, LAST_REQUEST_SECONDS + 0.1) == ["close"]


def test_slow_head(wire: Any) -> None:
    """A head that does not come in time is a 408, however steadily it trickles."""
    wire.feed(b"GET / HT")
    since = wire.connection.since
    wire.feed(b"TP/1")
    assert wire.connection.since == since
    assert later(wire, 14) == []
    assert later(wire, 16) == ["eof"]
    assert wire.status == 408


@pytest.mark.parametrize("raw", [post(b"a", length=BIG), chunked(b"5\r\na")], ids=["length", "chunked"])
def test_slow_body(wire: Any, host: Any, raw: bytes) -> None:
    """A pause within a body longer than the header time is a 408; its memory is given back."""
    assert later(wire.feed(raw), 14) == []
    assert later(wire, 16) == ["eof"]
    assert (wire.status, host.held) == (408, [])


def test_trickling_body(wire: Any) -> None:
    """A body that keeps coming, but not within the body time, is a 408."""
    wire.feed(post(b"a", length=BIG))
    for seconds in (14, 28, 42, 56):
        wire.connection.progress = wire.connection.since + seconds
        assert later(wire, seconds + 1) == []
    wire.connection.progress = wire.connection.since + 60
    assert later(wire, 61) == ["eof"]


def test_lingering(wire: Any) -> None:
    """A refused client may read its answer for two seconds; then the connection is cut."""
    wire.feed(b"\x00")
    assert later(wire, LINGER_SECONDS - 0.1) == ["eof"]
    assert later(wire, LINGER_SECONDS + 0.1) == ["eof", "abort"]


def test_an_answer_may_take_its_time(wire: Any) -> None:
    """While a request is answered no connection limit counts: that is the deadline's matter."""
    assert later(wire.feed(post(b"")), 1000) == []


@pytest.mark.parametrize(
    ("raw", "unsent", "busy"),
    [(b"", 0, False), (b"", 9, True), (b"GET /", 0, True), (post(b"a", length=9), 0, True), (post(b""), 0, True)],
    ids=["idle", "sending", "head", "body", "answering"],
)
def test_in_flight(wire: Any, raw: bytes, unsent: int, busy: bool) -> None:
    """A connection counts as busy from the first byte of a request to the last of its answer."""
    wire.feed(raw)
    wire.transport.unsent = unsent
    assert wire.connection.in_flight is busy
