"""Accelerators under test: started as a user starts them, ended with everything that they started."""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import harness, models, processes
from benchmarks.harness import BenchmarkError
from benchmarks.server import free_port
from serving.accelerators import artifact
from serving.accelerators.artifact import Artifact

START_SECONDS, STOP_SECONDS = 90.0, 10.0


@dataclass(frozen=True)
class Running:
    """An accelerator that is ready at an address."""

    process: subprocess.Popen[bytes]
    address: str
    log: Path

    def engines(self) -> list[int]:
        """The processes of its engines; the first one works, a second one is spare."""
        pid = self.process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def loads(self) -> int:
        """How many models it says that it has loaded, so far."""
        return self.log.read_text(errors="replace").count(" loaded ")


@contextmanager
def accelerator(*flags: str, unix: bool = False) -> Iterator[Running]:
    """One that is ready, with these flags, on a port or a Unix socket. BenchmarkError where it does not start."""
    folder = Path(tempfile.mkdtemp(prefix="ei-bench-"))
    port = free_port()
    address = f"unix:{folder / 'socket'}" if unix else f"127.0.0.1:{port}"
    where = ["--host", address] if unix else ["--port", str(port)]
    command = [sys.executable, "-m", "serving.accelerators.server", *where, *flags]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=harness.ROOT, stdout=subprocess.PIPE, stderr=log, start_new_session=True)
    running = Running(process, address, folder / "log")
    try:
        _await(running)
        yield running
    finally:
        _stop(process)
        shutil.rmtree(folder, ignore_errors=True)


def _await(running: Running) -> None:
    """Wait for the line that says that it is ready."""
    told, _, _ = select.select([running.process.stdout], [], [], START_SECONDS)
    assert running.process.stdout is not None
    if not told or not running.process.stdout.readline().startswith(b"accelerator "):
        raise BenchmarkError(f"the accelerator did not start: {running.log.read_text(errors='replace')[-1000:].strip()}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    members = processes.members(process.pid)
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_SECONDS)
    for pid in members & processes.members(process.pid):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


@contextmanager
def worker(name: str, *words: str, **environment: str) -> Iterator[Worker]:
    """A module of this package that answers lines, as a process; ended with the block."""
    command = [sys.executable, "-m", f"benchmarks.attached.{name}", *words]
    with asking(command, **environment) as found:
        yield found


@contextmanager
def asking(command: list[str], **environment: str) -> Iterator[Worker]:
    """A process that answers lines of its input."""
    process = subprocess.Popen(
        command, cwd=harness.ROOT, env={**os.environ, **environment}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield Worker(process)
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            assert stream is not None
            with suppress(BrokenPipeError):
                stream.close()


@dataclass(frozen=True)
class Worker:
    """A process that answers each line with one of JSON."""

    process: subprocess.Popen[str]

    def ask(self, *words: object) -> Any:
        """Its answer; BenchmarkError where it has ended."""
        import json

        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None
        assert stdout is not None
        try:
            stdin.write(" ".join(map(str, words)) + "\n")
            stdin.flush()
            while line := stdout.readline():
                if line.startswith(("{", "[")):
                    return json.loads(line)
        except BrokenPipeError:
            pass
        raise BenchmarkError(f"{' '.join(map(str, self.process.args))} ended: see above")  # type: ignore[arg-type]


def of_model(name: str, max_batch: int = 0) -> Artifact:
    """The artifact of one of `models`' models."""
    directory = models.prepare(name).directory
    made = artifact.of_mxnet((directory / "model-symbol.json").read_text(), directory / "model-0000.params", max_batch)
    return Artifact(made.framework, {**made.files, artifact.SHAPES: directory / "model-shapes.json"}, max_batch)


def seconds_since(begin: float) -> float:
    """Seconds on the clock that all here use."""
    return time.perf_counter() - begin
