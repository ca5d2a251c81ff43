"""The attributes of ONNX-ML's tree ensembles, read: a forest, and what its leaves add to which target."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from onnx_import.dtypes import Array
from onnx_import.errors import InvalidModel
from onnx_import.graph import Node, Tensor
from onnx_import.ops.forest import MODES, Forest

Children = dict[int, tuple[int, int]]
_READ: dict[int, tuple[weakref.ref[Node], str, tuple[Forest, Any]]] = {}


@dataclass
class Weights:
    """What leaves add: the leaf's place, the target and the weight, for each of them."""

    places: list[int]
    targets: list[int]
    numbers: list[float]
    count: int
    size: int

    def table(self, dtype: str, empty: float = 0.0) -> Array:
        """A row for each of `size` places, a column for each target."""
        if self.targets and not 0 <= min(self.targets) <= max(self.targets) < self.count:
            raise InvalidModel(f"a leaf's target is none of {self.count}")
        table = np.full((self.size, self.count), empty, np.float64)
        where = np.array(self.places, np.int64), np.array(self.targets, np.int64)
        if empty:
            extreme = np.minimum if empty > 0 else np.maximum
            extreme.at(table, where, np.array(self.numbers, np.float64))
        else:
            np.add.at(table, where, np.array(self.numbers, np.float64))
        return table.astype(dtype)


def read_once(node: Node, dtype: str, reader: Callable[[], tuple[Forest, Weights]]) -> tuple[Forest, Weights]:
    """What the reader gives, remembered as long as the node lives: a graph is traced for every new shape."""
    key = id(node)
    held = _READ.get(key)
    if held is None or held[0]() is not node or held[1] != dtype:
        held = weakref.ref(node, lambda _: _READ.pop(key, None)), dtype, reader()
        _READ[key] = held
    return held[2]


def read(node: Node, dtype: str, kind: str, count: int) -> tuple[Forest, Weights]:
    """The trees of versions 1 and 3; attributes that start with `kind` (class, target) tell of `count` targets."""
    attributes: dict[str, Any] = node.attributes
    trees, nodes = attributes.get("nodes_treeids") or [], attributes.get("nodes_nodeids") or []
    rows = list(zip(trees, nodes, strict=False))
    modes, features = attributes.get("nodes_modes") or [], attributes.get("nodes_featureids") or []
    values = numbers_of(node, "nodes_values").astype(dtype).tolist()
    ways = attributes.get("nodes_truenodeids") or [], attributes.get("nodes_falsenodeids") or []
    tracks = attributes.get("nodes_missing_value_tracks_true") or [0] * len(rows)
    lengths = {len(part) for part in (trees, nodes, modes, features, values, *ways, tracks)}
    if lengths != {len(rows)} or not rows:
        raise InvalidModel("the attributes nodes_* of a tree ensemble are missing or differ in length")
    index = {key: row for row, key in enumerate(rows)}
    inner = [row for row, mode in enumerate(modes) if mode != "LEAF"]
    try:
        children = {row: (index[trees[row], ways[0][row]], index[trees[row], ways[1][row]]) for row in inner}
    except KeyError as missing:
        raise InvalidModel(f"a tree ensemble has no node {missing} (of tree and node)") from None
    forest = Forest(dtype)

    def test(row: int, ways: tuple[int, int]) -> int:
        return forest.test(modes[row], features[row], values[row], ways, nan=bool(tracks[row]))

    placed = _grow(forest, _roots(trees, children), children, test)
    if any(row not in placed for row in inner):
        raise InvalidModel("a tree of a tree ensemble has two roots or leads back to itself")
    leaves = {rows[row]: place for row, place in placed.items() if row not in children}
    return forest, _weights(node, leaves, kind, count, len(forest.features))


def read_version_5(node: Node, dtype: str) -> tuple[Forest, Weights]:
    """The trees of version 5, whose leaves have numbers of their own."""
    attributes: dict[str, Any] = node.attributes
    modes, values = attributes["nodes_modes"].data.tolist(), attributes["nodes_splits"].data.astype(dtype).tolist()
    features, targets = attributes["nodes_featureids"], attributes["leaf_targetids"]
    numbers = attributes["leaf_weights"].data.astype(np.float64).tolist()
    tracks, size = attributes.get("nodes_missing_value_tracks_true") or [0] * len(modes), len(modes)
    children = _children_of_version_5(attributes, size, len(targets))
    if {len(values), len(features), len(tracks), len(children)} != {size} or len(numbers) != len(targets):
        raise InvalidModel("the attributes nodes_* or leaf_* of a tree ensemble differ in length")
    sets = _members(attributes.get("membership_values"), modes)
    forest = Forest(dtype)

    def test(row: int, ways: tuple[int, int]) -> int:
        nan = bool(tracks[row])
        if row in sets:
            return forest.member(features[row], sets[row], ways, nan=nan)
        return forest.test(MODES[modes[row]], features[row], values[row], ways, nan=nan)

    placed = _grow(forest, attributes["tree_roots"], children, test)
    leaves = [leaf for leaf in range(len(targets)) if size + leaf in placed]
    count = int(attributes.get("n_targets") or max(targets, default=0) + 1)
    places = [placed[size + leaf] for leaf in leaves]
    return forest, Weights(places, [targets[i] for i in leaves], [numbers[i] for i in leaves], count, len(forest.features))


def numbers_of(node: Node, name: str) -> Array:
    """Numbers that an attribute has as floats or as a tensor."""
    tensor = node.attributes.get(f"{name}_as_tensor")
    if isinstance(tensor, Tensor):
        return tensor.data.ravel().astype(np.float64)
    return np.array(node.attributes.get(name) or (), np.float32).astype(np.float64)


def _grow(forest: Forest, roots: list[int], children: Children, test: Callable[[int, tuple[int, int]], int]) -> dict[int, int]:
    """Put the trees' nodes into the forest; the place of each."""
    placed: dict[int, int] = {}
    for root in roots:
        for at in _upwards(root, children):
            if at not in placed:
                placed[at] = test(at, (placed[children[at][0]], placed[children[at][1]])) if at in children else forest.leaf()
        forest.roots.append(placed[root])
    forest.finish()
    return placed


def _roots(trees: list[int], children: Children) -> list[int]:
    """The node of each tree that is nobody's child."""
    below = {child for pair in children.values() for child in pair}
    roots = {tree: row for row, tree in reversed(list(enumerate(trees))) if row not in below}
    if len(roots) < len(set(trees)):
        raise InvalidModel("a tree of a tree ensemble leads back to itself")
    return [roots[tree] for tree in sorted(roots)]


def _weights(node: Node, places: dict[tuple[int, int], int], kind: str, count: int, size: int) -> Weights:
    """The weights of leaves, of attributes that start with `kind`."""
    attributes: dict[str, Any] = node.attributes
    trees, nodes = attributes.get(f"{kind}_treeids") or [], attributes.get(f"{kind}_nodeids") or []
    targets, numbers = attributes.get(f"{kind}_ids") or [], numbers_of(node, f"{kind}_weights").tolist()
    if not trees or not len(trees) == len(nodes) == len(targets) == len(numbers):
        raise InvalidModel(f"the attributes {kind}_* of a tree ensemble are missing or differ in length")
    # Weights may stand at nodes that are no leaves, or that no root leads to: nothing ends there.
    at = [places.get(key, -1) for key in zip(trees, nodes, strict=True)]
    reached = [index for index, place in enumerate(at) if place >= 0]
    return Weights([at[i] for i in reached], [targets[i] for i in reached], [numbers[i] for i in reached], count, size)


def _children_of_version_5(attributes: dict[str, Any], size: int, count: int) -> Children:
    """Each node's children, leaves being numbered after the nodes."""
    sides = []
    for side in ("true", "false"):
        ids, are_leaves = attributes[f"nodes_{side}nodeids"], attributes[f"nodes_{side}leafs"]
        if len(ids) != size or len(are_leaves) != size:
            raise InvalidModel("the attributes nodes_* of a tree ensemble differ in length")
        if any(not 0 <= child < (count if is_leaf else size) for child, is_leaf in zip(ids, are_leaves, strict=True)):
            raise InvalidModel("a tree ensemble's node leads to none of its nodes and leaves")
        sides.append([child + size if is_leaf else child for child, is_leaf in zip(ids, are_leaves, strict=True)])
    return dict(enumerate(zip(*sides, strict=True)))


def _members(tensor: Tensor | None, modes: list[int]) -> dict[int, list[float]]:
    """The numbers that each node with a set tests for: they follow one another, a NaN behind each set."""
    rows = [row for row, mode in enumerate(modes) if mode == MODES.index("BRANCH_MEMBER")]
    sets: list[list[float]] = [[]]
    for member in tensor.data.ravel().tolist() if tensor is not None else ():
        if member == member:
            sets[-1].append(member)
        else:
            sets.append([])
    if len(sets) - 1 != len(rows):
        raise InvalidModel(f"{len(rows)} nodes test for members of a set; there are {len(sets) - 1} sets")
    return dict(zip(rows, sets, strict=False))


def _upwards(root: int, children: dict[int, tuple[int, int]]) -> list[int]:
    """The nodes of a tree, children before their parents; InvalidModel where a node is its own ancestor."""
    order: list[int] = []
    state: dict[int, int] = {}
    stack = [root]
    while stack:
        at = stack[-1]
        if state.get(at, 0) == 0:
            state[at] = 1
            for child in children.get(at, ()):
                if state.get(child) == 1:
                    raise InvalidModel("a tree of a tree ensemble leads back to itself")
                if child not in state:
                    stack.append(child)
        else:
            stack.pop()
            if state[at] == 1:
                state[at] = 2
                order.append(at)
    return order
