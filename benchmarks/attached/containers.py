"""Containers with the tiny model attached to one accelerator: how many requests they answer, and how many copies there are."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

from benchmarks import harness, load, models, processes
from benchmarks.attached import host
from benchmarks.attached.passes import SCRIPT
from benchmarks.harness import say, turned
from benchmarks.load import Load
from benchmarks.server import Command, Server, running
from serving.accelerators.client import Accelerator
from serving.accelerators.protocol.messages import message
from serving.accelerators.rpc.target import Target

CONTAINERS, CLIENTS, WORKERS = 2, 64, 2
BATCHING = {"batching": (), "none": ("--max-batch", "1")}


def batching(rounds: int, seconds: int) -> dict[str, Any]:
    """Requests a second of 64 clients through two containers, with batching at the accelerator and without."""
    load.require_wrk()
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in BATCHING}
    with ExitStack() as stack:
        sides = {}
        for name, flags in BATCHING.items():
            accelerator = stack.enter_context(host.accelerator("--threads", "1", "--no-spare", *flags))
            sides[name] = (accelerator, stack.enter_context(pair(accelerator.address)))
            apply(sides[name][1], 1)
        for number in range(rounds):
            for name, (accelerator, servers) in turned(list(sides.items()), number):
                found[name].append(measured(accelerator, servers, seconds))
            say(", ".join(f"{name}: {one[-1]['rate']:,.0f}/s" for name, one in found.items()))
    return found


def measured(accelerator: host.Running, servers: list[Server], seconds: int) -> dict[str, Any]:
    """A load on all containers, with what the accelerator counted and both sides cost meanwhile."""
    before, front = statistics(accelerator), processes.cpu_seconds(processes.members(accelerator.process.pid))
    outcomes = apply(servers, seconds)
    after, spent = statistics(accelerator), processes.cpu_seconds(processes.members(accelerator.process.pid))
    for server in servers:
        server.settle()
    return {
        "rate": sum(one["rate"] for one in outcomes),
        "errors": sum(one["errors"] for one in outcomes),
        "p50_ms": max(one["p50_ms"] for one in outcomes),
        "container_cores": sum(one["server_cores"] for one in outcomes),
        "accelerator_cores": (spent - front) / seconds,
        "rows_a_pass": (after[0] - before[0]) / max(1, after[1] - before[1]),
        "calls_a_second": (after[2] - before[2]) / seconds,
    }


def statistics(accelerator: host.Running) -> tuple[int, int, int]:
    """Rows, passes and calls that the accelerator counted so far."""
    reply = Accelerator(Target(accelerator.address)).call("ModelStatistics", message("ModelStatisticsRequest")(), 10.0)
    told = list(reply.model_stats)
    rows, passes = sum(one.inference_count for one in told), sum(one.execution_count for one in told)
    return rows, passes, sum(one.inference_stats.success.count for one in told)


@contextmanager
def pair(address: str) -> Iterator[list[Server]]:
    """The containers, attached and answering right."""
    environment = {"EI_ACCELERATORS": address, "EI_WORKERS": str(WORKERS)}
    words = Command(
        lambda place: [str(harness.SERVE), "--model", str(place.model), "--port", str(place.port)], lambda place: environment
    )
    model = models.prepare("tiny")
    with ExitStack() as stack:
        servers = [stack.enter_context(running(words, model)) for _ in range(CONTAINERS)]
        for server in servers:
            server.first_answer("json")
            server.check(["json"])
        yield servers


def apply(servers: list[Server], seconds: int) -> list[dict[str, Any]]:
    """Load all of them at once."""
    each = Load("json", CLIENTS // len(servers))
    with ThreadPoolExecutor(len(servers)) as pool:
        return list(pool.map(lambda server: load.apply(server, each, seconds), servers))


def copies() -> dict[str, int]:
    """Models on the accelerator that all workers of two containers, and then as many scripts, have made of one model each."""
    found = {}
    with host.accelerator("--threads", "1", "--no-spare") as accelerator:
        with pair(accelerator.address):
            found["containers"] = loaded(accelerator)
        found["loads_by_containers"] = accelerator.loads()
    prefix = str(models.prepare("big").directory / "model")
    run = [sys.executable, "-m", "serving.accelerators.scripts", str(SCRIPT), prefix, "eia"]
    with host.accelerator("--threads", "1", "--no-spare") as accelerator, ExitStack() as stack:
        environment = {"OMP_NUM_THREADS": "1", "EI_ACCELERATORS": accelerator.address}
        scripts = [stack.enter_context(host.asking(run, **environment)) for _ in range(CONTAINERS * WORKERS)]
        for one in scripts:
            one.ask(1)
        found["scripts"] = loaded(accelerator)
        found["loads_by_scripts"] = accelerator.loads()
    return found


def loaded(accelerator: host.Running) -> int:
    """Models that are there."""
    reply = Accelerator(Target(accelerator.address)).call("RepositoryIndex", message("RepositoryIndexRequest")(), 10.0)
    return len(reply.models)
