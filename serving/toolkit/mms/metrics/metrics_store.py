"""`MetricsStore`, under MMS's name."""

from __future__ import annotations

from serving.handlers.metrics_store import MetricsStore

__all__ = ["MetricsStore"]
