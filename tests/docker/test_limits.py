"""What the engine grants is what the server plans for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.docker

Model = Callable[..., Path]
Start = Callable[..., Any]
MEMORY = 300 << 20


@pytest.mark.parametrize(("cpus", "workers"), [(1.0, 1), (2.0, 2)], ids=["--cpus 1", "--cpus 2"])
def test_workers_follow_cpus(model: Model, start: Start, cpus: float, workers: int) -> None:
    """A server process for each core of the quota, whatever the host has."""
    server = start(model(), nano_cpus=int(cpus * 1e9), environment={"EI_PLACEMENT": "inline"}).ready()
    assert len(server.processes()) == 1 + workers


def test_memory(model: Model, start: Start) -> None:
    """Two processes of a small model fit into 300 MB, swap excluded."""
    server = start(model(), mem_limit=MEMORY, memswap_limit=MEMORY, environment={"EI_WORKERS": "2"}).ready()
    assert [server.invoke() for _ in range(20)] == [server.right] * 20
    assert server.stop() == 0
