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

import orjson

from serving.errors import ModelError, StartError
from serving.execution.placement import Placement
from serving.invocation import Service

log = logging.getLogger("ei.execution")


def place(load: Callable[[], Service], choose: Callable[[Service], Placement]) -> Placement:
    """What `choose` says of the service that `load` makes, found out in a child; ModelError where the load fails there."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _report(writing, load, choose)
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
    found = orjson.loads(report)
    if "fault" in found:
        raise ModelError(found["fault"])
    return Placement(found["kind"], found["why"], found["seconds"])


def _report(pipe: int, load: Callable[[], Service], choose: Callable[[Service], Placement]) -> None:
    """Load, choose, write, and end this process without any of its parent's clean-up."""
    try:
        chosen = choose(load())
        answer = {"kind": chosen.kind, "why": chosen.why, "seconds": chosen.seconds}
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
