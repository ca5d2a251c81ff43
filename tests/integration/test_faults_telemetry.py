"""What the server says of itself while things go wrong: counts over all processes, a line an invocation, a log nobody reads."""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.integration.faults.client import invocation
from tests.integration.faults.server import Server, until

pytestmark = pytest.mark.fault
Start = Callable[..., Server]

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
JSON_FIELDS = {
    "time", "request_id", "model", "status", "content_type", "bytes_in", "queue_ms", "decode_ms", "forward_ms", "encode_ms", "total_ms",
}  # fmt: skip


def counts(server: Server) -> dict[str, float]:
    """Samples of `/metrics` by their name with labels."""
    with server.connect() as client:
        client.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        text = client.response().body.decode()
    samples = (line.rpartition(" ") for line in text.splitlines() if line and not line.startswith("#"))
    return {name: float(value) for name, _, value in samples}


def answered(server: Server, status: int = 200) -> float:
    """How many answers of this status have been counted."""
    return counts(server).get(f'ei_invocations_total{{status="{status}"}}', 0)


def test_counts_of_all_processes(start: Start, with_script: Callable[[str], Path], placement: str) -> None:
    """Whichever process is asked, `/metrics` counts every answer as soon as it is here, whatever its status."""
    server = start(with_script("obeys"), EI_PLACEMENT=placement)
    for number in range(1, 41):
        assert server.ask("fine").status == 200
        # An answer leaves a few microseconds before it is counted, and another process may be asked in between.
        until(lambda number=number: answered(server) == number, "the answer is counted", 1)  # type: ignore[misc]
    found = counts(server)
    assert found["ei_invocation_seconds_count"] == 40
    assert found["ei_request_bytes_total"] == found["ei_reply_bytes_total"] == 160
    for _ in range(3):
        assert server.ask("raise").status == 500
    with server.connect() as client:
        client.send(b"PUT /invocations HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.response().status == 405
    until(lambda: (answered(server, 500), answered(server, 405)) == (3, 1), "the refusals are counted", 1)
    assert answered(server) == 40


def test_counts_outlive_processes(start: Start, with_script: Callable[[str], Path], placement: str) -> None:
    """Counters never fall: what a process counted stays when it is killed, and a killed model process is counted itself."""
    model = with_script("obeys")
    server = start(model, EI_PLACEMENT=placement)
    for _ in range(8):
        server.ask("fine")
    until(lambda: answered(server) == 8, "the answers are counted")
    before = set(server.children())
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    until(lambda: not before & set(server.children()) and server.ping() == 200, "other processes serve")
    assert server.ask("fine").status == 200
    until(lambda: answered(server) == 9, "the count goes on where it was")
    if placement == "pool":
        with server.connect() as client:
            client.invoke("vanish")
            assert client.response().status == 500
        until(lambda: counts(server)["ei_model_processes_ended_total"] == 1, "its end is counted")


def lines(server: Server, count: int) -> list[str]:
    """So many lines of the server's stdout, when they are there."""
    until(lambda: server.out.read_text().count("\n") >= count, f"{count} invocations are in the log")
    found = server.out.read_text().splitlines()
    assert len(found) == count
    return found


def test_access_log_as_text(start: Start, with_script: Callable[[str], Path], placement: str) -> None:
    """Each invocation is one line with id, model, status, sizes and the times of its stages; `/ping` is none."""
    server = start(with_script("obeys"), EI_PLACEMENT=placement)
    server.ask("fine", ("X-Request-Id", "r-1"), ("traceparent", TRACE))
    server.ask("raise", ("X-Request-Id", "r-2"))
    assert server.ping() == 200
    good, bad = sorted(lines(server, 2), key=lambda line: line.split()[1])  # of two processes, perhaps
    stages = " ".join(rf"{stage}=\d+\.\d{{3}}" for stage in ("queue", "decode", "forward", "encode", "total"))
    time = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
    assert re.fullmatch(rf"{time} r-1 model=obeys status=200 in=4 {stages} trace={TRACE}", good)
    assert re.fullmatch(rf'{time} r-2 model=obeys status=500 in=5 {stages} fault="transform_fn.*"', bad)


def test_access_log_as_json(start: Start, with_script: Callable[[str], Path], placement: str) -> None:
    """With EI_LOG_FORMAT=json every line of both streams is a JSON object; an invocation's has its fields."""
    server = start(with_script("obeys"), EI_PLACEMENT=placement, EI_LOG_FORMAT="json")
    server.ask("fine", ("X-Request-Id", "r-1"), ("traceparent", TRACE))
    server.ask("raise", ("X-Request-Id", "r-2"))
    good, bad = sorted((json.loads(line) for line in lines(server, 2)), key=lambda line: str(line["request_id"]))
    assert set(good) == JSON_FIELDS | {"traceparent"}
    assert (good["request_id"], good["status"], good["bytes_in"], good["traceparent"]) == ("r-1", 200, 4, TRACE)
    assert set(bad) == JSON_FIELDS | {"fault"}
    assert "does not like this" in bad["fault"]
    messages: list[Any] = [json.loads(line) for line in server.logged().splitlines()]
    assert any("traceback" in message for message in messages)


def test_forged_lines(start: Start, mlp_dir: Path) -> None:
    """A client's words stay on the line of its own invocation, whatever they are."""
    server = start(mlp_dir)
    server.ask("1,2,3,4", ("X-Request-Id", "r 1\tstatus=200"), ("traceparent", "a b\x85c status=999"))
    (line,) = lines(server, 1)
    assert line.count("status=") == 2
    assert 'trace="a b?c status=999"' in line


def test_logs_that_nobody_reads(start: Start, with_script: Callable[[str], Path], placement: str) -> None:
    """Answers go on when the pipe of both logs is full, and the server ends in time."""
    read, write = os.pipe()
    fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, 4096)
    try:
        server = start(with_script("obeys"), EI_PLACEMENT=placement, stdout=write, stderr=write)
        with server.connect() as client:
            for order, status in (("fine", 200), ("raise", 500)):
                for _ in range(4):
                    client.send(invocation(order) * 50)
                    assert {client.response().status for _ in range(50)} == {status}
        assert server.ping() == 200
        assert server.stop() == 0
    finally:
        os.close(read)
        os.close(write)
