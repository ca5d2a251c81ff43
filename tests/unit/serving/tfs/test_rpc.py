"""gRPC calls through the inline placement to a small service, by channels as clients open them."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import grpc
import pytest

from serving.errors import BadRequest, Overloaded, StartError, from_status
from serving.execution.inline import Inline
from serving.execution.pool import INLINE_BODY_BYTES
from serving.http import limits
from serving.http.routes import Routes
from serving.invocation import Reply, Request
from serving.settings import Settings
from serving.telemetry.metrics import STATUSES, Metrics
from serving.telemetry.record import Recorder
from serving.tfs import rpc
from serving.tfs.rpc import RpcServer

PREDICT = "/tensorflow.serving.PredictionService/Predict"


class Service:
    """Answers a body with itself; what begins with "fail" fails, "hold" waits for `release`, "pieces" is streamed."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.held, self.release = threading.Event(), threading.Event()

    def decode(self, request: Request) -> bytes:
        """The body."""
        self.requests.append(request)
        return bytes(request.body)

    def predict(self, inputs: list[Any], requests: list[Request]) -> list[Any]:
        """The bodies, as they are."""
        return inputs

    def encode(self, output: bytes, request: Request) -> Reply:
        """The body, or what it asks for."""
        if output.startswith(b"fail "):
            raise from_status(int(output.split()[1]), output.split(b" ", 2)[2].decode())
        if output == b"crash":
            raise RuntimeError("the service broke")
        if output == b"hold":
            self.held.set()
            self.release.wait(30)
        if output == b"pieces":
            return Reply(iter([b"one ", b"two"]), "application/x-tfs")
        if output == b"broken pieces":
            return Reply((1 // 0 for _ in "x"), "application/x-tfs")  # type: ignore[misc]
        return Reply(output, "application/x-tfs")


class Front:
    """An event loop with an executor, as a process that holds connections has it, and the gRPC server before it."""

    def __init__(self, settings: Settings) -> None:
        self.service, self.metrics, self.settings = Service(), Metrics(1), settings
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="loop")
        self._thread.start()
        self.routes: Routes = asyncio.run_coroutine_threadsafe(self._make_routes(), self.loop).result()
        self.server = RpcServer(self.routes, settings)

    async def _make_routes(self) -> Routes:
        recorder = Recorder(self.metrics, None)
        executor = Inline(self.service, recorder, self.loop, 16)
        return Routes(limits.of(self.settings), executor, recorder, lambda head, request: self.loop.create_future(), _no_check)

    def close(self) -> None:
        """End everything."""
        self.service.release.set()
        self.server.stop()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


def _no_check(content_type: str, accept: str) -> None:
    """Refuse nothing."""


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextmanager
def served(**settings: Any) -> Iterator[tuple[Front, Callable[..., Any]]]:
    """A front that listens, and a function that calls a path of it."""
    made = replace(Settings(), host="127.0.0.1", grpc_port=free_port(), **settings)
    front = Front(made)
    try:
        front.server.start()
        with grpc.insecure_channel(f"127.0.0.1:{made.grpc_port}") as channel:
            grpc.channel_ready_future(channel).result(30)

            def call(body: bytes, path: str = PREDICT, **options: Any) -> Any:
                return channel.unary_unary(path).future(body, **{"timeout": 30, **options})

            yield front, call
    finally:
        front.close()


@pytest.fixture(scope="module")
def shared() -> Iterator[tuple[Front, Callable[..., Any]]]:
    """One front for all tests that leave it as it was."""
    with served() as found:
        yield found


@pytest.fixture
def call(shared: Any) -> Callable[..., Any]:
    """Calls the shared front."""
    return shared[1]  # type: ignore[no-any-return]


def fault(made: Any) -> tuple[grpc.StatusCode, str]:
    """Status and details of a call that fails."""
    with pytest.raises(grpc.RpcError):
        made.result()
    return made.code(), made.details()


@pytest.mark.parametrize(("path", "message"), rpc.METHODS.items())
def test_calls_come_down_the_request_line(shared: Any, path: str, message: str) -> None:
    """Each method's message reaches the service as it was sent, under a content type that names it, with its metadata."""
    front, call = shared
    made = call(b"\x00body", path, metadata=[("x-mine", "1"), ("x-mine-bin", b"\x00")])
    assert made.result() == b"\x00body"
    request = front.service.requests[-1]
    assert request.content_type == f"application/x-tfs; message={message}"
    assert request.header("x-mine") == "1"
    assert request.header("x-mine-bin") is None
    assert dict(made.trailing_metadata())["x-request-id"] == request.id


def test_large_bodies_lie_where_the_executor_wants_them(shared: Any) -> None:
    """A body over the size that travels in a message is received into the executor's own memory."""
    front, call = shared
    body = bytes(range(256)) * (INLINE_BODY_BYTES // 256 + 1)
    assert call(body).result() == body
    assert isinstance(front.service.requests[-1].body, memoryview)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, grpc.StatusCode.INVALID_ARGUMENT),
        (404, grpc.StatusCode.NOT_FOUND),
        (413, grpc.StatusCode.RESOURCE_EXHAUSTED),
        (418, grpc.StatusCode.INVALID_ARGUMENT),
        (429, grpc.StatusCode.RESOURCE_EXHAUSTED),
        (500, grpc.StatusCode.INTERNAL),
        (501, grpc.StatusCode.UNIMPLEMENTED),
        (503, grpc.StatusCode.UNAVAILABLE),
        (504, grpc.StatusCode.DEADLINE_EXCEEDED),
        (507, grpc.StatusCode.RESOURCE_EXHAUSTED),
    ],
)
def test_statuses(call: Callable[..., Any], status: int, code: grpc.StatusCode) -> None:
    """A failure has gRPC's code for its status, and its message as details."""
    assert fault(call(b"fail %d what went wrong" % status)) == (code, "what went wrong")


def test_long_messages_are_cut(call: Callable[..., Any]) -> None:
    """Details stay below what a client takes of headers."""
    _, details = fault(call(b"fail 400 " + b"x" * 9000))
    assert len(details) < 1100


def test_a_crash_is_internal_without_a_traceback(call: Callable[..., Any]) -> None:
    """An exception of ours or of the user's is INTERNAL with its words alone."""
    assert fault(call(b"crash")) == (grpc.StatusCode.INTERNAL, "RuntimeError: the service broke")


@pytest.mark.parametrize(
    "path",
    [
        "/tensorflow.serving.PredictionService/MultiInference",
        "/tensorflow.serving.ModelService/HandleReloadConfigRequest",
        "/tensorflow.serving.SessionService/SessionRun",
    ],
)
def test_other_methods_are_unimplemented(call: Callable[..., Any], path: str) -> None:
    """What TF Serving has and we have not is UNIMPLEMENTED."""
    assert fault(call(b"", path))[0] == grpc.StatusCode.UNIMPLEMENTED


def test_streamed_answers_are_gathered(call: Callable[..., Any]) -> None:
    """An answer in pieces is one message; one that breaks off is INTERNAL."""
    assert call(b"pieces").result() == b"one two"
    assert fault(call(b"broken pieces")) == (grpc.StatusCode.INTERNAL, "the answer broke off")


def test_health(shared: Any) -> None:
    """grpc.health.v1 tells whether the next call would be answered."""
    front, call = shared
    assert call(b"", rpc.HEALTH).result() == rpc.SERVING
    front.routes.executor.ready = False
    assert call(b"", rpc.HEALTH).result() == rpc.NOT_SERVING
    front.routes.executor.ready = True


def test_a_full_queue_is_unavailable(shared: Any) -> None:
    """What the executor does not take is UNAVAILABLE, counted, and its memory is given back."""
    front, call = shared
    executor, released = front.routes.executor, []
    before = front.metrics.total(STATUSES.index(503))

    def full(sink: Any, request: Request) -> None:
        raise Overloaded("the queue is full")

    executor.submit, executor.release = full, released.append
    try:
        assert fault(call(b"x" * 100_000)) == (grpc.StatusCode.UNAVAILABLE, "the queue is full")
    finally:
        del executor.submit, executor.release
    assert [len(body) for body in released] == [100_000]
    call(b"after").result()
    assert front.metrics.total(STATUSES.index(503)) == before + 1


def test_messages_over_the_limit_are_refused() -> None:
    """A message larger than a body may be is RESOURCE_EXHAUSTED."""
    with served(max_payload_mb=1) as (_, call):
        assert call(b"x" * (1 << 19)).result() == b"x" * (1 << 19)
        assert fault(call(b"x" * (1 << 21)))[0] == grpc.StatusCode.RESOURCE_EXHAUSTED


def test_a_client_that_gives_up_frees_its_thread() -> None:
    """After a client's own deadline its call is over for it and for us: the sink is closed, and others are answered."""
    with served() as (front, call):
        held = call(b"hold")
        assert front.service.held.wait(30)
        assert fault(call(b"late", timeout=0.05))[0] == grpc.StatusCode.DEADLINE_EXCEEDED
        front.service.release.set()
        assert held.result() == b"hold"
        assert call(b"after").result() == b"after"


def test_drain_answers_what_it_took() -> None:
    """A draining server refuses new calls, answers those that are under way, and says when it has."""
    with served() as (front, call):
        held = call(b"hold")
        assert front.service.held.wait(30)
        front.server.drain()
        assert not front.server.idle
        # Which of the two depends on whether the client has heard of the end when it calls.
        assert fault(call(b"new"))[0] in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
        front.service.release.set()
        assert held.result() == b"hold"
        front.server.stop()
        assert front.server.idle


def test_processes_share_the_port() -> None:
    """A second server of ours may listen on the same port."""
    with served() as (front, _):
        second = RpcServer(front.routes, front.settings)
        second.start()
        second.stop()


def test_a_port_of_somebody_else_is_told() -> None:
    """A port that another program listens on is a StartError with the remedy."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        front = Front(replace(Settings(), host="127.0.0.1", grpc_port=other.getsockname()[1]))
        try:
            with pytest.raises(StartError, match="EI_GRPC_PORT"):
                front.server.start()
        finally:
            front.close()


def test_serve_locally() -> None:
    """A service on loopback answers its own process through the channel; its port is its own until it is closed."""
    local = rpc.serve_locally(Service(), 0)
    try:
        assert local.channel.unary_unary(PREDICT)(b"body", timeout=30) == b"body"
        failing = local.channel.unary_unary(PREDICT).future(b"fail 400 words", timeout=30)
        assert fault(failing) == (grpc.StatusCode.INVALID_ARGUMENT, "words")
        with pytest.raises(OSError, match=f"port {local.port} is not free"):
            rpc.serve_locally(Service(), local.port)
    finally:
        local.close()


def test_errors_of_a_local_service_are_statuses() -> None:
    """A ServingError that a service raises past its line is still told as one."""

    class Refuses(Service):
        def decode(self, request: Request) -> bytes:
            raise BadRequest("no")

    local = rpc.serve_locally(Refuses(), 0)
    try:
        made = local.channel.unary_unary(PREDICT).future(b"", timeout=30)
        assert fault(made) == (grpc.StatusCode.INVALID_ARGUMENT, "no")
    finally:
        local.close()
