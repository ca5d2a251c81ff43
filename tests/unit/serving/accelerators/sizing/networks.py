"""Networks to be sized, written as artifacts without MXNet: their JSON by hand, their weights by numpy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from serving.models import params_file

MXNET = {"mxnet_version": ["int", 10901]}


def write(folder: Path, nodes: list[dict[str, Any]], weights: dict[str, tuple[int, ...]]) -> None:
    """An artifact whose last node is its output; weights are small numbers, the same each time."""
    random = np.random.default_rng(0)
    free = [at for at, node in enumerate(nodes) if node["op"] == "null"]
    graph = {"nodes": nodes, "arg_nodes": free, "heads": [[len(nodes) - 1, 0, 0]], "attrs": MXNET}
    (folder / "model-symbol.json").write_text(json.dumps(graph))
    arrays = {f"arg:{name}": random.random(shape, np.float32) / 100 for name, shape in weights.items()}
    params_file.write(folder / "model-0000.params", arrays)


class Chain:
    """Nodes, each of which reads the one before."""

    def __init__(self) -> None:
        self.nodes: list[dict[str, Any]] = [{"op": "null", "name": "data", "inputs": []}]
        self.weights: dict[str, tuple[int, ...]] = {}

    def then(self, op: str, weight: tuple[int, ...] = (), **attrs: object) -> Chain:
        """Add an operator, with a weight where it has one."""
        inputs = [[len(self.nodes) - 1, 0, 0]]
        name = f"{op.lower()}{len(self.nodes)}"
        if weight:
            self.weights[f"{name}_weight"] = weight
            self.nodes.append({"op": "null", "name": f"{name}_weight", "inputs": []})
            inputs.append([len(self.nodes) - 1, 0, 0])
        told = {key: str(value) for key, value in attrs.items()}
        self.nodes.append({"op": op, "name": name, "attrs": told, "inputs": inputs})
        return self


def pictures(folder: Path) -> tuple[int, ...]:
    """Convolutions, large and of single pixels, and a product; the shape of a row."""
    chain = Chain()
    for read, written in ((3, 48), (48, 96), (96, 384)):
        chain.then("Convolution", (written, read, 3, 3), kernel="(3, 3)", pad="(1, 1)", num_filter=written, no_bias=True)
        chain.then("Activation", act_type="relu")
        chain.then("Convolution", (written, written, 1, 1), kernel="(1, 1)", num_filter=written, no_bias=True)
        chain.then("Pooling", kernel="(2, 2)", stride="(2, 2)", pool_type="max")
    chain.then("Flatten").then("FullyConnected", (512, 384 * 64), num_hidden=512, no_bias=True)
    write(folder, chain.nodes, chain.weights)
    return 3, 64, 64


def small(folder: Path) -> tuple[int, ...]:
    """One product of eight numbers; the shape of a row."""
    chain = Chain().then("FullyConnected", (4, 8), num_hidden=4, no_bias=True)
    write(folder, chain.nodes, chain.weights)
    return (8,)
