"""The metrics that a script reports through its `context`: names, units and text form as MMS has them.

    context.metrics.add_counter(...) -> Metric -> one `[METRICS]` line in the log

The classes keep MMS's public names and arguments (`mms.metrics`), so that scripts and services written for it run unchanged.
"""

from __future__ import annotations

import datetime
import socket
from collections.abc import Mapping
from typing import Any

_UNITS = {"ms": "Milliseconds", "s": "Seconds", "percent": "Percent", "count": "Count", "MB": "Megabytes"}
_UNITS |= {"GB": "Gigabytes", "kB": "Kilobytes", "B": "Bytes", "": ""}


class Dimension:
    """A name and a value that tell one metric from another."""

    def __init__(self, name: str, value: object) -> None:
        self.name = name
        self.value = value

    def to_dict(self) -> dict[str, object]:
        """The two under MMS's keys."""
        return {"name": self.name, "value": self.value}

    def __str__(self) -> str:
        return f"{self.name}-{self.value}"


class Metric:
    """One measured value; `metric_method` "counter" adds up, anything else keeps the last value."""

    def __init__(
        self,
        name: str,
        value: Any,
        unit: str | None,
        dimensions: list[Dimension],
        request_id: str | None = None,
        metric_method: str | None = None,
    ) -> None:
        self.name = name
        self.value = value
        self.unit = _UNITS.get(unit or "", unit or "")
        self.dimensions = dimensions
        self.request_id = request_id
        self.metric_method = metric_method

    def update(self, value: Any) -> None:
        """Add to a counter, replace any other metric."""
        self.value = self.value + value if self.metric_method == "counter" else value

    def __str__(self) -> str:
        where = f"#{','.join(map(str, self.dimensions))}|#hostname:{socket.gethostname()}"
        return f"{self.name}.{self.unit}:{self.value}|{where}" + (f",{self.request_id}" if self.request_id else "")

    def to_dict(self) -> dict[str, object]:
        """The metric under MMS's keys, with the time of the call in UTC."""
        return {
            "MetricName": self.name,
            "Value": self.value,
            "Unit": self.unit,
            "Dimensions": self.dimensions,
            "Timestamp": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M:%S"),
            "HostName": socket.gethostname(),
            "RequestId": self.request_id,
        }


class MetricsStore:
    """The metrics of one request (or of the load); `store` lists them in the order they came."""

    def __init__(self, request_ids: Mapping[int, str] | None, model_name: str) -> None:
        self.store: list[Metric] = []
        self.request_ids = request_ids
        self.model_name = model_name
        self.cache: dict[tuple[object, ...], Metric] = {}

    def add_counter(self, name: str, value: float, idx: int | None = None, dimensions: list[Dimension] | None = None) -> None:
        """Add to the counter of that name."""
        self._put(Metric(name, value, "count", self._dimensions(dimensions), self._request(idx), "counter"))

    def add_time(
        self, name: str, value: float, idx: int | None = None, unit: str = "ms", dimensions: list[Dimension] | None = None
    ) -> None:
        """A duration in "ms" or "s"; ValueError for another unit."""
        _check(unit, ("ms", "s"))
        self._put(Metric(name, value, unit, self._dimensions(dimensions), self._request(idx)))

    def add_size(
        self, name: str, value: float, idx: int | None = None, unit: str = "MB", dimensions: list[Dimension] | None = None
    ) -> None:
        """A size in "kB", "MB" or "GB"; ValueError for another unit."""
        _check(unit, ("MB", "kB", "GB", "B"))
        self._put(Metric(name, value, unit, self._dimensions(dimensions), self._request(idx)))

    def add_percent(self, name: str, value: float, idx: int | None = None, dimensions: list[Dimension] | None = None) -> None:
        """A share in percent."""
        self._put(Metric(name, value, "percent", self._dimensions(dimensions), self._request(idx)))

    def add_error(self, name: str, value: object, dimensions: list[Dimension] | None = None) -> None:
        """An error by its text; it belongs to no request."""
        self._put(Metric(name, value, "", [*(dimensions or []), Dimension("Level", "Error")]))

    def add_metric(
        self, name: str, value: Any, idx: int | None = None, unit: str | None = None, dimensions: list[Dimension] | None = None
    ) -> None:
        """Any other value, in any unit."""
        self._put(Metric(name, value, unit, self._dimensions(dimensions), self._request(idx)))

    def _put(self, metric: Metric) -> None:
        key = (metric.name, metric.unit, metric.request_id, *map(str, metric.dimensions))
        if key in self.cache:
            self.cache[key].update(metric.value)
        else:
            self.cache[key] = metric
            self.store.append(metric)

    def _dimensions(self, dimensions: list[Dimension] | None) -> list[Dimension]:
        if dimensions is not None and not isinstance(dimensions, list):
            raise ValueError("dimensions: expected a list")
        return [*(dimensions or []), Dimension("ModelName", self.model_name), Dimension("Level", "Model")]

    def _request(self, idx: int | None) -> str | None:
        if not isinstance(self.request_ids, Mapping):
            return None if self.request_ids is None else str(self.request_ids)
        if idx is not None and idx in self.request_ids:
            return self.request_ids[idx]
        return ",".join(self.request_ids.values())


def _check(unit: str, known: tuple[str, ...]) -> None:
    if unit not in known:
        raise ValueError(f"unit {unit!r}: expected one of {', '.join(known)}")
