"""Whether the accelerator that a server uses is still there: asked once a second, by each process for itself.

there -> lost (up to GRACE_SECONDS: it may be restarting, calls are tried) -> gone (`/ping` is unhealthy) -> there again
"""

from __future__ import annotations

import logging
import time

from serving.accelerators import attached
from serving.accelerators.artifact import Artifact
from serving.accelerators.errors import UNDETECTED, AcceleratorError, Code, Undetected
from serving.settings import Settings

log = logging.getLogger("ei.accelerators")
LOOK_SECONDS = 1.0
"""Between two questions."""
ANSWER_SECONDS = 2.0
GRACE_SECONDS = 10.0
"""How long an accelerator may be away before it counts as gone: a restart of its container takes less."""


class Watch:
    """The accelerator that EI_DEVICE names; `artifact`, where there is one, is sent to it again when it has lost it."""

    every = LOOK_SECONDS

    def __init__(self, settings: Settings, artifact: Artifact | None) -> None:
        self._settings, self._artifact = settings, artifact
        self._ordinal = attached.ordinal(settings.device)
        self._lost: float | None = None
        self._said = False

    def look(self) -> AcceleratorError | None:
        """Ask it; why it is gone, None where it is there or was a moment ago. Takes two seconds at most, more for a model sent."""
        try:
            self._ask()
        except AcceleratorError as error:
            return self._missed(error)
        if self._said:
            log.warning("the accelerator is back: eia:%d answers", self._ordinal)
        self._lost, self._said = None, False
        return None

    def _ask(self) -> None:
        accelerator = attached.visible(self._settings)[self._ordinal]
        if not accelerator.is_ready(ANSWER_SECONDS):
            raise AcceleratorError(Code.UNAVAILABLE, f"{accelerator.target.address} says that it is not ready")
        if self._artifact is not None and not accelerator.has(self._artifact.name, ANSWER_SECONDS):
            accelerator.send(self._artifact, GRACE_SECONDS)

    def _missed(self, error: AcceleratorError) -> AcceleratorError | None:
        now = time.monotonic()
        if self._lost is None:
            self._lost = now
        if now - self._lost < GRACE_SECONDS:
            return None
        if not self._said:
            self._said = True
            log.error("the accelerator is gone: %s", error.message)
        if error.message.startswith(UNDETECTED):
            return error
        return Undetected(error.message)
