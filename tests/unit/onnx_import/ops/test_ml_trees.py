"""Promises of tree ensembles: every sample reaches the leaf that walking each tree by hand reaches."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
import onnx
import pytest

from onnx_import.errors import OnnxImportError
from tests.unit.onnx_import.checking import check

ML = "ai.onnx.ml"
MODES = {
    "BRANCH_LEQ": operator.le,
    "BRANCH_LT": operator.lt,
    "BRANCH_GTE": operator.ge,
    "BRANCH_GT": operator.gt,
    "BRANCH_EQ": operator.eq,
    "BRANCH_NEQ": operator.ne,
}


class Trees:
    """Random trees of tests at numbers that the samples have too, as lists of node attributes."""

    def __init__(self, seed: int, count: int, modes: tuple[str, ...] = tuple(MODES), targets: int = 1, depth: int = 5) -> None:
        self.random = np.random.default_rng(seed)
        self.modes, self.targets, self.count = modes, targets, count
        self.nodes: dict[str, list[Any]] = {name: [] for name in ("treeids", "nodeids", "modes", "featureids", "values")}
        self.nodes.update({"truenodeids": [], "falsenodeids": [], "missing_value_tracks_true": []})
        self.leaves: list[tuple[int, int, int, float]] = []
        for tree in range(count):
            self._grow(tree, int(self.random.integers(0, depth + 1)))

    def _grow(self, tree: int, depth: int) -> int:
        """A node and what is below it; its id."""
        row = len(self.nodes["modes"])
        number = 3 * self.nodes["treeids"].count(tree)
        is_leaf = depth == 0 or self.random.random() < 0.15
        values = {
            "treeids": tree,
            "nodeids": number,
            "modes": "LEAF" if is_leaf else str(self.random.choice(self.modes)),
            "featureids": 0 if is_leaf else int(self.random.integers(0, 4)),
            "values": float(self.random.choice([-1.0, -0.5, 0.0, 0.25, 1.0, np.inf])),
            "truenodeids": 0,
            "falsenodeids": 0,
            "missing_value_tracks_true": int(self.random.integers(0, 2)),
        }
        for name, value in values.items():
            self.nodes[name].append(value)
        if is_leaf:
            for target in range(self.targets):
                if self.random.random() < 0.7 or target == 0:
                    self.leaves.append((tree, number, target, float(self.random.integers(-8, 9)) / 4))
            return number
        self.nodes["truenodeids"][row] = self._grow(tree, depth - 1)
        self.nodes["falsenodeids"][row] = self._grow(tree, depth - 1)
        return number

    def attributes(self, kind: str) -> dict[str, Any]:
        """The attributes of versions 1 to 4."""
        trees, nodes, targets, weights = (list(column) for column in zip(*self.leaves, strict=True))
        found = {f"nodes_{name}": values for name, values in self.nodes.items()}
        found.update({f"{kind}_treeids": trees, f"{kind}_nodeids": nodes, f"{kind}_ids": targets, f"{kind}_weights": weights})
        return found

    def reached(self, sample: Any) -> list[list[tuple[int, float]]]:
        """For each tree the targets and weights of the leaf that a sample reaches."""
        rows = {key: row for row, key in enumerate(zip(self.nodes["treeids"], self.nodes["nodeids"], strict=True))}
        found = []
        for tree in range(self.count):
            row = rows[tree, 0]
            while self.nodes["modes"][row] != "LEAF":
                value = sample[self.nodes["featureids"][row]]
                passes = MODES[self.nodes["modes"][row]](value, self.nodes["values"][row])
                passes = self.nodes["missing_value_tracks_true"][row] if np.isnan(value) else passes
                row = rows[tree, self.nodes["truenodeids" if passes else "falsenodeids"][row]]
            number = self.nodes["nodeids"][row]
            found.append([(target, weight) for t, n, target, weight in self.leaves if (t, n) == (tree, number)])
        return found


def _samples(seed: int, dtype: str, count: int = 60) -> Any:
    """Numbers that lie at thresholds, beside them, at the ends and nowhere."""
    random = np.random.default_rng(seed)
    choices = np.array(
        [-1, -0.5, 0, 0.25, 1, np.inf, -np.inf, np.nan, -0.0, np.nextafter(np.float32(0.25), np.float32(1)), 0.3, 7]
    )
    return random.choice(choices, (count, 4)).astype(dtype)


def _aggregate(trees: Trees, samples: Any, function: str) -> Any:
    """Scores by hand."""
    scores = np.zeros((len(samples), trees.targets))
    for row, sample in zip(scores, samples, strict=True):
        found: list[list[float]] = [[] for _ in range(trees.targets)]
        for leaf in trees.reached(sample):
            for target, weight in leaf:
                found[target].append(weight)
        for target, weights in enumerate(found):
            total = {"SUM": sum, "AVERAGE": lambda w: sum(w) / trees.count, "MIN": min, "MAX": max}[function]
            row[target] = total(weights) if weights else 0
    return scores


@pytest.mark.parametrize("function", ["SUM", "AVERAGE", "MIN", "MAX"])
@pytest.mark.parametrize("targets", [1, 3, 40])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_regressor(dtype: str, targets: int, function: str) -> None:
    """All modes, NaN with and without a way of its own, trees that are leaves, leaves without a target."""
    trees, samples = Trees(targets, 12, targets=targets), _samples(1, dtype)
    base = [float(target) for target in range(targets)]
    want = _aggregate(trees, samples, function) + base
    attributes = {"n_targets": targets, "aggregate_function": function, "base_values": base, **trees.attributes("target")}
    prepared = check("TreeEnsembleRegressor", [samples], attributes, domain=ML, opset=3, want=[want.astype(np.float32)])
    assert [len(block.stages) for block in prepared.program.last] == [1]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", ["int64", "float32"])
def test_each_mode(mode: str, dtype: str) -> None:
    """One mode in all nodes, on whole numbers too."""
    trees = Trees(3, 5, (mode,))
    samples = _samples(2, "float32") if dtype == "float32" else np.random.default_rng(2).integers(-2, 3, (50, 4))
    want = _aggregate(trees, samples, "SUM").astype(np.float32)
    check("TreeEnsembleRegressor", [samples], {"n_targets": 1, **trees.attributes("target")}, domain=ML, opset=1, want=[want])


def test_doubles() -> None:
    """Thresholds and weights given as tensors of float64 are compared and summed as such."""
    third = np.array([1 / 3, 0, 0])
    nodes = {"treeids": [0] * 3, "nodeids": [0, 1, 2], "featureids": [0] * 3, "modes": ["BRANCH_LEQ", "LEAF", "LEAF"]}
    nodes.update({"truenodeids": [1, 0, 0], "falsenodeids": [2, 0, 0]})
    attributes = {f"nodes_{name}": value for name, value in nodes.items()}
    attributes.update({"target_treeids": [0, 0], "target_nodeids": [1, 2], "target_ids": [0, 0], "n_targets": 1})
    attributes["nodes_values_as_tensor"] = onnx.numpy_helper.from_array(third)
    attributes["target_weights_as_tensor"] = onnx.numpy_helper.from_array(np.array([1.0, 2.0]))
    samples = np.array([[1 / 3], [np.nextafter(1 / 3, 1)]])
    check("TreeEnsembleRegressor", [samples], attributes, domain=ML, opset=3, want=[np.array([[1], [2]], np.float32)])


@pytest.mark.parametrize("kind", ["NONE", "SOFTMAX", "LOGISTIC"])
@pytest.mark.parametrize("labels", [[4, 7, 2], ["a", "b", "c"]], ids=["numbers", "texts"])
def test_classifier(labels: list[Any], kind: str) -> None:
    """The label of the largest sum, and transformed sums."""
    trees, samples = Trees(5, 9, targets=3), _samples(3, "float32")
    scores = _aggregate(trees, samples, "SUM") + [0.25, 0, -0.125]
    powers = np.exp(scores - scores.max(1, keepdims=True))
    shown = {"NONE": scores, "LOGISTIC": 1 / (1 + np.exp(-scores)), "SOFTMAX": powers / powers.sum(1, keepdims=True)}[kind]
    name = "classlabels_strings" if isinstance(labels[0], str) else "classlabels_int64s"
    attributes = {name: labels, "post_transform": kind, "base_values": [0.25, 0, -0.125], **trees.attributes("class")}
    want = [np.array(labels)[scores.argmax(1)], shown.astype(np.float32)]
    check("TreeEnsembleClassifier", [samples], attributes, domain=ML, opset=3, outputs=2, want=want)


@pytest.mark.parametrize(("kind", "sign"), [("NONE", 1), ("NONE", 0), ("LOGISTIC", 0)], ids=["shares", "margins", "logistic"])
def test_two_classes(kind: str, sign: int) -> None:
    """One score for two classes: a probability where weights are positive, else a margin, through the logistic or not."""
    trees, samples = Trees(6, 4), _samples(4, "float32")
    if sign:
        trees.leaves = [(t, n, k, abs(w) / 8) for t, n, k, w in trees.leaves]
    score = _aggregate(trees, samples, "SUM")
    both = np.concatenate([1 - score if sign else -score, score], 1)
    shown = 1 / (1 + np.exp(-both)) if kind == "LOGISTIC" else both
    want = [np.where(score[:, 0] > (0.5 if sign else 0), 9, 5), shown.astype(np.float32)]
    attributes = {"classlabels_int64s": [5, 9], "post_transform": kind, **trees.attributes("class")}
    check("TreeEnsembleClassifier", [samples], attributes, domain=ML, opset=3, outputs=2, want=want)


def test_class_without_leaves() -> None:
    """A class that no leaf speaks for does not win over negative sums."""
    trees, samples = Trees(7, 3, targets=2), _samples(5, "float32")
    trees.leaves = [(t, n, k, -abs(w) - 1) for t, n, k, w in trees.leaves]
    scores = _aggregate(trees, samples, "SUM")
    want = [scores.argmax(1), np.pad(scores, [(0, 0), (0, 1)]).astype(np.float32)]
    attributes = {"classlabels_int64s": [0, 1, 2], **trees.attributes("class")}
    check("TreeEnsembleClassifier", [samples], attributes, domain=ML, opset=1, outputs=2, want=want)


@pytest.mark.parametrize("function", [0, 1, 2, 3])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_version_5(dtype: str, function: int) -> None:
    """Leaves in tables of their own, sets of members, answers in the samples' type."""
    attributes = {
        "n_targets": 2,
        "aggregate_function": function,
        "tree_roots": [0, 3],
        "nodes_featureids": [0, 2, 1, 0],
        "nodes_truenodeids": [1, 0, 3, 5],
        "nodes_falsenodeids": [2, 1, 4, 5],
        "nodes_trueleafs": [0, 1, 1, 1],
        "nodes_falseleafs": [0, 1, 1, 1],
        "leaf_targetids": [0, 1, 0, 0, 1, 1],
    }
    tables = {"nodes_modes": np.array([0, 4, 6, 0], np.uint8), "nodes_splits": np.array([0.5, 1, 0, 0], dtype)}
    tables["leaf_weights"] = np.array([1.5, -2, 3, 4, -0.5, 0.25], dtype)
    tables["membership_values"] = np.array([1, 7, np.nan], dtype)
    attributes.update({name: onnx.numpy_helper.from_array(table) for name, table in tables.items()})
    samples = np.random.default_rng(6).choice([0, 0.5, 1, 7, 2], (40, 3)).astype(dtype)
    leaves = [(0 if s[2] == 1 else 1) if s[0] <= 0.5 else (3 if s[1] in (1, 7) else 4) for s in samples]
    scores = np.zeros((40, 2))
    for row, leaf in zip(scores, leaves, strict=True):
        for target in (0, 1):
            weights = [tables["leaf_weights"][i] for i in (leaf, 5) if attributes["leaf_targetids"][i] == target]
            row[target] = [lambda w: sum(w) / 2, sum, min, max][function](weights) if weights else 0
    check("TreeEnsemble", [samples], attributes, domain=ML, opset=5, want=[scores.astype(dtype)])


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"nodes_truenodeids": [0, 0, 0]}, "back to itself"),
        ({"nodes_truenodeids": [7, 0, 0]}, "no node"),
        ({"nodes_featureids": [9, 0, 0]}, "10 features"),
        ({"nodes_featureids": [-1, 0, 0]}, "before the first"),
        ({"nodes_modes": ["LEAF", "LEAF"]}, "differ in length"),
        ({"nodes_modes": ["BRANCH_SOME", "LEAF", "LEAF"]}, "BRANCH_SOME"),
        ({"target_ids": [0, 5]}, "target"),
    ],
    ids=str,
)
def test_bad_trees(change: dict[str, Any], word: str) -> None:
    """A tree that cannot be walked is refused in a line."""
    attributes = {
        "n_targets": 1,
        "nodes_treeids": [0] * 3,
        "nodes_nodeids": [0, 1, 2],
        "nodes_featureids": [0] * 3,
        "nodes_modes": ["BRANCH_LEQ", "LEAF", "LEAF"],
        "nodes_values": [0.0] * 3,
        "nodes_truenodeids": [1, 0, 0],
        "nodes_falsenodeids": [2, 0, 0],
        "target_treeids": [0, 0],
        "target_nodeids": [1, 2],
        "target_ids": [0, 0],
        "target_weights": [1.0, 2.0],
    }
    x = np.zeros((2, 4), np.float32)
    with pytest.raises(OnnxImportError, match=word):
        check("TreeEnsembleRegressor", [x], {**attributes, **change}, domain=ML, opset=3, want=[x[:, :1]])
