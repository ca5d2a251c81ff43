"""What MXNet may not survive is tried in a copy of this process first, which ends with it.

run      a symbol is read: what it raises, and how it ends, is told here
returns  a pass is made near the line that memory cannot cross: does it come back?
"""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Callable

from serving.accelerators.engines import memory
from serving.accelerators.errors import AcceleratorError, Code
from serving.backends.mxnet import set_threads

SECONDS = 60
"""What a trial may take: the largest symbols need a few."""


def run(what: str, trial: Callable[[], object]) -> None:
    """Call it in a fork. AcceleratorError where it raises one there, or where the copy ends or hangs.

    Nothing in it may use OpenMP's threads, which a fork does not have.
    """
    said, status = _forked(trial)
    if said:
        raise AcceleratorError(Code(said[0]), said[1:].decode())
    if status:
        raise AcceleratorError(
            Code.INVALID_ARGUMENT, f"{what} ends MXNet ({_ending(status)}): it was tried apart, and is refused"
        )


def returns(attempt: Callable[[], object], margin: int) -> bool:
    """Whether a pass comes back, with one thread and `margin` bytes less: it may well raise, but not for want of memory."""

    def trial() -> None:
        set_threads(1)
        memory.limit(os.getpid(), memory.held() + max(0, memory.headroom() - margin))
        try:
            attempt()
        except Exception as error:
            if memory.is_exhausted(error):
                raise MemoryError from None

    said, status = _forked(trial)
    return not said and not status


def _forked(trial: Callable[[], object]) -> tuple[bytes, int]:
    """What was said, a status code and its message, and how the copy ended."""
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        _child(writer, trial)
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        said = file.read()
    return said, os.waitpid(pid, 0)[1]


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
