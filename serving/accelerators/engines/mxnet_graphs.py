"""The graphs that this process has bound, of all its models: the latest used ones are kept, as far as memory goes.

A bound graph holds its values, and oneDNN's copy of the weights in the layout that it likes: twice the weights are common.
Near the line oneDNN ends the process where a small allocation fails, so a graph's first pass is tried apart there.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

from serving.accelerators.engines import memory, mxnet_trial

MAX_GRAPHS = 64
MARGIN = 24 * memory.MIB
"""What a pass may take beyond its trial, which has one thread."""


class Graphs:
    """Bound graphs by who bound them and for what."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[int, Hashable], Any] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def find(self, owner: object, key: Hashable) -> Any | None:
        """The graph, now the latest used one; None where it is not kept."""
        graph = self._kept.get((id(owner), key))
        if graph is not None:
            self._kept.move_to_end((id(owner), key))
        return graph

    def keep(self, owner: object, key: Hashable, graph: Any) -> None:
        """Keep a graph; the one that was used longest ago goes where there are too many."""
        self._kept[id(owner), key] = graph
        if len(self._kept) > MAX_GRAPHS:
            self._kept.popitem(last=False)

    def drop(self, owner: object) -> None:
        """Drop an owner's graphs."""
        for entry in [entry for entry in self._kept if entry[0] == id(owner)]:
            del self._kept[entry]

    def make_room(self, size: int) -> bool:
        """Drop graphs, those used longest ago first, until so many bytes are free; whether they are."""
        while memory.headroom() < size:
            if not self._kept:
                return False
            self._kept.popitem(last=False)
            memory.trim()
        return True


KEPT = Graphs()


def admit(need: int, attempt: Callable[[], object]) -> bool:
    """Whether a first pass, which takes `need` bytes at most, can be made: there is room, or a trial of it comes back."""
    return KEPT.make_room(need) or mxnet_trial.returns(attempt, MARGIN)
