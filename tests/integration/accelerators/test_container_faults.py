"""Accelerators that go while a container uses them: what its clients and the platform are told, and that it recovers by itself."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.integration.accelerators.conftest import RunningAccelerator, StartAccelerator
from tests.integration.conftest import Start
from tests.integration.faults.server import Server, until

JSON = ("Content-Type", "application/json")
PHRASE = "Failed to detect any accelerator"
SCRIPTS = Path(__file__).parent / "scripts"
BODY = json.dumps([[1, 2, 3, 4]])


@pytest.fixture(params=["files", "module"])
def model(request: pytest.FixtureRequest, mlp_dir: Path, tmp_path: Path) -> Path:
    """The perceptron's files alone, and with a script around its Module."""
    if request.param == "files":
        return mlp_dir
    shutil.copytree(mlp_dir, tmp_path / "served")
    (tmp_path / "served" / "code").mkdir()
    shutil.copy(SCRIPTS / f"{request.param}.py", tmp_path / "served" / "code" / "inference.py")
    return tmp_path / "served"


def right(server: Server, expected: object) -> bool:
    """Whether an invocation is answered, and rightly so."""
    response = server.ask(BODY, JSON)
    assert response.status in (200, 503), response.body
    if response.status == 200:
        np.testing.assert_allclose(np.array(response.json), np.array(expected), rtol=1e-6)
    return response.status == 200


def test_gone_and_back(model: Path, start: Start, start_accelerator: StartAccelerator) -> None:
    """Without its accelerator invocations are 503 and say so, `/ping` is after a while; both are well again when it is back."""
    accelerator = start_accelerator()
    server = start(model, EI_ACCELERATORS=accelerator.address)
    expected = server.ask(BODY, JSON).json
    accelerator.stop(signal.SIGKILL)
    response = server.ask(BODY, JSON)
    assert response.status == 503
    assert PHRASE in response.json["message"]
    assert "\n" not in response.json["message"]
    until(lambda: server.ping() == 503, "the container is unhealthy")
    response = server.ask(BODY, JSON)
    assert (response.status, PHRASE in response.json["message"]) == (503, True)
    again = start_accelerator(port=accelerator.port)
    until(lambda: server.ping() == 200, "the container is healthy")
    until(lambda: right(server, expected), "the right answer")
    assert again.requests() > 0
    assert server.process.poll() is None


def test_back_within_the_grace(model: Path, start: Start, start_accelerator: StartAccelerator) -> None:
    """An accelerator that is started anew meanwhile, without the model, is sent it again: `/ping` never falters."""
    accelerator = start_accelerator()
    server = start(model, EI_ACCELERATORS=accelerator.address)
    expected = server.ask(BODY, JSON).json
    accelerator.stop(signal.SIGKILL)
    start_accelerator(port=accelerator.port)
    until(lambda: right(server, expected), "the right answer")
    assert server.ping() == 200


def test_an_engine_that_dies(mlp_dir: Path, start: Start, start_accelerator: StartAccelerator) -> None:
    """Engines killed under load take no wrong answer along, and what fails is a 503."""
    accelerator = start_accelerator()
    server = start(mlp_dir, EI_ACCELERATORS=accelerator.address)
    expected = server.ask(BODY, JSON).json
    done = threading.Event()
    statuses: list[bool] = []
    clients = [threading.Thread(target=_ask_on, args=(server, expected, done, statuses)) for _ in range(4)]
    for client in clients:
        client.start()
    _kill_engines(accelerator, lambda: len(statuses))
    done.set()
    for client in clients:
        client.join()
    assert right(server, expected)


def _ask_on(server: Server, expected: object, done: threading.Event, statuses: list[bool]) -> None:
    while not done.is_set():
        statuses.append(right(server, expected))


def _kill_engines(accelerator: RunningAccelerator, answered: Callable[[], int]) -> None:
    """Kill the engines amid answers, and wait for many more."""
    until(lambda: answered() > 20, "load")
    for pid in accelerator.engines():
        os.kill(pid, signal.SIGKILL)
    seen = answered()
    until(lambda: answered() > seen + 50, "answers after the engines' end")
