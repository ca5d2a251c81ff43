"""The product's own server for a demo: started as a user would start it, ready, and stopped again."""

from __future__ import annotations

import http.client
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

START_SECONDS = 60
STOP_SECONDS = 30


def say(text: str) -> None:
    """A progress line."""
    print(f"==> {text}", flush=True)


@contextmanager
def server(directory: Path, log: Path) -> Iterator[int]:
    """The server on a free port, ready; stopped by SIGTERM, which it must answer with exit 0."""
    port = free_port()
    serve = str(Path(sys.executable).with_name("serve"))
    command = [serve, "--model", str(directory), "--host", "127.0.0.1", "--port", str(port)]
    say(f"serving it: {' '.join(command)}")
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        wait_ready(process, port, log)
        yield port
        say("stopping the server")
        process.send_signal(signal.SIGTERM)
        if process.wait(STOP_SECONDS) != 0:
            raise SystemExit(f"the server ended with {process.returncode}:\n{log.read_text()[-2000:]}")
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Until /ping answers 200: the next invocation would be answered."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
            connection.request("GET", "/ping")
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass
        finally:
            connection.close()
        time.sleep(0.05)
    raise SystemExit(f"the server did not start:\n{log.read_text()[-2000:]}")
