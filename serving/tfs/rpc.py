"""TF Serving's gRPC services, in the process that holds the connections: bytes in, bytes out, nothing is parsed here.

    call -> thread of gRPC's -> Request(body, "application/x-tfs; message=Predict") -> event loop -> executor
         <- thread           <- Reply                                               <-

    PredictionService   Predict, Classify, Regress, GetModelMetadata
    ModelService        GetModelStatus
    grpc.health.v1      Health.Check

Import this after the fork: gRPC starts threads. [tensorflow/serving apis/prediction_service.proto, apis/model_service.proto]
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from queue import Empty, SimpleQueue
from time import perf_counter
from typing import Any

import grpc

from serving.errors import DeadlineExceeded, ServingError, StartError
from serving.execution.pool import INLINE_BODY_BYTES
from serving.http.routes import Routes
from serving.invocation import Reply, Request, Service, failure, invoke
from serving.settings import Settings
from serving.tfs.rpc_calls import CONTENT_TYPE

PREDICTION, MODEL = "/tensorflow.serving.PredictionService/", "/tensorflow.serving.ModelService/"
METHODS = {
    PREDICTION + "Predict": "Predict",
    PREDICTION + "Classify": "Classify",
    PREDICTION + "Regress": "Regress",
    PREDICTION + "GetModelMetadata": "GetModelMetadata",
    MODEL + "GetModelStatus": "GetModelStatus",
}
"""Others, MultiInference and HandleReloadConfigRequest among them, are UNIMPLEMENTED."""
HEALTH = "/grpc.health.v1.Health/Check"
SERVING, NOT_SERVING = b"\x08\x01", b"\x08\x02"
"""HealthCheckResponse with its only field, `status` [grpc/grpc src/proto/grpc/health/v1/health.proto]."""

CODES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    409: grpc.StatusCode.ABORTED,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,  # TensorFlow's own code, by way of the status that TF Serving gives it
    499: grpc.StatusCode.CANCELLED,
    501: grpc.StatusCode.UNIMPLEMENTED,
    503: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.DEADLINE_EXCEEDED,
    507: grpc.StatusCode.RESOURCE_EXHAUSTED,  # an accelerator's memory
}
"""Other statuses of the request line are INVALID_ARGUMENT below 500 and INTERNAL from there on."""
MAX_DETAILS = 1024
"""Characters of an error that a client gets: headers have a limit of their own, and TF Serving cuts there too."""
THREADS = 128
"""Calls that are answered at once; more wait for a thread."""
MAX_CALLS = 1024
"""Calls that may be open; gRPC refuses more with RESOURCE_EXHAUSTED."""
LATE_SECONDS = 5.0
"""How long after the deadline the executor's own word is still waited for."""
MAX_MESSAGE = (1 << 31) - 1

Answer = Callable[[Request, grpc.ServicerContext], Reply]


class Waiter:
    """The sink of one call: its thread waits here for the reply."""

    def __init__(self) -> None:
        self.closed = False
        self.writable = True
        self._replies: SimpleQueue[Reply | None] = SimpleQueue()
        self._stream: tuple[Reply, list[bytes]] | None = None

    def wait(self, seconds: float) -> Reply | None:
        """The reply; None where the client has gone or the time is over."""
        try:
            return self._replies.get(timeout=seconds)
        except Empty:
            return None
        finally:
            self.closed = True

    def hang_up(self) -> None:
        """The client has cancelled, or its deadline has passed."""
        self.closed = True
        self._replies.put(None)

    def answer(self, reply: Reply) -> None:
        """A whole reply."""
        self._replies.put(reply)

    def begin_stream(self, reply: Reply) -> None:
        """The head of a reply that comes in pieces: a call has one message, so they are gathered."""
        self._stream = reply, []

    def send_piece(self, data: bytes) -> None:
        """A piece of it."""
        assert self._stream is not None
        self._stream[1].append(data)

    def end_stream(self, whole: bool) -> None:
        """Its end."""
        assert self._stream is not None
        head, pieces = self._stream
        if whole:
            self.answer(Reply(b"".join(pieces), head.content_type, head.status, head.headers, head.fault))
        else:
            self.answer(Reply(b"", status=500, fault="the answer broke off"))


class RpcServer:
    """The gRPC port of one process. Several processes may share the port: the kernel spreads the connections.

    `start`, then `drain` (calls under way go on, `idle` says when they have ended), then `stop`.
    """

    def __init__(self, routes: Routes, settings: Settings) -> None:
        self._routes, self._settings = routes, settings
        self._ended: threading.Event | None = None
        self._server = _make(self._answer, self._is_ready, settings.max_payload, shared=True)

    def start(self) -> None:
        """Listen on the settings' host and gRPC port; StartError where somebody else does."""
        settings = self._settings
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        try:
            self._server.add_insecure_port(f"{host}:{settings.grpc_port}")
        except RuntimeError:
            raise StartError(
                f"cannot listen on {settings.host}:{settings.grpc_port} for gRPC; "
                "free the port, or choose another with EI_GRPC_PORT or --grpc-port"
            ) from None
        self._server.start()

    def drain(self) -> None:
        """Take no more calls; those that are under way have the grace time."""
        self._ended = self._server.stop(self._settings.grace)

    @property
    def idle(self) -> bool:
        """Whether everything accepted has been answered, once it drains."""
        return self._ended is not None and self._ended.is_set()

    def stop(self) -> None:
        """End what is still under way."""
        self._server.stop(0).wait()

    def _is_ready(self) -> bool:
        return self._routes.executor.ready and not self._routes.draining and self._ended is None

    def _answer(self, request: Request, context: grpc.ServicerContext) -> Reply:
        """The executor's reply; this runs in a thread of gRPC's."""
        request.id = self._routes.new_id()
        waiter = Waiter()
        if not context.add_callback(waiter.hang_up):
            waiter.hang_up()
        else:
            self._routes.loop.call_soon_threadsafe(self._submit, waiter, request)
        reply = waiter.wait(self._settings.deadline + LATE_SECONDS)
        context.set_trailing_metadata((("x-request-id", request.id),))
        return reply or failure(DeadlineExceeded("the call was not answered by its deadline"), request)

    def _submit(self, waiter: Waiter, request: Request) -> None:
        """Hand a call to the executor, or answer why not; this runs on the event loop."""
        executor = self._routes.executor
        try:
            if len(request.body) > INLINE_BODY_BYTES:
                body, request.body = request.body, executor.allocate(len(request.body))
                request.body[:] = body
            executor.submit(waiter, request)
        except ServingError as error:
            if isinstance(request.body, memoryview):
                executor.release(request.body)
            reply = failure(error, request)
            waiter.answer(reply)
            self._routes.recorder.refusal(request, reply)


class Local:
    """A gRPC server on loopback over a service of this process, and a channel to it."""

    def __init__(self, service: Service, port: int) -> None:
        self._server = _make(lambda request, _: invoke(service, [request])[0], lambda: True, MAX_MESSAGE, shared=False)
        try:
            self.port: int = self._server.add_insecure_port(f"127.0.0.1:{port}")
        except RuntimeError:
            raise OSError(f"port {port} is not free") from None
        self._server.start()
        self.channel = grpc.insecure_channel(f"127.0.0.1:{self.port}", options=_sizes(MAX_MESSAGE))

    def close(self) -> None:
        """Stop listening."""
        self.channel.close()
        self._server.stop(0).wait()


def serve_locally(service: Service, port: int) -> Local:
    """Answer calls on loopback by passes in the threads that take them; port 0 is any, OSError says that one is not free."""
    return Local(service, port)


def _make(answer: Answer, ready: Callable[[], bool], limit: int, shared: bool) -> grpc.Server:
    options = [*_sizes(limit), ("grpc.so_reuseport", int(shared))]
    threads = ThreadPoolExecutor(THREADS, thread_name_prefix="ei-grpc")
    return grpc.server(threads, [_Services(answer, ready)], options=options, maximum_concurrent_rpcs=MAX_CALLS)


def _sizes(limit: int) -> list[tuple[str, int]]:
    return [("grpc.max_receive_message_length", min(limit, MAX_MESSAGE)), ("grpc.max_send_message_length", -1)]


class _Services(grpc.GenericRpcHandler):
    """All methods by their path, without the generated classes: these would parse what is only handed on."""

    def __init__(self, answer: Answer, ready: Callable[[], bool]) -> None:
        self._answer = answer
        self._handlers: dict[str, Any] = {
            path: grpc.unary_unary_rpc_method_handler(partial(self._call, message)) for path, message in METHODS.items()
        }
        health = lambda body, context: SERVING if ready() else NOT_SERVING  # noqa: E731
        self._handlers[HEALTH] = grpc.unary_unary_rpc_method_handler(health)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        """The handler of a path; None is UNIMPLEMENTED."""
        return self._handlers.get(handler_call_details.method)

    def _call(self, message: str, body: bytes, context: grpc.ServicerContext) -> bytes:
        headers = [(key, value) for key, value in context.invocation_metadata() if isinstance(value, str)]
        request = Request(body, CONTENT_TYPE + message, headers=headers, id="grpc", arrived=perf_counter())
        try:
            reply = self._answer(request, context)
        except ServingError as error:
            reply = failure(error, request)
        if reply.status >= 300:
            context.abort(_code(reply.status), _details(reply))
        assert isinstance(reply.body, bytes)
        return reply.body


def _code(status: int) -> grpc.StatusCode:
    return CODES.get(status, grpc.StatusCode.INVALID_ARGUMENT if status < 500 else grpc.StatusCode.INTERNAL)


def _details(reply: Reply) -> str:
    """What a client is told of a failure."""
    text = reply.fault or (reply.body.decode("utf-8", "replace") if isinstance(reply.body, bytes) else "")
    return text if len(text) <= MAX_DETAILS else text[:MAX_DETAILS] + " ..."
