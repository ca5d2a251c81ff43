"""A container of the image under test, and what a test asks of it."""

from __future__ import annotations

import http.client
import time
from dataclasses import dataclass

from docker.models.containers import Container

PORT = 8080
START_SECONDS = 60
ROW = b"[[1, 2, 3, 4]]"
ROW_ANSWER = b"[[1.5,2.0,9.0]]"


@dataclass(frozen=True)
class Served:
    """One container on one network."""

    container: Container
    network: str

    @property
    def address(self) -> str:
        """Its address on the network, which this host can reach."""
        self.container.reload()
        return str(self.container.attrs["NetworkSettings"]["Networks"][self.network]["IPAddress"])

    @property
    def log(self) -> str:
        """All that it has written so far."""
        return bytes(self.container.logs()).decode()

    @property
    def is_running(self) -> bool:
        """Whether its first process lives."""
        self.container.reload()
        return str(self.container.status) == "running"

    def ready(self) -> Served:
        """Wait until /ping is 200; fails with the log where the container ends first."""
        deadline = time.monotonic() + START_SECONDS
        while self.ping() != 200:
            assert self.is_running, f"the container ended:\n{self.log}"
            assert time.monotonic() < deadline, f"no answer within {START_SECONDS} s:\n{self.log}"
            time.sleep(0.05)
        return self

    def ping(self) -> int:
        """The status of GET /ping, 0 where nobody answers."""
        try:
            return self._ask("GET", "/ping")[0]
        except OSError:
            return 0

    def invoke(self, body: bytes = ROW, content_type: str = "application/json") -> tuple[int, bytes]:
        """POST /invocations: status and body."""
        return self._ask("POST", "/invocations", body, content_type)

    def _ask(self, method: str, path: str, body: bytes | None = None, content_type: str = "") -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(self.address, PORT, timeout=30)
        try:
            connection.request(method, path, body, {"Content-Type": content_type} if content_type else {})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def run(self, *command: str, user: str = "") -> str:
        """What a command prints inside the container."""
        status, output = self.container.exec_run(list(command), user=user)
        assert isinstance(output, bytes)
        assert status == 0, output.decode()
        return output.decode()

    def processes(self) -> list[dict[str, str]]:
        """Its processes, as `ps` has them: pid, uid, ppid, comm; the first one first."""
        listing = self.container.top(ps_args="-o pid,uid,ppid,comm")
        return [dict(zip(("pid", "uid", "ppid", "comm"), row, strict=True)) for row in listing["Processes"]]

    def stop(self) -> int:
        """`docker stop` with the platform's 30 s; the exit status."""
        self.container.stop(timeout=30)
        return self.wait()

    def wait(self, seconds: float = START_SECONDS) -> int:
        """The exit status, once it has ended."""
        return int(self.container.wait(timeout=seconds)["StatusCode"])
