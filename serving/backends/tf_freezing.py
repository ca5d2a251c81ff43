"""The freezing itself: a SavedModel's variables become constants of a graph that grappler then optimises.

    load -> convert -> keep the tables' initialisation -> optimise -> refuse what is still state -> saved_model.pb

Of the old graph's variables nothing is left, so the new folder has none to restore. What would be restored from a checkpoint,
or written while serving, is refused by the name of its operation.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serving.backends.tf_features import Feature, features
from serving.backends.tf_signatures import RESERVED, TAG
from serving.errors import ModelError
from serving.models.saved_models import FILE

INIT_SIGNATURE = "__saved_model_init_op"
INIT_COLLECTIONS = ("saved_model_main_op", "legacy_init_op")
ASSETS = "saved_model_assets"
STATE = re.compile(
    r"VarHandleOp|Variable(V2)?|AutoReloadVariable|Mutable(Dense)?HashTable\w*|BoostedTrees\w*HandleOp|\w*Queue(V2)?"
)
"""Operations that hold what a graph alone does not: what a checkpoint restores, or what a pass may write."""

WRITE = re.compile(r"Assign\w*|Resource(Scatter|Strided|Apply|SparseApply)\w*|Scatter(Add|Sub|Mul|Div|Min|Max|Update|NdUpdate)")
"""Operations that change a variable."""

STRING = 7
"""DT_STRING in tensorflow/core/framework/types.proto."""

LARGEST = 2**31 - 2**26
"""Bytes that fit into a graph: a protobuf message has 2 GiB at most."""


class Nodes:
    """The nodes of a graph by name, and what they call."""

    def __init__(self, graph: Any) -> None:
        self.nodes = {node.name: node for node in graph.node}
        self._functions = {function.signature.name: function for function in graph.library.function}

    def behind(self, names: Iterable[str]) -> Iterator[Any]:
        """These nodes, all that they depend on, and what is in the functions that any of them call."""
        reached = list(self.reached(names))
        yield from reached
        for function in self.called_by(reached):
            yield from function.node_def

    def reached(self, names: Iterable[str]) -> Iterator[Any]:
        """These nodes and all that they depend on."""
        seen, pending = set(), list(names)
        while pending:
            name = pending.pop()
            if name not in seen and name in self.nodes:
                seen.add(name)
                yield self.nodes[name]
                pending += map(node_name, self.nodes[name].input)

    def called_by(self, nodes: Iterable[Any]) -> Iterator[Any]:
        """The functions that these nodes call, and those that these call."""
        seen, pending = set(), [name for node in nodes for name in calls(node)]
        while pending:
            name = pending.pop()
            if name not in seen and name in self._functions:
                seen.add(name)
                yield self._functions[name]
                pending += [inner for node in self._functions[name].node_def for inner in calls(node)]


def calls(node: Any) -> Iterator[str]:
    """The functions that a node calls."""
    for value in node.attr.values():
        yield from [value.func.name] if value.HasField("func") else [one.name for one in value.list.func]


@dataclass(frozen=True)
class Frozen:
    """What became of the graph."""

    signatures: tuple[str, ...]
    variables: int
    nodes_before: int
    nodes_after: int

    features: tuple[Feature, ...] = ()
    """What it parses out of `tf.Example`s."""


def say(text: str) -> None:
    """A progress line."""
    print(f"==> {text}", file=sys.stderr, flush=True)


def freeze(source: Path, folder: Path, signatures: tuple[str, ...] = ()) -> Frozen:
    """Write the frozen graph of the SavedModel in `source` into `folder`, with these signatures or all.

    It imports TensorFlow, so call it in a process of its own. ModelError says what cannot be frozen.
    """
    held = sum(path.stat().st_size for path in (source / "variables").glob("*"))
    if held > LARGEST:
        raise ModelError(f"{source} cannot be frozen: a graph holds 2 GiB, and its variables are {held / 2**30:.1f} GiB")
    say("importing TensorFlow")
    meta, graph, variables = converted(source, signatures)
    say("optimising the graph")
    begin = time.monotonic()
    meta.graph_def.CopyFrom(optimised(meta, graph))
    say(f"optimised in {time.monotonic() - begin:.1f} s")
    left = named(node.op for node in every_node(meta.graph_def) if STATE.fullmatch(node.op))
    if left:
        raise ModelError(f"{source} cannot be frozen: it keeps state in {left}, which a checkpoint or a pass fills")
    from tensorflow.core.protobuf import saved_model_pb2

    saved = saved_model_pb2.SavedModel(saved_model_schema_version=1, meta_graphs=[meta])
    (folder / FILE).write_bytes(saved.SerializeToString())
    counts = (sum(1 for _ in every_node(graph)), sum(1 for _ in every_node(meta.graph_def)))
    return Frozen(tuple(sorted(meta.signature_def)), variables, *counts, features(meta.graph_def))


@contextmanager
def silent() -> Iterator[None]:
    """Keep what TensorFlow remarks on being imported, for which it has no setting, from stderr."""
    kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)


def converted(source: Path, signatures: tuple[str, ...]) -> tuple[Any, Any, int]:
    """The new MetaGraphDef without its graph, the graph with constants for variables, and how many of those there were."""
    with silent():
        import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_from_session_graph as convert

    v1 = tf.compat.v1
    v1.logging.set_verbosity(v1.logging.ERROR)  # of its own deprecations
    say(f"loading {source}")
    with v1.Session(graph=tf.Graph()) as session:
        try:
            meta = v1.saved_model.load(session, [TAG], str(source))
            given = session.graph.as_graph_def()
        except (ValueError, RuntimeError, OSError, tf.errors.OpError) as error:
            raise ModelError(f"{source} cannot be loaded: TensorFlow says: {error}") from None
        described = description(source, meta, signatures)
        complete(session.graph)
        say("folding variables")
        writes = named(node.op for node in Nodes(given).behind(ends(described)) if WRITE.fullmatch(node.op))
        if writes:
            raise ModelError(f"{source} cannot be frozen: a pass changes its variables by {writes}")
        try:
            graph = convert(session, optimised(described, given, ("function",)), sorted(ends(described)))
        except (ValueError, RuntimeError, KeyError, AttributeError, tf.errors.OpError) as error:
            raise ModelError(f"{source} cannot be frozen: TensorFlow says: {error}") from None
    held = {node.name for node in given.node if STATE.fullmatch(node.op)}
    variables = sum(node.op == "Const" and node.name in held for node in graph.node)
    initialise(described, given, graph)
    return described, graph, variables


def complete(graph: Any) -> None:
    """Give every variable the reading operation by which its value is looked up: TensorFlow's own saver leaves some out."""
    import tensorflow as tf

    names = {operation.name for operation in graph.get_operations()}
    with graph.as_default():
        for operation in graph.get_operations():
            name = f"{operation.name}/Read/ReadVariableOp"
            if operation.type == "VarHandleOp" and name not in names:
                tf.raw_ops.ReadVariableOp(resource=operation.outputs[0], dtype=operation.get_attr("dtype"), name=name)


def description(source: Path, meta: Any, signatures: tuple[str, ...]) -> Any:
    """A MetaGraphDef of the wanted signatures and of what a graph needs at its start, without variables and the graph."""
    names = [name for name in meta.signature_def if not name.startswith(RESERVED)]
    unknown = sorted(set(signatures) - set(names))
    if unknown or not names:
        raise ModelError(f"{source} has no signature {', '.join(unknown)}; it has {', '.join(sorted(names)) or 'none'}")
    described = type(meta)()
    described.meta_info_def.CopyFrom(meta.meta_info_def)
    described.meta_info_def.ClearField("stripped_op_list")
    described.meta_info_def.stripped_default_attrs = True
    for name in signatures or names:
        described.signature_def[name].CopyFrom(meta.signature_def[name])
    # As TF1 wrote it, since there are no objects any more: every loader reads that.
    if first := initial(meta):
        described.collection_def[INIT_COLLECTIONS[0]].node_list.value.append(first)
    described.asset_file_def.extend(meta.asset_file_def)
    if ASSETS in meta.collection_def:
        described.collection_def[ASSETS].CopyFrom(meta.collection_def[ASSETS])
    elif meta.asset_file_def:
        described.collection_def[ASSETS].any_list.value.extend(packed(asset) for asset in meta.asset_file_def)
    return described


def packed(message: Any) -> Any:
    """A message as one of any type."""
    from google.protobuf.any_pb2 import Any as AnyMessage

    held = AnyMessage()
    held.Pack(message)
    return held


def ends(described: Any) -> set[str]:
    """The nodes that the signatures name."""
    found = set()
    for signature in described.signature_def.values():
        infos = (*signature.inputs.values(), *signature.outputs.values())
        found |= {node_name(tensor) for info in infos for tensor in tensors(info)}
    return found


def tensors(info: Any) -> list[str]:
    """The graph's tensors that a TensorInfo stands for: three where it is sparse."""
    kind = info.WhichOneof("encoding")
    if kind == "coo_sparse":
        sparse = info.coo_sparse
        return [sparse.values_tensor_name, sparse.indices_tensor_name, sparse.dense_shape_tensor_name]
    if kind == "composite_tensor":
        return [tensor for component in info.composite_tensor.components for tensor in tensors(component)]
    return [info.name]


def node_name(reference: str) -> str:
    """The node of an input or a tensor: `^name`, `name` or `name:1`."""
    return reference.lstrip("^").partition(":")[0]


# --- what runs once at the start: tables are filled there


def initial(described: Any) -> str:
    """The node that the loader runs after it has restored the variables; empty where there is none."""
    if INIT_SIGNATURE in described.signature_def:
        return node_name(described.signature_def[INIT_SIGNATURE].outputs[INIT_SIGNATURE].name)
    for name in INIT_COLLECTIONS:
        if name in described.collection_def and described.collection_def[name].node_list.value:
            return node_name(described.collection_def[name].node_list.value[0])
    return ""


def initialise(described: Any, given: Any, graph: Any) -> None:
    """Add what fills the tables to the converted graph: the part of the old graph's first step that sets no variable."""
    old = Nodes(given)
    there, added = {node.name for node in graph.node}, []
    pending = [initial(described), *(node_name(asset.tensor_info.name) for asset in described.asset_file_def)]
    while pending:
        name = pending.pop()
        if not name or name in there:
            continue
        there.add(name)
        node = graph.node.add()
        node.CopyFrom(old.nodes[name])
        straighten(node, old)
        node.input[:] = [one for one in node.input if not (one.startswith("^") and only_sets(old, node_name(one)))]
        pending += map(node_name, node.input)
        added.append(node)
    known = {function.signature.name for function in graph.library.function}
    graph.library.function.extend(one for one in old.called_by(added) if one.signature.name not in known)


def straighten(node: Any, old: Nodes) -> None:
    """Let a node that reads a variable right after it was set take the value itself: so TF2 passes on the names of files."""
    if node.op != "ReadVariableOp":
        return
    for step in (old.nodes[node_name(one)] for one in node.input if one.startswith("^")):
        if step.op == "AssignVariableOp" and node_name(step.input[0]) == node_name(node.input[0]):
            dtype = node.attr["dtype"].type
            node.op, node.input[:] = "Identity", [step.input[1]]
            node.attr.clear()
            node.attr["T"].type = dtype
            return


def only_sets(old: Nodes, name: str) -> bool:
    """Whether a step that another waits for sets variables, which are constants now, and fills no table."""
    operations = {node.op for node in old.behind([name])}
    return (
        old.nodes[name].op != "NoOp" and any(map(WRITE.fullmatch, operations)) and not any("Table" in one for one in operations)
    )


def every_node(graph: Any) -> Iterator[Any]:
    """The nodes of a graph and of its functions."""
    yield from graph.node
    for function in graph.library.function:
        yield from function.node_def


def named(operations: Iterable[str]) -> str:
    """Operations for a message, each once."""
    return ", ".join(sorted(set(operations)))


# --- grappler


def optimised(described: Any, graph: Any, only: tuple[str, ...] = ()) -> Any:
    """The graph after grappler, or after those of its optimisers that are named.

    Functions are inlined, constants and batch norms folded, and what nobody asks for is gone.
    """
    from tensorflow.core.protobuf import config_pb2
    from tensorflow.python.framework import errors
    from tensorflow.python.grappler import tf_optimizer

    item = type(described)()
    item.CopyFrom(described)
    item.graph_def.CopyFrom(graph)
    for function in item.graph_def.library.function:
        function.attr.pop("api_implements", None)  # it keeps the functions of recurrent layers from being inlined
    keep(item)
    config = config_pb2.ConfigProto()
    rewrites = config.graph_options.rewrite_options
    rewrites.min_graph_nodes = -1  # small graphs too
    rewrites.meta_optimizer_iterations = 2
    rewrites.optimizers.extend(only)
    try:
        found = tf_optimizer.OptimizeGraph(config, item, strip_default_attributes=True)
    except errors.OpError as error:
        raise ModelError(f"its graph cannot be optimised: TensorFlow says: {error.message}") from None
    missing = ends(described) - {node.name for node in found.node}
    found.node.extend(node for node in graph.node if node.name in missing)  # an input that no output needs may still be fed
    return found


def keep(item: Any) -> None:
    """Name to grappler, which keeps what signatures name, the files of tables as inputs and the first step as an output."""
    signature = item.signature_def["keep"]
    for number, asset in enumerate(item.asset_file_def):
        signature.inputs[f"asset_{number}"].CopyFrom(asset.tensor_info)
        signature.inputs[f"asset_{number}"].dtype = STRING  # grappler ends the process where it is left open
    first = initial(item)
    if first:
        signature.outputs["first"].name = first
