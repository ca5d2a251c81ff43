"""What MXNet may not survive is tried in a copy of this process first, which ends with it."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Callable

from serving.accelerators.errors import AcceleratorError, Code

SECONDS = 60
"""What a trial may take: the largest symbols need a few."""


def run(what: str, trial: Callable[[], object]) -> None:
    """Call it in a fork. AcceleratorError where it raises one there, or where the copy ends or hangs.

    Nothing in it may use OpenMP, whose threads a fork does not have.
    """
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        _child(writer, trial)
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        said = file.read()
    _, status = os.waitpid(pid, 0)
    if said:
        raise AcceleratorError(Code(said[0]), said[1:].decode())
    if status:
        raise AcceleratorError(
            Code.INVALID_ARGUMENT, f"{what} ends MXNet ({_ending(status)}): it was tried apart, and is refused"
        )


def _child(writer: int, trial: Callable[[], object]) -> None:
    """The copy: it says what was raised, and never returns."""
    status = 1
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(SECONDS)
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 2)  # MXNet's stack trace
        trial()
        status = 0
    except AcceleratorError as error:
        os.write(writer, bytes([error.code]) + error.message[:4000].encode())
    except MemoryError:
        os.write(writer, bytes([Code.RESOURCE_EXHAUSTED]) + b"the model's symbol alone outgrows the accelerator's memory")
    except BaseException as error:  # whatever it is, it is the symbol's: the parent goes on
        os.write(writer, bytes([Code.INVALID_ARGUMENT]) + f"the symbol cannot be read: {type(error).__name__}".encode())
    finally:
        os._exit(status)


def _ending(status: int) -> str:
    if not os.WIFSIGNALED(status):
        return f"exit {os.WEXITSTATUS(status)}"
    if os.WTERMSIG(status) == signal.SIGALRM:
        return f"no end after {SECONDS} s"
    return signal.Signals(os.WTERMSIG(status)).name
