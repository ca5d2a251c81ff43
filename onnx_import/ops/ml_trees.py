"""ONNX-ML's tree ensembles, of versions 1 to 5: a forest, the weights of its leaves, and what becomes of their sums."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from onnx_import import nd
from onnx_import.dtypes import Array
from onnx_import.errors import InvalidModel, Unsupported
from onnx_import.graph import Node, Tensor
from onnx_import.nd import Value
from onnx_import.ops.forest import MODES, Forest, leaves_of, pick
from onnx_import.ops.ml_scores import TRANSFORMS, best, labels_of, logistic, matrix, named, number, transformed
from onnx_import.registry import op

ML = "ai.onnx.ml"
AGGREGATES = ("AVERAGE", "SUM", "MIN", "MAX")


@dataclass
class Weights:
    """What leaves add: the leaf's place, the target and the weight, for each of them."""

    places: list[int]
    targets: list[int]
    numbers: list[float]
    count: int

    def table(self, size: int, dtype: str, empty: float = 0.0) -> Array:
        """A row for each place, a column for each target."""
        if self.targets and not 0 <= min(self.targets) <= max(self.targets) < self.count:
            raise InvalidModel(f"a leaf's target is none of {self.count}")
        table = np.full((size, self.count), empty, np.float64)
        where = np.array(self.places, np.int64), np.array(self.targets, np.int64)
        if empty:
            extreme = np.minimum if empty > 0 else np.maximum
            extreme.at(table, where, np.array(self.numbers, np.float64))
        else:
            np.add.at(table, where, np.array(self.numbers, np.float64))
        return table.astype(dtype)


@op("TreeEnsembleRegressor", since=1, domain=ML)
def tree_ensemble_regressor(x: Value, *, node: Node) -> Value:
    """The sum, mean or extreme of the weights of the leaves that a sample reaches."""
    forest, places = _forest(node, matrix(x).dtype)
    weights = _weights(node, places, "target", _targets(node))
    aggregate = str(node.attributes["aggregate_function"])
    scores = _aggregated(forest, weights, matrix(x), aggregate)
    base = _numbers(node, "base_values")
    if base.size:
        if base.size not in (1, weights.count):
            raise InvalidModel(f"{base.size} base values do not fit {weights.count} targets")
        scores = nd.add(scores, nd.constant(base.astype(scores.dtype)))
    return nd.cast(transformed(scores, str(node.attributes["post_transform"])), "float32")


@op("TreeEnsembleClassifier", since=1, domain=ML)
def tree_ensemble_classifier(x: Value, *, node: Node) -> tuple[Value, Value]:
    """The label of the class with the largest sum of weights, and all sums."""
    attributes: dict[str, Any] = node.attributes
    labels = labels_of(attributes.get("classlabels_int64s"), attributes.get("classlabels_strings"))
    forest, places = _forest(node, matrix(x).dtype)
    weights = _weights(node, places, "class", len(labels))
    scores = _aggregated(forest, weights, matrix(x), "SUM")
    base, kind = _numbers(node, "base_values"), str(attributes["post_transform"])
    if len(labels) == 2 and len(set(weights.targets)) == 1:
        return _binary(scores, weights, base, labels, kind)
    if len(labels) < 2:
        raise Unsupported("a classifier of one class has no label for the others", "name both classes")
    if base.size:
        if base.size != len(labels):
            raise InvalidModel(f"{base.size} base values do not fit {len(labels)} classes")
        scores = nd.add(scores, nd.constant(base.astype(scores.dtype)))
    absent = [] if base.size else sorted(set(range(len(labels))) - set(weights.targets))
    contest = scores
    if absent:  # a class that no leaf speaks for does not win over negative scores
        unreachable = np.where(np.isin(np.arange(len(labels)), absent), -np.inf, np.inf).astype(scores.dtype)
        contest = nd.minimum(scores, nd.constant(unreachable))
    return named(best(contest), labels), nd.cast(transformed(scores, kind), "float32")


@op("TreeEnsemble", since=5, domain=ML)
def tree_ensemble(x: Value, *, node: Node) -> Value:
    """The sum, mean or extreme of the weights of the leaves that a sample reaches, in the samples' type."""
    attributes: dict[str, Any] = node.attributes
    dtype = matrix(x).dtype
    forest, places = _forest_of_version_5(attributes, dtype)
    targets, numbers = attributes["leaf_targetids"], attributes["leaf_weights"].data.astype(np.float64)
    given = [leaf for leaf, place in enumerate(places) if place >= 0]
    count = int(attributes.get("n_targets") or max(targets, default=0) + 1)
    weights = Weights([places[i] for i in given], [targets[i] for i in given], [float(numbers[i]) for i in given], count)
    scores = _aggregated(forest, weights, matrix(x), AGGREGATES[attributes["aggregate_function"]])
    return nd.cast(transformed(scores, TRANSFORMS[attributes["post_transform"]]), x.dtype)


def _binary(scores: Value, weights: Weights, base: Array, labels: Any, kind: str) -> tuple[Value, Value]:
    """Two classes of which the leaves score one alone: a probability where no weight is negative, else a margin."""
    if weights.targets[0] != 0:
        raise Unsupported("leaves that score the second class alone", "let them score the first, as exporters do")
    score = nd.slice_axis(scores, 1, 0, 1)
    if base.size:
        score = nd.add(score, nd.constant(base[:1].astype(score.dtype)))
    is_share = kind == "NONE" and min(weights.numbers) >= 0
    half = number(0.5 if is_share else 0.0, score.dtype)
    label = named(nd.cast(nd.reshape(nd.greater(score, half), score.shape[:1]), "int64"), labels)
    first = nd.subtract(number(1, score.dtype), score) if is_share else nd.negative(score)
    both = nd.concatenate([first, score], 1)
    return label, nd.cast(logistic(both) if kind == "LOGISTIC" else transformed(both, kind), "float32")


def _aggregated(forest: Forest, weights: Weights, rows: Value, aggregate: str) -> Value:
    """Scores of each sample for each target."""
    size, trees = len(forest.features), len(forest.roots)
    leaves = leaves_of(forest, rows)
    if aggregate in ("MIN", "MAX"):
        empty = np.inf if aggregate == "MIN" else -np.inf
        found = pick(nd.constant(weights.table(size, rows.dtype, empty)), leaves)
        extreme = nd.reduce_min(found, [1], False) if aggregate == "MIN" else nd.reduce_max(found, [1], False)
        return nd.where(nd.equal(extreme, number(empty, rows.dtype)), number(0, rows.dtype), extreme)
    if aggregate not in AGGREGATES:
        raise InvalidModel(f"aggregate_function is {aggregate!r}, not one of {', '.join(AGGREGATES)}")
    table = weights.table(size, rows.dtype)
    if weights.count == 1:
        total = nd.reduce_sum(pick(nd.constant(table.ravel()), leaves), [1])
    else:
        total = nd.reduce_sum(pick(nd.constant(table), leaves), [1], False)
    return nd.divide(total, number(trees, rows.dtype)) if aggregate == "AVERAGE" else total


def _targets(node: Node) -> int:
    count = node.attributes.get("n_targets")
    return count if isinstance(count, int) and count > 0 else 1


def _numbers(node: Node, name: str) -> Array:
    """Numbers that an attribute has as floats or as a tensor."""
    tensor = node.attributes.get(f"{name}_as_tensor")
    if isinstance(tensor, Tensor):
        return tensor.data.ravel().astype(np.float64)
    return np.array(node.attributes.get(name) or (), np.float32).astype(np.float64)


def _weights(node: Node, places: dict[tuple[int, int], int], kind: str, count: int) -> Weights:
    """The weights of leaves, of attributes that start with `kind`."""
    attributes: dict[str, Any] = node.attributes
    keys = list(zip(attributes.get(f"{kind}_treeids") or (), attributes.get(f"{kind}_nodeids") or (), strict=True))
    targets, numbers = list(attributes.get(f"{kind}_ids") or ()), _numbers(node, f"{kind}_weights").tolist()
    if not keys or not len(keys) == len(targets) == len(numbers):
        raise InvalidModel(f"the attributes {kind}_* of a tree ensemble are missing or differ in length")
    # Weights may stand at nodes that are no leaves, or that no root leads to: nothing ends there.
    reached = [index for index, key in enumerate(keys) if key in places]
    return Weights([places[keys[i]] for i in reached], [targets[i] for i in reached], [numbers[i] for i in reached], count)


def _forest(node: Node, dtype: str) -> tuple[Forest, dict[tuple[int, int], int]]:
    """The trees of versions 1 and 3, and the places of their leaves by tree and node."""
    attributes: dict[str, Any] = node.attributes
    trees, nodes = attributes.get("nodes_treeids") or [], attributes.get("nodes_nodeids") or []
    rows = list(zip(trees, nodes, strict=True))
    index = {key: row for row, key in enumerate(rows)}
    modes, features = attributes.get("nodes_modes") or [], attributes.get("nodes_featureids") or []
    values = _numbers(node, "nodes_values").astype(dtype).tolist()
    ways = attributes.get("nodes_truenodeids") or [], attributes.get("nodes_falsenodeids") or []
    tracks = attributes.get("nodes_missing_value_tracks_true") or [0] * len(rows)
    if not rows or not len(rows) == len(modes) == len(features) == len(values) == len(ways[0]) == len(ways[1]) == len(tracks):
        raise InvalidModel("the attributes nodes_* of a tree ensemble are missing or differ in length")
    inner = [row for row, mode in enumerate(modes) if mode != "LEAF"]
    try:
        children = {row: (index[trees[row], ways[0][row]], index[trees[row], ways[1][row]]) for row in inner}
    except KeyError as missing:
        raise InvalidModel(f"a tree ensemble has no node {missing}") from None
    forest = Forest(dtype)
    placed: dict[int, int] = {}
    below = {child for pair in children.values() for child in pair}
    firsts: dict[int, int] = {}
    for row, tree in enumerate(trees):
        if row not in below or tree not in firsts:
            firsts[tree] = row if row not in below else firsts.get(tree, row)
    for row in (firsts[tree] for tree in sorted(firsts)):
        for at in _upwards(row, children):
            if at in children:
                yes, no = (placed[child] for child in children[at])
                placed[at] = forest.test(modes[at], features[at], values[at], yes, no, yes if tracks[at] else no)
            else:
                placed[at] = forest.leaf()
        forest.roots.append(placed[row])
    return forest, {rows[row]: place for row, place in placed.items() if row not in children}


def _forest_of_version_5(attributes: dict[str, Any], dtype: str) -> tuple[Forest, list[int]]:
    """The trees of version 5, and the place of each leaf (-1 where no root leads to it)."""
    modes, values = attributes["nodes_modes"].data.tolist(), attributes["nodes_splits"].data.astype(dtype).tolist()
    features, count = attributes["nodes_featureids"], len(attributes["leaf_targetids"])
    tracks = attributes.get("nodes_missing_value_tracks_true") or [0] * len(modes)
    ways = list(zip(attributes["nodes_truenodeids"], attributes["nodes_falsenodeids"], strict=True))
    are_leaves = list(zip(attributes["nodes_trueleafs"], attributes["nodes_falseleafs"], strict=True))
    size = len(modes)
    if not len(values) == len(features) == len(tracks) == len(ways) == len(are_leaves) == size:
        raise InvalidModel("the attributes nodes_* of a tree ensemble differ in length")
    # A leaf's number follows those of the nodes.
    children = {
        row: (a + size * leafs[0], b + size * leafs[1])
        for row, ((a, b), leafs) in enumerate(zip(ways, are_leaves, strict=True))
    }
    if any(not 0 <= child < size + count for pair in children.values() for child in pair):
        raise InvalidModel("a tree ensemble's node leads to none of its nodes and leaves")
    sets = _members(attributes.get("membership_values"), modes)
    forest, placed = Forest(dtype), {}
    for root in attributes["tree_roots"]:
        for at in _upwards(root, children):
            if at not in children:
                placed[at] = forest.leaf()
                continue
            yes, no = (placed[child] for child in children[at])
            nan = yes if tracks[at] else no
            if at in sets:
                placed[at] = forest.member(features[at], sets[at], yes, no, nan)
            else:
                placed[at] = forest.test(MODES[modes[at]], features[at], values[at], yes, no, nan)
        forest.roots.append(placed[root])
    return forest, [placed.get(size + leaf, -1) for leaf in range(count)]


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
