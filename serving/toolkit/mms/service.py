"""The errors and the metrics call of custom services."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from serving.handlers.metrics_store import Metric

PREDICTION_METRIC = "PredictionTime"
logger = logging.getLogger(__name__)


class PredictionException(Exception):
    """An error whose status and message the client gets."""

    def __init__(self, message: str, error_code: int = 500) -> None:
        self.message = message
        self.error_code = error_code
        self.status_code = error_code
        self.phrase = message
        super().__init__(message)

    def __str__(self) -> str:
        return f"{self.message} : {self.error_code}"


def emit_metrics(metrics: Iterable[Metric] | None) -> None:
    """Write metrics to the log, one `[METRICS]` line each."""
    for metric in metrics or ():
        logger.info("[METRICS]%s", metric)
