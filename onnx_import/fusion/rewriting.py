"""MXNet nodes while they are rewritten: who reads what, new nodes in place of old ones, and what is left in the end."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any

from onnx_import.dtypes import Array
from onnx_import.nd.tape import spell
from onnx_import.nd.value import TapeNode, constant

Place = tuple[TapeNode, int]
"""An output of a node."""


class Rewriting:
    """Copies of one symbol's nodes. `heads` are the outputs that somebody wants, in order."""

    def __init__(self, members: Sequence[TapeNode], heads: Sequence[Place]) -> None:
        copies: dict[int, TapeNode] = {}
        self.nodes: list[TapeNode] = []
        for node in members:
            inputs = [(copies.get(id(source), source), index) for source, index in node.inputs]
            copy = TapeNode(node.kind, node.op, node.name, inputs, dict(node.attrs), node.outputs)
            copies[id(node)] = copy
            self.nodes.append(copy)
        self.heads: list[Place] = [(copies[id(node)], index) for node, index in heads]
        self._names = {node.name for node in self.nodes}
        self._readers: dict[tuple[int, int], list[TapeNode]] = {}
        self.sweep()

    def sweep(self) -> None:
        """Forget nodes that no head needs, and put the rest in order."""
        order: list[TapeNode] = []
        seen: set[int] = set()
        stack = [(node, False) for node, _ in reversed(self.heads)]
        while stack:
            node, is_ready = stack.pop()
            if is_ready:
                order.append(node)
            elif id(node) not in seen and node.kind == "op":
                seen.add(id(node))
                stack.append((node, True))
                stack.extend((source, False) for source, _ in reversed(node.inputs))
        self.nodes = order
        self._readers = {}
        for node in order:
            for source, index in node.inputs:
                self._readers.setdefault((id(source), index), []).append(node)

    def readers(self, place: Place) -> list[TapeNode]:
        """The nodes that read an output."""
        return self._readers.get((id(place[0]), place[1]), [])

    def is_alive(self, node: TapeNode) -> bool:
        """Whether anybody reads it, or wants it."""
        return any(self.readers((node, index)) or self.is_head((node, index)) for index in range(len(node.outputs)))

    def is_private(self, place: Place) -> bool:
        """Whether one node alone reads an output, and it is no head."""
        return len(self.readers(place)) == 1 and not self.is_head(place)

    def is_head(self, place: Place) -> bool:
        """Whether it is wanted itself."""
        return any(node is place[0] and index == place[1] for node, index in self.heads)

    def replace(self, old: Place, new: Place) -> bool:
        """Let all readers of an output read another; False where that cannot be."""
        if self.is_head(old) and new[0].kind != "op":
            return False
        for reader in self.readers(old):
            reader.inputs = [new if self._same(place, old) else place for place in reader.inputs]
            self._readers.setdefault((id(new[0]), new[1]), []).append(reader)
        self._readers.pop((id(old[0]), old[1]), None)
        self.heads = [new if self._same(head, old) else head for head in self.heads]
        return True

    @staticmethod
    def _same(one: Place, other: Place) -> bool:
        return one[0] is other[0] and one[1] == other[1]

    def make(self, op: str, inputs: Sequence[Place], like: Place, shape: Sequence[int] | None = None, **attrs: Any) -> Place:
        """A node named after another, whose output has its shape (unless told) and dtype."""
        old_shape, dtype = like[0].outputs[like[1]]
        spelt = {name: spell(value) for name, value in attrs.items()}
        outputs = [(old_shape if shape is None else tuple(shape), dtype)]
        node = TapeNode("op", op, self._unique(like[0].name), list(inputs), spelt, outputs)
        self.nodes.append(node)
        for source, index in inputs:
            self._readers.setdefault((id(source), index), []).append(node)
        return node, 0

    def constant(self, array: Array, like: Place, dtype: str | None = None) -> Place:
        """A constant named after another or after a node."""
        value = constant(array, dtype)
        node = TapeNode(
            "const", "null", self._unique(like[0].name + "_fused"), array=value.data, outputs=[(value.shape, value.dtype)]
        )
        return node, 0

    def _unique(self, name: str) -> str:
        found, count = name, 0
        while found in self._names:
            count += 1
            found = f"{name}~{count}"
        self._names.add(found)
        return found


def shape_of(place: Place) -> tuple[int, ...]:
    """The sizes of an output."""
    return place[0].outputs[place[1]][0] or ()


def dtype_of(place: Place) -> str:
    """Its ONNX dtype."""
    return place[0].outputs[place[1]][1]


def array_of(place: Place) -> Array | None:
    """The numbers of a constant."""
    return place[0].array if place[0].kind == "const" else None


def node_of(place: Place, *ops: str) -> TapeNode | None:
    """The node behind a place, where it is one of these MXNet operators."""
    return place[0] if place[0].kind == "op" and place[0].op in ops else None


_DERIVED: dict[tuple[Any, ...], tuple[list[weakref.ref[Array]], Array]] = {}


def derived(function: Callable[..., Array], *arrays: Array, key: Any = ()) -> Array:
    """What a function makes of constants, made once for as long as they live: each trace of a graph asks again."""
    name = (function.__qualname__, key, *[id(array) for array in arrays])
    if name not in _DERIVED:
        references = [weakref.ref(array, lambda _: _DERIVED.pop(name, None)) for array in arrays]
        _DERIVED[name] = (references, function(*arrays))
    return _DERIVED[name][1]


Rule = Callable[[Rewriting, TapeNode], bool]
"""Looks at a node; True where it replaced something."""
Rules = dict[str, list[Rule]]
"""By the MXNet operators that they look at."""
