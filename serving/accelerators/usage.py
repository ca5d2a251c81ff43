"""What a model process has asked of the accelerators: counted for the metrics, and said where a script never asks anything."""

from __future__ import annotations

import logging

from serving.accelerators import attached
from serving.telemetry.metrics import Metrics

log = logging.getLogger("ei.accelerators")
FIRST_REQUESTS = 3
"""After which a script that was to use the accelerator has used it."""


class Usage:
    """Counts on after each message that a model process has answered."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._calls, self._seconds = attached.used()
        self._answered = 0

    def answered(self, requests: int) -> None:
        """Take note of so many requests, and of the calls that were made for them."""
        calls, seconds = attached.used()
        if calls != self._calls:
            self._metrics.accelerated(calls - self._calls, seconds - self._seconds)
            self._calls, self._seconds = calls, seconds
        if self._answered >= FIRST_REQUESTS:
            return
        self._answered += requests
        if self._answered >= FIRST_REQUESTS and not calls and self._metrics.unused():
            log.warning(
                "the script does not use the accelerator that is attached: none of its first requests made a call there; "
                "give its model the context mx.eia(), or the backend EIA"
            )
