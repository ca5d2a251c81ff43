"""The image serves a model directory as it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.docker

Model = Callable[..., Path]
Start = Callable[..., Any]


@pytest.mark.parametrize("command", ["serve", None], ids=["docker run IMG serve", "docker run IMG"])
def test_answers(model: Model, start: Start, command: str | None) -> None:
    """Both ways of starting the image answer /ping and /invocations, and stop with exit 0."""
    server = start(model(), command=command).ready()
    assert server.invoke() == server.right
    assert server.stop() == 0


def test_first_process(model: Model, start: Start) -> None:
    """The server is PID 1, so that signals reach it, and all of its processes are uid 10001's."""
    server = start(model()).ready()
    assert server.run("cat", "/proc/1/comm").strip() == "serve"
    processes = server.processes()
    assert {process["uid"] for process in processes} == {"10001"}
    assert {process["ppid"] for process in processes[1:]} == {processes[0]["pid"]}


def test_published_port(model: Model, start: Start) -> None:
    """SAGEMAKER_BIND_TO_PORT moves both routes."""
    server = start(model(), environment={"SAGEMAKER_BIND_TO_PORT": "9123"})
    ask = "import urllib.request as r, time\nfor _ in range(600):\n try: print(r.urlopen('http://localhost:9123/ping').status); break\n except OSError: time.sleep(0.05)"
    assert server.run("python", "-c", ask).strip() == "200"
