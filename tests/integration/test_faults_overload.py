"""More than the server can take: it says so at once, keeps what it accepted, and does not grow."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.faults.client import Response, exchange, invocation
from tests.integration.faults.server import Server, until

pytestmark = pytest.mark.fault
Start = Callable[..., Server]

CONNECTIONS = 1000
QUEUE = 10
MODEL_PROCESSES = 2
GROWTH_BYTES = 8 << 20


@pytest.fixture
def _many_files() -> Iterator[None]:
    """A thousand connections are a thousand open files here too."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4 * CONNECTIONS)), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def burst(server: Server, gate: Path) -> list[Response]:
    """A request of each of many connections at once; the gate opens when all but the accepted ones are answered."""
    answers: list[Response] = []

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        reply = await exchange(reader, writer, invocation(f"wait {gate.name}"))
        assert reply is not None
        answers.append(reply)
        writer.close()

    tasks = [asyncio.create_task(one()) for _ in range(CONNECTIONS)]
    async with asyncio.timeout(30):
        while len(answers) < CONNECTIONS - QUEUE - MODEL_PROCESSES:
            await asyncio.sleep(0.01)
        assert all(reply.status == 503 for reply in answers), "nothing can have been answered before the gate is open"
        gate.touch()
        await asyncio.gather(*tasks)
    return answers


@pytest.mark.usefixtures("_many_files")
def test_overload(start: Start, with_script: Callable[[str], Path]) -> None:
    """Of 1,000 requests at once all that find no place are refused while the others still run, with when to come again.

    The accepted ones are answered right, and a second burst finds the memory and the sockets that the first one left.
    """
    model = with_script("obeys")
    server = start(model, EI_PLACEMENT="pool", EI_QUEUE_SIZE=str(QUEUE))
    until(lambda: len(server.children()) == 1 + MODEL_PROCESSES, "all processes are there")
    front = server.children()[0]
    sockets, sizes = server.own_sockets(front), []
    for number in range(3):
        gate = model / f"gate{number}"
        answers = asyncio.run(burst(server, gate))
        accepted = [reply for reply in answers if reply.status == 200]
        assert len(accepted) == QUEUE + MODEL_PROCESSES
        assert {reply.body for reply in accepted} == {b"wait " + gate.name.encode()}
        refused = next(reply for reply in answers if reply.status == 503)
        assert refused.headers["retry-after"] == str(refused.json["retry_after_seconds"])
        until(lambda: server.sockets(front) <= sockets, "the front lets go of its sockets")
        assert server.ask("fine").body == b"fine"
        sizes.append(server.resident())
    assert sizes[2] - sizes[0] < GROWTH_BYTES, sizes


def test_too_many_bytes(start: Start, with_script: Callable[[str], Path]) -> None:
    """Bodies beyond EI_QUEUE_MB are refused with a 503 while others are held, and fit again when those have gone."""
    model = with_script("obeys")
    server = start(model, EI_PLACEMENT="pool", EI_QUEUE_MB="4")
    with server.connect() as client:
        client.invoke(b"wait gate".ljust(3 << 20))
        until(lambda: (model / "gate.began").exists(), "a request waits in a model process")
        refused = server.ask(b"x" * (3 << 20))
        assert (refused.status, refused.json["retry_after_seconds"]) == (503, 1)
        (model / "gate").touch()
        assert client.response().status == 200
    assert server.ask(b"x" * (3 << 20)).status == 200


def test_too_many_connections(start: Start, with_script: Callable[[str], Path], placement: str) -> None:
    """Connections beyond EI_MAX_CONNECTIONS are closed at once; those that are there are served on."""
    server = start(with_script("obeys"), EI_PLACEMENT=placement, EI_MAX_CONNECTIONS="8", EI_WORKERS="1")
    clients = [server.connect() for _ in range(8)]
    for client in clients:
        client.invoke("fine")
        assert client.response().status == 200
    with server.connect() as client:
        assert client.at_end()
    for client in clients:
        client.invoke("fine")
        assert client.response().status == 200
        client.close()
    until(lambda: server.ping() == 200, "there is room again")


def test_no_file_descriptors_left(start: Start, with_script: Callable[[str], Path], placement: str) -> None:
    """A server that may open no more files goes on with the connections that it has, and with new ones when some have gone."""
    server = start(with_script("obeys"), EI_PLACEMENT=placement, EI_WORKERS="1")
    accepting = server.children()[0]
    _, hard = resource.prlimit(accepting, resource.RLIMIT_NOFILE)
    resource.prlimit(accepting, resource.RLIMIT_NOFILE, (64, hard))
    with server.connect() as old:
        old.invoke("fine")
        assert old.response().status == 200
        clients = [server.connect() for _ in range(100)]
        old.invoke("fine")
        assert old.response().status == 200
        for client in clients:
            client.close()
    until(lambda: is_taken(server), "new connections are taken again")
    assert server.ask("fine").body == b"fine"


def is_taken(server: Server) -> bool:
    """Whether a new connection is answered; one for which there is no file yet is closed without a word."""
    try:
        return server.ping() == 200
    except (AssertionError, ConnectionError):
        return False
