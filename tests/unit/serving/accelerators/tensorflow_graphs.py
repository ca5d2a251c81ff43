"""Graphs and SavedModels written node by node, without TensorFlow's Python: what nobody's exporter would write among them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from serving.backends import tensorflow_import

tensorflow_import.protos()

from tensorflow.core.framework import graph_pb2  # noqa: E402
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2  # noqa: E402

FLOAT, STRING, RESOURCE = 1, 7, 20


def node(graph: Any, name: str, op: str, inputs: Iterable[str] = (), **attributes: Any) -> Any:
    """Add a node to a graph or to a function; an attribute is a DataType, a string, or `function:NAME`."""
    nodes = graph.node if hasattr(graph, "node") else graph.node_def
    one = nodes.add(name=name, op=op, input=list(inputs))
    for key, value in attributes.items():
        if isinstance(value, int):
            one.attr[key].type = value
        elif value.startswith("function:"):
            one.attr[key].func.name = value.removeprefix("function:")
        else:
            one.attr[key].s = value.encode()
    return one


def constant(graph: Any, name: str, text: str) -> Any:
    """Add a constant string."""
    one = node(graph, name, "Const", dtype=STRING)
    one.attr["value"].tensor.dtype = STRING
    one.attr["value"].tensor.string_val.append(text.encode())
    one.attr["value"].tensor.tensor_shape.SetInParent()
    return one


def function(graph: Any, name: str, *arguments: str) -> Any:
    """Add a function without results."""
    one = graph.library.function.add()
    one.signature.name = name
    for argument in arguments:
        one.signature.input_arg.add(name=argument, type=STRING)
    return one


def doubling() -> Any:
    """A MetaGraphDef: x of any shape -> y = x + x."""
    meta = meta_graph_pb2.MetaGraphDef()
    meta.meta_info_def.tags.append("serve")
    graph = meta.graph_def
    graph.versions.producer = 1882
    node(graph, "x", "Placeholder", dtype=FLOAT).attr["shape"].shape.unknown_rank = True
    node(graph, "y", "AddV2", ["x", "x"], T=FLOAT)
    signature = meta.signature_def["serving_default"]
    for ends, name in ((signature.inputs, "x"), (signature.outputs, "y")):
        ends[name].name, ends[name].dtype = f"{name}:0", FLOAT
        ends[name].tensor_shape.unknown_rank = True
    return meta


def first_step(meta: Any, *steps: str) -> None:
    """Let the loader run these nodes first."""
    node(meta.graph_def, "init", "NoOp", [f"^{step}" for step in steps])
    meta.collection_def["saved_model_main_op"].node_list.value.append("init")


def asset(meta: Any, tensor: str, filename: str) -> None:
    """Let the loader feed a tensor with the path of a file among the assets."""
    meta.asset_file_def.add(filename=filename).tensor_info.name = f"{tensor}:0"


def write(folder: Path, meta: Any) -> Path:
    """The SavedModel's folder."""
    folder.mkdir(parents=True, exist_ok=True)
    saved = saved_model_pb2.SavedModel(saved_model_schema_version=1, meta_graphs=[meta])
    (folder / "saved_model.pb").write_bytes(saved.SerializeToString())
    return folder


def frozen(path: Path) -> Path:
    """A frozen graph: `image` of any shape -> `prediction`, its double."""
    graph = graph_pb2.GraphDef()
    graph.versions.producer = 1882
    node(graph, "image", "Placeholder", dtype=FLOAT)
    node(graph, "prediction", "AddV2", ["image", "image"], T=FLOAT)
    path.write_bytes(graph.SerializeToString())
    return path
