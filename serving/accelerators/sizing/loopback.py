"""An accelerator of one's own on this host, for as long as something is measured on it."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from serving.accelerators.errors import AcceleratorError, Code

START_SECONDS, END_SECONDS = 60.0, 30.0


@contextmanager
def accelerator(kind: str, threads: int, cores: Sequence[int] = ()) -> Iterator[str]:
    """Its address, HOST:PORT; on some cores only, where any are given. AcceleratorError where it does not start."""
    with tempfile.TemporaryFile() as log:
        port = free_port()
        flags = ["--type", kind, "--port", str(port), "--threads", str(threads), "--no-spare"]
        command = [sys.executable, "-m", "serving.accelerators.server", *flags]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log)
        try:
            pin(process.pid, cores)
            if not _is_ready(process):
                log.seek(0)
                said = (log.read().decode(errors="replace").strip().splitlines() or ["it said nothing"])[-1]
                raise AcceleratorError(Code.UNAVAILABLE, f"the accelerator did not start: {said}")
            yield f"127.0.0.1:{port}"
        finally:
            end(process)


def _is_ready(process: subprocess.Popen[bytes]) -> bool:
    """Whether it has printed its line."""
    assert process.stdout is not None
    readable, _, _ = select.select([process.stdout], [], [], START_SECONDS)
    return bool(readable) and process.stdout.readline().startswith(b"accelerator ")


def pin(pid: int, cores: Sequence[int]) -> None:
    """Keep a process, and those that it starts, on these cores; none: where it may run anyway."""
    if cores:
        with suppress(ProcessLookupError):
            os.sched_setaffinity(pid, set(cores))


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


def answers(address: str, seconds: float) -> bool:
    """Whether something accepts connections at an address within the seconds given."""
    host, _, port = address.rpartition(":")
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection((host, int(port)), 1):
            return True
        time.sleep(0.05)
    return False
