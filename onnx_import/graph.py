"""A model between its file and its symbols: plain data that needs no onnx package.

Attributes hold ONNX's defaults already (the reader fills them in from ONNX's own schemas), functions are expanded where no
converter exists, names are unique. The same data lies in an artifact (`graph_file`), so that a served model can be lowered
for shapes that it has not seen before.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from onnx_import.dtypes import Array

Dim: TypeAlias = int | str | None
"""A size, the name of an open size, or an open size without a name."""


@dataclass(frozen=True)
class Tensor:
    """A constant: its ONNX dtype, and its values in the carrier dtype."""

    dtype: str
    data: Array

    @property
    def shape(self) -> tuple[int, ...]:
        """Its sizes."""
        return tuple(self.data.shape)


@dataclass(frozen=True)
class Type:
    """An ONNX type: `kind` is tensor, sequence, optional or map; `shape` is None where the rank is open, `dtype` empty where unknown."""

    kind: str = "tensor"
    dtype: str = "float32"
    shape: tuple[Dim, ...] | None = None
    element: Type | None = None


@dataclass(frozen=True)
class ValueInfo:
    """A named graph input or output."""

    name: str
    type: Type


Attribute: TypeAlias = (
    "int | float | str | bytes | list[int] | list[float] | list[str] | Tensor | Graph | list[Graph] | Type | None"
)


@dataclass
class Node:
    """One use of an operator. `since` is the opset version that its operator's definition dates from."""

    op: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, Attribute] = field(default_factory=dict)
    domain: str = ""
    since: int = 1
    name: str = ""

    @property
    def label(self) -> str:
        """What to call it in a message."""
        return self.name or next((name for name in self.outputs if name), self.op)

    def graphs(self) -> Iterator[Graph]:
        """The graphs among its attributes."""
        for value in self.attributes.values():
            if isinstance(value, Graph):
                yield value
            elif isinstance(value, list) and value and isinstance(value[0], Graph):  # forests have lists of 100,000 numbers
                yield from (item for item in value if isinstance(item, Graph))

    def reads(self) -> Iterator[str]:
        """Every outer name that it reads: its inputs, and what its graphs capture."""
        yield from (name for name in self.inputs if name)
        for graph in self.graphs():
            yield from graph.captures()


@dataclass
class Graph:
    """Nodes in topological order, with the names that enter and leave."""

    nodes: list[Node]
    inputs: list[ValueInfo]
    outputs: list[ValueInfo]
    initializers: dict[str, Tensor] = field(default_factory=dict)
    name: str = ""

    def captures(self) -> set[str]:
        """Names that its nodes or outputs read and that nothing inside defines."""
        defined = {info.name for info in self.inputs} | set(self.initializers)
        wanted: set[str] = set()
        for node in self.nodes:
            wanted.update(name for name in node.reads() if name not in defined)
            defined.update(node.outputs)
        wanted.update(info.name for info in self.outputs if info.name not in defined)
        return wanted - {""}

    def walk(self) -> Iterator[Node]:
        """Its nodes, and those of graphs inside them."""
        for node in self.nodes:
            yield node
            for graph in node.graphs():
                yield from graph.walk()

    @property
    def feeds(self) -> list[ValueInfo]:
        """The inputs that a caller must feed: those without an initializer of the same name."""
        return [info for info in self.inputs if info.name not in self.initializers]
