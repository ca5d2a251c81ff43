"""The image as an accelerator, in the memory of its type, and the image with a model that is attached to it by its name."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.models.containers import Container
from docker.models.networks import Network

from container.accelerator import certificates, pair, status
from container.engine import wait_until
from serving.accelerators.client import Accelerator
from serving.accelerators.errors import AcceleratorError
from serving.accelerators.rpc.target import Target
from tests.docker.served import Served

pytestmark = pytest.mark.docker

Model = Callable[..., Path]
Start = Callable[..., Any]
TYPE = "ml.eia1.medium"
MEMORY = "1g"
UNDETECTED = "Failed to detect any accelerator"
TOOLS = ("/opt/ei_health_check/bin/health_check", "/opt/ei_tools/bin/health_check")


@dataclass(frozen=True)
class Attachable:
    """A container that is an accelerator, and what attaches another one to it."""

    container: Container
    network: str
    folder: Path

    def options(self) -> dict[str, Any]:
        """Of a container that is attached to it."""
        environment = {
            "EI_ACCELERATORS": f"{pair.HOST}:{pair.PORT}",
            "EI_ACCELERATOR_TOKEN": (self.folder / "token").read_text().strip(),
            "EI_ACCELERATOR_CA": "/run/ei/ca.pem",
            "SAGEMAKER_INFERENCE_ACCELERATOR_PRESENT": "true",
        }
        return {"environment": environment, "volumes": _volumes(self.folder, "ca.pem")}

    def status(self) -> status.Status:
        """What it says of itself to this host; AcceleratorError where it cannot be reached."""
        self.container.reload()
        address = self.container.attrs["NetworkSettings"]["Networks"][self.network]["IPAddress"]
        token = (self.folder / "token").read_text().strip()
        accelerator = Accelerator(Target(f"{address}:{pair.PORT}", token, self.folder / "ca.pem", pair.HOST))
        try:
            return status.read(accelerator)
        finally:
            accelerator.close()

    def is_listening(self) -> bool:
        """Whether it says anything."""
        try:
            return self.status().is_ready
        except AcceleratorError:
            return False

    @property
    def log(self) -> str:
        """All that it has written so far."""
        return bytes(self.container.logs()).decode()


def _volumes(folder: Path, *names: str) -> dict[str, dict[str, str]]:
    return {str(folder / name): {"bind": f"/run/ei/{name}", "mode": "ro"} for name in names}


@pytest.fixture
def accelerator(docker_client: docker.DockerClient, network: Network, image: str, tmp_path: Path) -> Iterator[Attachable]:
    """The image as an accelerator that listens on the network, with the memory of its type and secrets that root alone reads."""
    made = certificates.make(pair.HOST, tmp_path)
    certificates.write_token(tmp_path / "token")
    assert (tmp_path / "token").stat().st_mode & 0o777 == made.key.stat().st_mode & 0o777 == 0o600
    secrets = [
        "--token-file",
        "/run/ei/token",
        "--tls-cert",
        f"/run/ei/{made.certificate.name}",
        "--tls-key",
        f"/run/ei/{made.key.name}",
    ]
    container = docker_client.containers.create(
        image,
        ["accelerator", "--type", TYPE, "--host", "0.0.0.0", *secrets],
        network=network.name,
        hostname=pair.HOST,
        name=pair.HOST,
        mem_limit=MEMORY,
        volumes=_volumes(tmp_path, "token", made.certificate.name, made.key.name),
    )
    try:
        container.start()
        found = Attachable(container, network.name, tmp_path)
        assert wait_until(found.is_listening, 60), found.log
        yield found
    finally:
        container.remove(force=True, v=True)


@pytest.fixture
def server(accelerator: Attachable, model: Model, start: Start) -> Served:
    """A container whose model is on the accelerator, ready."""
    served: Served = start(model(), **accelerator.options()).ready()
    return served


def answered(accelerator: Attachable) -> int:
    """Requests that the accelerator has answered."""
    return sum(each.requests for each in accelerator.status().models)


def test_answers(accelerator: Attachable, server: Served) -> None:
    """Each answer is to the byte what the model gives without an accelerator, and was computed there; its model has a digest."""
    before = answered(accelerator)
    assert [server.invoke() for _ in range(5)] == [server.right] * 5
    told = accelerator.status()
    assert answered(accelerator) == before + 5
    assert told.type == TYPE
    assert [(each.state, len(each.name)) for each in told.models] == [("READY", 64)]
    assert "eia:0" in server.log


def test_killed_and_started(accelerator: Attachable, server: Served) -> None:
    """Without its accelerator a container answers 503 with the phrase that users know; with it again, it goes on by itself."""
    assert server.invoke() == server.right
    accelerator.container.kill()
    code, body = server.invoke()
    assert (code, UNDETECTED in body.decode()) == (503, True), body
    accelerator.container.start()
    assert wait_until(lambda: server.invoke() == server.right, 60), server.log
    assert wait_until(lambda: server.ping() == 200, 60)


def test_no_accelerator_no_start(accelerator: Attachable, model: Model, start: Start) -> None:
    """A container that is attached to what is not there does not serve: it ends with the phrase, and what to set."""
    options = accelerator.options()
    options["environment"]["EI_ACCELERATORS"] = "nobody:8500"
    server = start(model(), **options)
    assert server.wait() == 1
    assert UNDETECTED in server.log


def test_health(accelerator: Attachable, server: Served) -> None:
    """The health checks of Elastic Inference's images are at their places, and ask the accelerator."""
    for tool in TOOLS:
        assert server.container.exec_run([tool]).exit_code == 0
    accelerator.container.kill()
    for tool in TOOLS:
        code, output = server.container.exec_run([tool])
        assert code == 1
        assert UNDETECTED in output.decode()
        assert "Traceback" not in output.decode()


def test_described(accelerator: Attachable, server: Served) -> None:
    """`ei describe-accelerators -j` at its place lists the attached accelerator with its type and health, as JSON."""
    found = json.loads(server.run("/opt/amazon/ei/ei_tools/bin/ei", "describe-accelerators", "-j"))["devices"]
    assert found == [{"ordinal": 0, "type": TYPE.removeprefix("ml."), "id": accelerator.status().id, "status": "healthy"}]


def test_serving_user(accelerator: Attachable, server: Served) -> None:
    """The accelerator's processes are uid 10001's though its secrets are root's, and SIGTERM ends it with 0."""
    assert server.invoke() == server.right
    listing = accelerator.container.top(ps_args="-o pid,uid,comm")
    assert {row[1] for row in listing["Processes"]} == {"10001"}
    assert len(listing["Processes"]) >= 2
    accelerator.container.stop(timeout=30)
    assert accelerator.container.wait()["StatusCode"] == 0


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--host", "0.0.0.0"], "without TLS and a token"),
        (["--type", "ml.eia2.huge"], "ml.eia2.large"),
        (["--token-file", "/run/ei/none"], "/run/ei/none"),
    ],
    ids=["open to the network", "no such type", "no such file"],
)
def test_refused(start: Start, flags: list[str], told: str) -> None:
    """A start that must not be ends with 1 and one line."""
    refused = start(None, command=["accelerator", *flags])
    assert refused.wait() == 1
    assert told in refused.log
    assert len(refused.log.strip().splitlines()) == 1
