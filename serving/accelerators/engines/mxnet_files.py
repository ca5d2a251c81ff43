"""What an MXNet artifact may hold: data, never code. Read and refused here without MXNet, which trusts a symbol's JSON.

    names of files -> params: every header and length -> symbol: JSON, nodes in order, operators MXNet's own and harmless

MXNet 1.9.1 ends its process on a graph with a cycle, an index out of range or an operator without its inputs, and
operators such as `_Native` and `_cvimread` take addresses and file names from the symbol.
"""

from __future__ import annotations

import ctypes
import json
import math
from collections.abc import Mapping
from functools import cache
from typing import Any

from serving.accelerators.engines.base import Config
from serving.accelerators.errors import AcceleratorError, Code
from serving.backends.mxnet import numpy_shapes
from serving.backends.mxnet_import import import_mxnet
from serving.models import params_file
from serving.models.layout import REPORT

VERSION = "1"
SYMBOL, PARAMS, SHAPES = f"{VERSION}/model-symbol.json", f"{VERSION}/model-0000.params", f"{VERSION}/model-shapes.json"
CONVERSION = f"{VERSION}/{REPORT}"
FILES = {SYMBOL, PARAMS, SHAPES, f"{VERSION}/model-graph.json", CONVERSION}
"""The names of an artifact's files, those of `ei convert` among them."""

MAX_SYMBOL, MAX_NODES, MAX_ATTRIBUTE, MAX_INPUTS = 64 << 20, 200_000, 1 << 20, 1 << 16
"""The largest models seen: 8 MB of JSON, 20,000 nodes; a constant list in an attribute may be long."""
MAX_DEPTH = 4
"""Graphs in graphs: loops in loops."""

CODE = {
    "Custom": "runs Python",
    "_Native": "calls an address",
    "_NDArray": "calls an address",
    "_CustomFunction": "calls an address",
    "_CachedOp": "calls an address",
    "_cvimread": "reads files",
    "_npi_cvimread": "reads files",
}
"""Operators that do more than compute, and what."""
OUTSIDE = (
    "_cv",
    "_npi_cv",
    "_backward",
    "_TensorRT",
    "_FusedOp",
    "_sg_",
    "_custom",
    "_contrib_tvm",
    "_tvm",
    "_crossdevice",
    "_Cross",
)
"""How names of operators begin that no model for inference has: pictures' codecs, gradients, other processes' compilers."""


def check(config: Config) -> None:
    """AcceleratorError where the folder holds no model that may be run here."""
    found = {path.relative_to(config.folder).as_posix() for path in config.folder.rglob("*") if not path.is_dir()}
    strange = sorted(found - FILES)
    if strange:
        raise _invalid(f"{strange[0][:100]} is no file of an MXNet model: {', '.join(sorted(FILES))} may be sent")
    lacking = [name for name in (SYMBOL, PARAMS) if name not in found]
    if lacking:
        raise _invalid(f"the model lacks {' and '.join(lacking)}")
    if any((config.folder / name).is_symlink() for name in found):
        raise _invalid("a file of the model is a link")
    _check_params(config)
    _check_symbol(json.loads(symbol_text(config)))


def symbol_text(config: Config) -> str:
    """The symbol's JSON; AcceleratorError where it is none."""
    path = config.folder / SYMBOL
    if path.stat().st_size > MAX_SYMBOL:
        raise _invalid(f"the symbol is {path.stat().st_size >> 20} MiB of JSON: {MAX_SYMBOL >> 20} are taken")
    try:
        text = path.read_bytes().decode()
        json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _invalid(f"the symbol is no JSON: {error}") from None
    return text


def is_converted(config: Config) -> bool:
    """Whether `ei convert` wrote the model."""
    return (config.folder / CONVERSION).is_file()


def is_numpy(text: str) -> bool:
    """Whether a symbol was made with numpy's shapes, where 0 is a size and () is a scalar."""
    return '"is_np_shape"' in text and json.loads(text).get("attrs", {}).get("is_np_shape", [0, 0])[1] == 1


def weights(config: Config) -> int:
    """Bytes of the params file."""
    return (config.folder / PARAMS).stat().st_size


def need(symbol: Any, shapes: Mapping[str, tuple[int, ...]], is_numpy: bool) -> int:
    """Bytes that a pass's values take at least, if each goes when nothing reads it any more; 0 where shapes are not told."""
    inner = symbol.get_internals()
    names = set(inner.list_arguments()) | set(inner.list_auxiliary_states())
    with numpy_shapes(is_numpy):
        _, found, _ = inner.infer_shape_partial(**{name: shape for name, shape in shapes.items() if name in names})
    graph = json.loads(inner.tojson())
    size = {}
    for head, shape in zip(graph["heads"], found or (), strict=False):
        if graph["nodes"][head[0]]["op"] != "null":
            size[head[0]] = size.get(head[0], 0) + 4 * math.prod(shape or (0,))
    last: dict[int, list[int]] = {}
    for at, users in _last_use(graph["nodes"]).items():
        last.setdefault(users, []).append(at)
    now = most = 0
    for at in range(len(graph["nodes"])):
        now += size.get(at, 0)
        most = max(most, now)
        now -= sum(size.get(done, 0) for done in last.get(at, ()))
    return most


def _last_use(nodes: list[dict[str, Any]]) -> dict[int, int]:
    return {entry[0]: at for at, node in enumerate(nodes) for entry in node["inputs"]}


def _check_params(config: Config) -> None:
    path = config.folder / PARAMS
    if not path.stat().st_size:
        return  # a symbol without parameters
    try:
        params_file.index(path)
    except params_file.Broken as error:
        raise _invalid(f"the parameters are damaged: {error}") from None


def _check_symbol(graph: Any, depth: int = 0) -> None:
    """AcceleratorError where MXNet must not be given this graph."""
    if not isinstance(graph, dict) or not isinstance(graph.get("nodes"), list) or not isinstance(graph.get("heads"), list):
        raise _invalid("the symbol is JSON, but no MXNet graph: it has no nodes and heads")
    nodes = graph["nodes"]
    if depth > MAX_DEPTH or not 0 < len(nodes) <= MAX_NODES:
        raise _invalid(f"the symbol has {len(nodes)} nodes, {depth} graphs deep: 1 to {MAX_NODES} are taken, {MAX_DEPTH} deep")
    for at, node in enumerate(nodes):
        _check_node(at, node, depth)
    arguments = graph.get("arg_nodes", [])
    if not isinstance(arguments, list) or not all(_is_index(at, len(nodes)) and nodes[at]["op"] == "null" for at in arguments):
        raise _invalid("the symbol's arg_nodes name what is no variable of it")
    if not graph["heads"] or not all(_is_entry(entry, len(nodes)) for entry in graph["heads"]):
        raise _invalid("the symbol's heads name what is no node of it")


def _check_node(at: int, node: Any, depth: int) -> None:
    if not isinstance(node, dict) or not isinstance(node.get("op"), str) or not isinstance(node.get("name"), str):
        raise _invalid(f"node {at} of the symbol is none: it has no op and name")
    name, op, inputs = node["name"][:60], node["op"], node.get("inputs")
    if not isinstance(inputs, list) or len(inputs) > MAX_INPUTS or not all(_is_entry(entry, at) for entry in inputs):
        raise _invalid(f"{name!r} ({op[:60]}) takes what is no node before it")
    if op == "null" and inputs:
        raise _invalid(f"the variable {name!r} has inputs")
    if not all(_is_index(other, at) for other in node.get("control_deps", [])):
        raise _invalid(f"{name!r} waits for what is no node before it")
    if op != "null":
        _check_operator(op, name)
    for kind in ("attrs", "attr", "param"):
        attributes = node.get(kind, {})
        if not isinstance(attributes, dict) or not all(isinstance(value, str) for value in attributes.values()):
            raise _invalid(f"the {kind} of {name!r} are no texts by name")
        if any(len(value) > MAX_ATTRIBUTE for value in attributes.values()):
            raise _invalid(f"an attribute of {name!r} is over {MAX_ATTRIBUTE >> 20} MiB long")
    subgraphs = node.get("subgraphs", [])
    if not isinstance(subgraphs, list):
        raise _invalid(f"the subgraphs of {name!r} are no list")
    for graph in subgraphs:
        _check_symbol(graph, depth + 1)


def _check_operator(op: str, name: str) -> None:
    if op in CODE:
        raise _invalid(f"{name!r} is the operator {op}, which {CODE[op]}: a model that is sent is data, never code")
    if op.startswith(OUTSIDE):
        raise _invalid(f"{name!r} is the operator {op[:60]}, which no model for inference has")
    if op not in operators():
        raise _invalid(f"unknown operator {op[:60]} ({name!r}): MXNet {import_mxnet().__version__} does not have it")


@cache
def operators() -> frozenset[str]:
    """MXNet's own operators."""
    library = import_mxnet().base._LIB
    count, names = ctypes.c_uint(), ctypes.POINTER(ctypes.c_char_p)()
    library.MXListAllOpNames(ctypes.byref(count), ctypes.byref(names))
    return frozenset((names[at] or b"").decode() for at in range(count.value))


def _is_index(value: Any, end: int) -> bool:
    return type(value) is int and 0 <= value < end


def _is_entry(entry: Any, end: int) -> bool:
    """Whether it is `[node, output]` or `[node, output, version]` of one of the first `end` nodes."""
    is_list = isinstance(entry, list) and 2 <= len(entry) <= 3 and all(type(part) is int and part >= 0 for part in entry)
    return is_list and entry[0] < end


def _invalid(message: str) -> AcceleratorError:
    return AcceleratorError(Code.INVALID_ARGUMENT, message)
