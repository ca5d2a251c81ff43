"""A container of the image under test, and what a test asks of it."""

from __future__ import annotations

import http.client
import time
from dataclasses import dataclass

from docker.models.containers import Container

PORT = 8080
START_SECONDS = 60


@dataclass(frozen=True)
class Sample:
    """A request to a framework's plain model, and the right answer."""

    body: bytes
    answer: bytes


SAMPLES = {
    "mxnet": Sample(b"[[1, 2, 3, 4]]", b"[[1.5,2.0,9.0]]"),
    "tf": Sample(b'{"instances": [1.0, 2.0, 5.0]}', b'{\n    "predictions": [3.5, 4.0, 5.5\n    ]\n}'),
}


@dataclass(frozen=True)
class Served:
    """One container on one network."""

    container: Container
    network: str
    sample: Sample

    @property
    def right(self) -> tuple[int, bytes]:
        """What `invoke` gives for the sample."""
        return 200, self.sample.answer

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

    def invoke(self, body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
        """POST /invocations: status and body; a header's name is spelt with underscores. Without a body, the sample's."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self._ask("POST", "/invocations", body or self.sample.body, {"Content-Type": "application/json", **named})

    def _ask(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(self.address, PORT, timeout=30)
        try:
            connection.request(method, path, body, headers or {})
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
