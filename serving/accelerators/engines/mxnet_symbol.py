"""What a symbol's JSON may say: nodes in order, each output that is read there, operators MXNet's own and harmless.

MXNet 1.9.1 trusts it. An entry that names what is not there ends the process, and operators such as `_Native` and
`_cvimread` take addresses and file names out of it.
"""

from __future__ import annotations

import ctypes
import json
from functools import cache, lru_cache
from typing import Any

from serving.accelerators.errors import AcceleratorError, Code
from serving.backends.mxnet import first_line, numpy_shapes
from serving.backends.mxnet_import import import_mxnet

MAX_NODES, MAX_ATTRIBUTE, MAX_INPUTS = 200_000, 1 << 20, 1 << 16
"""The largest models seen have 20,000 nodes; a constant list in an attribute may be long."""
MAX_DEPTH = 4
"""Graphs in graphs: loops in loops."""

AUX_IN_JSON = 900
"""The version, 0.9, from which a symbol names its auxiliary states; MXNet adds them to an older one."""
HIDDEN = ("ctx_group", "lr_mult", "wd_mult", "force_mirroring", "mirror_stage")
"""What old symbols have among an operator's attributes, and is none of them."""

CODE = {
    "Custom": "runs Python",
    "_Native": "calls an address",
    "_NDArray": "calls an address",
    "_CustomFunction": "calls an address",
    "_CachedOp": "runs what is not in the graph",
    "_CachedOpThreadSafe": "runs what is not in the graph",
    "_cvimread": "reads files",
    "_npi_cvimread": "reads files",
}
"""Operators that do more than compute, and what."""
OUTSIDE = ("_cv", "_npi_cv", "_imdecode", "_CrossDevice", "_NoGradient")
"""How names begin of operators that no model for inference has: pictures' codecs, copies between devices."""
CHANGES = ("backward", "_update", "reset_arrays", "multi_sum_sq", "multi_lars", "amp_multicast", "_dgl_")
"""What names hold of operators that change parameters or only training needs. Some end MXNet when they are merely made."""
GRAPHS = {"_foreach": 1, "_while_loop": 2, "_cond": 3}
"""Operators that hold graphs, and how many; oneDNN's fused ones (`_sg_`) one."""


def check(text: str) -> None:
    """AcceleratorError where MXNet must not be given this symbol, or does not take it."""
    try:
        graph = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _invalid(f"the symbol is no JSON: {error}") from None
    _check_graph(graph)
    mx = import_mxnet()
    try:
        with numpy_shapes(is_numpy(text)):
            mx.sym.load_json(text).list_outputs()
    except mx.MXNetError as error:
        raise _invalid(f"MXNet does not take the symbol: {first_line(error)}") from None


def is_numpy(text: str) -> bool:
    """Whether a symbol was made with numpy's shapes, where 0 is a size and () is a scalar."""
    if '"is_np_shape"' not in text:
        return False
    attributes = json.loads(text).get("attrs")
    return isinstance(attributes, dict) and attributes.get("is_np_shape") == ["int", 1]


@cache
def operators() -> frozenset[str]:
    """MXNet's own operators."""
    library = import_mxnet().base._LIB
    count, names = ctypes.c_uint(), ctypes.POINTER(ctypes.c_char_p)()
    library.MXListAllOpNames(ctypes.byref(count), ctypes.byref(names))
    return frozenset((names[at] or b"").decode() for at in range(count.value))


def _check_graph(graph: Any, depth: int = 0) -> None:
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
    _check_operators(graph, depth == 0 and _is_old(graph))


def _check_node(at: int, node: Any, depth: int) -> None:
    if not isinstance(node, dict) or not isinstance(node.get("op"), str) or not isinstance(node.get("name"), str):
        raise _invalid(f"node {at} of the symbol is none: it has no op and name")
    name, op, inputs = node["name"][:60], node["op"], node.get("inputs")
    if not isinstance(inputs, list) or len(inputs) > MAX_INPUTS or not all(_is_entry(entry, at) for entry in inputs):
        raise _invalid(f"{name!r} ({op[:60]}) takes what is no node before it")
    if op == "null" and inputs:
        raise _invalid(f"the variable {name!r} has inputs")
    waits = node.get("control_deps", [])
    if not isinstance(waits, list) or not all(_is_index(other, at) for other in waits):
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
    if not isinstance(subgraphs, list) or len(subgraphs) != GRAPHS.get(op, int(op.startswith("_sg_"))):
        raise _invalid(f"{name!r} ({op[:60]}) does not hold as many graphs as such an operator does")
    for graph in subgraphs:
        _check_graph(graph, depth + 1)


def _check_operator(op: str, name: str) -> None:
    if op in CODE:
        raise _invalid(f"{name!r} is the operator {op}, which {CODE[op]}: a model that is sent is data, never code")
    if op.startswith(OUTSIDE) or any(part in op for part in CHANGES):
        raise _invalid(f"{name!r} is the operator {op[:60]}, which no model for inference has")
    if op not in operators():
        raise _invalid(f"unknown operator {op[:60]} ({name!r}): MXNet {import_mxnet().__version__} does not have it")


def _check_operators(graph: dict[str, Any], is_old: bool) -> None:
    """AcceleratorError where a node lacks inputs, or an output is read that it does not have: MXNet would read beyond it."""
    nodes = graph["nodes"]
    most: dict[int, int] = {}
    for entry in (*graph["heads"], *(entry for node in nodes for entry in node["inputs"])):
        most[entry[0]] = max(entry[1], most.get(entry[0], 0))
    for at, node in enumerate(nodes):
        given, inputs, outputs = len(node["inputs"]), 0, 1
        if node["op"] != "null":
            attributes = {**(node.get("param") or {}), **(node.get("attr") or {}), **(node.get("attrs") or {})}
            plain = {key: value for key, value in attributes.items() if key not in HIDDEN and not key.startswith("__")}
            inputs, outputs = _arity(node["op"], tuple(sorted(plain.items())))
        is_short = given < inputs and not is_old
        if given > inputs or is_short or most.get(at, 0) >= outputs:
            raise _invalid(
                f"{node['name'][:60]!r} ({node['op'][:60]}) has {inputs} inputs and {outputs} outputs:"
                f" the symbol gives it {given}, and reads output {most.get(at, 0)}"
            )


def _is_old(graph: dict[str, Any]) -> bool:
    """Whether MXNet takes the symbol for one that does not name auxiliary states."""
    attributes = graph.get("attrs")
    version = attributes.get("mxnet_version") if isinstance(attributes, dict) else None
    is_told = isinstance(version, list) and len(version) == 2 and type(version[1]) is int
    return not is_told or version[1] < AUX_IN_JSON  # type: ignore[index]


@lru_cache(4096)
def _arity(op: str, attributes: tuple[tuple[str, str], ...]) -> tuple[int, int]:
    """How many inputs and outputs MXNet gives an operator with these attributes."""
    mx = import_mxnet()
    library, handle, made = mx.base._LIB, ctypes.c_void_p(), ctypes.c_void_p()
    texts = ctypes.c_char_p * len(attributes)
    keys, values = texts(*(key.encode() for key, _ in attributes)), texts(*(value.encode() for _, value in attributes))
    try:
        mx.base.check_call(library.NNGetOpHandle(ctypes.c_char_p(op.encode()), ctypes.byref(handle)))
        mx.base.check_call(
            library.MXSymbolCreateAtomicSymbol(handle, ctypes.c_uint(len(attributes)), keys, values, ctypes.byref(made))
        )
        symbol = mx.sym.Symbol(made)
        symbol._compose(name="alone")
        return len(symbol.list_inputs()), len(symbol.list_outputs())
    except mx.MXNetError as error:
        raise _invalid(f"an operator {op[:60]} is not as MXNet knows it: {first_line(error)}") from None


def _is_index(value: Any, end: int) -> bool:
    return type(value) is int and 0 <= value < end


def _is_entry(entry: Any, end: int) -> bool:
    """Whether it is `[node, output]` or `[node, output, version]` of one of the first `end` nodes."""
    is_list = isinstance(entry, list) and 2 <= len(entry) <= 3
    return is_list and all(_is_index(part, 1 << 31) for part in entry) and _is_index(entry[0], end)


def _invalid(message: str) -> AcceleratorError:
    return AcceleratorError(Code.INVALID_ARGUMENT, message)
