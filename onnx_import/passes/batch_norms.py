"""BatchNormalization behind a convolution goes into its filters and bias.

(x * w + b - mean) * scale / deviation + shift = x * (w * scale / deviation) + (b - mean) * scale / deviation + shift
"""

from __future__ import annotations

import numpy as np

from onnx_import.dtypes import Array
from onnx_import.graph import Graph, Node, Tensor

FOLDED = ("float32", "float64")
LARGEST = 1 << 18
"""Elements of filters that are worth a copy in memory: oneDNN folds those of others when it binds them."""


def run(graph: Graph) -> bool:
    """Whether there were any."""
    makers = {name: node for node in graph.nodes for name in node.outputs}
    readers: dict[str, int] = {}
    for name in [*(name for node in graph.nodes for name in node.reads()), *(info.name for info in graph.outputs)]:
        readers[name] = readers.get(name, 0) + 1
    gone = set()
    for node in graph.nodes:
        maker = makers.get(node.inputs[0]) if node.inputs else None
        if maker is None or not _is_plain(node) or maker.op not in ("Conv", "ConvTranspose") or maker.domain:
            continue
        if readers[node.inputs[0]] == 1 and _fold(graph, maker, node):
            maker.outputs = list(node.outputs[:1])
            gone.add(id(node))
    graph.nodes = [node for node in graph.nodes if id(node) not in gone]
    return bool(gone)


def _is_plain(node: Node) -> bool:
    """Whether it normalizes each channel by given statistics."""
    given = node.attributes
    is_trained = bool(given.get("training_mode")) or any(node.outputs[1:])
    return node.op == "BatchNormalization" and not node.domain and not is_trained and given.get("spatial") != 0


def _fold(graph: Graph, maker: Node, node: Node) -> bool:
    """Give the convolution new weights; False where they, or the statistics, are no constants of the graph alone."""
    names = [*maker.inputs[1:], *node.inputs[1:5]]
    overridable = {info.name for info in graph.inputs}
    if any(name not in graph.initializers or name in overridable for name in names if name):
        return False
    weight, *statistics = [graph.initializers[name] for name in (maker.inputs[1], *node.inputs[1:5])]
    old = graph.initializers[maker.inputs[2]] if len(maker.inputs) > 2 and maker.inputs[2] else None
    if weight.data.size > LARGEST or weight.dtype not in FOLDED or any(part.dtype != weight.dtype for part in statistics):
        return False
    scale, shift, mean, variance = (part.data.astype(np.float64) for part in statistics)
    epsilon = node.attributes.get("epsilon")
    factor = scale / np.sqrt(variance + (epsilon if isinstance(epsilon, float) else 0.0))
    bias = (old.data.astype(np.float64) if old is not None else 0.0) * factor + shift - mean * factor
    groups = maker.attributes.get("group")
    scaled = _scaled(weight.data, factor, groups if maker.op == "ConvTranspose" and isinstance(groups, int) else 0)
    if scaled is None or not np.all(np.isfinite(factor)):
        return False
    inputs = [f"{maker.outputs[0]}/{part}" for part in ("weight", "bias")]
    if any(name in graph.initializers for name in inputs):
        return False
    graph.initializers[inputs[0]] = Tensor(weight.dtype, scaled)
    graph.initializers[inputs[1]] = Tensor(weight.dtype, bias.astype(weight.dtype))
    maker.inputs = [maker.inputs[0], *inputs]
    return True


def _scaled(weight: Array, factor: Array, groups: int) -> Array | None:
    """Each filter times its factor; those of a ConvTranspose lie on the second axis, a group after the other."""
    rest = (1,) * (weight.ndim - 2)
    small = factor.astype(weight.dtype)
    if not groups:
        return weight * small.reshape(-1, 1, *rest) if len(factor) == weight.shape[0] else None
    if len(factor) != weight.shape[1] * groups or weight.shape[0] % groups:
        return None
    split = weight.reshape(groups, -1, *weight.shape[1:]) * small.reshape(groups, 1, weight.shape[1], *rest)
    return np.asarray(split.reshape(weight.shape))
