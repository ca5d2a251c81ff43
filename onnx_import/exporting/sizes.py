"""The open dimensions of a symbol's inputs: which there are, what sizes to try, and what they are called in the ONNX model.

A dimension is a number, a name, or None where it is open without one. Where nothing is named, the first dimension counts
rows, whatever number stands there; a number is then the first size to try.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from onnx_import import feeds
from onnx_import.graph import Dim, Graph, Type, ValueInfo

Shape = Sequence[Dim]

Open = Literal["sizes", "batch", "nothing"]
"""Which dimensions stay open: all that are, the batch alone, or none."""

BATCH = "batch"

MORE = (28, 16, 299, 227, 20, 24, 48, 56, 112, 128, 160, 192, 240, 384, 448, 512, 2, 4, 10, 50, 100)
"""Sizes that networks are trained for, beside those that most others take; a dense layer leaves no choice."""


class Sizes:
    """The inputs' shapes with a key in place of every open dimension."""

    def __init__(self, shapes: Mapping[str, Shape]) -> None:
        named = any(isinstance(size, str) for shape in shapes.values() for size in shape)
        self.rows = next((int(shape[0]) for shape in shapes.values() if shape and isinstance(shape[0], int) and not named), 1)
        self.keys: dict[str, list[int | str]] = {}
        for name, shape in shapes.items():
            first = [BATCH] if shape and not named and (shape[0] is None or shape[0] == self.rows) else list(shape[:1])
            listed = [*first, *shape[1:]]
            self.keys[name] = [f"{name}:{axis}" if size is None else size for axis, size in enumerate(listed)]
        infos = [ValueInfo(name, Type("tensor", "float32", tuple(shape))) for name, shape in self.keys.items()]
        self._graph = Graph([], infos, [])
        self.kinds = feeds.open_dims(self._graph)

    def trials(self) -> Iterator[dict[str, int]]:
        """Sizes to try for every key, the likely ones first."""
        yield from feeds.ladder(self._graph, batch=self.rows)
        for size in MORE if set(self.kinds.values()) - {BATCH} else ():
            yield {key: self.rows if kind == BATCH else size for key, kind in self.kinds.items()}

    def at(self, sizes: Mapping[str, int]) -> dict[str, tuple[int, ...]]:
        """The inputs' shapes at some sizes."""
        return {name: tuple(sizes[key] if isinstance(key, str) else key for key in shape) for name, shape in self.keys.items()}

    def grown(self, sizes: Mapping[str, int], leave_open: Open) -> dict[str, int]:
        """Other sizes of what shall stay open: twice the rows, 32 more of the rest."""
        more = {"batch": {k: sizes[k] for k in sizes if self.kinds[k] == BATCH}, "nothing": {}}
        more["sizes"] = {k: sizes[k] if self.kinds[k] == BATCH else 32 for k in sizes}
        return {key: size + more[leave_open].get(key, 0) for key, size in sizes.items()}


def label(here: int, there: int, sizes: Mapping[str, int], others: Mapping[str, int]) -> Dim:
    """What to write for a dimension that is `here` at some sizes and `there` at others: a number, a name, or nothing."""
    if here == there:
        return here
    keys = [key for key in sizes if (sizes[key], others[key]) == (here, there) and ":" not in key]
    return keys[0] if len(keys) == 1 else None
