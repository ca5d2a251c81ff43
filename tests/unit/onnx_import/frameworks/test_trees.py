"""Exported tree ensembles are compared with the framework's answers."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from onnx_import.frameworks import trees
from onnx_import.frameworks.errors import WrongExport


@pytest.fixture
def stump() -> onnx.ModelProto:
    """One split: 10 where the second of two features is at most 3, else 20."""
    node = helper.make_node(
        *("TreeEnsembleRegressor", ["X"], ["y"]),
        domain="ai.onnx.ml",
        n_targets=1,
        nodes_treeids=[0, 0, 0],
        nodes_nodeids=[0, 1, 2],
        nodes_featureids=[1, 0, 0],
        nodes_modes=["BRANCH_LEQ", "LEAF", "LEAF"],
        nodes_values=[3.0, 0.0, 0.0],
        nodes_truenodeids=[1, 0, 0],
        nodes_falsenodeids=[2, 0, 0],
        target_treeids=[0, 0],
        target_nodeids=[1, 2],
        target_ids=[0, 0],
        target_weights=[10.0, 20.0],
    )
    infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, size]) for name, size in (("X", 2), ("y", 1))]
    graph = helper.make_graph([node], "stump", infos[:1], infos[1:])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15), helper.make_opsetid("ai.onnx.ml", 3)])


def rule(rows: Any) -> Any:
    """What the stump says."""
    return np.where(rows[:, 1] <= 3, 10.0, 20.0)


def test_probes_take_both_sides(stump: onnx.ModelProto) -> None:
    """Rows fall on either side of each threshold, and near it."""
    rows = trees.probe(stump, 2)
    assert rows.shape == (trees.ROWS, 2)
    assert set(rule(rows)) == {10.0, 20.0}
    assert np.abs(rows[:, 1][rows[:, 1] != 0] - 3).max() < 0.1


def test_a_right_export_passes(stump: onnx.ModelProto) -> None:
    """Equal answers raise nothing."""
    trees.check(stump, rule, 2)


@pytest.mark.parametrize(
    "wrong", [lambda rows: 2 * rule(rows), lambda rows: rule(-rows), lambda rows: rule(rows)[:, None, None]]
)
def test_a_wrong_export_is_refused(stump: onnx.ModelProto, wrong: Any) -> None:
    """Other numbers, another split and another shape are told."""
    with pytest.raises(WrongExport, match="answers differently"):
        trees.check(stump, wrong, 2)
