"""Measuring in a child: its answer, its faults, and its end."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest

from serving.errors import ModelError
from serving.execution import probe
from serving.execution.placement import Placement
from serving.invocation import Service


def test_what_the_child_says(service: Service) -> None:
    """The placement that was chosen in the child, which had the service; this process never had it."""
    parent = os.getpid()

    def choose(found: Service) -> Placement:
        assert found is service
        return Placement("inline", "here" if os.getpid() == parent else "elsewhere", 0.25)

    assert probe.place(lambda: service, choose) == Placement("inline", "elsewhere", 0.25)


def test_a_model_that_cannot_be_loaded() -> None:
    """The load's own message ends the start."""

    def load() -> Service:
        raise ModelError("variables are corrupt")

    with pytest.raises(ModelError, match="^variables are corrupt$"):
        probe.place(load, pytest.fail)


def test_a_fault_of_another_kind(capfd: pytest.CaptureFixture[str]) -> None:
    """Whatever else the load raises is named, with its traceback in the log."""
    with pytest.raises(ModelError, match="cannot be loaded: ZeroDivisionError: division by zero"):
        probe.place(lambda: 1 / 0, pytest.fail)  # type: ignore[arg-type, return-value]
    assert "Traceback" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("end", "message"),
    [
        (lambda: os.kill(os.getpid(), signal.SIGKILL), r"was ended by SIGKILL \(out of memory\?\)"),
        (lambda: os.kill(os.getpid(), signal.SIGUSR1), "was ended by SIGUSR1"),
        (lambda: os._exit(3), "ended with status 3 before it said anything"),
    ],
    ids=["killed", "aborted", "exited"],
)
def test_a_child_that_ends(end: Any, message: str) -> None:
    """A child that dies of the model is an error that says how, not a wait."""
    with pytest.raises(ModelError, match=message):
        probe.place(end, pytest.fail)


def test_a_process_of_the_users_code(service: Service) -> None:
    """What the user's code has started, and lives on, is not waited for."""
    reading, held = os.pipe()
    os.set_blocking(reading, False)

    def load() -> Service:
        if os.fork() == 0:
            signal.alarm(2)  # nobody else ends it
            signal.pause()
        return service

    probe.place(load, lambda found: Placement("pool", "test"))
    os.close(held)
    with pytest.raises(BlockingIOError):
        os.read(reading, 1)
    os.close(reading)


def test_no_child_is_left(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """The child is reaped."""
    fork, children = os.fork, []
    monkeypatch.setattr(os, "fork", lambda: children.append(fork()) or children[-1])
    probe.place(lambda: service, lambda found: Placement("pool", "test"))
    [child] = children
    with pytest.raises(ChildProcessError):
        os.waitpid(child, os.WNOHANG)
