"""What keeps user code on the event loop from holding it."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from serving.errors import DeadlinePassed
from serving.execution.alarm import SLOW_SECONDS, Alarm


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    """SIGALRM is put back as it was, and no timer is left."""
    before = signal.getsignal(signal.SIGALRM)
    yield
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0
    signal.signal(signal.SIGALRM, before)


def hold() -> None:
    """User code that swallows every Exception and never returns."""
    while True:
        try:
            signal.pause()
        except Exception:
            continue


def test_slow_code_is_told_of_and_then_stopped() -> None:
    """Code over a moment is told of once; at its deadline it is stopped, though it swallows exceptions."""
    said: list[str] = []
    alarm = Alarm(0.01, lambda: said.append("slow"))
    with pytest.raises(DeadlinePassed), alarm:
        hold()
    assert (said, alarm.rang) == (["slow"], True)


def test_fast_code_is_left_alone() -> None:
    """Code that returns in time hears nothing, and leaves no timer behind."""
    alarm = Alarm(60, lambda: pytest.fail("it was not slow"))
    with alarm:
        assert 0 < signal.getitimer(signal.ITIMER_REAL)[0] <= SLOW_SECONDS
    assert not alarm.rang


def test_a_signal_that_comes_late() -> None:
    """A signal that arrives after the code has returned is not raised in the loop's own code."""
    alarm = Alarm(60, lambda: pytest.fail("nothing runs"))
    with alarm:
        pass
    signal.raise_signal(signal.SIGALRM)
    assert not alarm.rang


def test_each_use_starts_anew() -> None:
    """After a deadline has passed the next code has all its time, and nothing is told of it."""
    said: list[str] = []
    alarm = Alarm(0.01, lambda: said.append("slow"))
    with pytest.raises(DeadlinePassed), alarm:
        hold()
    with alarm:
        assert not alarm.rang
    assert said == ["slow"]


def test_a_deadline_between_requests_rings_again() -> None:
    """Where several requests run within one alarm each has its deadline: it rings for every one that overruns."""
    alarm = Alarm(0.01, lambda: None)
    rings = 0
    with alarm:
        for _ in range(2):
            try:
                hold()
            except DeadlinePassed:
                rings += 1
    assert rings == 2
