"""Large blocks go back to the system when they are freed, whatever was freed before."""

from __future__ import annotations

import subprocess
import sys

HOLES = """
import ctypes, sys
from serving.accelerators.engines import memory
if sys.argv[1] == "apart":
    memory.settle()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
size = 8 << 20
libc.free(libc.malloc(size))  # from here on, blocks of that size come from the heap
large = []
for _ in range(8):
    large.append(libc.malloc(size))
    ctypes.memset(large[-1], 1, size)
    small = libc.malloc(100_000)  # more than any hole that the imports left
for block in large:
    libc.free(block)
print(memory.resident() >> 10)
"""


def kilobytes(how: str) -> int:
    """What a process holds after it has freed 64 MiB, with small blocks between."""
    done = subprocess.run([sys.executable, "-c", HOLES, how], capture_output=True, text=True, check=True)
    return int(done.stdout)


def test_freed_blocks_leave_no_holes() -> None:
    """Kept apart, 64 MiB that were freed are given back; in the heap they stay."""
    assert kilobytes("heap") - kilobytes("apart") > 40 << 10
