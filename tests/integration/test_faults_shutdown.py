"""SIGTERM and Ctrl-C: what was accepted is answered, what is idle is closed, and the exit status is 0 within the grace time."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.faults.client import exchange, invocation
from tests.integration.faults.server import Server, until

pytestmark = pytest.mark.fault
Start = Callable[..., Server]

CONNECTIONS = 64
QUICK_SECONDS = 5.0
"""Far less than the grace time: nothing was waited for in vain."""


async def load_until_closed(server: Server, body: Callable[[int], str], act: Callable[[], object]) -> list[str]:
    """Connections that send one request after the other until theirs is closed in an answer; what went wrong."""
    faults: list[str] = []
    answered = 0

    async def client(number: int) -> None:
        nonlocal answered
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        while True:
            reply = await exchange(reader, writer, invocation(body(number)))
            if reply is None or reply.status != 200:
                faults.append(f"request {number}: {reply}")
                break
            answered += 1
            if reply.headers.get("connection") == "close":
                break
            number += CONNECTIONS
        writer.close()

    async with asyncio.timeout(60):
        tasks = [asyncio.create_task(client(n)) for n in range(CONNECTIONS)]
        while answered < 3 * CONNECTIONS:
            await asyncio.sleep(0.01)
        act()
        await asyncio.gather(*tasks)
    return faults


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_stop_under_load(start: Start, mlp_dir: Path, placement: str, number: int) -> None:
    """Every request that 64 busy connections sent before they heard of the end is answered, and the exit status is 0."""
    server = start(mlp_dir, EI_PLACEMENT=placement)
    begin = 0.0

    def stop() -> None:
        nonlocal begin
        begin = time.monotonic()
        server.process.send_signal(number)

    assert asyncio.run(load_until_closed(server, lambda n: f"{n},0,0,1", stop)) == []
    assert server.process.wait(QUICK_SECONDS) == 0
    assert time.monotonic() - begin < QUICK_SECONDS
    assert "Traceback" not in server.logged()


def test_stop_with_a_queue(start: Start, with_script: Callable[[str], Path]) -> None:
    """Requests that wait for a model process when SIGTERM comes are all answered before the exit."""
    model = with_script("obeys")
    server = start(model, EI_PLACEMENT="pool")
    clients = [server.connect() for _ in range(12)]
    for client in clients:
        client.invoke("wait gate")
    until(lambda: (model / "gate.began").exists(), "a model process has begun")
    with server.connect() as idle:  # answered after all of the above were read
        idle.send(b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n")
        assert idle.response().status == 200
        server.process.send_signal(signal.SIGTERM)
        assert idle.at_end()
    (model / "gate").touch()
    for client in clients:
        assert client.response().body == b"wait gate"
        client.close()
    assert server.process.wait(QUICK_SECONDS) == 0


def test_stop_with_a_body_on_its_way(start: Start, with_script: Callable[[str], Path], placement: str) -> None:
    """A request whose body is half here when SIGTERM comes is received, answered, and its connection closed."""
    server = start(with_script("obeys"), EI_PLACEMENT=placement)
    body = b"x" * (1 << 20)
    raw = invocation(body)
    with server.connect() as client, server.connect() as idle:
        idle.send(b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n")
        assert idle.response().status == 200
        client.send(raw[: 1 << 19])
        client.send(b"")
        assert server.ping() == 200
        server.process.send_signal(signal.SIGTERM)
        assert idle.at_end()
        client.send(raw[1 << 19 :])
        reply = client.response()
        assert (reply.body, reply.headers["connection"]) == (body, "close")
        assert client.at_end()
    assert server.process.wait(QUICK_SECONDS) == 0


def test_stop_with_idle_connections(start: Start, with_script: Callable[[str], Path], placement: str) -> None:
    """Idle keep-alive connections hold up nothing: they are closed and the server ends at once."""
    server = start(with_script("obeys"), EI_PLACEMENT=placement)
    clients = [server.connect() for _ in range(32)]
    for client in clients:
        client.invoke("fine")
        assert client.response().status == 200
    begin = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - begin < QUICK_SECONDS
    for client in clients:
        assert client.at_end()
        client.close()


def test_stop_while_user_code_hangs(start: Start, with_script: Callable[[str], Path]) -> None:
    """A request that takes longer than the grace time does not keep the server: it ends soon after that, still with 0."""
    server = start(with_script("obeys"), EI_PLACEMENT="pool", EI_GRACE_SECONDS="0.5")
    with server.connect() as client:
        client.invoke("native")
        assert server.ask("fine").status == 200
        begin = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - begin < QUICK_SECONDS


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stop_while_the_model_loads(start: Start, tmp_path: Path, number: int) -> None:
    """A stop that comes during the load ends the server at once, without a traceback."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "inference.py").write_text(
        "import time\nfrom pathlib import Path\n\ndef model_fn(model_dir):\n    Path(model_dir, 'loads').touch()\n"
        "    while True:\n        time.sleep(0.05)\n\ndef transform_fn(model, data, content_type, accept):\n    return data\n"
    )
    server = start(tmp_path, ready=False)
    until(lambda: (tmp_path / "loads").exists(), "model_fn runs")
    server.process.send_signal(number)
    assert server.process.wait(QUICK_SECONDS) in (0, -number, 128 + number)
    assert "Traceback" not in server.logged()


def test_stop_while_a_process_is_forked(start: Start, with_script: Callable[[str], Path]) -> None:
    """SIGTERM reaches a process that is just being forked: none is waited for until the grace time has passed."""
    model = with_script("obeys")
    for _ in range(2):
        server = start(model, EI_PLACEMENT="pool")
        assert server.ask("vanish").status == 500
        begin = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - begin < QUICK_SECONDS
