"""Graphs made faster for the CPU while they are bound: what holds for oneDNN, or for one batch size, must not be written into a model.

    y * sigmoid(x), as in x * sigmoid(x) (SiLU, Swish)        -> one oneDNN node
    one row times a number a channel (squeeze and excitation) -> BatchNorm, whose gamma may be computed

MXNet 1.9.1 multiplies tensors outside oneDNN: both are copied into the plain layout, and the product is copied back.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from serving.backends.mxnet_import import import_mxnet

VERSION = {"mxnet_version": ["int", 10901]}
GATE = "_backward_Activation"
"""Of softrelu: `gradient * sigmoid(x)`, in oneDNN from x. MXNet's own takes it from the output, so that oneDNN's must be sure."""
MOST_AXES = 5
"""Of tensors that oneDNN's activations take."""
BLOCK = 8
"""Channels that oneDNN keeps side by side at least."""
LAID_OUT = ("Convolution", "Pooling", "Activation", "LeakyReLU", "BatchNorm", "clip", GATE)
"""Operators that leave their result in oneDNN's layout: from the plain one a BatchNorm gains nothing."""
EPSILON = 1e-5


@dataclass
class Tuned:
    """A symbol, and the arguments and states that it has more than the one before."""

    symbol: Any
    arguments: dict[str, Any] = field(default_factory=dict)
    states: dict[str, Any] = field(default_factory=dict)


def tuned(symbol: Any, arrays: dict[str, Any]) -> Tuned:
    """A symbol that answers the same on the CPU, but for rounding; `arrays` are all arguments of the given one, of these shapes."""
    graph = json.loads(symbol.tojson())
    gates, scales = _gates(graph), _scales(graph)
    result = Tuned(symbol)
    if not gates and not scales:
        return result
    shapes = _float32_shapes(symbol, arrays)
    gates = {number: inputs for number, inputs in gates.items() if _do_fit_gate(graph, inputs, shapes)}
    scales = {number: inputs for number, inputs in scales.items() if _do_fit_scale(graph, inputs, shapes)}
    if not _is_exact():
        gates = {}
    for number, inputs in gates.items():
        graph["nodes"][number].update(op=GATE, attrs={"act_type": "softrelu"}, inputs=inputs)
    for number, inputs in scales.items():
        _scale_channels(graph, number, inputs, shapes[_name(graph, inputs[0])][1], result)
    if gates or scales:
        result.symbol = import_mxnet().sym.load_json(json.dumps(_ordered(graph)))
    return result


def _name(graph: dict[str, Any], entry: list[int]) -> str:
    return f"{graph['nodes'][entry[0]]['name']}:{entry[1]}"


def _readers(graph: dict[str, Any]) -> list[int]:
    """How often each node is read or wanted."""
    readers = [0] * len(graph["nodes"])
    for entry in (*graph["heads"], *(entry for node in graph["nodes"] for entry in node["inputs"])):
        readers[entry[0]] += 1
    return readers


def _gates(graph: dict[str, Any]) -> dict[int, list[list[int]]]:
    """By the number of a product with a sigmoid that nobody else reads: the inputs of the node in its place."""
    nodes, readers, found = graph["nodes"], _readers(graph), {}
    for number, node in enumerate(nodes):
        if node["op"] != "elemwise_mul":
            continue
        for value, gate in (node["inputs"], node["inputs"][::-1]):
            source = nodes[gate[0]]
            is_sigmoid = source["op"] == "Activation" and source["attrs"].get("act_type") == "sigmoid"
            if is_sigmoid and readers[gate[0]] == 1 and number not in found:
                found[number] = [value, source["inputs"][0], source["inputs"][0]]
    return found


def _do_fit_gate(graph: dict[str, Any], inputs: list[list[int]], shapes: dict[str, tuple[int, ...]]) -> bool:
    return all(1 <= len(shapes.get(_name(graph, entry), ())) <= MOST_AXES for entry in inputs)


def _do_fit_scale(graph: dict[str, Any], inputs: list[list[int]], shapes: dict[str, tuple[int, ...]]) -> bool:
    value, factors = (shapes.get(_name(graph, entry), ()) for entry in inputs)
    return len(value) == 4 and value[0] == 1 and not value[1] % BLOCK and factors == (1, value[1], 1, 1)


def _scales(graph: dict[str, Any]) -> dict[int, list[list[int]]]:
    """By the number of a broadcast product: what is scaled, and the factors, which are computed."""
    nodes, found = graph["nodes"], {}
    for number, node in enumerate(nodes):
        if node["op"] != "broadcast_mul":
            continue
        value, factors = (nodes[entry[0]] for entry in node["inputs"])
        if factors["op"] != "null" and value["op"] in LAID_OUT:
            found[number] = node["inputs"]
    return found


def _scale_channels(graph: dict[str, Any], number: int, inputs: list[list[int]], channels: int, result: Tuned) -> None:
    """Put a BatchNorm in a product's place."""
    nd = import_mxnet().nd
    nodes, node = graph["nodes"], graph["nodes"][number]
    parts = {"beta": nd.zeros((channels,)), "mean": nd.zeros((channels,)), "var": nd.full((channels,), 1 - EPSILON)}
    names = {part: f"{node['name']}:{part}" for part in parts}
    result.arguments[names["beta"]] = parts["beta"]
    result.states.update({names[part]: parts[part] for part in ("mean", "var")})
    if nodes[inputs[0][0]]["op"] == "Convolution":
        # A BatchNorm right behind it would become part of it when the symbol is bound, with the first pass's factors for good.
        # A mean of single elements between them changes nothing, and keeps the layout.
        same = {"kernel": "(1, 1)", "pool_type": "avg"}
        nodes.append({"op": "Pooling", "name": f"{node['name']}:same", "attrs": same, "inputs": [inputs[0]]})
        inputs = [[len(nodes) - 1, 0, 0], inputs[1]]
    first = len(nodes)
    nodes.append({"op": "Reshape", "name": f"{node['name']}:gamma", "attrs": {"shape": "(-1,)"}, "inputs": [inputs[1]]})
    nodes.extend({"op": "null", "name": name, "inputs": []} for name in names.values())
    attrs = {"eps": repr(EPSILON), "fix_gamma": "False", "use_global_stats": "True", "axis": "1"}
    more = [[first + place, 0, 0] for place in range(4)]
    node.update(op="BatchNorm", attrs=attrs, inputs=[inputs[0], *more])


def _ordered(graph: dict[str, Any]) -> dict[str, Any]:
    """The graph with each node behind those that it reads, which MXNet counts on."""
    nodes = graph["nodes"]
    order: list[int] = []
    seen: set[int] = set()
    stack = [(entry[0], False) for entry in reversed(graph["heads"])]
    while stack:
        number, is_ready = stack.pop()
        if is_ready:
            order.append(number)
        elif number not in seen:
            seen.add(number)
            stack.append((number, True))
            stack.extend((entry[0], False) for entry in reversed(nodes[number]["inputs"]))
    places = {number: place for place, number in enumerate(order)}

    def moved(entries: list[list[int]]) -> list[list[int]]:
        return [[places[entry[0]], *entry[1:]] for entry in entries]

    kept = [{**nodes[number], "inputs": moved(nodes[number]["inputs"])} for number in order]
    variables = [place for place, node in enumerate(kept) if node["op"] == "null"]
    graph.pop("node_row_ptr", None)
    return {**graph, "nodes": kept, "arg_nodes": variables, "heads": moved(graph["heads"])}


def _float32_shapes(symbol: Any, arrays: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """By node and output, `NAME:INDEX`: the shapes of float32 values."""
    inner = symbol.get_internals()
    given = set(inner.list_arguments())
    _, shapes, _ = inner.infer_shape_partial(**{name: array.shape for name, array in arrays.items() if name in given})
    _, dtypes, _ = inner.infer_type_partial(**{name: array.dtype for name, array in arrays.items() if name in given})
    found: dict[str, tuple[int, ...]] = {}
    before: dict[str, int] = {}
    for one, shape, dtype in zip(inner, shapes or (), dtypes or (), strict=False):
        index = before[one.name] = before.get(one.name, -1) + 1
        if dtype == np.float32 and shape is not None:
            found[f"{one.name}:{index}"] = tuple(shape)
    return found


@functools.cache
def _is_exact() -> bool:
    """Whether this build of MXNet computes such a node as told above."""
    mx = import_mxnet()
    x = np.array([[-9, -2.5, -1e-3, 0, 0.75, 3, 20]], np.float32)
    nodes = [
        {"op": "null", "name": "x", "inputs": []},
        {"op": GATE, "name": "y", "attrs": {"act_type": "softrelu"}, "inputs": [[0, 0, 0]] * 3},
    ]
    try:
        symbol = mx.sym.load_json(json.dumps({"nodes": nodes, "arg_nodes": [0], "heads": [[1, 0, 0]], "attrs": VERSION}))
        bound = symbol.bind(mx.cpu(), {"x": mx.nd.array(x)}, grad_req="null")
        got = bound.forward(is_train=False)[0].asnumpy()
    except mx.MXNetError:
        return False
    return bool(np.allclose(got, x / (1 + np.exp(-x)), rtol=1e-5, atol=1e-7))
