"""Counters that all processes share, and their Prometheus form, read by the official parser."""

from __future__ import annotations

import os

import pytest
from prometheus_client.parser import text_string_to_metric_families

from serving.telemetry.metrics import BUCKETS, STATUSES, Metrics, exposition


def samples(metrics: Metrics) -> dict[tuple[str, str], float]:
    """(name, label value) -> value, of the exposition as Prometheus reads it."""
    text, content_type = exposition(metrics)
    assert content_type.startswith("text/plain")
    families = list(text_string_to_metric_families(text.decode()))
    return {(sample.name, *sample.labels.values(), "")[:2]: sample.value for family in families for sample in family.samples}


def test_before_the_first_request() -> None:
    """A fresh server exposes zeros, and no status that was never answered."""
    found = samples(Metrics(4))
    assert found[("ei_invocation_seconds_count", "")] == 0
    assert not [key for key in found if key[0] == "ei_invocations_total"]


def test_answers() -> None:
    """Each answer counts by its status, in the histogram, and with its bytes."""
    metrics = Metrics(4)
    for status, seconds in ((200, 0.0004), (200, 0.002), (503, 70.0)):
        metrics.answered(status, seconds, 100, 7)
    found = samples(metrics)
    assert (found[("ei_invocations_total", "200")], found[("ei_invocations_total", "503")]) == (2, 1)
    assert (found[("ei_request_bytes_total", "")], found[("ei_reply_bytes_total", "")]) == (300, 21)
    assert found[("ei_invocation_seconds_sum", "")] == pytest.approx(70.0024)
    assert (found[("ei_invocation_seconds_count", "")], found[("ei_invocation_seconds_bucket", "+Inf")]) == (3, 3)
    assert (found[("ei_invocation_seconds_bucket", "0.0005")], found[("ei_invocation_seconds_bucket", "0.0025")]) == (1, 2)
    assert found[("ei_invocation_seconds_bucket", "60.0")] == 2


def test_a_bound_belongs_to_its_bucket() -> None:
    """Buckets are `le`: a duration that equals a bound is within it."""
    metrics = Metrics(1)
    for bound in BUCKETS:
        metrics.answered(200, bound, 0, 0)
    found = samples(metrics)
    assert [found[("ei_invocation_seconds_bucket", str(bound))] for bound in BUCKETS] == list(range(1, len(BUCKETS) + 1))


def test_unknown_statuses() -> None:
    """A status that a script chose freely counts among the others."""
    metrics = Metrics(1)
    metrics.answered(418, 0.1, 0, 0)
    metrics.answered(299, 0.1, 0, 0)
    assert samples(metrics)[("ei_invocations_total", "other")] == 2


@pytest.mark.parametrize("status", [status for status in STATUSES if status])
def test_every_status_has_its_own_count(status: int) -> None:
    """No two statuses share a column."""
    metrics = Metrics(1)
    metrics.answered(status, 0.1, 0, 0)
    found = samples(metrics)
    assert {key: value for key, value in found.items() if key[0] == "ei_invocations_total"} == {
        ("ei_invocations_total", str(status)): 1
    }


def test_passes_and_processes() -> None:
    """Runs of the line with their stages, and ended model processes, are counted apart."""
    metrics = Metrics(1)
    metrics.passed(0.5, (0.1, 0.2, 0.3))
    metrics.passed(0.5, (0.1, 0.2, 0.3))
    metrics.model_process_ended()
    found = samples(metrics)
    stages = [found[("ei_stage_seconds_total", stage)] for stage in ("queue", "decode", "forward", "encode")]
    assert stages == pytest.approx([1.0, 0.2, 0.4, 0.6])
    assert (found[("ei_passes_total", "")], found[("ei_model_processes_ended_total", "")]) == (2, 1)
    assert found[("ei_invocation_seconds_count", "")] == 0


def test_processes_share_the_table() -> None:
    """What a forked process counts in its row is in every process' scrape at once."""
    metrics = Metrics(3)
    metrics.answered(200, 0.1, 1, 1)
    child = os.fork()
    if not child:
        metrics.use(1)
        metrics.answered(200, 0.1, 10, 10)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    found = samples(metrics)
    assert (found[("ei_invocations_total", "200")], found[("ei_request_bytes_total", "")]) == (2, 11)


def test_a_process_that_follows_goes_on_counting() -> None:
    """Rows are used again, however many processes come and go: counters never fall."""
    metrics = Metrics(2)
    for process in range(7):
        metrics.use(process)
        metrics.answered(200, 0.1, 0, 0)
    assert samples(metrics)[("ei_invocations_total", "200")] == 7
