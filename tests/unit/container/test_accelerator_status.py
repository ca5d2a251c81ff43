"""What `ei accelerator status` makes of an accelerator's answers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, cast

import pytest

from container.accelerator import status
from container.errors import ContainerError
from serving.accelerators.client import Accelerator, ServerInfo
from serving.accelerators.errors import AcceleratorError, Code
from serving.accelerators.protocol.messages import message
from serving.accelerators.rpc.target import Target
from tests.integration.faults.server import free_port

PAGE = b"""# TYPE ei_accelerator_clients gauge
ei_accelerator_clients 3
# TYPE ei_accelerator_calls_total counter
ei_accelerator_calls_total{model="abc"} 7
"""


class Told:
    """An accelerator that has two models; `statistics` off: a server without that extension."""

    target = Target("there:8500")

    def __init__(self, statistics: bool = True) -> None:
        self._statistics = statistics

    def info(self) -> ServerInfo:
        """It is one of ours."""
        return ServerInfo("ei-accelerator", "0.1.0", ("ei.type=ml.eia2.large", "ei.id=eia-7"))

    def is_ready(self) -> bool:
        """It is."""
        return True

    def call(self, method: str, request: Any, timeout: float) -> Any:
        """A message for each method."""
        return getattr(self, method)(request)

    def RepositoryIndex(self, request: Any) -> Any:  # noqa: N802, D102
        reply = message("RepositoryIndexResponse")()
        reply.models.add(name="a" * 64, version="1", state="READY")
        reply.models.add(name="b" * 64, version="1", state="UNAVAILABLE", reason="it needs 9 GB")
        return reply

    def ModelMetadata(self, request: Any) -> Any:  # noqa: N802, D102
        if request.name[0] == "b":
            raise AcceleratorError(Code.NOT_FOUND, "not ready")
        reply = message("ModelMetadataResponse")(name=request.name, platform="mxnet")
        reply.properties["ei.device"].string_param = "cpu"
        reply.properties["ei.report"].string_param = "drift 1e-7"
        return reply

    def ModelStatistics(self, request: Any) -> Any:  # noqa: N802, D102
        if not self._statistics:
            raise AcceleratorError(Code.UNIMPLEMENTED, "no statistics here")
        reply = message("ModelStatisticsResponse")()
        entry = reply.model_stats.add(name="a" * 64, inference_count=40, execution_count=10)
        entry.inference_stats.success.count, entry.inference_stats.fail.count = 20, 1
        entry.inference_stats.queue.count, entry.inference_stats.queue.ns = 20, 40_000_000
        entry.inference_stats.compute_infer.count, entry.inference_stats.compute_infer.ns = 10, 50_000_000
        entry.memory_usage.add(type="CPU", byte_size=5_000_000)
        return reply


@pytest.fixture
def metrics() -> Iterator[str]:
    """The address of a page of metrics."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/metrics" else 404)
            self.end_headers()
            self.wfile.write(PAGE)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", free_port()), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def read(told: Told, metrics: str = "") -> status.Status:
    """Its status."""
    return status.read(cast(Accelerator, told), metrics)


def test_text() -> None:
    """The accelerator is a line, each model a row with device, counts, means and memory, and why one is not ready is below."""
    lines = status.text(read(Told())).splitlines()
    assert lines[0] == "eia-7 ml.eia2.large 0.1.0 on there:8500: ready"
    rows = {line.split()[0]: line.split()[1:] for line in lines if line}
    assert rows["a" * 12] == ["mxnet", "cpu", "READY", "20", "10", "1", "4.0", "2.00", "5.00", "5.0"]
    assert rows["b" * 12][:3] == ["-", "-", "UNAVAILABLE"]
    assert "aaaaaaaaaaaa: drift 1e-7" in lines
    assert "bbbbbbbbbbbb: it needs 9 GB" in lines


def test_a_server_without_statistics() -> None:
    """A server that keeps no statistics is told of without them."""
    found = read(Told(statistics=False))
    assert [(model.state, model.device, model.requests) for model in found.models] == [
        ("READY", "cpu", 0),
        ("UNAVAILABLE", "", 0),
    ]


def test_metrics(metrics: str) -> None:
    """Of the metrics, the text has those of the whole, and the object all."""
    found = read(Told(), metrics)
    assert status.text(found).splitlines()[-1] == "ei_accelerator_clients 3"
    assert asdict(found)["metrics"]['ei_accelerator_calls_total{model="abc"}'] == 7


def test_no_metrics_there() -> None:
    """Where no metrics are, it is said how to have them."""
    with pytest.raises(ContainerError, match="--metrics-port"):
        read(Told(), f"127.0.0.1:{free_port()}")
