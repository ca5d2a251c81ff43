"""A server under test: started as a command, asked for right answers, ended with everything that it started."""

from __future__ import annotations

import http.client
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from benchmarks import models, processes
from benchmarks.harness import BenchmarkError, WrongAnswer
from benchmarks.models import Model

START_SECONDS = 90.0
STOP_SECONDS = 8.0
REQUEST_SECONDS = 60.0
CALM_SECONDS = 15.0
PORTS = range(20000, 30000)


@dataclass(frozen=True)
class Place:
    """What a server is told: its port, the model directory and a scratch folder of its own."""

    port: int
    model: Path
    scratch: Path


@dataclass(frozen=True)
class Command:
    """How a server is started, what its environment has besides ours, and the route that says it is up."""

    words: Callable[[Place], Sequence[str]]
    environment: Callable[[Place], Mapping[str, str]] = lambda place: {}
    ping: str = "/ping"


class Server:
    """A running server and the model that it serves; made by `running`."""

    def __init__(self, command: Command, model: Model, scratch: Path) -> None:
        self.model, self.ping_path = model, command.ping
        place = Place(free_port(), model.directory, scratch)
        self.port = place.port
        self._log = scratch / "log"
        environment = {**os.environ, **command.environment(place)}
        with self._log.open("wb") as log:
            self._began = time.perf_counter()
            self._process = spawn(command.words(place), environment, scratch, log)

    def members(self) -> set[int]:
        """Its processes."""
        return processes.members(self._process.pid)

    def ask(self, method: str, path: str, body: bytes | None = None, content_type: str = "") -> tuple[int, bytes]:
        """Status and body of one request over a connection of its own; OSError or HTTPException where there is none."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=REQUEST_SECONDS)
        try:
            headers = {"Accept": "application/json", **({"Content-Type": content_type} if content_type else {})}
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def invoke(self, kind: str, number: int) -> bool:
        """Post a body: True for the right answer, False for any status but 200; WrongAnswer for other numbers."""
        status, reply = self.ask("POST", "/invocations", self.model.body(kind, number), models.CONTENT_TYPES[kind])
        if status != 200:
            return False
        if not self.model.agrees(reply, number):
            raise WrongAnswer(f"body {number} ({kind}) got {reply[:200]!r}")
        return True

    def first_answer(self, kind: str) -> float:
        """Seconds from the start of the process to the first right answer; BenchmarkError where there comes none."""
        while (taken := time.perf_counter() - self._began) < START_SECONDS:
            if self._process.poll() is not None:
                raise BenchmarkError(f"it ended with {self._process.returncode}: {self.tail()}")
            try:
                if self.invoke(kind, 0):
                    return time.perf_counter() - self._began
            except (OSError, http.client.HTTPException):
                pass  # nothing listens yet
            time.sleep(0.005)
        raise BenchmarkError(f"no answer in {taken:.0f} s: {self.tail()}")

    def check(self, kinds: Sequence[str]) -> None:
        """Post every body of every kind, eight at once; BenchmarkError, or WrongAnswer, where one is not answered right."""
        with ThreadPoolExecutor(models.BODIES) as pool:
            for kind in kinds:
                right = list(pool.map(lambda number, kind=kind: self.invoke(kind, number), [*range(models.BODIES)] * 2))
                if not all(right):
                    raise BenchmarkError(f"{right.count(False)} of {len(right)} {kind} bodies were refused: {self.tail()}")

    def settle(self) -> None:
        """Wait until it has worked off what the last load left in its queues."""
        end = time.perf_counter() + CALM_SECONDS
        calm = 0
        while calm < 2 and time.perf_counter() < end:
            pids = self.members()
            before = processes.cpu_seconds(pids)
            time.sleep(0.15)
            calm = calm + 1 if processes.cpu_seconds(pids) - before <= 0.04 else 0

    def tail(self) -> str:
        """The end of what it logged."""
        return self._log.read_text(errors="replace")[-1500:].strip()

    def stop(self) -> None:
        """End it as the platform would, and then whatever is left of it."""
        for signum, pids in ((signal.SIGTERM, {self._process.pid}), (signal.SIGTERM, None), (signal.SIGKILL, None)):
            for pid in self.members() if pids is None else pids & self.members():
                with suppress(ProcessLookupError):  # it went by itself
                    os.kill(pid, signum)
            end = time.perf_counter() + STOP_SECONDS
            while self.members() and time.perf_counter() < end:
                self._process.poll()
                time.sleep(0.02)
        self._process.wait()


def spawn(words: Sequence[str], environment: Mapping[str, str], folder: Path, log: BinaryIO) -> subprocess.Popen[bytes]:
    """The command in a session of its own; BenchmarkError where there is no such program."""
    try:
        return subprocess.Popen(
            words, env=environment, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    except OSError as error:
        raise BenchmarkError(f"{words[0]} cannot be started: {error}") from None


@contextmanager
def running(command: Command, model: Model) -> Iterator[Server]:
    """A server that was told to start; it is ended, and its scratch folder removed, however the block ends.

    BenchmarkError where its program cannot be started.
    """
    scratch = Path(tempfile.mkdtemp(prefix="ei-bench-"))  # not below build/: a path of a socket has 107 bytes at most
    try:
        server = Server(command, model, scratch)
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def free_port() -> int:
    """A port that nobody listens on: below those that the kernel gives to clients, and MMS takes none of the highest."""
    for port in random.sample(PORTS, len(PORTS)):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("0.0.0.0", port))
            return port
    raise BenchmarkError(f"no port from {PORTS.start} to {PORTS.stop - 1} is free")
