"""MXNet's fused RNN: every mode, direction and state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from onnx_import.errors import UnsupportedModel
from tests.unit.onnx_import.exporting.exported import export_op, ops

GATES = {"lstm": 4, "gru": 3, "rnn_tanh": 1, "rnn_relu": 1}
FEATURES, STATE = 3, 4


def weights(mode: str, layers: int, directions: int) -> tuple[int]:
    """How many numbers a network's parameters are."""
    rows, count = GATES[mode] * STATE, 0
    for layer in range(layers):
        wide = FEATURES if layer == 0 else STATE * directions
        count += directions * rows * (wide + STATE + 2)
    return (count,)


def network(mode: str, layers: int, directions: int, **given: Any) -> Callable[..., Any]:
    """A network that gives its states too."""

    def build(s: Any, x: Any, h: Any, *rest: Any) -> Any:
        named = {"parameters": rest[-1], "state": h, **({"state_cell": rest[0]} if mode == "lstm" else {})}
        sizes = {"state_size": STATE, "num_layers": layers, "bidirectional": directions == 2}
        return s.Group(list(s.RNN(data=x, mode=mode, state_outputs=True, **named, **sizes, **given)))

    return build


@pytest.mark.parametrize("mode", GATES)
@pytest.mark.parametrize(("layers", "directions"), [(1, 1), (2, 1), (2, 2)], ids=["plain", "deep", "both-directions"])
def test_networks(mode: str, layers: int, directions: int) -> None:
    """Outputs and last states from given first states: a node a layer."""
    states = {name: (layers * directions, 2, STATE) for name in ("h", "c")[: 2 if mode == "lstm" else 1]}
    inputs = {"x": (5, 2, FEATURES), **states}
    params = {"p": weights(mode, layers, directions)}
    feeds = {name: np.random.default_rng(0).standard_normal(shape).astype(np.float32) for name, shape in inputs.items()}
    model, found = export_op(network(mode, layers, directions), inputs, params, feeds, leave_open="nothing")
    assert len(found) == 1 + len(states)
    assert ops(model).count(mode.split("_")[0].upper()) == layers


def test_zeros_for_a_first_state_are_left_out() -> None:
    """They are ONNX's default, for any batch."""

    def build(s: Any, x: Any, p: Any) -> Any:
        return s.RNN(data=x, mode="gru", parameters=p, state=s.zeros((1, 2, STATE)), state_size=STATE, num_layers=1)

    model, _ = export_op(build, {"x": (5, 2, FEATURES)}, {"p": weights("gru", 1, 1)})
    assert len(next(node for node in model.graph.node if node.op_type == "GRU").input) == 4


def test_weights_from_inputs_are_refused() -> None:
    """ONNX has another order of gates: only constants can be put in it."""
    inputs = {"x": (5, 2, FEATURES), "h": (1, 2, STATE), "p": weights("gru", 1, 1)}
    with pytest.raises(UnsupportedModel, match="computed from inputs"):
        export_op(network("gru", 1, 1), inputs, leave_open="nothing")
