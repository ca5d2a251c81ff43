"""Answers are noted once, with the time each waited."""

from __future__ import annotations

from typing import Any

import pytest

from serving.invocation import Reply, Request
from serving.telemetry import record
from serving.telemetry.metrics import Metrics
from serving.telemetry.record import Recorder


class Lines:
    """Keeps what the access log would write; the log itself starts a thread and needs a file."""

    def __init__(self) -> None:
        self.added: list[tuple[str, int, float, float]] = []
        self.calls: list[str] = []

    def add(self, request: Request, reply: Reply, queue: float, total: float) -> None:
        """One line."""
        self.added.append((request.id, reply.status, queue, total))

    def flush(self) -> None:
        """Hand on."""
        self.calls.append("flush")

    def close(self) -> None:
        """Write the last."""
        self.calls.append("close")


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Lines:
    """An access log, at 10 s on the clock."""
    monkeypatch.setattr(record, "perf_counter", lambda: 10.0)
    return Lines()


def recorder(lines: Any) -> Recorder:
    """A recorder with metrics of its own."""
    return Recorder(Metrics(1), lines)


def test_a_run_of_the_line(lines: Lines) -> None:
    """Each request of a run waited from its arrival to the run's begin, and took until now; the run counts once."""
    noted = recorder(lines)
    requests = [Request(b"123", id="a", arrived=8.0), Request(b"", id="b", arrived=9.0)]
    replies = [Reply(b"xy"), Reply(b"", status=400)]
    for reply in replies:
        reply.stages = (0.1, 0.2, 0.3)
    noted.batch(requests, replies, begin=9.5)
    assert lines.added == [("a", 200, 1.5, 2.0), ("b", 400, 0.5, 1.0)]
    families = {family.name: family.samples for family in noted.metrics.collect()}
    assert [sample.value for sample in families["ei_stage_seconds"]] == pytest.approx([2.0, 0.1, 0.2, 0.3])
    assert families["ei_passes"][0].value == 1
    assert (families["ei_request_bytes"][0].value, families["ei_reply_bytes"][0].value) == (3, 2)


def test_a_refusal(lines: Lines) -> None:
    """A refused request only waited; no run of the line is counted."""
    noted = recorder(lines)
    noted.refusal(Request(b"", id="a", arrived=9.0), Reply(b"", status=503))
    assert lines.added == [("a", 503, 1.0, 1.0)]
    assert next(f.samples[0].value for f in noted.metrics.collect() if f.name == "ei_passes") == 0


def test_a_stream_has_no_size(lines: Lines) -> None:
    """A body that is still being made counts no bytes."""
    noted = recorder(lines)
    noted.batch([Request(b"", arrived=9.0)], [Reply(iter([b"abc"]))], begin=9.5)
    assert next(f.samples[0].value for f in noted.metrics.collect() if f.name == "ei_reply_bytes") == 0


def test_flush_and_close(lines: Lines) -> None:
    """Both go to the log."""
    noted = recorder(lines)
    noted.flush()
    noted.close()
    assert lines.calls == ["flush", "close"]


def test_without_an_access_log() -> None:
    """With the log off answers are still counted."""
    noted = recorder(None)
    noted.batch([Request(b"")], [Reply(b"")], begin=0.0)
    noted.flush()
    noted.close()
    assert next(f.samples[0].value for f in noted.metrics.collect() if f.name == "ei_passes") == 1
