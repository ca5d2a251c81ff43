"""A Docker engine: the one that answers, else one that is installed from Debian and started here.

    a client that an engine answers -> that client
    else, under a lock: root on Debian? -> apt-get install -> dockerd in a session of its own -> wait -> its client

Debian's client and engine are the tested pair, so `/usr/bin/docker` is asked before whatever stands first on PATH.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from container import commands
from container.errors import ContainerError
from serving import settings

DEBIAN_CLIENT = "/usr/bin/docker"
PACKAGES = ("docker.io", "mmdebstrap", "iptables", "ca-certificates")
POLICY = Path("/usr/sbin/policy-rc.d")
PID_FILE = Path("/var/run/docker.pid")
LOG = Path("/var/log/ei-dockerd.log")
LOCK = Path(tempfile.gettempdir()) / "ei-engine.lock"
START_SECONDS = 60.0
INSTALL = "install and start Docker, then try again (Debian, as root: apt-get install docker.io)"


def ensure() -> str:
    """The path of a Docker client whose engine answers; installs and starts one where none does and this is root's Debian.

    Safe to call again and from several processes. ContainerError says what is missing and what to type.
    """
    client = answering()
    if client is not None:
        return client
    if os.geteuid() != 0:
        raise ContainerError("no Docker engine answers, and only root can start one", INSTALL)
    with _alone(LOCK):
        client = answering()
        if client is None:
            install(missing(PACKAGES))
            _start()
            client = answering()
    if client is None:
        raise ContainerError(f"the Docker engine that was started does not answer: {_tail(LOG)}", f"see {LOG}")
    return client


def answering() -> str | None:
    """The first client here whose engine answers within 10 s."""
    clients = (DEBIAN_CLIENT, shutil.which("docker") or "")
    asked = ("version", "--format", "{{.Server.Version}}")
    return next((client for client in clients if client and commands.succeeds([client, *asked], timeout=10)), None)


def missing(packages: tuple[str, ...]) -> list[str]:
    """Those of Debian's packages that are not installed."""
    return [name for name in packages if not _is_installed(name)]


def _is_installed(package: str) -> bool:
    try:
        done = subprocess.run(["dpkg-query", "-W", "-f", "${Status}", package], capture_output=True, text=True, check=False)
    except OSError:
        return False
    return done.stdout.endswith(" installed")


def install(packages: list[str]) -> None:
    """Install Debian's packages without letting them start a service; ContainerError where that cannot be."""
    if not packages:
        return
    if shutil.which("apt-get") is None:
        raise ContainerError(f"{', '.join(packages)} must be installed, and there is no apt-get here", INSTALL)
    steps = (["apt-get", "update", "-qq"], ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages])
    with _no_service_starts():
        for command in steps:
            commands.show(command)
            commands.output(["env", "DEBIAN_FRONTEND=noninteractive", *command], INSTALL)


@contextmanager
def _no_service_starts() -> Iterator[None]:
    """A policy against service starts (invoke-rc.d(8)): machines without an init system fail on them. One that is there stays."""
    own = not POLICY.exists()
    if own:
        POLICY.write_text("#!/bin/sh\nexit 101\n")
        POLICY.chmod(0o755)
    try:
        yield
    finally:
        if own:
            POLICY.unlink(missing_ok=True)


def _start() -> None:
    """Start dockerd unless one is on its way up, and wait until it answers; ContainerError with its last words if it does not."""
    process = None
    if not _is_dockerd(PID_FILE):
        # A pid file from before a reboot may name a process of another kind, and dockerd believes it.
        PID_FILE.unlink(missing_ok=True)
        daemon = shutil.which("dockerd") or "/usr/sbin/dockerd"
        commands.show([daemon])
        with LOG.open("ab") as log:
            process = subprocess.Popen(
                [daemon], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, env=_daemon_environment()
            )
    wait_until(lambda: answering() is not None or (process is not None and process.poll() is not None), START_SECONDS)
    if answering() is None:
        raise ContainerError(f"dockerd did not come up: {_tail(LOG)}", f"see {LOG}; it needs root, cgroups and iptables")
    if process is not None:
        # It outlives this process on purpose: tell subprocess that nobody will wait for it.
        process.returncode = 0


def _daemon_environment() -> dict[str, str]:
    """The environment without DOCKER_HOST, which is for clients."""
    return {name: value for name, value in settings.environment().items() if not name.startswith("DOCKER_")}


def _is_dockerd(pid_file: Path) -> bool:
    """Whether the process that the file names is a dockerd."""
    try:
        return Path(f"/proc/{int(pid_file.read_text())}/comm").read_text().strip() == "dockerd"
    except (OSError, ValueError):
        return False


def wait_until(is_done: Callable[[], bool], seconds: float, pause: float = 0.2) -> bool:
    """Ask again and again; False where the seconds ran out first."""
    deadline = time.monotonic() + seconds
    while not is_done():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
    return True


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """One process at a time; the kernel gives the lock back when its holder dies."""
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _tail(log: Path, lines: int = 5) -> str:
    try:
        return " | ".join(log.read_text(errors="replace").strip().splitlines()[-lines:])
    except OSError:
        return "it left no log"


if __name__ == "__main__":
    print(ensure())
