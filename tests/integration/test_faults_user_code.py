"""User code that raises, returns nonsense, exits, hangs or takes all memory: its own request fails, the next one works."""

from __future__ import annotations

import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.integration.faults.client import Response
from tests.integration.faults.server import Server, until

pytestmark = pytest.mark.fault
Start = Callable[..., Server]


def check_failure(reply: Response, status: int, message: str) -> None:
    """The reply is an error in JSON, with the id that the request came with and no traceback."""
    error: Any = reply.json
    assert (reply.status, error["code"], error["request_id"]) == (status, status, "r-1")
    assert message in error["message"]
    assert b"Traceback" not in reply.body


def test_failing_script(start: Start, with_script: Callable[[str], Path], placement: str) -> None:
    """A script that raises, returns the wrong type or exits is a 500 with its message; its traceback is in the log alone."""
    server = start(with_script("obeys"), EI_PLACEMENT=placement)
    check_failure(server.ask("type", ("X-Request-Id", "r-1")), 500, "returned a value of type object")
    assert "Traceback" not in server.logged()
    check_failure(server.ask("exit", ("X-Request-Id", "r-1")), 500, "sys.exit(3) was called")
    check_failure(server.ask("raise", ("X-Request-Id", "r-1")), 500, "ValueError: the script does not like this")
    assert "Traceback" in server.logged()
    assert server.ask("fine").body == b"fine"
    assert server.stop() == 0


def test_hang(start: Start, with_script: Callable[[str], Path], placement: str) -> None:
    """A script that overruns the deadline is a 504, and the next request works."""
    server = start(with_script("obeys"), EI_PLACEMENT=placement, EI_DEADLINE_SECONDS="0.5")
    check_failure(
        server.ask("hang", ("X-Request-Id", "r-1")),
        504,
        "transform_fn did not return" if placement == "inline" else "within 0.5 s",
    )
    until(lambda: server.ping() == 200, "the server is ready again")
    assert server.ask("fine").body == b"fine"
    assert server.stop() == 0


def test_hang_in_native_code(start: Start, with_script: Callable[[str], Path]) -> None:
    """A model process that hangs where no signal handler runs is ended at the deadline; its neighbour goes on answering."""
    server = start(with_script("obeys"), EI_PLACEMENT="pool", EI_DEADLINE_SECONDS="0.5")
    before = set(server.children())
    with server.connect() as client:
        client.invoke("native", ("X-Request-Id", "r-1"))
        assert server.ask("fine").body == b"fine"
        check_failure(client.response(), 504, "within 0.5 s")
    until(lambda: len(set(server.children()) - before) == 1, "the ended process is replaced")
    assert server.ask("fine").body == b"fine"
    assert "overran the deadline" in server.logged()


def test_process_that_vanishes(start: Start, with_script: Callable[[str], Path]) -> None:
    """A script that ends its own process fails its own request, with the cause named, and nothing else."""
    server = start(with_script("obeys"), EI_PLACEMENT="pool")
    for _ in range(8):  # more often than starts may fail in a row
        check_failure(server.ask("vanish", ("X-Request-Id", "r-1")), 500, "the model process was killed")
        until(lambda: server.ping() == 200, "a model process is ready")
    assert server.ask("fine").body == b"fine"
    assert server.stop() == 0


def test_out_of_memory(start: Start, with_script: Callable[[str], Path], placement: str) -> None:
    """A script that takes all the memory there is gets a 500 that says so; the process lives on."""
    server = start(with_script("obeys"), EI_PLACEMENT=placement)
    until(lambda: len(server.children()) == (2 if placement == "inline" else 3), "all processes are there")
    before = server.children()
    for pid in before:
        size = int(Path(f"/proc/{pid}/statm").read_text().split()[0]) * resource.getpagesize()
        resource.prlimit(pid, resource.RLIMIT_AS, (size + (256 << 20), resource.RLIM_INFINITY))
    for _ in range(4):
        check_failure(server.ask("allocate", ("X-Request-Id", "r-1")), 500, "MemoryError")
    assert server.ask("fine").body == b"fine"
    assert server.children() == before
