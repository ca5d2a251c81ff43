"""A server as a process of its own, and what a test may ask and do to it from outside: `/proc`, signals, its two logs."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.integration.faults.client import Client, Response

ROOT = Path(__file__).parents[3]
START_SECONDS = 60
STOP_SECONDS = 40
WAIT_SECONDS = 30
POLL_SECONDS = 0.01
FIRST_PORT, PORTS = 12_000, 10_000


def until(condition: Callable[[], object], what: str, seconds: float = WAIT_SECONDS) -> None:
    """Poll until the condition holds; AssertionError names what did not come about."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(POLL_SECONDS)


def free_port() -> int:
    """A port that nobody listens on."""
    return free_ports(1)[0]


def free_ports(count: int) -> tuple[int, int]:
    """The first and the last of so many neighbouring ports that nobody listens on.

    They are below those that the kernel gives to clients: a server that takes seconds to start still finds them free.
    """
    while True:
        low = FIRST_PORT + secrets.randbelow(PORTS)
        with ExitStack() as taken, suppress(OSError):
            for port in range(low, low + count):
                taken.enter_context(socket.socket()).bind(("127.0.0.1", port))
            return low, low + count - 1


@dataclass
class Server:
    """A running server. `out` and `err` are the files that hold its stdout and stderr."""

    process: subprocess.Popen[bytes]
    port: int
    out: Path
    err: Path

    def connect(self, timeout: float = WAIT_SECONDS) -> Client:
        """A new connection to it."""
        return Client(self.port, timeout)

    def ask(self, body: bytes | str, *headers: tuple[str, str]) -> Response:
        """One invocation by a connection of its own."""
        with self.connect() as client:
            client.invoke(body, *headers)
            return client.response()

    def ping(self) -> int:
        """The status of `/ping`, 0 where nobody answers."""
        try:
            with self.connect() as client:
                client.send(b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n")
                return client.response().status
        except OSError:
            return 0

    def children(self) -> list[int]:
        """Pids of its processes, in the order of their forks; the first is the front, or an inline process."""
        pid = self.process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def sockets(self, pid: int) -> int:
        """How many sockets a process has open."""
        count = 0
        for entry in os.scandir(f"/proc/{pid}/fd"):
            try:
                count += os.readlink(entry.path).startswith("socket:")
            except FileNotFoundError:
                continue
        return count

    def own_sockets(self, pid: int) -> int:
        """How many of them no client holds, where no client is connected."""
        with self.connect() as probe:  # its answer comes after the ends of all earlier connections were heard
            probe.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            assert probe.response().status == 200
            return self.sockets(pid) - 1

    def resident(self) -> int:
        """Bytes of memory that only this server's processes have, all together (private pages)."""
        total = 0
        for pid in (self.process.pid, *self.children()):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith(("Private_Clean:", "Private_Dirty:")):
                    total += int(line.split()[1]) * 1024
        return total

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send the signal and wait; the exit status."""
        self.process.send_signal(number)
        return self.process.wait(STOP_SECONDS)

    def logged(self) -> str:
        """Its stderr so far."""
        return self.err.read_text()


def start(model: Path, folder: Path, env: dict[str, str], flags: Sequence[str] = (), **to: int) -> Server:
    """Start a server without waiting for it; its logs go to the folder, or where a file descriptor is given by stream."""
    port = free_port()
    out, err = folder / f"{port}.out", folder / f"{port}.err"
    command = [sys.executable, "-m", "serving", "--model", str(model), "--port", str(port), *flags]
    environment = {**os.environ, "EI_HOST": "127.0.0.1", "EI_WORKERS": "2", "EI_WIDE": "false", **env}
    with out.open("wb") as stdout, err.open("wb") as stderr:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=to.get("stdout", stdout), stderr=to.get("stderr", stderr)
        )
    return Server(process, port, out, err)


def await_ready(server: Server) -> Server:
    """Wait until the server answers `/ping` with 200, with all its processes there."""

    def ready() -> bool:
        assert server.process.poll() is None, f"the server has ended:\n{server.logged()}"
        return server.ping() == 200

    until(ready, "the server answers", START_SECONDS)
    return server


def end(server: Server) -> None:
    """Kill what is left of the server."""
    if server.process.poll() is None:
        for pid in server.children():
            with suppress(ProcessLookupError):  # one that a test has killed may be gone by now
                os.kill(pid, signal.SIGKILL)
        server.process.kill()
    server.process.wait()
