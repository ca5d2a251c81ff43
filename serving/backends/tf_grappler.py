"""Grappler, TensorFlow's optimiser of graphs, run offline on a frozen one, and what it leaves to be done."""

from __future__ import annotations

import hashlib
from typing import Any

from serving.backends.tf_graph import ends, initial, node_name
from serving.errors import ModelError

STRING = 7
"""DT_STRING in tensorflow/core/framework/types.proto."""


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
    if not only:
        share(found, ends(described))
    missing = ends(described) - {node.name for node in found.node}
    found.node.extend(node for node in graph.node if node.name in missing)  # an input that no output needs may still be fed
    return found


def share(graph: Any, kept: set[str]) -> None:
    """Let constants of the same value be one: grappler folds anew for each signature, and weights are most of a model."""
    first: dict[bytes, str] = {}
    instead = {}
    for node in graph.node:
        if node.op == "Const" and node.name not in kept:
            content = "\n".join(node.input).encode() + node.attr["value"].SerializeToString()
            instead[node.name] = first.setdefault(hashlib.sha256(content).digest(), node.name)
    for at in reversed(range(len(graph.node))):
        node = graph.node[at]
        if instead.get(node.name, node.name) != node.name:
            del graph.node[at]
            continue
        values = [renamed(one, instead) for one in node.input if not one.startswith("^")]
        steps = dict.fromkeys(renamed(one, instead) for one in node.input if one.startswith("^"))
        node.input[:] = [*values, *steps]


def renamed(reference: str, instead: dict[str, str]) -> str:
    """An input of a node, with the constant that stands for it."""
    name = node_name(reference)
    return reference.replace(name, instead.get(name, name), 1)


def keep(item: Any) -> None:
    """Name to grappler, which keeps what signatures name, the files of tables as inputs and the first step as an output."""
    signature = item.signature_def["keep"]
    for number, asset in enumerate(item.asset_file_def):
        signature.inputs[f"asset_{number}"].CopyFrom(asset.tensor_info)
        signature.inputs[f"asset_{number}"].dtype = STRING  # grappler ends the process where it is left open
    first = initial(item)
    if first:
        signature.outputs["first"].name = first
