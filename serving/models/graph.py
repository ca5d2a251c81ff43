"""A read-only view of an MXNet symbol's JSON: nodes with their attributes, who consumes what, which variables have values.

Symbols of all versions look alike here: the attributes of a node are in `attrs` since 1.0, in `attr` and `param` before.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from typing import Any, NamedTuple

from serving.errors import ModelError

VARIABLE = "null"
INTEGER = re.compile(r"-?[0-9]{1,18}")


class Node(NamedTuple):
    """An operator or (`op` "null") a variable; `inputs` are the indices of the nodes that it takes, slot by slot."""

    at: int
    op: str
    name: str
    attrs: dict[str, str]
    inputs: tuple[int, ...]

    def shape_attr(self, name: str) -> tuple[int, ...] | None:
        """A tuple of integers, as MXNet spells it (`(1, 3)`, `[1,3]`, `1`, `None` in it), or None where it is not that."""
        parts = [part.strip() for part in self.attrs.get(name, "").strip("()[] ").split(",") if part.strip()]
        if not parts or not all(INTEGER.fullmatch(part) or part == "None" for part in parts):
            return None
        return tuple(0 if part == "None" else int(part) for part in parts)

    def number(self, name: str, default: int) -> int:
        """A whole number, or the default where it is absent or none."""
        text = self.attrs.get(name, "").strip()
        return int(text) if INTEGER.fullmatch(text) else default

    def flag(self, name: str, default: bool) -> bool:
        """A truth value: MXNet writes `True`, `true` or `1`."""
        return self.attrs.get(name, str(default)).lower() in ("true", "1")


class Graph:
    """The nodes of a symbol; `parameters` holds the shape of every variable that has a value."""

    def __init__(self, document: Mapping[str, Any], parameters: Mapping[str, tuple[int, ...]]) -> None:
        try:
            self.nodes = [_node(at, entry) for at, entry in enumerate(document["nodes"])]
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            raise ModelError(f"the symbol's JSON has a node that is none: {type(error).__name__} {error}") from None
        if any(not 0 <= source < node.at for node in self.nodes for source in node.inputs):
            raise ModelError("the symbol's JSON has a node that takes one which is not before it")
        self.parameters = parameters

    @property
    def free(self) -> list[Node]:
        """The variables without a value: data inputs, and labels."""
        return [node for node in self.nodes if node.op == VARIABLE and node.name not in self.parameters]

    def consumers(self, node: Node) -> list[tuple[Node, int]]:
        """The operators that take this node, each with the slot it goes to, in graph order."""
        return self._consumers.get(node.at, [])

    def parameter(self, user: Node, slot: int) -> tuple[int, ...] | None:
        """The shape of the parameter in a slot, or None where it is none."""
        if slot >= len(user.inputs):
            return None
        source = self.nodes[user.inputs[slot]]
        return self.parameters.get(source.name) if source.op == VARIABLE else None

    @cached_property
    def _consumers(self) -> dict[int, list[tuple[Node, int]]]:
        found: dict[int, list[tuple[Node, int]]] = {}
        for node in self.nodes:
            for slot, source in enumerate(node.inputs):
                found.setdefault(source, []).append((node, slot))
        return found


def _node(at: int, entry: Any) -> Node:
    attrs = {**(entry.get("param") or {}), **(entry.get("attr") or {}), **(entry.get("attrs") or {})}
    inputs = tuple(int(source[0]) for source in entry["inputs"])
    return Node(at, str(entry["op"]), str(entry["name"]), {key: str(value) for key, value in attrs.items()}, inputs)
