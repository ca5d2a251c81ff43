"""What a graph would do if it were run, read from its GraphDef: whether every operation of it only computes.

    operations behind (the signatures | the first step | the restoring of variables)  ->  each is on the list, or it is refused

A graph is a program: TensorFlow has operations that call Python, and that read and write files. The list
(`tensorflow_operations.txt`) has those that touch nothing but tensors, variables and tables; an operation that is not on it is
refused, whoever added it. Two that read files are let through where the loader alone says which: a checkpoint's values come
from the model's own variables, and a table's lines from the model's own assets. What nothing leads to (a saver's writing half)
never runs: a call can only ask for what the signatures name.
[tensorflow/cc/saved_model/loader.cc: restore, then the first step, with the files' names fed]
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

from serving.accelerators.errors import AcceleratorError, Code
from serving.backends import tf_graph
from serving.backends.tf_graph import node_name
from serving.backends.tf_signatures import RESERVED

LIST = Path(__file__).with_name("tensorflow_operations.txt")
RESTORES = frozenset({"RestoreV2"})
READS_LINES = frozenset({"InitializeTableFromTextFile", "InitializeTableFromTextFileV2"})
FILE_INPUT = {"RestoreV2": 0, "InitializeTableFromTextFile": 1, "InitializeTableFromTextFileV2": 1}
"""Operation -> which of its inputs names the file."""
CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
SWAPPED = "api_implements"
"""An attribute of functions that TensorFlow's optimiser may put in one another's place."""
MAX_TOLD = 5
Place = tuple[str, Any]
"""The name of the function that a node is in (empty: the graph itself), and the node."""


@cache
def listed() -> frozenset[str]:
    """The operations that only compute."""
    return frozenset(LIST.read_text().split())


def check_meta_graph(meta: Any) -> None:
    """INVALID_ARGUMENT where a SavedModel's MetaGraphDef would do anything but compute."""
    for asset in meta.asset_file_def:
        path = PurePosixPath(asset.filename)
        if path.is_absolute() or ".." in path.parts or not asset.filename.isprintable():
            raise _refused(f"its asset {asset.filename[:80]!r} lies outside of its folder")
    graph = Graph(meta.graph_def)
    roots = {node_name(tensor) for tensor in _signature_tensors(meta)}
    graph.check(roots)
    assets = {node_name(asset.tensor_info.name) for asset in meta.asset_file_def}
    graph.check(_first_steps(meta), READS_LINES, assets)
    if meta.HasField("saver_def"):
        graph.check([node_name(meta.saver_def.restore_op_name)], RESTORES, [node_name(meta.saver_def.filename_tensor_name)])


def check_graph(graph: Any, ends: Iterable[str]) -> None:
    """The same of a frozen graph that is asked for these tensors."""
    Graph(graph).check({node_name(tensor) for tensor in ends})


def _signature_tensors(meta: Any) -> Iterator[str]:
    for name, signature in meta.signature_def.items():
        if not name.startswith(RESERVED):  # none that can be asked for
            for info in (*signature.inputs.values(), *signature.outputs.values()):
                yield from tf_graph.tensors(info)


def _first_steps(meta: Any) -> set[str]:
    """Whatever a loader may take for the step that it runs first."""
    steps = {tf_graph.initial(meta)}
    for name in tf_graph.INIT_COLLECTIONS:
        if name in meta.collection_def:
            steps |= {node_name(node) for node in meta.collection_def[name].node_list.value}
    return steps - {""}


class Graph:
    """A GraphDef's nodes and functions by name."""

    def __init__(self, graph: Any) -> None:
        self.functions = {function.signature.name: function for function in graph.library.function}
        self.swapped = [name for name, function in self.functions.items() if SWAPPED in function.attr]
        self._nodes = {"": {node.name: node for node in graph.node}}

    def nodes(self, scope: str) -> dict[str, Any]:
        """The nodes of a function, or of the graph itself."""
        if scope not in self._nodes:
            self._nodes[scope] = {node.name: node for node in self.functions[scope].node_def}
        return self._nodes[scope]

    def called(self, node: Any) -> set[str]:
        """The functions that a node calls: by an attribute, or by being one itself."""
        return ({node.op, *tf_graph.calls(node)}) & self.functions.keys()

    def check(self, roots: Iterable[str], more: Collection[str] = (), files: Collection[str] = ()) -> None:
        """INVALID_ARGUMENT where what is behind these nodes does more than compute.

        Operations in `more` are let through where the name of their file is one of the tensors in `files`.
        """
        reached = Reached(self, roots)
        strange = {
            node.op
            for _, node in reached.places
            if node.op not in listed() and node.op not in self.functions and node.op not in more
        }
        if strange:
            raise _refused(f"it uses {_some(strange)}")
        for scope, node in reached.places:
            if node.op in more and not reached.is_of(scope, node.input[FILE_INPUT[node.op]], files):
                raise _refused(f"its {node.op} {node.name[:60]!r} reads a file that is not the model's own")


@dataclass
class Reached:
    """All that is behind some nodes, through every function that is called."""

    graph: Graph
    roots: Iterable[str]
    places: list[Place] = field(default_factory=list)
    callers: dict[str, list[Place]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._walk("", self.roots)
        for name in self.graph.swapped:
            self._enter(name)

    def _walk(self, scope: str, roots: Iterable[str]) -> None:
        nodes, seen, pending = self.graph.nodes(scope), set(), list(roots)
        while pending:
            name = pending.pop()
            if name not in seen and name in nodes:
                seen.add(name)
                self._take(scope, nodes[name])
                pending += map(node_name, nodes[name].input)

    def _take(self, scope: str, node: Any) -> None:
        self.places.append((scope, node))
        for name in self.graph.called(node):
            self._enter(name, (scope, node))

    def _enter(self, name: str, caller: Place | None = None) -> None:
        """Take all of a function's nodes: those that no result needs may run too."""
        is_new = name not in self.callers
        self.callers.setdefault(name, []).extend([caller] if caller else [])
        if is_new:
            for node in self.graph.nodes(name).values():
                self._take(name, node)

    def is_of(self, scope: str, reference: str, files: Collection[str], depth: int = 0) -> bool:
        """Whether a tensor is one of these of the graph itself, however it was handed on. False where that cannot be seen."""
        name = node_name(reference)
        if depth > 100:
            return False
        if scope and name not in self.graph.nodes(scope):
            return self._argument_is_of(scope, name, files, depth)
        node = self.graph.nodes(scope).get(name)
        if node is None:
            return False
        if not scope and name in files:
            return True
        if node.op == "Identity":
            return self.is_of(scope, node.input[0], files, depth + 1)
        return node.op == "ReadVariableOp" and not scope and self._variable_is_of(node_name(node.input[0]), files, depth)

    def _argument_is_of(self, function: str, name: str, files: Collection[str], depth: int) -> bool:
        arguments = [argument.name for argument in self.graph.functions[function].signature.input_arg]
        callers = self.callers.get(function, [])
        if name not in arguments or not callers or function in self.graph.swapped:
            return False
        at = arguments.index(name)
        return all(
            (node.op in CALLS or node.op == function)
            and at < len(node.input)
            and self.is_of(scope, node.input[at], files, depth + 1)
            for scope, node in callers
        )

    def _variable_is_of(self, name: str, files: Collection[str], depth: int) -> bool:
        """Whether a variable is set to such tensors alone, and under no other name."""
        handle = self.graph.nodes("").get(name)
        if handle is None or handle.op != "VarHandleOp":
            return False
        for scope, node in self.places:
            if node.op == "VarHandleOp" and node is not handle and (scope or _shared(node) == _shared(handle)):
                return False
            if scope or name not in map(node_name, node.input) or node.op in ("ReadVariableOp", "VarIsInitializedOp"):
                continue
            if node.op != "AssignVariableOp" and not all(one == f"^{name}" for one in node.input if node_name(one) == name):
                return False
            if node.op == "AssignVariableOp" and not self.is_of("", node.input[1], files, depth + 1):
                return False
        return True


def _shared(handle: Any) -> bytes:
    """The name that a variable has among those of its session."""
    return bytes(handle.attr["container"].s + b"/" + (handle.attr["shared_name"].s or handle.name.encode()))


def _some(operations: Iterable[str]) -> str:
    names = sorted({name[:60] if name.isprintable() else "?" for name in operations})
    return ", ".join(names[:MAX_TOLD]) + (f" and {len(names) - MAX_TOLD} more" if len(names) > MAX_TOLD else "")


def _refused(why: str) -> AcceleratorError:
    hint = "an accelerator runs graphs that only compute; take it out of the served graph, or serve the model without an accelerator"
    return AcceleratorError(Code.INVALID_ARGUMENT, f"the graph is refused: {why}: {hint}")
