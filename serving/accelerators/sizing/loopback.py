"""An accelerator of one's own on this host, for as long as something is measured on it."""

from __future__ import annotations

import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from serving.accelerators.errors import AcceleratorError, Code

START_SECONDS, END_SECONDS = 60.0, 30.0


PINNED = "import os, sys; os.sched_setaffinity(0, map(int, sys.argv[1].split(','))); os.execv(sys.argv[2], sys.argv[2:])"
"""What keeps a command, and all that it starts, on some cores: it is there before the command counts them."""


@dataclass(frozen=True)
class Running:
    """A server of ours: where it listens, HOST:PORT, and its process."""

    address: str
    pid: int


@contextmanager
def accelerator(kind: str, threads: int, cores: Sequence[int] = ()) -> Iterator[Running]:
    """One that is ready; on some cores only, where any are given. AcceleratorError where it does not start."""
    with tempfile.TemporaryFile() as log:
        port = free_port()
        flags = ["--type", kind, "--port", str(port), "--threads", str(threads), "--no-spare"]
        command = [sys.executable, "-m", "serving.accelerators.server", *flags]
        process = subprocess.Popen(pinned(command, cores), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log)
        try:
            if not _is_ready(process):
                log.seek(0)
                said = (log.read().decode(errors="replace").strip().splitlines() or ["it said nothing"])[-1]
                raise AcceleratorError(Code.UNAVAILABLE, f"the accelerator did not start: {said}")
            yield Running(f"127.0.0.1:{port}", process.pid)
        finally:
            end(process)


def _is_ready(process: subprocess.Popen[bytes]) -> bool:
    """Whether it has printed its line."""
    assert process.stdout is not None
    readable, _, _ = select.select([process.stdout], [], [], START_SECONDS)
    return bool(readable) and process.stdout.readline().startswith(b"accelerator ")


def pinned(command: Sequence[str], cores: Sequence[int]) -> list[str]:
    """The command, kept on these cores; none: where it may run anyway."""
    if not cores:
        return list(command)
    return [sys.executable, "-c", PINNED, ",".join(map(str, cores)), *command]


def end(process: subprocess.Popen[bytes]) -> None:
    """End a server in order, by force where it does not."""
    with suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


def free_port() -> int:
    """A port that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def resident(pid: int) -> int:
    """Bytes of private memory of a process and all that it started."""
    total, left = 0, [pid]
    while left:
        one = left.pop()
        with suppress(OSError):
            status = Path(f"/proc/{one}/status").read_text().splitlines()
            total += next((int(line.split()[1]) << 10 for line in status if line.startswith("RssAnon:")), 0)
            for task in Path(f"/proc/{one}/task").iterdir():
                left += [int(child) for child in (task / "children").read_text().split()]
    return total
