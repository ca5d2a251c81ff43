"""What keeps user code on the event loop from holding it: SIGALRM, twice.

    after a moment      `slow` is called, once: this script does not belong on the loop
    at the deadline     `DeadlinePassed` is raised inside the user's code

Code that never returns to the interpreter is beyond it: gunicorn's own timeout ends such a process.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType

from serving.errors import DeadlinePassed

SLOW_SECONDS = 0.5
"""A quarter of what the platform gives `/ping`: longer than any hiccup of a script that was measured at a millisecond."""


class Alarm:
    """A context within which each request's code may take `deadline` seconds. Main thread only."""

    def __init__(self, deadline: float, slow: Callable[[], None]) -> None:
        self._first, self._deadline, self._slow = min(SLOW_SECONDS, deadline / 2), deadline, slow
        self._armed = self._warned = False
        self.rang = False
        signal.signal(signal.SIGALRM, self._ring)

    def __enter__(self) -> None:
        self.rang = self._warned = False
        self._armed = True
        signal.setitimer(signal.ITIMER_REAL, self._first)

    def __exit__(self, *_: object) -> None:
        self._armed = False
        signal.setitimer(signal.ITIMER_REAL, 0)

    def _ring(self, signum: int, frame: FrameType | None) -> None:
        if not self._armed:  # the signal came as the code returned: it must not be raised in the loop's own code
            return
        if not self._warned:
            self._warned = True
            signal.setitimer(signal.ITIMER_REAL, self._deadline - self._first, self._deadline)
            self._slow()
            return
        self.rang = True
        raise DeadlinePassed
