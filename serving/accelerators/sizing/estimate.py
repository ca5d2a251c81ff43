"""What a model takes on the MXNet engine: what MXNet and oneDNN allocate, added up from its graph and the shapes of a call.

    parameters                          as the file holds them
  + oneDNN's own copy                   of each convolution's and product's weights, its channels filled up to blocks
  + the largest copy once more          while batch norm is written into it
  + values                              what MXNet's planner says
  + the inputs
  + the largest rearranged input        oneDNN's kernels want different orders of the axes
  + a fixed part                        the library's code, its kernels made while loading, some for each node

Found by tracing every allocation of passes of the model zoo; `benchmarks/estimate.py` compares it with measured needs. It
holds for a process whose heap keeps large blocks apart (`engines.memory.settle`).
"""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

Shape = tuple[int, ...]
Shapes = Mapping[str, Shape]
Node = Mapping[str, Any]
MIB = 1 << 20
FIXED, PER_LAYER, PER_NODE = 4 * MIB, 130 << 10, 12 << 10
"""Bytes: of the first pass of any model, of a convolution or product, and of any other node that computes."""
MARGIN = 1.03
WIDTH = 4
"""Bytes of a number: what is narrower in the file is computed with as float32."""
BLOCK = 16
"""Channels that oneDNN fills up to, on the widest registers."""
GATES = {"lstm": 4, "gru": 3, "rnn_relu": 1, "rnn_tanh": 1}
ORDERED = {
    *("Convolution", "Pooling", "Activation", "BatchNorm", "LeakyReLU", "Concat", "elemwise_add", "_plus", "_Plus"),
    *("clip", "LRN", "Dropout", "_copy"),
}
"""Operators that leave their result in an order that oneDNN's convolutions read as it is."""


@dataclass(frozen=True)
class Need:
    """Bytes by what they are for."""

    weights: int
    copies: int
    folding: int
    values: int
    inputs: int
    rearranged: int
    scratch: int
    fixed: int

    @property
    def total(self) -> int:
        """All of them, and a little for what no rule here foresees."""
        return int(MARGIN * sum(vars(self).values()))


@dataclass(frozen=True)
class Layer:
    """A node with weights, in bytes: oneDNN's copy of them, what it reads in another order, and what it holds besides."""

    copy: int
    rearranged: int = 0
    scratch: int = 0
    is_folded: bool = False


def floor(params_bytes: int) -> int:
    """Bytes that a model takes at least, by its params file alone: enough to refuse what cannot fit, without MXNet."""
    return FIXED + params_bytes


def planned(symbol: Any, args: Mapping[str, Any], aux: Mapping[str, Any], shapes: Shapes) -> Need:
    """The need of an MXNet symbol with its arrays, for inputs of these shapes; MXNet itself is asked for its plan.

    MXNetError where it does not take such inputs.
    """
    arrays = {**args, **aux}
    inner = symbol.get_internals()
    known = {name: array.shape for name, array in arrays.items()}
    names = {*inner.list_arguments(), *inner.list_auxiliary_states()}
    given = {name: shape for name, shape in {**known, **shapes}.items() if name in names}
    _, found, _ = inner.infer_shape_partial(**given)
    every = dict(zip(inner.list_outputs(), found, strict=True))
    weights = sum(prod(array.shape) * _width(array) for array in arrays.values())
    return of_graph(json.loads(symbol.tojson()), {**every, **given}, weights, _plan(symbol, args, aux, given), shapes)


def of_graph(graph: Mapping[str, Any], every: Shapes, weights: int, values: int, inputs: Shapes) -> Need:
    """The need of a graph with the shapes of all its values; `values` are the bytes that MXNet's planner gives them."""
    layers = list(_layers(graph, every))
    computing = sum(node["op"] != "null" for node in graph["nodes"])
    return Need(
        weights,
        sum(layer.copy for layer in layers),
        max((layer.copy for layer in layers if layer.is_folded), default=0),
        values,
        sum(4 * prod(shape) for shape in inputs.values()),
        max((layer.rearranged for layer in layers), default=0),
        sum(layer.scratch for layer in layers),
        FIXED + PER_LAYER * len(layers) + PER_NODE * (computing - len(layers)),
    )


def _layers(graph: Mapping[str, Any], every: Shapes) -> Iterator[Layer]:
    nodes = graph["nodes"]
    normed = {node["inputs"][0][0] for node in nodes if node["op"] == "BatchNorm"}
    for at, node in enumerate(nodes):
        if node["op"] in LAYERS:
            shapes = [_shape(nodes[source[0]], source[1], every) for source in node["inputs"][:2]]
            yield LAYERS[node["op"]](node, shapes, nodes[node["inputs"][0][0]]["op"], every, at in normed)


def _convolution(node: Node, shapes: list[Shape], source: str, every: Shapes, is_folded: bool) -> Layer:
    """One that reads what is in another order, or may want another than the one before.

    Those of single pixels do; so do those whose channels fill no blocks, for which oneDNN takes its plain kernels.
    """
    read, weight = shapes
    attrs = _attributes(node)
    is_depthwise = int(attrs.get("num_group", 1)) > 1 and weight[1:2] == (1,)
    is_pointwise = prod(_numbers(attrs.get("kernel", "()"))) == 1 and not is_depthwise
    is_uneven = any(channels % BLOCK for channels in (*read[1:2], *weight[:1]))
    is_moved = is_pointwise or is_uneven or source not in ORDERED
    del every
    return Layer(_filled(weight), WIDTH * prod(read) * is_moved, 0, is_folded)


def _deconvolution(node: Node, shapes: list[Shape], source: str, every: Shapes, is_folded: bool) -> Layer:
    """One that keeps its output twice more, and its input in its own order."""
    del source, is_folded
    written = WIDTH * prod(_shape(node, 0, every))
    return Layer(_filled(shapes[1]), WIDTH * prod(shapes[0]), 2 * written)


def _product(node: Node, shapes: list[Shape], source: str, every: Shapes, is_folded: bool) -> Layer:
    del node, source, every, is_folded
    return Layer(WIDTH * prod(shapes[1]))


def _recurrent(node: Node, shapes: list[Shape], source: str, every: Shapes, is_folded: bool) -> Layer:
    """One that keeps its weights in two more orders, and all gates of all steps of a layer."""
    del source, every, is_folded
    attrs = _attributes(node)
    gates = GATES.get(str(attrs.get("mode")), 4) * int(attrs.get("state_size", 0))
    return Layer(2 * WIDTH * prod(shapes[1]), 0, WIDTH * gates * prod(shapes[0][:2]))


LAYERS = {"Convolution": _convolution, "Deconvolution": _deconvolution, "FullyConnected": _product, "RNN": _recurrent}


def _filled(weight: Shape) -> int:
    """Bytes of a convolution's weights with its output channels filled up."""
    return WIDTH * -(-weight[0] // BLOCK) * BLOCK * prod(weight[1:]) if weight else 0


def _attributes(node: Node) -> Mapping[str, Any]:
    return dict(node.get("attrs") or node.get("attr") or node.get("param") or {})


def _shape(node: Node, output: int, every: Shapes) -> Shape:
    name = node["name"]
    for candidate in (name,) if node["op"] == "null" else (f"{name}_output", f"{name}_output{output}"):
        if candidate in every:
            return every[candidate] or ()
    return ()


def _numbers(text: Any) -> tuple[int, ...]:
    found = ast.literal_eval(str(text))
    return tuple(found) if isinstance(found, (tuple, list)) else (int(found),)


def _width(array: Any) -> int:
    return int(np.dtype(array.dtype).itemsize)


def _plan(symbol: Any, args: Mapping[str, Any], aux: Mapping[str, Any], given: Shapes) -> int:
    """What MXNet's planner gives the values: it is told in whole megabytes. Nothing is allocated before a first pass."""
    sample = next(iter(args.values()))
    empty = sys.modules[type(sample).__module__].empty
    arguments = {name: args[name] if name in args else empty(given[name]) for name in symbol.list_arguments() if name in given}
    executor = symbol.bind(sample.context, arguments, aux_states=dict(aux), grad_req="null")
    told = re.search(r"Total (\d+) MB allocated", executor.debug_str())
    return int(told.group(1)) * MIB + MIB // 2 if told else 0
