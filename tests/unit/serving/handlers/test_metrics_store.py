"""Metrics of scripts, as MMS counts and prints them."""

from __future__ import annotations

import pytest

from serving.handlers.metrics_store import Dimension, Metric, MetricsStore


@pytest.fixture
def store() -> MetricsStore:
    """The store of one request."""
    return MetricsStore({0: "id-1"}, "m")


def test_counters_add_up_and_others_replace(store: MetricsStore) -> None:
    """A counter of one name is one metric that grows; a time of one name keeps its last value."""
    for value in (1, 2):
        store.add_counter("seen", value)
        store.add_time("spent", value, unit="s")
    assert [(metric.name, metric.value, metric.unit) for metric in store.store] == [
        ("seen", 3, "Count"),
        ("spent", 2, "Seconds"),
    ]


def test_dimensions_tell_metrics_apart(store: MetricsStore) -> None:
    """Two metrics of one name and different dimensions are two; the caller's list is left alone."""
    mine = [Dimension("kind", "a")]
    store.add_size("body", 1, dimensions=mine)
    store.add_size("body", 2, dimensions=[Dimension("kind", "b")])
    assert [metric.value for metric in store.store] == [1, 2]
    assert len(mine) == 1


def test_every_kind(store: MetricsStore) -> None:
    """Percent, error and free metrics print with unit, dimensions, host and request id."""
    store.add_percent("load", 50, idx=0)
    store.add_error("fault", "text")
    store.add_metric("free", 7, unit="apples")
    texts = [str(metric) for metric in store.store]
    assert texts[0].startswith("load.Percent:50|#ModelName-m,Level-Model|#hostname:")
    assert texts[0].endswith(",id-1")
    assert texts[1].startswith("fault.:text|#Level-Error|")
    assert texts[2].startswith("free.apples:7|")


@pytest.mark.parametrize(("call", "unit"), [("add_time", "h"), ("add_size", "TB")])
def test_unknown_units(store: MetricsStore, call: str, unit: str) -> None:
    """A unit that MMS has not is a ValueError."""
    with pytest.raises(ValueError, match="expected one of"):
        getattr(store, call)("x", 1, unit=unit)


def test_dimensions_must_be_a_list(store: MetricsStore) -> None:
    """Anything but a list of dimensions is a ValueError."""
    with pytest.raises(ValueError, match="expected a list"):
        store.add_counter("x", 1, dimensions="kind")  # type: ignore[arg-type]


def test_as_dict() -> None:
    """A metric and a dimension as MMS's dictionaries."""
    document = Metric("n", 1, "ms", [], "id").to_dict()
    assert {key: document[key] for key in ("MetricName", "Value", "Unit", "RequestId")} == {
        "MetricName": "n", "Value": 1, "Unit": "Milliseconds", "RequestId": "id",
    }  # fmt: skip
    assert Dimension("a", 1).to_dict() == {"name": "a", "value": 1}
