"""Messages between the front and an engine process: marshalled tuples on a Unix stream socket, large contents in shared memory.

    engine -> front   ("ready", bytes held)
    front -> engine   ("load", ticket, key, folder, max_batch, options, budget)      ("unload", ticket, key)
                      ("infer", ticket, key, calls, block)
    engine -> front   ("loaded", ticket, description)      ("unloaded", ticket, bytes held)
                      ("inferred", ticket, answers, seconds, bytes held)      ("failed", ticket, code, message)

A call is (specs, contents, outputs asked for); contents and the arrays of an answer are bytes, or (offset, length) in the
shared memory, where `block` is what the front set aside for the answers. An answer is a list of (spec, contents), or
(code, message). Bytes held are 0 where they were told a moment ago.
"""

from __future__ import annotations

import mmap
from typing import Any

from serving.accelerators.protocol.tensors import Buffer, Spec

INLINE_BYTES = 1 << 15
"""Contents up to this size go along in the message: a copy through the socket costs less than the bookkeeping."""

Contents = bytes | tuple[int, int]
Answer = list[tuple[Spec, Contents]] | tuple[int, str]


class Block:
    """What the front set aside for a reply's arrays, filled from its start."""

    def __init__(self, memory: mmap.mmap, place: tuple[int, int] | None) -> None:
        self._view = memoryview(memory)
        self._at, self._end = (place[0], sum(place)) if place else (0, 0)

    def put(self, data: Buffer) -> Contents:
        """The data's place; the data itself where it is small, or the block is full."""
        size = len(data)
        if size <= INLINE_BYTES or self._at + size > self._end:
            return bytes(data)
        at = self._at
        self._view[at : at + size] = data
        self._at += -(-size // 64) * 64
        return at, size


def contents(memory: memoryview, sent: Contents) -> Buffer:
    """The data that a message holds or points at."""
    return memory[sent[0] : sent[0] + sent[1]] if isinstance(sent, tuple) else sent


Message = tuple[Any, ...]
