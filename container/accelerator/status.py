"""`ei accelerator status`: what an accelerator says of itself and of its models, and what its metrics say of its clients.

    ServerMetadata, ServerReady, RepositoryIndex, ModelMetadata, ModelStatistics (and GET /metrics) -> Status -> text | JSON

All of it is the Open Inference Protocol and Triton's extensions, so a Triton or KServe server is told of as well.
"""

from __future__ import annotations

import math
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from container.accelerator.types import columns
from container.errors import ContainerError
from serving.accelerators.client import CONNECT_SECONDS, Accelerator
from serving.accelerators.errors import AcceleratorError, Code
from serving.accelerators.protocol.messages import message

HEADS = (
    "model",
    "platform",
    "device",
    "state",
    "requests",
    "passes",
    "failed",
    "rows/pass",
    "queue ms",
    "pass ms",
    "memory MB",
)


@dataclass(frozen=True)
class Model:
    """One model: where it runs, its counts since it was loaded, mean times in milliseconds, bytes."""

    name: str
    state: str
    platform: str = ""
    device: str = ""
    requests: int = 0
    passes: int = 0
    failed: int = 0
    rows: int = 0
    queue_ms: float = 0.0
    pass_ms: float = 0.0
    memory: int = 0
    reason: str = ""
    report: str = ""
    """What its engine says of it, as how far it drifts from the exact one."""


@dataclass(frozen=True)
class Status:
    """An accelerator as it is now; `metrics` are the samples of its metrics, by name and labels, where they were asked for."""

    address: str
    id: str
    type: str
    version: str
    is_ready: bool
    models: tuple[Model, ...]
    metrics: dict[str, float] = field(default_factory=dict)


def read(accelerator: Accelerator, metrics: str = "") -> Status:
    """Ask an accelerator; AcceleratorError where it cannot be reached, ContainerError where its metrics cannot."""
    info = accelerator.info()
    index = accelerator.call("RepositoryIndex", message("RepositoryIndexRequest")(), CONNECT_SECONDS)
    statistics = _statistics(accelerator)
    models = tuple(_model(accelerator, entry, statistics.get(entry.name)) for entry in index.models)
    samples = dict(_samples(metrics)) if metrics else {}
    return Status(
        accelerator.target.address, info.id, info.type or info.name, info.version, accelerator.is_ready(), models, samples
    )


def _statistics(accelerator: Accelerator) -> dict[str, Any]:
    """By model; none where the server keeps none."""
    try:
        reply = accelerator.call("ModelStatistics", message("ModelStatisticsRequest")(), CONNECT_SECONDS)
    except AcceleratorError as error:
        if error.code != Code.UNIMPLEMENTED:
            raise
        return {}
    return {each.name: each for each in reply.model_stats}


def _model(accelerator: Accelerator, entry: Any, statistics: Any) -> Model:
    """A line of the index with what is known besides."""
    platform, properties = _metadata(accelerator, entry.name)
    device, report = properties.get("ei.device", ""), properties.get("ei.report", "")
    if statistics is None:
        return Model(entry.name, entry.state, platform, device, reason=entry.reason, report=report)
    took = statistics.inference_stats
    usage = list(statistics.memory_usage)
    return Model(
        name=entry.name,
        state=entry.state,
        platform=platform,
        device=device or ", ".join(f"{each.type.lower()}:{each.id}" for each in usage),
        requests=took.success.count,
        passes=statistics.execution_count,
        failed=took.fail.count,
        rows=statistics.inference_count,
        queue_ms=_mean_ms(took.queue),
        pass_ms=_mean_ms(took.compute_infer),
        memory=sum(each.byte_size for each in usage),
        reason=entry.reason,
        report=report,
    )


def _metadata(accelerator: Accelerator, name: str) -> tuple[str, dict[str, str]]:
    """A model's platform and properties; nothing of one that is not ready."""
    try:
        reply = accelerator.call("ModelMetadata", message("ModelMetadataRequest")(name=name), CONNECT_SECONDS)
    except AcceleratorError as error:
        if error.code == Code.UNAVAILABLE:
            raise
        return "", {}
    return reply.platform, {key: value.string_param for key, value in reply.properties.items()}


def _mean_ms(duration: Any) -> float:
    return duration.ns / duration.count / 1e6 if duration.count else 0.0


def _samples(url: str) -> Iterator[tuple[str, float]]:
    """The samples of a metrics page that are about the whole accelerator and its clients."""
    whole = url if "://" in url else f"http://{url}/metrics"
    try:
        with urllib.request.urlopen(whole, timeout=CONNECT_SECONDS) as answer:
            text = answer.read().decode()
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if not sample.name.endswith(("_bucket", "_created")) and math.isfinite(sample.value):
                    labels = ",".join(f'{key}="{value}"' for key, value in sample.labels.items())
                    yield sample.name + (f"{{{labels}}}" if labels else ""), sample.value
    except (OSError, ValueError, urllib.error.URLError) as error:
        raise ContainerError(
            f"{whole} gives no metrics: {error}", "serve them: ei accelerator serve --metrics-port N, and name HOST:N"
        ) from None


def text(status: Status) -> str:
    """For a person: the accelerator in a line, its models in a table, its metrics below."""
    head = f"{status.id or status.address} {status.type} {status.version} on {status.address}: "
    head += "ready" if status.is_ready else "not ready"
    if not status.models:
        head += ", no models"
    lines = [head]
    if status.models:
        lines += ["", columns([HEADS, *map(_row, status.models)])]
    lines += [f"{model.name[:12]}: {words}" for model in status.models for words in (model.reason, model.report) if words]
    # Those of a model are in the table.
    whole = {name: value for name, value in status.metrics.items() if 'model="' not in name}
    if whole:
        lines += ["", *(f"{name} {value:.12g}" for name, value in whole.items())]
    return "\n".join(lines)


def _row(model: Model) -> tuple[str, ...]:
    rows_a_pass = model.rows / model.passes if model.passes else 0.0
    times = (f"{rows_a_pass:.1f}", f"{model.queue_ms:.2f}", f"{model.pass_ms:.2f}", f"{model.memory / 1e6:.1f}")
    counts = (f"{model.requests:,}", f"{model.passes:,}", f"{model.failed:,}")
    return (model.name[:12], model.platform or "-", model.device or "-", model.state or "-", *counts, *times)
