"""Our server, as grpcio's client finds it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from serving.accelerators.rpc.server import Limits
from tests.integration.faults.server import until
from tests.unit.serving.accelerators.rpc.peers import UNLIMITED, Served, pattern, secure, served


@pytest.fixture(scope="module")
def channel(ours: Served) -> Iterator[grpc.Channel]:
    """A channel of grpcio's to our server."""
    with grpc.insecure_channel(ours.address, options=UNLIMITED) as channel:
        yield channel


def unary(channel: grpc.Channel, path: str, body: bytes = b"x", **options: Any) -> bytes:
    """One call."""
    answer: bytes = channel.unary_unary(path)(body, timeout=20, **options)
    return answer


def refused(channel: grpc.Channel, path: str, body: bytes = b"x", **options: Any) -> tuple[grpc.StatusCode, str]:
    """The status and the message that a call fails with."""
    with pytest.raises(grpc.RpcError) as error:
        unary(channel, path, body, **options)
    return error.value.code(), error.value.details()


@pytest.mark.parametrize("size", [0, 1, 5, 16_383, 65_535, 65_536, 602_112, 5_000_001, 40_000_000])
def test_messages_of_every_size(channel: grpc.Channel, size: int) -> None:
    """A message comes whole, and goes back whole, whatever its size is to windows and frames."""
    body = pattern(size)
    assert unary(channel, "/t/Echo", body) == body


def test_answers_in_pieces(channel: grpc.Channel) -> None:
    """The pieces of an answer are one message."""
    assert unary(channel, "/t/Pieces", pattern(100_000)) == pattern(100_000)


def test_answers_later(channel: grpc.Channel) -> None:
    """An answer may come any turn of the loop later."""
    assert unary(channel, "/t/Later", b"abc") == b"abc"


def test_errors_have_their_text(channel: grpc.Channel) -> None:
    """An error's message arrives in one line, with its letters."""
    assert refused(channel, "/t/Wrong") == (grpc.StatusCode.FAILED_PRECONDITION, "ü 100% no second line")


def test_a_handlers_mistake_stays_inside(channel: grpc.Channel) -> None:
    """A handler that raises costs its call an INTERNAL without a word of the mistake, and no other call anything."""
    code, text = refused(channel, "/t/Broken")
    assert code == grpc.StatusCode.INTERNAL
    assert "secret" not in text
    assert unary(channel, "/t/Echo", b"on") == b"on"


def test_the_first_answer_counts(channel: grpc.Channel) -> None:
    """Answers to a call that is over are thrown away."""
    assert unary(channel, "/t/Twice") == b"first"


def test_unknown_paths(channel: grpc.Channel) -> None:
    """A path that nobody serves is UNIMPLEMENTED."""
    assert refused(channel, "/t/Nowhere")[0] == grpc.StatusCode.UNIMPLEMENTED


def test_metadata(channel: grpc.Channel) -> None:
    """Metadata arrive by their lower-cased names, several of one name joined by commas."""
    said = unary(channel, "/t/Metadata", metadata=[("x-one", "1"), ("x-two", "2"), ("x-one", "3")])
    assert b"('x-one', '1,3'), ('x-two', '2')" in said


def test_compressed_requests(channel: grpc.Channel) -> None:
    """Messages that gzip has compressed arrive as they were."""
    assert unary(channel, "/t/Echo", b"a" * 100_000, compression=grpc.Compression.Gzip) == b"a" * 100_000


def test_unknown_compression(channel: grpc.Channel) -> None:
    """A compression that we do not know is UNIMPLEMENTED, by name."""
    code, text = refused(channel, "/t/Echo", b"a" * 1000, compression=grpc.Compression.Deflate)
    assert code == grpc.StatusCode.UNIMPLEMENTED
    assert "deflate" in text


def test_a_bomb_is_limited() -> None:
    """A message that grows beyond the limit when it is unpacked is refused."""
    with served(limits=Limits(max_message=1 << 20)) as server, grpc.insecure_channel(server.address) as channel:
        code, _ = refused(channel, "/t/Size", bytes(50 << 20), compression=grpc.Compression.Gzip)
        assert code == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert unary(channel, "/t/Size", bytes(1 << 20)) == b"1048576"
        assert server.server.held == 0


def test_too_large(ours: Served) -> None:
    """A message beyond the limit is refused with the limit in the text, and the connection goes on."""
    with served(limits=Limits(max_message=1000)) as server, grpc.insecure_channel(server.address, UNLIMITED) as channel:
        code, text = refused(channel, "/t/Size", bytes(30 << 20))
        assert code == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "1000" in text
        assert unary(channel, "/t/Size", bytes(1000)) == b"1000"


def test_deadlines(ours: Served) -> None:
    """A call past its deadline is over for the handler too, and holds nothing any more."""
    with served() as server, grpc.insecure_channel(server.address) as channel:
        with pytest.raises(grpc.RpcError) as error:
            channel.unary_unary("/t/Never")(bytes(1000), timeout=0.2)
        assert error.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
        until(lambda: server.handler.cancelled == ["/t/Never"], "the call is cancelled")
        assert server.handler.calls[0].cancelled
        assert server.server.held == 0


def test_cancelling(ours: Served) -> None:
    """A call that its client takes back is cancelled for the handler."""
    with served() as server, grpc.insecure_channel(server.address) as channel:
        future = channel.unary_unary("/t/Never").future(b"x", timeout=20)
        until(lambda: server.handler.calls, "the call is there")
        future.cancel()
        until(lambda: server.handler.cancelled, "it is cancelled")


def test_streams(channel: grpc.Channel) -> None:
    """A stream's messages come back one by one, in order, and the end comes after them."""
    bodies = [pattern(size) for size in (0, 1, 70_000, 2_000_000, 3)]
    assert list(channel.stream_stream("/t/Stream")(iter(bodies), timeout=20)) == bodies


def test_a_stream_that_fails(channel: grpc.Channel) -> None:
    """What a stream has sent before it failed arrives, then the error."""
    answers = channel.stream_stream("/t/StreamFail")(iter([b"a"]), timeout=20)
    assert next(answers) == b"a"
    with pytest.raises(grpc.RpcError) as error:
        next(answers)
    assert error.value.code() == grpc.StatusCode.ABORTED


def test_a_stream_that_is_broken_off() -> None:
    """A handler hears of a stream that its client has cancelled."""
    with served() as server, grpc.insecure_channel(server.address) as channel:
        answers = channel.stream_stream("/t/StreamKept")(iter([b"a"]), timeout=20)
        until(lambda: server.handler.calls, "the stream is there")
        answers.cancel()
        until(lambda: server.handler.closed_streams == ["/t/StreamKept"], "it is closed")


def test_many_at_once(channel: grpc.Channel) -> None:
    """Calls of many threads on one connection get each its own answer."""
    wrong: list[int] = []

    def work(number: int) -> None:
        for turn in range(30):
            body = pattern(1000 * number + 37 * turn + 1)
            if unary(channel, "/t/Later" if turn % 10 == 0 else "/t/Echo", body) != body:
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_tokens() -> None:
    """Calls without the token, or with another, are UNAUTHENTICATED before a handler sees them."""
    with served(token="right") as server, grpc.insecure_channel(server.address) as channel:
        assert refused(channel, "/t/Echo")[0] == grpc.StatusCode.UNAUTHENTICATED
        wrong = refused(channel, "/t/Echo", metadata=[("authorization", "Bearer wrong")])
        assert wrong[0] == grpc.StatusCode.UNAUTHENTICATED
        assert server.handler.calls == []
        assert unary(channel, "/t/Echo", b"in", metadata=[("authorization", "Bearer right")]) == b"in"


def test_tls(tmp_path: Path) -> None:
    """With a certificate the server speaks TLS, to clients that trust its authority."""
    context, authority = secure(tmp_path)
    with served(ssl_context=context) as server:
        credentials = grpc.ssl_channel_credentials(authority.read_bytes())
        with grpc.secure_channel(f"localhost:{server.port}", credentials, options=UNLIMITED) as channel:
            for size in (0, 1000, 700_000, 5_000_000):
                assert unary(channel, "/t/Echo", pattern(size)) == pattern(size)


def test_sockets_of_this_machine(tmp_path: Path) -> None:
    """The server listens on a path too, and takes the file away when it ends."""
    path = tmp_path / "s"
    with served(f"unix:{path}") as server, grpc.insecure_channel(server.address) as channel:
        assert unary(channel, "/t/Echo", b"x") == b"x"
    assert not path.exists()


def test_calls_are_answered_before_the_end() -> None:
    """A server that is closed takes no new calls, and answers those that run."""
    with served() as server, grpc.insecure_channel(server.address) as channel:
        answers = [channel.unary_unary("/t/Later").future(b"x", timeout=20) for _ in range(5)]
        until(lambda: len(server.handler.calls) == 5, "the calls are there")
        server.run(server.server.close(10))
        assert [answer.result() for answer in answers] == [b"x"] * 5
        assert refused(channel, "/t/Echo")[0] == grpc.StatusCode.UNAVAILABLE


def test_calls_that_outlive_the_grace() -> None:
    """What is not answered when the grace is over fails as UNAVAILABLE."""
    with served() as server, grpc.insecure_channel(server.address) as channel:
        answer = channel.unary_unary("/t/Never").future(b"x", timeout=20)
        until(lambda: server.handler.calls, "the call is there")
        server.run(server.server.close(0.2))
        with pytest.raises(grpc.RpcError) as error:
            answer.result()
        assert error.value.code() == grpc.StatusCode.UNAVAILABLE
