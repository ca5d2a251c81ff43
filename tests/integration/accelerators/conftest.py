"""A running accelerator for the tests of this folder, and what may be asked of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

from serving.accelerators.client import Accelerator
from serving.accelerators.protocol.messages import message
from serving.accelerators.rpc.target import Target
from tests.integration.faults.server import free_port

ROOT = Path(__file__).parents[3]


@dataclass
class RunningAccelerator:
    """An accelerator process. `requests` counts the calls that it has answered: what proves that it was used."""

    process: subprocess.Popen[str]
    port: int
    log: Path

    @property
    def address(self) -> str:
        """host:port."""
        return f"127.0.0.1:{self.port}"

    @property
    def env(self) -> dict[str, str]:
        """An environment in which scripts and servers are attached to it."""
        return {**os.environ, "EI_ACCELERATORS": self.address, "PYTHONPATH": str(ROOT)}

    @cached_property
    def client(self) -> Accelerator:
        """A client of it, closed with the fixture."""
        return Accelerator(Target(self.address))

    def requests(self) -> int:
        """Calls answered since its start, of all models that are loaded."""
        reply = self.client.call("ModelStatistics", message("ModelStatisticsRequest")(), 10.0)
        return sum(entry.inference_stats.success.count for entry in reply.model_stats)

    def engines(self) -> list[int]:
        """The process ids of its engines, the spare ones too."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [int(child) for child in children]

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; its exit status."""
        self.process.send_signal(number)
        return self.process.wait(40)


def start(folder: Path, *flags: str, port: int = 0) -> RunningAccelerator:
    """An accelerator that is ready, or AssertionError with its log."""
    port = port or free_port()
    log = folder / f"accelerator-{port}.log"
    command = [sys.executable, "-m", "serving.accelerators.server", "--port", str(port), "--threads", "1", *flags]
    with log.open("a") as err:
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=err, text=True)
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("accelerator "), log.read_text()
    return RunningAccelerator(process, port, log)


StartAccelerator = Callable[..., RunningAccelerator]


@pytest.fixture(scope="module")
def start_accelerator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartAccelerator]:
    """Start accelerators that are gone when the module's tests are over: `start_accelerator("--type", "ml.eia2.large")`."""
    running: list[RunningAccelerator] = []
    folder = tmp_path_factory.mktemp("accelerators")

    def starting(*flags: str, port: int = 0) -> RunningAccelerator:
        running.append(start(folder, *flags, port=port))
        return running[-1]

    yield starting
    for one in running:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()
        one.client.close()
        assert one.process.stdout is not None
        one.process.stdout.close()


@pytest.fixture(scope="module")
def accelerator(start_accelerator: StartAccelerator) -> RunningAccelerator:
    """An accelerator of the default type, shared by a module's tests."""
    return start_accelerator()


def run_script(accelerator: RunningAccelerator, script: Path, arguments: Sequence[str] = ()) -> str:
    """What a script prints that runs attached to the accelerator."""
    command = [sys.executable, "-m", "serving.accelerators.scripts", str(script), *arguments]
    done = subprocess.run(command, env=accelerator.env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout
