"""Memory for bodies that processes share."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.errors import Overloaded
from serving.execution.arena import PAGE, Arena

SIZE = 16 * PAGE


def offset(arena: Arena, block: memoryview) -> int:
    """Where a block lies."""
    place = arena.place(block)
    assert place is not None
    return place[0]


def test_blocks_have_their_length() -> None:
    """A block is as long as asked for, an empty one too, and is remembered by its place."""
    arena = Arena(SIZE)
    for length in (0, 1, PAGE, PAGE + 1):
        block = arena.allocate(length)
        assert len(block) == length
        assert arena.place(block) == (offset(arena, block), length)


def test_first_fit() -> None:
    """The lowest free block that is large enough is taken, so that the same pages are used again."""
    arena = Arena(SIZE)
    blocks = [arena.allocate(2 * PAGE) for _ in range(4)]
    assert [offset(arena, block) for block in blocks] == [0, 2 * PAGE, 4 * PAGE, 6 * PAGE]
    arena.free(blocks[0])
    arena.free(blocks[2])
    assert offset(arena, arena.allocate(PAGE)) == 0
    assert offset(arena, arena.allocate(2 * PAGE)) == 4 * PAGE
    assert offset(arena, arena.allocate(PAGE)) == PAGE


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (0, 2, 1), (1, 0, 2)])
def test_neighbours_merge(order: tuple[int, ...]) -> None:
    """Whatever the order in which blocks come back, what is free is one piece again."""
    arena = Arena(3 * PAGE)
    blocks = [arena.allocate(PAGE) for _ in range(3)]
    for at in order:
        arena.free(blocks[at])
    assert len(arena.allocate(3 * PAGE)) == 3 * PAGE


def test_exhaustion() -> None:
    """Where no free block is large enough the request is told to come again, and what is held stays as it is."""
    arena = Arena(4 * PAGE)
    held = arena.allocate(3 * PAGE)
    held[:4] = b"kept"
    with pytest.raises(Overloaded, match="try again"):
        arena.allocate(2 * PAGE)
    assert len(arena.allocate(PAGE)) == PAGE
    assert bytes(held[:4]) == b"kept"


def test_other_memory_is_left_alone() -> None:
    """Freeing twice, or freeing what is not of the arena, changes nothing."""
    arena = Arena(4 * PAGE)
    block = arena.allocate(PAGE)
    arena.free(block)
    arena.free(block)
    arena.free(memoryview(bytearray(9)))
    assert arena.place(block) is None
    assert arena.place(memoryview(bytearray(9))) is None
    assert len(arena.allocate(4 * PAGE)) == 4 * PAGE


def test_across_a_fork() -> None:
    """A process that was forked before a body came reads it at its place, and is read in turn."""
    arena = Arena(SIZE)
    arena.allocate(PAGE)
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        start, length = (int(part) for part in os.read(reading, 100).split())
        body = arena.at(start, length)
        body[:] = bytes(body)[::-1]
        os._exit(0)
    block = arena.allocate(5)
    block[:] = b"hello"
    os.write(writing, b"%d %d" % (arena.place(block) or (0, 0)))
    assert os.waitpid(child, 0)[1] == 0
    assert bytes(block) == b"olleh"
    for fd in (reading, writing):
        os.close(fd)


def test_memory_goes_back_when_nothing_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a peak over the limit the pages are given back to the system: they read as zeros again."""
    monkeypatch.setattr("serving.execution.arena.KEEP_BYTES", 2 * PAGE)
    arena = Arena(SIZE)
    small = arena.allocate(PAGE)
    small[:] = b"x" * PAGE
    arena.free(small)
    assert bytes(arena.at(0, 3)) == b"xxx"
    large = arena.allocate(4 * PAGE)
    large[:] = b"y" * (4 * PAGE)
    arena.free(large)
    assert bytes(arena.at(0, 4 * PAGE)) == b"\0" * (4 * PAGE)


@given(st.lists(st.tuples(st.integers(0, 4 * PAGE), st.integers(0, 5)), max_size=30))
def test_blocks_never_overlap(steps: list[tuple[int, int]]) -> None:
    """Whatever is taken and given back, no two blocks share a byte, and nothing is lost."""
    arena = Arena(SIZE)
    held: list[memoryview] = []
    for length, at in steps:
        try:
            held.append(arena.allocate(length))
        except Overloaded:
            assert held
        if at < len(held) and length % 2:
            arena.free(held.pop(at))
        spans = sorted((offset(arena, block), offset(arena, block) + len(block)) for block in held)
        assert all(first[1] <= second[0] for first, second in zip(spans, spans[1:], strict=False))
    for block in held:
        arena.free(block)
    assert len(arena.allocate(SIZE)) == SIZE
