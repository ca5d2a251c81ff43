"""Mutated requests in random cuts: a connection never raises, answers or closes, and holds nothing afterwards.

The transport is the unit tests' stand-in: only it can cut the bytes where a test says, thousands of times in a second.
"""

from __future__ import annotations

import re
from time import perf_counter

from hypothesis import given, settings
from hypothesis import strategies as st

from serving.http import head as heads
from serving.invocation import Reply
from tests.fuzz.mutations import BODY, CHUNKED, HEADS, mutated
from tests.unit.serving.http.conftest import Host, Wire

EXAMPLES = 400
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
RESPONSE = re.compile(
    rb"HTTP/1\.1 (\d{3}) [^\r\n]*\r\n(?:[^\r\n:]+: [^\r\n]*\r\n)*?Content-Length: (\d+)\r\n(?:[^\r\n:]+: [^\r\n]*\r\n)*\r\n"
)
FOREVER = 1000.0
"""Seconds after which every limit has passed."""

requests = st.lists(
    mutated(*HEADS, *[head + BODY for head in HEADS], *[HEADS[2] + body for body in CHUNKED]), min_size=1, max_size=3
)


class AnsweringHost(Host):
    """Knows how many of its requests have been answered."""

    def __init__(self) -> None:
        super().__init__()
        self.answered = 0


def feed(wire: Wire, data: bytes, cuts: list[int]) -> None:
    """Give the bytes in reads of these sizes, over and over, until the connection is closed; answer what comes of them."""
    at = turn = 0
    while at < len(data) and not {"close", "abort"} & set(wire.transport.did):
        size = cuts[turn % len(cuts)]
        wire.feed(data[at : at + size])
        answer(wire)
        at, turn = at + size, turn + 1


def answer(wire: Wire) -> None:
    """Answer every request that has come, and those that waited behind it."""
    host = wire.host
    assert isinstance(host, AnsweringHost)
    while len(host.routed) > host.answered:
        connection, _, request = host.routed[host.answered]
        host.answered += 1
        if isinstance(request.body, memoryview):
            host.release(request.body)
        connection.answer(Reply(b"fine"))
        host.turn()


def responses(sent: bytes, methods: list[str]) -> list[int]:
    """The statuses of all responses in what was sent; AssertionError where it is anything else."""
    statuses: list[int] = []
    at = 0
    while at < len(sent):
        if sent.startswith(CONTINUE, at):
            at += len(CONTINUE)
            continue
        match = RESPONSE.match(sent, at)
        assert match is not None, sent[at : at + 200]
        is_head = len(statuses) < len(methods) and methods[len(statuses)] == "HEAD"
        at = match.end() + (0 if is_head else int(match[2]))
        statuses.append(int(match[1]))
    assert at == len(sent)
    return statuses


@settings(max_examples=EXAMPLES)
@given(requests, st.lists(st.integers(1, 200), min_size=1, max_size=6))
def test_any_request_in_any_cuts(sent: list[bytes], cuts: list[int]) -> None:
    """Each request has one whole response, and a connection that cannot go on, or goes on too slowly, is closed."""
    heads.forget()
    host = AnsweringHost()
    wire = Wire(host)
    feed(wire, b"".join(sent), cuts)
    wire.connection.expire(perf_counter() + FOREVER)
    wire.connection.expire(perf_counter() + 2 * FOREVER)  # a refused client has been listened to for long enough
    assert {"close", "abort", "eof"} & set(wire.transport.did), "a connection never stays open for ever"
    statuses = responses(wire.transport.sent, [head.method for _, head, _ in host.routed])
    assert len(statuses) == len(host.routed) + len(host.refusals)
    assert set(statuses[: len(host.routed)]) <= {200}
    assert set(statuses[len(host.routed) :]) <= {400, 408, 413, 417, 431, 503}
    wire.connection.connection_lost(None)
    assert host.held == []
    assert host.connections == set()


@settings(max_examples=EXAMPLES // 2)
@given(requests, st.lists(st.integers(1, 200), min_size=1, max_size=6))
def test_cuts_do_not_matter(sent: list[bytes], cuts: list[int]) -> None:
    """Where the network cuts the bytes changes nothing about what is understood of them."""
    understood = []
    for sizes in (cuts, [1 << 16]):
        heads.forget()
        host = AnsweringHost()
        wire = Wire(host)
        feed(wire, b"".join(sent), sizes)
        understood.append([(head.method, head.path, head.headers, bytes(request.body)) for _, head, request in host.routed])
    assert understood[0] == understood[1]


@settings(max_examples=EXAMPLES // 4)
@given(st.lists(st.one_of(st.binary(max_size=40), requests.map(b"".join)), max_size=4), st.integers(1, 100))
def test_leaving_at_any_byte(sent: list[bytes], cut: int) -> None:
    """A client may shut down its side, or go, after any byte: nothing raises, and no memory stays behind."""
    host = AnsweringHost()
    wire = Wire(host)
    feed(wire, b"".join(sent), [cut])
    wire.connection.eof_received()
    answer(wire)
    wire.connection.connection_lost(None)
    for connection, _, request in host.routed:
        if isinstance(request.body, memoryview):
            host.release(request.body)
        connection.answer(Reply(b"to nobody"))
    assert host.held == []
    assert host.connections == set()
