"""Run everything that guards a user, in two lanes side by side: Docker's tests, and all the others.

    make test -> lint, types -> pytest of all suites but Docker's     }
              -> pytest tests/docker, its output kept in a file       }  -> both outputs, one exit status

Two lanes, because Docker's tests wait for containers most of the time. The status is 0 only where every step's is.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOG = ROOT / "build" / "docker-tests.log"
STOP_SECONDS = 60

PYTEST = [sys.executable, "-m", "pytest", "-q"]
DOCKER = [*PYTEST, "tests/docker"]
# A file's tests stay together, so that a server that they share is started once.
OTHERS = [*PYTEST, "tests", "--ignore=tests/docker", "-n", "2", "--dist", "loadfile"]


def main() -> int:
    """Run both lanes; 0 where all of it passed, else 1."""
    LOG.parent.mkdir(exist_ok=True)
    with LOG.open("wb") as output:
        docker = subprocess.Popen(DOCKER, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT)
    try:
        statuses = {"lint and types": step("lint", "types"), "all suites but Docker's": run(OTHERS)}
        say("waiting for Docker's tests")
        statuses["Docker's tests"] = docker.wait()
    finally:
        end(docker)
    print(LOG.read_text(errors="replace"), flush=True)
    for name, status in statuses.items():
        say(f"{name}: {'passed' if status == 0 else f'FAILED ({status})'}")
    return int(any(statuses.values()))


def say(text: str) -> None:
    """A progress line."""
    print(f"==> {text}", flush=True)


def step(*targets: str) -> int:
    """Targets of the Makefile, all of them even where one fails."""
    say("make " + " ".join(targets))
    return subprocess.run(["make", "--no-print-directory", "--keep-going", *targets], cwd=ROOT).returncode


def run(command: list[str]) -> int:
    """A command, announced and timed; its exit status."""
    say(" ".join(command[1:]))
    begin = time.monotonic()
    status = subprocess.run(command, cwd=ROOT).returncode
    say(f"took {time.monotonic() - begin:.0f} s")
    return status


def end(process: subprocess.Popen[bytes]) -> None:
    """Stop a lane that still runs, the person having pressed Ctrl-C: politely first, so that it removes its containers."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()


if __name__ == "__main__":
    sys.exit(main())
