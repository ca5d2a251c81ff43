"""Which request goes where, and what each route answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from serving.errors import NotAcceptable, Overloaded, UnsupportedMediaType
from serving.http.limits import of
from serving.http.routes import Routes
from serving.invocation import Reply, Request
from serving.settings import Settings
from serving.telemetry.metrics import STATUSES, Metrics
from serving.telemetry.record import Recorder

POST = b"POST /invocations HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n"


class Executor:
    """Keeps what is submitted. It stands in for a placement, whose own tests say what becomes of requests there."""

    def __init__(self) -> None:
        self.ready, self.busy, self.full = True, False, False
        self.submitted: list[tuple[Any, Request]] = []
        self.released: list[memoryview] = []
        self.swept: list[float] = []

    def allocate(self, length: int) -> memoryview:
        """Memory of its own."""
        return memoryview(bytearray(length))

    def release(self, body: memoryview) -> None:
        """Note what comes back."""
        self.released.append(body)

    def submit(self, sink: Any, request: Request) -> None:
        """Keep the request, or refuse it."""
        if self.full:
            raise Overloaded("the queue is full")
        self.submitted.append((sink, request))

    def sweep(self, now: float) -> None:
        """Note the time."""
        self.swept.append(now)

    def close(self) -> None:
        """Nothing is held."""


class Server:
    """Routes in front of that executor, and a connection to them."""

    def __init__(self, wire_to: Callable[[Any], Any]) -> None:
        self.executor, self.metrics = Executor(), Metrics(1)
        self.asked: list[tuple[str, bytes]] = []
        recorder = Recorder(self.metrics, None)
        self.routes = Routes(of(Settings()), self.executor, recorder, self._control, self._check)
        self.wire = wire_to(self.routes)

    def _control(self, head: Any, request: Request) -> asyncio.Future[Reply]:
        self.asked.append((head.path, bytes(request.body)))
        answer: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        if head.path == "/broken":
            answer.set_exception(RuntimeError("the app broke"))
        else:
            answer.set_result(Reply(b"from the app", "text/plain", 404))
        return answer

    @staticmethod
    def _check(content_type: str, accept: str) -> None:
        if content_type == "a/b":
            raise UnsupportedMediaType("a/b is not read")
        if accept == "a/b":
            raise NotAcceptable("no answer in a/b")

    def counted(self, status: int) -> float:
        """How many answers of this status the metrics have."""
        return self.metrics.total(STATUSES.index(status))


def served(wire_to: Callable[[Any], Any], *raw: bytes, **state: Any) -> Server:
    """A server after these reads, each followed by a turn of the loop; `state` sets its executor, or `draining`."""

    async def serve() -> Server:
        server = Server(wire_to)
        server.routes.draining = state.pop("draining", False)
        for name, value in state.items():
            setattr(server.executor, name, value)
        for data in raw:
            server.wire.feed(data)
            await asyncio.sleep(0)
        return server

    return asyncio.run(serve())


def get(path: bytes, method: bytes = b"GET") -> bytes:
    """A request without a body."""
    return method + b" " + path + b" HTTP/1.1\r\nHost: h\r\n\r\n"


def test_ping(wire_to: Any) -> None:
    """200 with an empty JSON object while the next invocation would be answered."""
    server = served(wire_to, get(b"/ping"))
    assert (server.wire.status, server.wire.answer) == (200, {})


@pytest.mark.parametrize("state", [{"ready": False}, {"draining": True}], ids=["not ready", "draining"])
def test_ping_when_an_invocation_would_fail(wire_to: Any, state: dict[str, bool]) -> None:
    """503 before a model process is there, and while the server stops."""
    assert served(wire_to, get(b"/ping"), **state).wire.status == 503


def test_ping_by_head(wire_to: Any) -> None:
    """HEAD is GET without the body."""
    sent = served(wire_to, get(b"/ping", b"HEAD")).wire.transport.sent
    assert sent.startswith(b"HTTP/1.1 200 ")
    assert sent.endswith(b"\r\n\r\n")


def test_pings_are_no_invocations(wire_to: Any) -> None:
    """They are not counted."""
    assert served(wire_to, get(b"/ping")).counted(200) == 0


@pytest.mark.parametrize("method", [b"POST", b"PUT", b"DELETE", b"OPTIONS"])
def test_ping_by_other_methods(wire_to: Any, method: bytes) -> None:
    """405 with what is allowed (RFC 9110, section 15.5.6)."""
    server = served(wire_to, get(b"/ping", method))
    assert server.wire.status == 405
    assert b"Allow: GET, HEAD\r\n" in server.wire.transport.sent


@pytest.mark.parametrize(
    "raw",
    [
        get(b"/invocations"),
        get(b"/invocations", b"DELETE"),
        POST.replace(b"POST", b"PUT") + b"\r\n[]",
        POST.replace(b"POST", b"PUT") + b"\r\n",
        get(b"/invocations", b"HEAD"),
    ],
    ids=["GET", "DELETE", "PUT", "PUT before its body", "HEAD"],
)
def test_invocations_by_other_methods(wire_to: Any, raw: bytes) -> None:
    """405 with what is allowed, whether the body has come or not; it is counted."""
    server = served(wire_to, raw)
    assert server.wire.status == 405
    assert b"Allow: POST\r\n" in server.wire.transport.sent
    assert (server.executor.submitted, server.counted(405)) == ([], 1)


def test_invocations(wire_to: Any) -> None:
    """A POST goes to the placement with its types, headers, id and body."""
    server = served(wire_to, POST + b"Content-Type: c/t\r\nAccept: a/t\r\nX-Request-Id: i\r\nX: y\r\n\r\n[]")
    ((sink, request),) = server.executor.submitted
    assert sink is server.wire.connection
    assert (request.body, request.content_type, request.accept, request.id) == (b"[]", "c/t", "a/t", "i")
    assert request.header("x") == "y"
    assert request.arrived > 0


def test_the_query_does_not_matter(wire_to: Any) -> None:
    """The route is the path alone."""
    assert served(wire_to, POST.replace(b"/invocations", b"/invocations?x=1") + b"\r\n[]").executor.submitted


@pytest.mark.parametrize("path", [b"/invocations/", b"//invocations", b"/Invocations", b"/"])
def test_other_paths_go_to_the_app(wire_to: Any, path: bytes) -> None:
    """What is not exactly one of the two paths is the control plane's, with its body."""
    server = served(wire_to, POST.replace(b"/invocations", path) + b"\r\n[]")
    assert (server.asked, server.wire.status) == ([(path.decode(), b"[]")], 404)
    assert server.wire.transport.sent.endswith(b"from the app")


def test_the_app_fails(wire_to: Any) -> None:
    """An app that raises is a 500 with the request's id, and the connection goes on."""
    server = served(wire_to, get(b"/broken"), get(b"/ping"))
    assert server.wire.transport.sent.count(b"HTTP/1.1 500 ") == 1
    assert server.wire.transport.sent.count(b"HTTP/1.1 200 ") == 1


def test_overload(wire_to: Any) -> None:
    """A full queue is a 503 at once, with the hint in the body too; the connection is kept, the answer counted."""
    server = served(wire_to, POST + b"\r\n[]", get(b"/ping"), full=True)
    head, _, rest = server.wire.transport.sent.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nRetry-After: 1" in head
    assert json.loads(rest.partition(b"HTTP/1.1 200 ")[0])["retry_after_seconds"] == 1
    assert b"HTTP/1.1 200 " in rest
    assert server.counted(503) == 1


@pytest.mark.parametrize("method", [b"GET", b"POST"])
def test_the_body_of_a_ping_is_given_back(wire_to: Any, method: bytes) -> None:
    """Memory of a body that a ping has no use for is released: a few such pings must not take what invocations need."""
    server = served(wire_to, method + b" /ping HTTP/1.1\r\nHost: h\r\nContent-Length: 70000\r\n\r\n", b"x" * 70000)
    assert [len(body) for body in server.executor.released] == [70000]


def test_a_refused_body_is_given_back(wire_to: Any) -> None:
    """Memory of a request that is refused after its body came is released, once."""
    raw = POST.replace(b": 2", b": 70000") + b"\r\n"
    server = served(wire_to, raw, b"x" * 70000, full=True)
    assert server.wire.status == 503
    assert [len(body) for body in server.executor.released] == [70000]


@pytest.mark.parametrize(("field", "status"), [(b"Content-Type", 415), (b"Accept", 406)])
def test_refused_by_content_types(wire_to: Any, field: bytes, status: int) -> None:
    """A type that nobody reads or writes is refused before the body comes, and counted."""
    server = served(wire_to, POST + field + b": a/b\r\n\r\n")
    assert server.wire.status == status
    assert server.counted(status) == 1


@pytest.mark.parametrize("body", [b"", b"[]"], ids=["before its body", "with its body"])
def test_unknown_expectation(wire_to: Any, body: bytes) -> None:
    """417, whether the body has come or not."""
    server = served(wire_to, POST + b"Expect: a-pony\r\n\r\n" + body)
    assert (server.wire.status, server.executor.submitted) == (417, [])


@pytest.mark.parametrize("raw", [b"\x16\x03", POST.replace(b": 2", b": 200000000") + b"\r\n"], ids=["400", "413"])
def test_what_the_connection_refuses_is_counted(wire_to: Any, raw: bytes) -> None:
    """A malformed or an oversized request is an answer like any other in the metrics."""
    server = served(wire_to, raw)
    assert server.counted(server.wire.status) == 1


def test_ids_are_unique(wire_to: Any) -> None:
    """Neither two requests of a process nor two processes get the same id."""
    routes = [served(wire_to).routes for _ in range(3)]
    ids = [each.new_id() for each in routes for _ in range(50)]
    assert len(set(ids)) == len(ids)
    assert all(text.isascii() and text.isprintable() for text in ids)


def test_sweep(wire_to: Any) -> None:
    """A sweep holds every connection, and the placement, against their times."""

    async def sweep() -> Server:
        server = Server(wire_to)
        server.wire.connection.since -= 1000
        server.routes.sweep()
        return server

    server = asyncio.run(sweep())
    assert server.wire.transport.did == ["close"]
    assert len(server.executor.swept) == 1


def test_idle_means_that_everything_is_answered(wire_to: Any) -> None:
    """A server may stop when neither connections, nor the placement, nor the app have anything left to answer."""

    async def watch() -> list[bool]:
        server = Server(wire_to)
        seen = [server.routes.idle]
        server.wire.feed(POST + b"\r\n[]")
        seen.append(server.routes.idle)
        server.wire.connection.answer(Reply(b""))
        seen.append(server.routes.idle)
        server.executor.busy = True
        seen.append(server.routes.idle)
        server.executor.busy = False
        server.wire.feed(get(b"/metrics"))
        seen.append(server.routes.idle)
        await asyncio.sleep(0)
        return [*seen, server.routes.idle]

    assert asyncio.run(watch()) == [True, False, True, False, False, True]
