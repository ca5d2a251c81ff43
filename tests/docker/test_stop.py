"""`docker stop` while requests are inside."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from container.engine import wait_until
from tests.docker import scripts

pytestmark = [pytest.mark.docker, pytest.mark.fault]

Model = Callable[..., Path]
Start = Callable[..., Any]
CLIENTS = 12
SECONDS = b"0.25"


def test_drains(model: Model, start: Start) -> None:
    """Every request that was accepted before SIGTERM is answered, those that wait in the queue too; then exit 0."""
    server = start(model(scripts.SLOW), environment={"EI_PLACEMENT": "pool", "EI_WORKERS": "2", "EI_WIDE": "false"}).ready()
    with ThreadPoolExecutor(CLIENTS) as clients:
        answers = [clients.submit(server.invoke, SECONDS) for _ in range(CLIENTS)]
        # Three began on two workers: all the others were sent a whole pass ago.
        assert wait_until(lambda: server.log.count("began") >= 3, 20, pause=0.02), server.log
        assert not all(answer.done() for answer in answers)
        status = server.stop()
        assert [answer.result() for answer in answers] == [(200, SECONDS)] * CLIENTS
    assert status == 0
    assert "Traceback" not in server.log


def test_refuses_after_the_stop(model: Model, start: Start) -> None:
    """While it drains, nobody new is let in: a load balancer sees at once that this container is leaving."""
    server = start(model(scripts.SLOW), environment={"EI_PLACEMENT": "pool"}).ready()
    address = server.address
    with ThreadPoolExecutor(2) as clients:
        answer = clients.submit(server.invoke, b"1.5")
        assert wait_until(lambda: "began" in server.log, 20, pause=0.02), server.log
        server.container.kill("SIGTERM")
        assert wait_until(lambda: server.ping() != 200, 1.4, pause=0.02), f"{address} still answers /ping"
        assert answer.result() == (200, b"1.5")
    assert server.wait() == 0


@pytest.mark.parametrize("signal", ["SIGTERM", "SIGINT"])
def test_signals(model: Model, start: Start, signal: str) -> None:
    """SIGTERM, as the platform sends it, and Ctrl-C both end an idle server with exit 0."""
    server = start(model()).ready()
    server.container.kill(signal)
    assert server.wait() == 0
