"""A place to measure in: the server on so many cores, and the accelerator beside it, attached.

place (cores, type) -> accelerator on the other cores -> serve, pinned -> /ping -> load -> Row
"""

from __future__ import annotations

import http.client
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from container.errors import ContainerError
from container.sweep import load, plan
from container.sweep.load import Result, Target, Timing
from container.sweep.plan import NONE, Configuration
from container.sweep.states import Row
from serving import settings as knobs
from serving.accelerators.sizing import loopback

START_SECONDS = 120.0


@dataclass(frozen=True)
class Place:
    """A running pair; the accelerator's process is 0 where there is none."""

    url: str
    host: int
    accelerator: int


@contextmanager
def started(model: Path, cores: int, accelerator: str) -> Iterator[Place]:
    """The pair, until it is left. ContainerError, AcceleratorError where it does not start."""
    usable = plan.usable_cores()
    if cores > len(usable):
        raise ContainerError(f"{cores} cores are asked for, and {len(usable)} may be used", "try fewer: --cores")
    host, others = usable[:cores], usable[cores:] or usable
    with ExitStack() as stack:
        environment = {name: value for name, value in knobs.environment().items() if name not in ATTACHING}
        pid = 0
        if accelerator != NONE:
            there = stack.enter_context(loopback.accelerator(accelerator, len(others), others))
            environment |= {"EI_ACCELERATORS": there.address, "SAGEMAKER_INFERENCE_ACCELERATOR_PRESENT": "true"}
            pid = there.pid
        port = loopback.free_port()
        process = stack.enter_context(_served(model, port, host, environment))
        yield Place(f"http://127.0.0.1:{port}/invocations", process.pid, pid)


ATTACHING = {"EI_ACCELERATORS", "EI_DEVICE", "EI_VISIBLE_DEVICES", "SAGEMAKER_INFERENCE_ACCELERATOR_PRESENT", "EI_FALLBACK"}


@contextmanager
def _served(model: Path, port: int, cores: list[int], environment: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    with tempfile.TemporaryFile() as log:
        command = [sys.executable, "-m", "serving", "--model", str(model.resolve()), "--port", str(port), "--host", "127.0.0.1"]
        process = subprocess.Popen(
            loopback.pinned(command, cores), stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=dict(environment)
        )
        try:
            if not _is_up(process, port):
                log.seek(0)
                said = (log.read().decode(errors="replace").strip().splitlines() or ["it said nothing"])[-1]
                raise ContainerError(f"the server did not start: {said[:300]}", "does `serve --model` start it?")
            yield process
        finally:
            loopback.end(process)


def _is_up(process: subprocess.Popen[bytes], port: int) -> bool:
    """Whether /ping answers 200 before the server ends."""
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        with suppress(OSError, http.client.HTTPException):
            connection.request("GET", "/ping")
            if connection.getresponse().status == 200:
                return True
        connection.close()
        time.sleep(0.05)
    return False


def measured(place: Place, configuration: Configuration, body: tuple[bytes, str], timing: Timing) -> Row:
    """The figures of a configuration in its place."""
    maker = load.http(Target(place.url, *body))
    result: Result = load.run(load.closed(maker, configuration.concurrency, timing))
    error = "" if result.requests > result.errors else next(iter(result.faults), "nothing was answered")
    memory = loopback.resident(place.host), loopback.resident(place.accelerator) if place.accelerator else 0
    return Row(configuration, error, result.rate, result.percentiles, result.requests, result.errors, *memory)
