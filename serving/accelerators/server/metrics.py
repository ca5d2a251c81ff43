"""Prometheus' metrics of an accelerator, on a port of their own, from the front's counts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from serving.accelerators.rpc.server import Server
from serving.accelerators.server.models import Statistics
from serving.accelerators.server.options import Options
from serving.accelerators.server.repository import Repository

PER_MODEL: tuple[tuple[str, str, Callable[[Statistics], float]], ...] = (
    ("ei_accelerator_inferences", "rows of answered calls", lambda s: s.rows),
    ("ei_accelerator_passes", "passes run", lambda s: s.passes),
    ("ei_accelerator_calls", "calls answered", lambda s: s.succeeded),
    ("ei_accelerator_failures", "calls failed", lambda s: s.failed),
    ("ei_accelerator_queue_seconds", "seconds that calls waited", lambda s: s.queue_ns / 1e9),
    ("ei_accelerator_compute_seconds", "seconds of passes", lambda s: s.compute_ns / 1e9),
)


class Exporter(Collector):
    """A scrape's answer, and the thread that gives it."""

    def __init__(self, options: Options, repository: Repository, listening: Server) -> None:
        self._options, self._repository, self._listening = options, repository, listening
        registry = CollectorRegistry()
        registry.register(self)
        self._server, _ = start_http_server(options.metrics_port, addr=options.host, registry=registry)

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()

    def collect(self) -> Iterator[Any]:
        """All metrics; names are Prometheus' own style, bytes and seconds."""
        labels = ["model", "device"]
        models = list(self._repository.models.values())
        for name, help, read in PER_MODEL:
            family = CounterMetricFamily(name, help, labels=labels)
            for model in models:
                family.add_metric([model.name, self._options.device], read(model.statistics))
            yield family
        yield _gauge("ei_accelerator_model_memory_bytes", "bytes that a model took at load", {m.name: m.needs for m in models})
        yield _gauge("ei_accelerator_waiting", "calls that wait", {m.name: m.waiting for m in models})
        lanes = list(self._repository.lanes.values())
        deaths = CounterMetricFamily("ei_accelerator_engine_deaths", "engine processes that died", labels=["framework"])
        for lane in lanes:
            deaths.add_metric([lane.framework], lane.deaths)
        yield deaths
        for name, help, value in (
            ("ei_accelerator_memory_limit_bytes", "the type's memory", self._options.type.memory),
            ("ei_accelerator_memory_used_bytes", "bytes held for models", self._repository.used),
            ("ei_accelerator_clients", "open connections", len(self._listening.connections)),
        ):
            yield GaugeMetricFamily(name, help, value=value)


def _gauge(name: str, help: str, values: dict[str, int]) -> Any:
    family = GaugeMetricFamily(name, help, labels=["model"])
    for model, value in values.items():
        family.add_metric([model], value)
    return family
