"""Who a test of gRPC talks to: our server in a thread, grpcio's server, and a socket that speaks frames as it likes."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import uvloop

from container.accelerator import certificates
from serving.accelerators.errors import Code
from serving.accelerators.rpc import channels, frames
from serving.accelerators.rpc.grpcio import GrpcChannel
from serving.accelerators.rpc.request_blocks import RequestBlocks
from serving.accelerators.rpc.server import Call, Server, serve
from serving.accelerators.rpc.target import Target
from tests.integration.faults.server import free_port

WAIT_SECONDS = 20
UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
Frame = tuple[int, int, int, bytes]


class Echo:
    """A handler whose paths say what it does."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.bodies: list[bytes] = []
        self.cancelled: list[str] = []
        self.closed_streams: list[str] = []

    def is_streaming(self, path: str) -> bool:
        """The streamed ones."""
        return path.startswith("/t/Stream")

    def handle(self, call: Call, body: Any) -> None:
        """Do what the path says."""
        self.calls.append(call)
        method = getattr(self, call.path.removeprefix("/t/").lower(), None)
        if method is None:
            call.fail(Code.UNIMPLEMENTED, f"no method {call.path}")
        else:
            method(call, body)

    def half_closed(self, call: Call) -> None:
        """The stream's last word."""
        if call.path != "/t/StreamKept":
            call.finish()

    def closed(self, call: Call) -> None:
        """A stream that was broken off."""
        self.closed_streams.append(call.path)

    def echo(self, call: Call, body: Any) -> None:
        """The same again."""
        call.reply([body])

    def pieces(self, call: Call, body: Any) -> None:
        """The same again, in pieces of several kinds."""
        view = memoryview(body)
        call.reply([bytes(view[:1]), bytearray(view[1:2]), b"", view[2:]])

    def size(self, call: Call, body: Any) -> None:
        """The message's length."""
        call.reply([str(len(body)).encode()])

    def big(self, call: Call, body: Any) -> None:
        """As many bytes as the message says."""
        call.reply([pattern(int(bytes(body)))])

    def later(self, call: Call, body: Any) -> None:
        """The same again, some turns of the loop later."""
        asyncio.get_running_loop().call_later(0.05, call.reply, [body])

    def never(self, call: Call, body: Any) -> None:
        """No answer; what happens to the call is remembered."""
        call.on_cancel = lambda: self.cancelled.append(call.path)

    def wrong(self, call: Call, body: Any) -> None:
        """An error with letters that need escaping."""
        call.fail(Code.FAILED_PRECONDITION, "ü 100% no\nsecond line")

    def broken(self, call: Call, body: Any) -> None:
        """A handler's own mistake."""
        raise RuntimeError("a secret of the handler")

    def twice(self, call: Call, body: Any) -> None:
        """Two answers: the first counts."""
        call.reply([b"first"])
        call.reply([b"second"])
        call.fail(Code.INTERNAL, "third")

    def metadata(self, call: Call, body: Any) -> None:
        """What came along."""
        call.reply([repr(sorted(call.metadata.items())).encode()])

    def stream(self, call: Call, body: Any) -> None:
        """Each message again."""
        call.send([body])

    def streamfail(self, call: Call, body: Any) -> None:
        """One message, then an error."""
        call.send([body])
        call.fail(Code.ABORTED, "enough")

    def streamkept(self, call: Call, body: Any) -> None:
        """Nothing: the stream stays open."""

    def streamflood(self, call: Call, body: Any) -> None:
        """A hundred messages of a megabyte."""
        for _ in range(100):
            call.send([bytes(1 << 20)])


def pattern(size: int) -> bytes:
    """Bytes of which no part is like the next."""
    return np.arange(size // 4 + 1, dtype=">u4").tobytes()[:size]


class Served:
    """Our server on a loop in a thread of its own."""

    def __init__(self, handler: Echo, address: tuple[str | int, ...]) -> None:
        self.handler, self._address = handler, address
        self.loop = uvloop.new_event_loop()
        self.server: Server
        self._thread = threading.Thread(target=self.loop.run_forever)

    @property
    def port(self) -> int:
        """Its port."""
        return int(self._address[1])

    @property
    def address(self) -> str:
        """As a target names it."""
        return ":".join(map(str, self._address))

    def start(self, **options: Any) -> None:
        """Listen."""
        self._thread.start()
        self.server = self.run(serve(self.handler, *self._address, **options))

    def run(self, job: Any) -> Any:
        """Await something on its loop."""
        return asyncio.run_coroutine_threadsafe(job, self.loop).result(WAIT_SECONDS)

    def do(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call something on its loop."""

        async def call() -> Any:
            return function(*arguments)

        return self.run(call())

    def stop(self) -> None:
        """End it."""
        self.run(self.server.close())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(WAIT_SECONDS)
        self.loop.close()


@contextmanager
def served(*address: str | int, **options: Any) -> Iterator[Served]:
    """Our server, for a while."""
    running = Served(Echo(), address or ("127.0.0.1", free_port()))
    running.start(**options)
    try:
        yield running
    finally:
        running.stop()


@contextmanager
def grpcio_server(limit: int = -1, threads: int = 4) -> Iterator[str]:
    """A server of grpcio's with the methods that clients' tests use: its address."""
    methods = {
        "Echo": lambda body, context: body,
        "Size": lambda body, context: str(len(body)).encode(),
        "Big": lambda body, context: pattern(int(body)),
        "Wrong": lambda body, context: context.abort(grpc.StatusCode.FAILED_PRECONDITION, "ü 100% no"),
        "Never": lambda body, context: time.sleep(1),
    }
    handlers = {name: grpc.unary_unary_rpc_method_handler(method) for name, method in methods.items()}
    handlers["Stream"] = grpc.stream_stream_rpc_method_handler(lambda bodies, context: bodies)
    options = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", limit)]
    server = grpc.server(futures.ThreadPoolExecutor(threads), options=options)
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("t", handlers)])
    address = f"127.0.0.1:{free_port()}"
    server.add_insecure_port(address)
    server.start()
    try:
        yield address
    finally:
        server.stop(None).wait()


class Raw:
    """A socket that says what a test wants, and reads frames."""

    def __init__(self, port: int, greet: bool = True) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), WAIT_SECONDS)
        self._rest = b""
        self.received: list[Frame] = []
        if greet:
            self.socket.sendall(frames.PREFACE + frames.settings({}))

    @classmethod
    def of(cls, sock: socket.socket) -> Raw:
        """The other end of a connection: a client's, of which nothing has been read."""
        self = cls.__new__(cls)
        self.socket, self._rest, self.received = sock, b"", []
        sock.settimeout(WAIT_SECONDS)
        return self

    def greeted(self, settings: dict[int, int] | None = None) -> Raw:
        """Take a client's preface and exchange settings."""
        while len(self._rest) < len(frames.PREFACE):
            data = self.socket.recv(1 << 16)
            assert data
            self._rest += data
        assert self._rest.startswith(frames.PREFACE)
        self._rest = self._rest[len(frames.PREFACE) :]
        self.send(frames.settings(settings or {}))
        self.until(frames.SETTINGS, 0, frames.ACK)
        return self

    def __enter__(self) -> Raw:
        return self

    def __exit__(self, *error: object) -> None:
        self.socket.close()

    def send(self, *data: bytes) -> None:
        """Send bytes; that the server has hung up shows when it is read from."""
        try:
            self.socket.sendall(b"".join(data))
        except OSError:
            return

    def next(self) -> Frame | None:
        """The next frame; None where the connection ended."""
        while True:
            if len(self._rest) >= frames.HEAD_SIZE:
                word, flags, stream = frames.HEAD.unpack_from(self._rest)
                end = frames.HEAD_SIZE + (word >> 8)
                if len(self._rest) >= end:
                    payload, self._rest = self._rest[frames.HEAD_SIZE : end], self._rest[end:]
                    self.received.append((word & 0xFF, flags, stream, payload))
                    return self.received[-1]
            try:
                data = self.socket.recv(1 << 16)
            except ConnectionError:
                return None
            if not data:
                return None
            self._rest += data

    def until(self, kind: int, stream: int | None = None, flags: int = 0) -> bytes:
        """The payload of the next frame of a kind."""
        while True:
            found = self.next()
            assert found is not None, f"the connection ended; it had said {self.received}"
            if found[0] == kind and stream in (None, found[2]) and found[1] & flags == flags:
                return found[3]

    def goodbye(self) -> frames.Fault:
        """The error of the GOAWAY after which the server closes."""
        fault = None
        while (found := self.next()) is not None:
            if found[0] == frames.GOAWAY:
                fault = frames.Fault(frames.read_goaway(found[3])[1])
        assert fault is not None, f"closed without a GOAWAY; it had said {self.received}"
        return fault

    def is_answered(self) -> None:
        """A PING comes back: the connection goes on."""
        self.send(frames.frame(frames.PING, 0, 0, b"answer me"[:8]))
        self.until(frames.PING, 0, frames.ACK)


def opening(path: str, stream: int = 1, flags: int = frames.END_HEADERS, seconds: float = 30) -> bytes:
    """A call's HEADERS frame."""
    return frames.frame(frames.HEADERS, flags, stream, RequestBlocks(Target("127.0.0.1:1"))(path, seconds))


def message(body: bytes, stream: int = 1, flags: int = frames.END_STREAM, compressed: int = 0) -> bytes:
    """A message in one DATA frame."""
    return frames.frame(frames.DATA, flags, stream, frames.PREFIX.pack(compressed, len(body)) + body)


def secure(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """A server's TLS, and the file of the authority that clients trust."""
    made = certificates.make("localhost", folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.certificate, made.key)
    return context, made.ca


class Scripted:
    """A server of which each connection, in turn, does what a script says; the last script goes on for all that follow."""

    def __init__(self, *scripts: Callable[[Raw], None]) -> None:
        self._scripts = list(scripts)
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.connections = 0
        self.failed: list[BaseException] = []
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def __enter__(self) -> Scripted:
        return self

    def __exit__(self, *error: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(WAIT_SECONDS)
        assert not self.failed, self.failed

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            script = self._scripts[min(self.connections, len(self._scripts) - 1)]
            self.connections += 1
            self._threads.append(threading.Thread(target=self._run, args=(script, sock)))
            self._threads[-1].start()

    def _run(self, script: Callable[[Raw], None], sock: socket.socket) -> None:
        with Raw.of(sock) as peer:
            try:
                script(peer)
            except BaseException as error:  # noqa: BLE001
                self.failed.append(error)


class Awaited:
    """An awaited channel, on a loop in a thread, behind the methods of a blocking one."""

    def __init__(self, target: Target) -> None:
        self.loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()
        self.channel: Any = self._run(self._open(target))

    async def _open(self, target: Target) -> Any:
        return channels.open_awaited(target)

    def _run(self, job: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(job, self.loop).result(WAIT_SECONDS)

    def call(self, path: str, pieces: list[Any], timeout: float) -> bytes:
        """One unary call."""
        answer: bytes = self._run(self.channel.call(path, pieces, timeout))
        return answer

    def close(self) -> None:
        """End it, and the loop."""

        async def close() -> None:
            self.channel.close()
            await asyncio.sleep(0.01)

        self._run(close())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(WAIT_SECONDS)
        self.loop.close()


@contextmanager
def calling(kind: str, address: str, **target: Any) -> Iterator[Any]:
    """A channel of ours to an address: direct, multiplexed, or by grpcio."""
    to = Target(address, **target)
    channel: Any
    if kind == "multiplexed":
        channel = Awaited(to)
        assert type(channel.channel).__name__ == "MultiplexedChannel"
    elif kind == "direct":
        channel = channels.open(to)
        assert type(channel).__name__ == "DirectChannel"
    else:
        channel = GrpcChannel(to)
    try:
        yield channel
    finally:
        channel.close()
