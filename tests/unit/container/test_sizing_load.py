"""The closed loop of requests, against a server that misbehaves in known ways."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from container.errors import ContainerError
from container.sweep import load, payload
from container.sweep.load import Result, Target, Timing
from tests.integration.faults.server import free_port

QUICK = Timing(0.05, 0.3)


class Server(ThreadingHTTPServer):
    """It counts connections and bodies; its paths say how it answers."""

    daemon_threads = True

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.peers: set[tuple[str, int]] = set()
        self.bodies: set[tuple[str, bytes]] = set()


class Handler(BaseHTTPRequestHandler):
    """200 for /good, 500 for /bad, every other time for /half; a hang-up for /gone."""

    protocol_version = "HTTP/1.1"
    counts: dict[str, int] = {}

    def do_POST(self) -> None:
        """Answer by the path."""
        server = self.server
        assert isinstance(server, Server)
        server.peers.add(self.client_address)
        server.bodies.add((self.headers["Content-Type"], self.rfile.read(int(self.headers["Content-Length"]))))
        if self.path == "/gone":
            self.close_connection = True
            return
        self.counts[self.path] = self.counts.get(self.path, 0) + 1
        fails = self.path == "/bad" or (self.path == "/half" and self.counts[self.path] % 2)
        self.send_response(500 if fails else 200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    """A running one."""
    made = Server(free_port())
    thread = threading.Thread(target=made.serve_forever, args=(0.01,))
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


def bench(server: Server, path: str, concurrency: int = 2) -> Result:
    """The figures of a path."""
    target = Target(f"http://127.0.0.1:{server.server_port}{path}", b"hello", "text/plain")
    found: Result = load.run(load.closed(load.http(target), concurrency, QUICK))
    return found


def test_each_worker_has_a_connection_that_it_keeps(server: Server) -> None:
    """Three at a time are three connections, however many requests; the body and its type arrive as they were given."""
    found = bench(server, "/good", 3)
    assert found.requests > 3
    assert len(server.peers) == 3
    assert server.bodies == {("text/plain", b"hello")}
    assert found.errors == 0
    assert 0 < found.percentiles["p50"] <= found.percentiles["p90"] <= found.percentiles["p99"]
    assert found.rate > 0


def test_statuses_are_errors(server: Server) -> None:
    """A 500 is no answer: it counts as an error, has no time and does not raise the rate."""
    found = bench(server, "/bad")
    assert found.errors == found.requests > 0
    assert (found.rate, found.percentiles) == (0, {})
    assert set(found.faults) == {"status 500"}


def test_answers_beside_errors_are_counted(server: Server) -> None:
    """Where every other request fails, both kinds are there."""
    found = bench(server, "/half", 1)
    assert 0 < found.errors < found.requests


def test_a_broken_connection_is_an_error_and_the_next_one_is_made(server: Server) -> None:
    """A server that hangs up is told as such, again and again."""
    found = bench(server, "/gone", 1)
    assert set(found.faults) == {"the connection broke"}
    assert len(server.peers) > 1


def test_nobody_there_is_an_error() -> None:
    """A port on which nothing listens gives errors, no exception."""
    target = Target(f"http://127.0.0.1:{free_port()}/", b"")
    found: Result = load.run(load.closed(load.http(target), 1, QUICK))
    assert found.errors == found.requests > 0
    assert all(fault.startswith("cannot connect") for fault in found.faults)


@pytest.mark.parametrize("url", ["localhost:8080", "ftp://there/x", "http:///x"])
def test_what_is_no_url_is_refused(url: str) -> None:
    """Before anything is sent."""
    with pytest.raises(ContainerError, match="no URL"):
        load.http(Target(url, b""))


def test_percentiles_are_times_that_were_seen() -> None:
    """The smallest that so many of a hundred do not exceed."""
    times = [float(number) for number in range(1, 101)]
    assert [load.percentile(times, at) for at in (50, 90, 99, 100)] == [50, 90, 99, 100]
    assert load.percentile([7.0], 99) == 7


def test_inputs_are_sent_as_numpy_files() -> None:
    """One array as .npy, several as .npz by their names."""
    import io

    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    body, kind = payload.of_inputs({"data": array})
    assert kind == "application/x-npy"
    assert np.array_equal(np.load(io.BytesIO(body)), array)
    body, kind = payload.of_inputs({"a": array, "b": array + 1})
    assert kind == "application/x-npz"
    assert np.array_equal(np.load(io.BytesIO(body))["b"], array + 1)
