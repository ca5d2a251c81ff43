"""Measuring a model that must not be loaded before the fork: in a child that loads it, measures, reports and ends.

    fork -> child: load, placement.choose -> pipe -> Placement, or the StartError that the load raised

TensorFlow starts threads with the first model, and threads do not survive a fork (docs/decisions/0006).
"""

from __future__ import annotations

import logging
import os
import signal
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import orjson

from serving.errors import ModelError, StartError
from serving.execution.placement import Placement
from serving.invocation import Service

log = logging.getLogger("ei.execution")


def place(load: Callable[[], Service], choose: Callable[[Service], Placement]) -> Placement:
    """What `choose` says of the service that `load` makes, found out in a child; ModelError where the load fails there."""

    def measure() -> dict[str, Any]:
        chosen = choose(load())
        return {"kind": chosen.kind, "why": chosen.why, "seconds": chosen.seconds}

    return Placement(**ask(measure))


def ask(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What `work` answers in a child, which ends with it and with all threads that it started; ModelError where it fails."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _report(writing, work)
    os.close(writing)
    try:
        with os.fdopen(reading, "rb") as pipe:
            report = pipe.readline()  # not to its end: a process that the user's code started may hold it open
    finally:
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
    if not report:
        raise ModelError(f"the process that loaded the model {_ending(status)}")
    found: dict[str, Any] = orjson.loads(report)
    if "fault" in found:
        raise ModelError(found["fault"])
    return found


def _report(pipe: int, work: Callable[[], dict[str, Any]]) -> None:
    """Work, write, and end this process without any of its parent's clean-up."""
    try:
        answer = work()
    except StartError as error:
        answer = {"fault": str(error)}
    except BaseException as error:
        traceback.print_exc()
        answer = {"fault": f"the model cannot be loaded: {type(error).__name__}: {error}"}
    try:
        os.write(pipe, orjson.dumps(answer) + b"\n")
    finally:
        os._exit(0)


def _ending(status: int) -> str:
    if os.WIFSIGNALED(status):
        name = signal.Signals(os.WTERMSIG(status)).name
        return f"was ended by {name}" + (" (out of memory?)" if name == "SIGKILL" else "")
    return f"ended with status {os.waitstatus_to_exitcode(status)} before it said anything"
