"""Counters in memory that all processes share, and their Prometheus form.

Each process adds to a row of its own, so no lock is needed and a scrape of any process sees every answer at once. The
official client library writes the exposition format from them (a custom collector).
"""

from __future__ import annotations

import mmap
from bisect import bisect_left
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prometheus_client.core import Metric

STATUSES = (200, 400, 404, 405, 406, 408, 413, 415, 417, 429, 431, 500, 503, 504, 0)
"""Statuses counted by themselves; 0 counts all others."""
BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper bounds of the duration histogram, in seconds."""
STAGES = ("queue", "decode", "forward", "encode")

_STATUS_AT = {status: at for at, status in enumerate(STATUSES)}
_HISTOGRAM = len(STATUSES)
_SUM = _HISTOGRAM + len(BUCKETS) + 1
_STAGE = _SUM + 1
(_BYTES_IN, _BYTES_OUT, _PASSES, _ENDED, _CALLS, _CALL_SECONDS, _UNUSED) = (_STAGE + len(STAGES) + n for n in range(7))
_COLUMNS = _UNUSED + 1


class Metrics:
    """The shared table; made once before the first fork."""

    def __init__(self, rows: int) -> None:
        self._memory = mmap.mmap(-1, rows * _COLUMNS * 8)
        self._table = memoryview(self._memory).cast("d")
        self._rows = rows
        self._base = 0
        self.devices: dict[str, str] = {}
        """Where each model runs: `cpu`, `eia:0`, ...; set before the first fork."""

    def use(self, row: int) -> None:
        """Add to this row from now on: one process a row."""
        self._base = (row % self._rows) * _COLUMNS

    def answered(self, status: int, seconds: float, size_in: int, size_out: int) -> None:
        """Count one answer, its duration in seconds from its head to its reply, and its bytes."""
        table, base = self._table, self._base
        table[base + _STATUS_AT.get(status, len(STATUSES) - 1)] += 1
        table[base + _HISTOGRAM + bisect_left(BUCKETS, seconds)] += 1
        table[base + _SUM] += seconds
        table[base + _BYTES_IN] += size_in
        table[base + _BYTES_OUT] += size_out

    def passed(self, queue: float, stages: tuple[float, float, float]) -> None:
        """Count one run of the line: seconds of its stages, and what its requests waited before it, in sum."""
        table, base = self._table, self._base + _STAGE
        table[base] += queue
        table[base + 1] += stages[0]
        table[base + 2] += stages[1]
        table[base + 3] += stages[2]
        table[self._base + _PASSES] += 1

    def model_process_ended(self) -> None:
        """Count a model process that ended before it was told to."""
        self._table[self._base + _ENDED] += 1

    def accelerated(self, calls: int, seconds: float) -> None:
        """Count calls of an accelerator, and the seconds that they took."""
        table, base = self._table, self._base
        table[base + _CALLS] += calls
        table[base + _CALL_SECONDS] += seconds

    def unused(self) -> bool:
        """Note that a script leaves the accelerator alone; True for the first process that says so."""
        is_first = not self.total(_UNUSED)
        self._table[self._base + _UNUSED] = 1
        return is_first

    def places(self) -> list[tuple[str, str]]:
        """(model, device) of each model: the CPU where its script was seen not to use the accelerator."""
        is_unused = bool(self.total(_UNUSED)) and not self.total(_CALLS)
        return [(model, "cpu" if is_unused else device) for model, device in self.devices.items()]

    @property
    def accelerator_calls(self) -> int:
        """Calls of accelerators so far, by all processes."""
        return int(self.total(_CALLS))

    def total(self, column: int) -> float:
        """A column's sum over all rows."""
        return sum(self._table[row * _COLUMNS + column] for row in range(self._rows))

    def collect(self) -> Iterator[Metric]:
        """The metrics as Prometheus families (the client library's collector protocol)."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

        answers = CounterMetricFamily("ei_invocations", "Answered invocations by HTTP status.", labels=["status"])
        for at, status in enumerate(STATUSES):
            if count := self.total(at):
                answers.add_metric([str(status or "other")], count)
        yield answers
        cumulative, seen = [], 0.0
        for at, bound in enumerate((*BUCKETS, float("inf"))):
            seen += self.total(_HISTOGRAM + at)
            cumulative.append(("+Inf" if bound == float("inf") else str(bound), seen))
        yield HistogramMetricFamily(
            "ei_invocation_seconds",
            "Seconds from a request's head to its reply.",
            buckets=cumulative,
            sum_value=self.total(_SUM),
        )
        stages = CounterMetricFamily("ei_stage_seconds", "Seconds spent in each stage of the line.", labels=["stage"])
        for at, stage in enumerate(STAGES):
            stages.add_metric([stage], self.total(_STAGE + at))
        yield stages
        for name, text, column in (
            ("ei_request_bytes", "Bytes of invocations' bodies.", _BYTES_IN),
            ("ei_reply_bytes", "Bytes of replies' bodies.", _BYTES_OUT),
            ("ei_passes", "Runs of the line; fewer than invocations where they share a forward pass.", _PASSES),
            ("ei_model_processes_ended", "Model processes that were killed, crashed or overran a deadline.", _ENDED),
            ("ei_accelerator_calls", "Calls of the accelerators that are attached, failed ones included.", _CALLS),
            ("ei_accelerator_seconds", "Seconds that these calls took, the way there and back included.", _CALL_SECONDS),
        ):
            yield CounterMetricFamily(name, text, value=self.total(column))
        devices = GaugeMetricFamily("ei_model_device", "Where a model runs: 1 for its device.", labels=["model", "device"])
        for model, device in self.places():
            devices.add_metric([model, device], 1)
        yield devices


def exposition(metrics: Metrics) -> tuple[bytes, str]:
    """The metrics in Prometheus' text format, and its content type."""
    from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

    registry = CollectorRegistry(auto_describe=False)
    registry.register(metrics)
    return generate_latest(registry), CONTENT_TYPE_LATEST
