"""An MXNet symbol with everything known about it: nodes in order, the shape and dtype of every value, and the constants.

symbol JSON + parameters + input shapes -> MXNet infers -> what no input changes is computed -> Source
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from onnx_import.dtypes import Array
from onnx_import.errors import OnnxImportError
from serving.backends.mxnet import first_line, numpy_shapes
from serving.backends.mxnet_import import import_mxnet

Entry = tuple[int, int]
"""A node's number, and which of its outputs."""

DRAWS = ("random", "sample", "shuffle", "multinomial", "bernoulli", "Dropout")
RESHAPES = ("Reshape", "reshape", "_np_reshape", "_npx_reshape")

LARGEST = 1 << 24
"""Elements up to which a constant is computed here rather than by the exported model."""


class NoShapes(OnnxImportError):
    """The shapes of a symbol's values cannot be told for these inputs."""


@dataclass
class Node:
    """One node of a symbol."""

    op: str
    name: str
    attrs: dict[str, str]
    inputs: list[Entry]

    def value(self, name: str, default: Any = None) -> Any:
        """An attribute as a Python value: a number, a tuple, a truth value, None or text."""
        text = self.attrs.get(name)
        if text is None:
            return default
        try:
            return ast.literal_eval(text)
        except (ValueError, SyntaxError):
            return {"true": True, "false": False}.get(text, text)

    def ints(self, name: str, default: Iterable[int] = ()) -> list[int]:
        """An attribute that lists whole numbers; one number is a list of one."""
        found = self.value(name)
        if found is None or found == "None":
            return list(default)
        return [int(item) for item in found] if isinstance(found, tuple | list) else [int(found)]


@dataclass
class Source:
    """What there is to export. `free` are the variables to be fed, in the symbol's order."""

    nodes: list[Node]
    heads: list[Entry]
    head_names: list[str]
    shapes: dict[Entry, tuple[int, ...]]
    dtypes: dict[Entry, str]
    constants: dict[Entry, Any] = field(default_factory=dict)
    """What no input changes: MXNet or numpy arrays; `array` gives numpy's."""
    fixed: set[int] = field(default_factory=set)
    free: list[int] = field(default_factory=list)
    graph: list[dict[str, Any]] = field(default_factory=list)

    def array(self, entry: Entry) -> Array | None:
        """The values of a constant. They are copied out of MXNet here, not before: of all weights at once it would double them."""
        held = self.constants.get(entry)
        found: Array | None = held.asnumpy() if held is not None and hasattr(held, "asnumpy") else held
        return found


def read(
    text: str,
    params: Mapping[str, Any],
    shapes: Mapping[str, tuple[int, ...]],
    dtypes: Mapping[str, str] | None = None,
    *,
    fold: bool = True,
) -> Source:
    """Everything about a symbol at these input shapes; NoShapes where MXNet cannot infer them.

    `params` maps names, with or without `arg:` and `aux:`, to MXNet or numpy arrays.
    """
    mx = import_mxnet()
    arrays = {name.removeprefix("arg:").removeprefix("aux:"): array for name, array in params.items()}
    with numpy_shapes(is_numpy(text)):
        symbol = mx.sym.load_json(text)
        # The heads come first, then every value inside: one numbering of nodes for both.
        group = mx.sym.Group([symbol, symbol.get_internals()])
        document = json.loads(group.tojson())
        entries = [(int(head[0]), int(head[1])) for head in document["heads"]]
        nodes = [_node(entry) for entry in document["nodes"]]
        source = Source(nodes, entries[: len(symbol.list_outputs())], symbol.list_outputs(), {}, {}, graph=document["nodes"])
        _infer(source, group, entries, arrays, (shapes, dtypes or {}))
        source.free = [at for at, node in enumerate(nodes) if node.op == "null" and node.name in shapes]
        if fold:
            _fold(mx, source, symbol, arrays)
    return source


def is_numpy(text: str) -> bool:
    """Whether a symbol was made with numpy's shapes, where 0 is a size and () is a scalar."""
    return '"is_np_shape"' in text and json.loads(text).get("attrs", {}).get("is_np_shape", [0, 0])[1] == 1


def _node(entry: dict[str, Any]) -> Node:
    attrs = entry.get("attrs") or entry.get("attr") or entry.get("param") or {}
    return Node(
        entry["op"], entry["name"], {k: str(v) for k, v in attrs.items()}, [(int(i[0]), int(i[1])) for i in entry["inputs"]]
    )


def _infer(
    source: Source,
    group: Any,
    entries: list[Entry],
    arrays: Mapping[str, Any],
    given: tuple[Mapping[str, Any], Mapping[str, str]],
) -> None:
    """Shapes and dtypes of all values."""
    shapes, dtypes = given
    wanted = set(group.list_inputs())
    known = {name: tuple(array.shape) for name, array in arrays.items() if name in wanted} | dict(shapes)
    types = {name: np.dtype(array.dtype).name for name, array in arrays.items() if name in wanted}
    types |= {name: dtypes.get(name, "float32") for name in shapes}
    mx = import_mxnet()
    try:
        # Its public form prints every argument where it fails.
        _, found, _ = group._infer_shape_impl(False, **known)
        _, kinds, _ = group.infer_type(**{name: kind for name, kind in types.items() if name in group.list_arguments()})
    except mx.MXNetError as error:
        raise NoShapes(f"MXNet cannot infer the symbol's shapes: {first_line(error)}") from error
    if found is None or kinds is None:
        raise NoShapes(f"the symbol's shapes cannot be inferred from those of its inputs, {dict(shapes)}")
    for entry, shape, kind in zip(entries, found, kinds, strict=True):
        source.shapes[entry] = tuple(shape)
        source.dtypes[entry] = np.dtype(kind).name
    for at, node in enumerate(source.nodes):
        # MXNet infers a shape of another number of elements without a word, and fails when it runs.
        if node.op in RESHAPES and np.prod(source.shapes[at, 0]) != np.prod(source.shapes[node.inputs[0]]):
            raise NoShapes(f"{node.name} cannot give {source.shapes[node.inputs[0]]} the shape {source.shapes[at, 0]}")


def _fold(mx: Any, source: Source, symbol: Any, arrays: Mapping[str, Any]) -> None:
    """Compute what depends on parameters alone, in one run of MXNet, as far as it meets what depends on inputs."""
    fixed = source.fixed
    for at, node in enumerate(source.nodes):
        if node.op == "null":
            if node.name in arrays and node.name not in {source.nodes[free].name for free in source.free}:
                fixed.add(at)
                source.constants[at, 0] = arrays[node.name]
        elif all(parent in fixed for parent, _ in node.inputs) and _is_foldable(source, at):
            fixed.add(at)
    used = {entry for at, node in enumerate(source.nodes) if at not in fixed for entry in node.inputs} | set(source.heads)
    wanted = sorted(entry for entry in used if entry[0] in fixed and source.nodes[entry[0]].op != "null")
    if not wanted:
        return
    inner = symbol.get_internals()
    places = [(int(h[0]), int(h[1])) for h in json.loads(inner.tojson())["heads"]]
    # Both number nodes in the order of their first visit from the same heads.
    group = mx.sym.Group([inner[places.index(entry)] for entry in wanted])
    names = group.list_arguments(), group.list_auxiliary_states()
    args, aux = ({name: as_nd(mx, arrays[name]) for name in each} for each in names)
    results = group.bind(mx.cpu(), args, aux_states=aux, grad_req="null").forward()
    source.constants.update({entry: result.asnumpy() for entry, result in zip(wanted, results, strict=True)})


def _is_foldable(source: Source, at: int) -> bool:
    node, shape = source.nodes[at], source.shapes.get((at, 0), ())
    draws = any(word in node.op for word in DRAWS)
    # A shape with a 0 in its attribute waits for the batch.
    waits = not node.inputs and 0 in (node.value("shape") or () if isinstance(node.value("shape"), tuple) else ())
    return not draws and not waits and int(np.prod(shape, dtype=np.int64)) <= LARGEST and node.op not in ("Custom", "RNN")


def as_nd(mx: Any, array: Any) -> Any:
    """An array in MXNet's memory."""
    return array if isinstance(array, mx.nd.NDArray) else mx.nd.array(array, dtype=array.dtype)
