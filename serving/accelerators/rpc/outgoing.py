"""A message on its way out: cut into frames as the peer's windows allow, never joined."""

from __future__ import annotations

from collections import deque

from serving.accelerators.rpc.frames import Buffer


def size_of(pieces: list[Buffer]) -> int:
    """The bytes of some buffers, of whatever format."""
    return sum([piece.nbytes if type(piece) is memoryview else len(piece) for piece in pieces])


class Outgoing:
    """Bytes in pieces, taken from the front."""

    __slots__ = ("_pieces", "left")

    def __init__(self) -> None:
        self._pieces: deque[Buffer] = deque()
        self.left = 0

    def add(self, pieces: list[Buffer]) -> None:
        """Put bytes at the end; they are not copied, and must stay as they are."""
        for piece in pieces:
            view = memoryview(piece)
            if view.nbytes:
                self._pieces.append(piece if view.format == "B" and view.ndim == 1 else view.cast("B"))
                self.left += view.nbytes

    def take(self, count: int) -> list[Buffer]:
        """The next bytes, `count` of them, which must be there."""
        self.left -= count
        taken: list[Buffer] = []
        while count:
            piece = self._pieces.popleft()
            if len(piece) > count:
                view = memoryview(piece)
                self._pieces.appendleft(view[count:])
                piece = view[:count]
            taken.append(piece)
            count -= len(piece)
        return taken
