"""RNN, GRU and LSTM: what onnx's own evaluator leaves out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx.reference import ReferenceEvaluator

from tests.unit.onnx_import.oracle.asking import ask, model

GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
DRAW = np.random.default_rng(0)


def network(op: str, directions: int = 1, size: int = 3, time: int = 4, batch: int = 2) -> list[Any]:
    """Inputs X, W, R and B of a network."""
    rows = GATES[op] * size
    shapes = [(time, batch, 5), (directions, rows, 5), (directions, rows, size), (directions, 2 * rows)]
    return [DRAW.standard_normal(shape).astype(np.float32) for shape in shapes]


@pytest.mark.parametrize("op", list(GATES))
def test_a_plain_network_answers_as_onnxs_evaluator(op: str) -> None:
    """Where that one is right, this one gives the same."""
    from onnx import helper

    feeds = dict(zip("XWRB", network(op), strict=True))
    node = helper.make_node(op, list("XWRB"), ["Y", "H"], hidden_size=3)
    want = ReferenceEvaluator(model([node], feeds, ["Y", "H"], 14)).run(None, feeds)
    got = ask(op, list(feeds.values()), 14, outputs=2, hidden_size=3)
    for mine, theirs in zip(got, want, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("op", list(GATES))
def test_a_sample_ends_where_its_length_says(op: str) -> None:
    """Outputs beyond are zero; the last state is that of the last moment that counts."""
    x, w, r, b = network(op)
    y, h = ask(op, [x, w, r, b, np.array([2, 4], np.int32)], 14, outputs=2, hidden_size=3)
    short = ask(op, [x[:2], w, r, b], 14, outputs=2, hidden_size=3)
    assert not y[2:, :, 0].any()
    np.testing.assert_allclose(h[:, 0], short[1][:, 0], rtol=1e-6)


@pytest.mark.parametrize("op", list(GATES))
def test_both_directions_are_two_networks(op: str) -> None:
    """The second one sees time backwards."""
    x, w, r, b = network(op, directions=2)
    y = ask(op, [x, w, r, b], 14, hidden_size=3, direction="bidirectional")
    forth = ask(op, [x, w[:1], r[:1], b[:1]], 14, hidden_size=3)
    back = ask(op, [x[::-1], w[1:], r[1:], b[1:]], 14, hidden_size=3)[::-1]
    np.testing.assert_allclose(y, np.concatenate([forth, back], axis=1), rtol=1e-5, atol=1e-6)


def test_activations_take_their_own_numbers() -> None:
    """Alpha and beta go to the functions that take them, in order."""
    x, w, r, b = network("LSTM")
    given = {
        "activations": ["HardSigmoid", "Tanh", "ScaledTanh"],
        "activation_alpha": [0.0, 2.0],
        "activation_beta": [0.5, 1.0],
    }
    y, _, c = ask("LSTM", [x, w, r, b], 14, outputs=3, hidden_size=3, **given)
    # A HardSigmoid of slope 0 holds every gate at 0.5.
    np.testing.assert_allclose(y[-1, 0], 0.5 * 2 * np.tanh(c[0]), rtol=1e-5)


def test_clip_limits_what_enters_a_function() -> None:
    """No tanh beyond tanh(0.1)."""
    assert np.abs(ask("RNN", network("RNN"), 14, hidden_size=3, clip=0.1)).max() <= np.tanh(0.1) + 1e-7


def test_layout_puts_the_batch_first() -> None:
    """The same numbers with axes exchanged."""
    x, w, r, b = network("GRU")
    y, h = ask("GRU", [x, w, r, b], 14, outputs=2, hidden_size=3)
    y1, h1 = ask("GRU", [x.swapaxes(0, 1), w, r, b], 14, outputs=2, hidden_size=3, layout=1)
    np.testing.assert_array_equal(y1, y.transpose(2, 0, 1, 3))
    np.testing.assert_array_equal(h1, h.swapaxes(0, 1))


def test_input_forget_couples_the_gates() -> None:
    """What is not let in is kept: with everything let in nothing is kept of the cell."""
    x, w, r, b = network("LSTM", time=1)
    b[:, :3] = 50
    c0 = np.full((1, 2, 3), 100, np.float32)
    c = ask("LSTM", [x, w, r, b, None, None, c0], 14, outputs=3, hidden_size=3, input_forget=1)[2]
    assert np.abs(c).max() <= 1
