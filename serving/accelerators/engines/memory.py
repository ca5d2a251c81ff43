"""An engine process' memory: how much it holds, the line that it cannot cross, and giving back what was freed.

    held at start + budget -> RLIMIT_DATA -> an allocation beyond it fails -> RESOURCE_EXHAUSTED, and the process lives

The kernel counts private writable memory against the limit when it is mapped, touched or not. [man 2 getrlimit, RLIMIT_DATA]
"""

from __future__ import annotations

import ctypes
import os
import resource
from collections.abc import Mapping
from pathlib import Path

from serving.accelerators import catalog
from serving.accelerators.errors import AcceleratorError, Code

MIB = 1 << 20
M_MMAP_THRESHOLD, M_ARENA_MAX = -3, -8
LARGE = 256 << 10
SIGNS = (
    "bad_alloc",
    "cannot allocate memory",
    "could not create a memory",
    "failed to allocate",
    "out of memory",
    "bad allocation",
)
"""What MXNet, oneDNN and ONNX Runtime say, in lower case, where an allocation fails."""


def held(pid: int | None = None) -> int:
    """Bytes that count against the limit: a process' private writable memory (VmData)."""
    return status("VmData", pid)


def resident(pid: int | None = None) -> int:
    """Bytes of it that are in use (RssAnon)."""
    return status("RssAnon", pid)


def limit(pid: int, size: int) -> None:
    """Let a process hold so many bytes and no more; the hard limit stays, so that the line can be moved."""
    _, hard = resource.prlimit(pid, resource.RLIMIT_DATA)
    allowed = size if hard == resource.RLIM_INFINITY else min(size, hard)
    resource.prlimit(pid, resource.RLIMIT_DATA, (allowed, hard))


def confine(budget: int) -> int:
    """Let this process hold what it holds now and so many bytes more; the bytes that it may hold."""
    line = held() + budget
    limit(os.getpid(), line)
    return line


def headroom() -> int:
    """Bytes that this process may still take."""
    line, _ = resource.getrlimit(resource.RLIMIT_DATA)
    return 1 << 60 if line == resource.RLIM_INFINITY else max(0, line - held())


def settle() -> None:
    """Have large blocks mapped each by itself, so that they leave the process when they are freed: before a framework's import.

    glibc learns otherwise to keep blocks of up to 32 MiB in the heap, where what is freed below what is not stays mapped, and
    counts. [man 3 mallopt, M_MMAP_THRESHOLD]
    """
    library = ctypes.CDLL(None)
    library.mallopt(M_MMAP_THRESHOLD, LARGE)
    library.mallopt(M_ARENA_MAX, 2)


def trim() -> None:
    """Give freed memory back to the system."""
    ctypes.CDLL(None).malloc_trim(ctypes.c_size_t(0))


def is_exhausted(error: BaseException) -> bool:
    """Whether an error says that an allocation failed."""
    return isinstance(error, MemoryError) or any(sign in str(error).lower() for sign in SIGNS)


def exhausted(what: str, need: int, budget: int, shapes: Mapping[str, tuple[int, ...]] | None = None) -> AcceleratorError:
    """What to say where `what` needs `need` bytes, at least as far as is known, and `budget` are allowed."""
    of = " for " + ", ".join(f"{name} {list(shape)}" for name, shape in list((shapes or {}).items())[:4]) if shapes else ""
    kind = catalog.smallest(max(need, budget + 1))
    way = f"{kind.name} has {kind.gigabytes} GiB" if kind else "no type has that much: send smaller batches, or a smaller model"
    return AcceleratorError(
        Code.RESOURCE_EXHAUSTED,
        f"out of the accelerator's memory: {what}{of} needs about {megabytes(need)}, and {megabytes(budget)} may be used; {way}",
    )


def megabytes(size: int) -> str:
    """A size as people read it."""
    return f"{size / MIB:,.0f} MiB" if size >= 10 * MIB else f"{size / MIB:.1f} MiB"


def status(field: str, pid: int | None = None) -> int:
    """A size that the kernel tells of a process, this one if none is named, in bytes (man 5 proc)."""
    for line in Path(f"/proc/{pid or 'self'}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    return 0  # a process that has ended
