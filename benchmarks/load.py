"""Load by wrk in a closed loop: each connection sends its next request when it has its answer.

    wrk -> the server <- watcher: /ping four times a second, and answers compared with the model's (from 16 connections on)

At one connection nothing else is asked: a second request would be what is measured.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import models, processes
from benchmarks.harness import BenchmarkError, WrongAnswer
from benchmarks.server import Server

SCRIPT = Path(__file__).with_name("load.lua")
WATCHED_FROM = 16
PING_SECONDS = 0.25
PROBE_SECONDS = 0.1


@dataclass(frozen=True)
class Load:
    """Bodies of one kind over so many connections."""

    kind: str
    connections: int

    @property
    def label(self) -> str:
        """Its name in tables and in the JSON."""
        return f"{self.kind}-{self.connections}"


@dataclass
class Watcher:
    """What two threads see while the load runs: /ping's times in ms, and answers beside the load's."""

    server: Server
    kind: str
    pings: list[float] = field(default_factory=list)
    right: int = 0
    wrong: list[str] = field(default_factory=list)
    refused: int = 0
    silent: int = 0

    def ping(self, done: threading.Event) -> None:
        """Ask the health route until the load is over."""
        while not done.wait(PING_SECONDS):
            begin = time.perf_counter()
            try:
                self.silent += self.server.ask("GET", self.server.ping_path)[0] != 200
            except (OSError, http.client.HTTPException):
                self.silent += 1
            self.pings.append(1e3 * (time.perf_counter() - begin))

    def probe(self, done: threading.Event) -> None:
        """Post the bodies one after the other until the load is over, and compare the answers."""
        number = 0
        while not done.wait(PROBE_SECONDS):
            number = (number + 1) % models.BODIES
            try:
                answered = self.server.invoke(self.kind, number)
                self.right += answered
                self.refused += not answered
            except WrongAnswer as error:
                self.wrong.append(str(error))
            except (OSError, http.client.HTTPException):
                self.refused += 1


class Meter:
    """What processes cost between its making and its reading."""

    def __init__(self, pids: set[int]) -> None:
        self._pids = pids
        self._begin = self._counters()

    def read(self) -> dict[str, float]:
        """Cores that they kept busy, cores that others did, and cores taken from them by force a second."""
        wall, cpu, switches, machine, own = (b - a for a, b in zip(self._begin, self._counters(), strict=True))
        others = max(0.0, machine - cpu - own)
        return {"server_cores": cpu / wall, "other_cores": others / wall, "forced_switches": switches / wall}

    def _counters(self) -> tuple[float, ...]:
        pids = self._pids
        cpu, switches = processes.cpu_seconds(pids), processes.forced_switches(pids)
        return time.perf_counter(), cpu, switches, processes.machine_seconds(), processes.own_seconds()


def require_wrk() -> None:
    """BenchmarkError where wrk is not installed."""
    if shutil.which("wrk") is None:
        raise BenchmarkError("wrk is not installed; on Debian: sudo apt-get install wrk")


def apply(server: Server, load: Load, seconds: int) -> dict[str, Any]:
    """Load the server for so many seconds; what wrk counted, what the watcher saw, what the processes cost a second.

    WrongAnswer where an answer under load was not the model's.
    """
    watcher, done = Watcher(server, load.kind), threading.Event()
    watching = (watcher.ping, watcher.probe) if load.connections >= WATCHED_FROM else ()
    threads = [threading.Thread(target=target, args=(done,)) for target in watching]
    meter = Meter(server.members())
    for thread in threads:
        thread.start()
    try:
        counted = _wrk(server, load, seconds)
    finally:
        spent = meter.read()
        done.set()
        for thread in threads:
            thread.join()
    if watcher.wrong:
        raise WrongAnswer(f"{len(watcher.wrong)} of {watcher.right + len(watcher.wrong)} under load; {watcher.wrong[0]}")
    rate = (counted["requests"] - counted["bad_statuses"]) / counted["seconds"]
    return {
        **counted,
        "rate": rate,
        "errors": counted["bad_statuses"] + counted["socket_errors"] + watcher.refused + watcher.silent,
        "answers_compared": watcher.right,
        "worst_ping_ms": max(watcher.pings, default=None),
        **spent,
        "cpu_us": 1e6 * spent["server_cores"] / rate if rate else None,
    }


def _wrk(server: Server, load: Load, seconds: int) -> dict[str, Any]:
    """Run wrk, in one thread; the figures that `load.lua` prints last."""
    bodies = str(server.model.body_path(load.kind, "%d"))
    environment = {**os.environ, "BODIES": bodies, "CONTENT_TYPE": models.CONTENT_TYPES[load.kind]}
    options = ["-t1", f"-c{load.connections}", f"-d{seconds}s", "--timeout", "60s", "-s", str(SCRIPT)]
    command = ["wrk", *options, f"http://127.0.0.1:{server.port}/invocations"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchmarkError(f"wrk failed: {(done.stdout + done.stderr).strip()[-500:]}")
    counted: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return counted
