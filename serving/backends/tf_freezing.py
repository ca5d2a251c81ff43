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
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serving.backends.tf_features import Feature, features
from serving.backends.tf_graph import INIT_COLLECTIONS, Nodes, ends, every_node, initial, named, node_name
from serving.backends.tf_grappler import optimised
from serving.backends.tf_signatures import RESERVED, TAG
from serving.errors import ModelError
from serving.models.saved_models import FILE

ASSETS = "saved_model_assets"
STATE = re.compile(
    r"VarHandleOp|Variable(V2)?|AutoReloadVariable|Mutable(Dense)?HashTable\w*|BoostedTrees\w*HandleOp|\w*Queue(V2)?"
)
"""Operations that hold what a graph alone does not: what a checkpoint restores, or what a pass may write."""

WRITE = re.compile(r"Assign\w*|Resource(Scatter|Strided|Apply|SparseApply)\w*|Scatter(Add|Sub|Mul|Div|Min|Max|Update|NdUpdate)")
"""Operations that change a variable."""

LARGEST = 2**31 - 2**26
"""Bytes that fit into a graph: a protobuf message has 2 GiB at most."""


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


# --- what runs once at the start: tables are filled there


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
