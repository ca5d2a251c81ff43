"""A deadline for user code that runs on the event loop: SIGALRM raises `DeadlinePassed` inside it.

Code that never returns to the interpreter is beyond it: gunicorn's own timeout ends such a process.
"""

from __future__ import annotations

import signal
from types import FrameType

from serving.errors import DeadlinePassed


class Alarm:
    """A context within which each request's code may take so many seconds. Main thread only."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.rang = False
        signal.signal(signal.SIGALRM, self._ring)

    def __enter__(self) -> None:
        self.rang = False
        signal.setitimer(signal.ITIMER_REAL, self._seconds, self._seconds)

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)

    def _ring(self, signum: int, frame: FrameType | None) -> None:
        self.rang = True
        raise DeadlinePassed
