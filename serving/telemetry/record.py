"""One place where a process that answers notes its answers: metrics at once, a log line for later."""

from __future__ import annotations

from time import perf_counter

from serving.invocation import Reply, Request
from serving.telemetry.logging import AccessLog
from serving.telemetry.metrics import Metrics


class Recorder:
    """Notes answered invocations; durations are seconds on the perf_counter clock."""

    def __init__(self, metrics: Metrics, access: AccessLog | None) -> None:
        self.metrics, self.access = metrics, access

    def batch(self, requests: list[Request], replies: list[Reply], begin: float) -> None:
        """The requests of one run of the line that began at `begin`."""
        now = perf_counter()
        waited = 0.0
        for request, reply in zip(requests, replies, strict=True):
            queue = begin - request.arrived
            waited += queue
            self._one(request, reply, queue, now - request.arrived)
        self.metrics.passed(waited, replies[0].stages)

    def refusal(self, request: Request, reply: Reply) -> None:
        """A request that was answered without running the line."""
        waited = perf_counter() - request.arrived
        self._one(request, reply, waited, waited)

    def flush(self) -> None:
        """Hand gathered lines on; called a few times a second."""
        if self.access is not None:
            self.access.flush()

    def close(self) -> None:
        """Write the last lines."""
        if self.access is not None:
            self.access.close()

    def _one(self, request: Request, reply: Reply, queue: float, total: float) -> None:
        body = reply.body
        self.metrics.answered(reply.status, total, len(request.body), len(body) if isinstance(body, bytes) else 0)
        if self.access is not None:
            self.access.add(request, reply, queue, total)
