"""Memory that the front and the model processes share, for request bodies: received into it, read from it, never copied.

An anonymous mapping made before the first fork, so it needs no file, no /dev/shm and no cleaning up. Only the front
allocates; pages that no body has used yet cost nothing.
"""

from __future__ import annotations

import mmap
from bisect import insort

from serving.errors import Overloaded, PayloadTooLarge

PAGE = 4096
KEEP_BYTES = 64 << 20
"""What stays resident while nothing is held; beyond it the pages go back to the system."""


class Arena:
    """First-fit blocks of whole pages, lowest first, so that the same pages are used again."""

    def __init__(self, size: int, memory: mmap.mmap | None = None) -> None:
        self._size = size
        self._memory = memory or mmap.mmap(-1, size)  # given where processes share it that are not forks of one another
        self._view = memoryview(self._memory)
        self._free = [(0, size)]
        self._held: dict[int, tuple[int, int, memoryview]] = {}
        self._peak = 0

    def allocate(self, length: int) -> memoryview:
        """A block of this many bytes; Overloaded where no free block is large enough, PayloadTooLarge where none ever is."""
        if length > self._size:
            raise PayloadTooLarge(f"the body of {length} bytes is over the {self._size} that all bodies may have (EI_QUEUE_MB)")
        pages = -(-max(length, 1) // PAGE) * PAGE
        for at, (offset, size) in enumerate(self._free):
            if size >= pages:
                if size == pages:
                    del self._free[at]
                else:
                    self._free[at] = (offset + pages, size - pages)
                block = self._view[offset : offset + length]
                self._held[id(block)] = (offset, pages, block)
                self._peak = max(self._peak, offset + pages)
                return block
        raise Overloaded("too many bytes of requests are held: try again in a second")

    def place(self, block: memoryview) -> tuple[int, int] | None:
        """Offset and length of a block that is held here, None for other memory."""
        held = self._held.get(id(block))
        return None if held is None else (held[0], len(block))

    def at(self, offset: int, length: int) -> memoryview:
        """The bytes at a place, in any process that was forked after the arena was made."""
        return self._view[offset : offset + length]

    def free(self, block: memoryview) -> None:
        """Give a block back; other memory is left alone."""
        held = self._held.pop(id(block), None)
        if held is None:
            return
        insort(self._free, (held[0], held[1]))
        merged: list[tuple[int, int]] = []
        for offset, size in self._free:
            if merged and merged[-1][0] + merged[-1][1] == offset:
                merged[-1] = (merged[-1][0], merged[-1][1] + size)
            else:
                merged.append((offset, size))
        self._free = merged
        if not self._held and self._peak > KEEP_BYTES:
            self._memory.madvise(mmap.MADV_REMOVE, 0, self._peak)
            self._peak = 0
