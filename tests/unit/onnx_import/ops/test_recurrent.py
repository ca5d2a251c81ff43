"""LSTM, GRU and RNN against ONNX's evaluator, mended where it is wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest

from onnx_import import backend
from onnx_import.errors import InvalidModel
from tests.unit.onnx_import.checking import check, check_refused, node_model
from tests.unit.onnx_import.oracle.asking import ask

TIME, BATCH, FEATURES, SIZE = 4, 2, 3, 5
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
OUTPUTS = {"LSTM": 3, "GRU": 2, "RNN": 2}
DIRECTIONS = ["forward", "reverse", "bidirectional"]


def numbers(*shape: int, dtype: str = "float32", seed: int = 0) -> Any:
    """Some of the given shape."""
    return (np.random.RandomState(seed).standard_normal(shape) / 2).astype(dtype)


def network(op: str, direction: str, dtype: str = "float32") -> list[Any]:
    """The inputs of a network: sequence, weights, recurrence, bias, no lengths, states, and peepholes for LSTM."""
    count, rows = (2 if direction == "bidirectional" else 1), GATES[op] * SIZE
    shapes = [(TIME, BATCH, FEATURES), (count, rows, FEATURES), (count, rows, SIZE), (count, 2 * rows)]
    found: list[Any] = [numbers(*shape, dtype=dtype, seed=seed) for seed, shape in enumerate(shapes)]
    states = [numbers(count, BATCH, SIZE, dtype=dtype, seed=seed) for seed in (7, 8)[: 1 + (op == "LSTM")]]
    return [*found, None, *states, *[numbers(count, 3 * SIZE, dtype=dtype, seed=9)] * (op == "LSTM")]


def compared(
    op: str, inputs: list[Any], attributes: dict[str, Any], opset: int = 22, tolerance: float = 1e-5
) -> backend.Prepared:
    """Our outputs next to the evaluator's."""
    attributes = {"hidden_size": SIZE, **attributes}
    while inputs and inputs[-1] is None:
        inputs = inputs[:-1]
    want = ask(op, inputs, opset, outputs=OUTPUTS[op], **attributes)
    return check(op, inputs, attributes, opset=opset, outputs=OUTPUTS[op], want=want, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("op", GATES)
def test_all_inputs(op: str, direction: str) -> None:
    """States, biases and peepholes."""
    compared(op, network(op, direction), {"direction": direction})


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("op", GATES)
def test_fewest_inputs(op: str, direction: str) -> None:
    """Weights alone: biases and states are 0."""
    compared(op, network(op, direction)[:3], {"direction": direction})


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize(
    ("op", "variant"), [("LSTM", {}), ("GRU", {"linear_before_reset": 1}), ("RNN", {"activations": ["Relu"]})]
)
@pytest.mark.parametrize("direction", ["forward", "reverse"])
def test_fused(op: str, variant: dict[str, Any], direction: str, dtype: str) -> None:
    """What MXNet's operator computes is one node of it."""
    inputs = network(op, direction, dtype)[:7] if op == "LSTM" else network(op, direction, dtype)
    tolerance = 5e-3 if dtype == "float16" else 1e-5
    prepared = compared(op, inputs, {"direction": direction, **variant}, tolerance=tolerance)
    assert '"RNN"' in prepared.program.last[0].stages[0].text


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("op", GATES)
def test_lengths(op: str, direction: str) -> None:
    """Sequences of different lengths end early, and begin at their own end backwards."""
    inputs = network(op, direction)
    inputs[4] = np.array([2, 4], np.int32)
    compared(op, inputs, {"direction": direction})


@pytest.mark.parametrize("op", GATES)
def test_rows_first(op: str) -> None:
    """layout=1 has the batch in front."""
    inputs = [
        value if value is None or at not in (0, 5, 6) else value.swapaxes(0, 1)
        for at, value in enumerate(network(op, "forward"))
    ]
    if op == "LSTM":
        inputs = inputs[:7]
    compared(op, inputs, {"layout": 1})


@pytest.mark.parametrize("clip", [0.3, 2.0])
@pytest.mark.parametrize("op", GATES)
def test_clip(op: str, clip: float) -> None:
    """What goes into an activation is bounded."""
    compared(op, network(op, "bidirectional"), {"direction": "bidirectional", "clip": clip})


CURVES = [
    "Relu",
    "Tanh",
    "Sigmoid",
    "Affine",
    "LeakyRelu",
    "ThresholdedRelu",
    "ScaledTanh",
    "HardSigmoid",
    "Elu",
    "Softsign",
    "Softplus",
]


@pytest.mark.parametrize("name", CURVES)
def test_activations(name: str) -> None:
    """Every activation of ONNX's list, by its defaults."""
    compared("GRU", network("GRU", "forward"), {"activations": [name, "Tanh"]}, tolerance=1e-4)


def test_activation_numbers() -> None:
    """The lists hold the numbers of the functions that take them."""
    attributes = {"activations": ["HardSigmoid", "ScaledTanh"], "activation_alpha": [0.3, 1.2], "activation_beta": [0.4, 0.7]}
    compared("GRU", network("GRU", "forward"), attributes)


def test_input_forget() -> None:
    """The forget gate is what the input gate leaves."""
    compared("LSTM", network("LSTM", "forward"), {"input_forget": 1})


@pytest.mark.parametrize("before", [0, 1])
def test_linear_before_reset(before: int) -> None:
    """Where GRU's reset applies."""
    compared("GRU", network("GRU", "bidirectional"), {"direction": "bidirectional", "linear_before_reset": before})


@pytest.mark.parametrize("op", GATES)
def test_old_opset(op: str) -> None:
    """Opset 7 has no layout."""
    compared(op, network(op, "forward"), {}, opset=7)


def test_one_symbol_for_any_batch() -> None:
    """The states that are not given grow with the batch."""
    weights = {"w": numbers(1, 4 * SIZE, FEATURES, seed=1), "r": numbers(1, 4 * SIZE, SIZE, seed=2)}
    node = onnx.helper.make_node("LSTM", ["x", "w", "r"], ["y"], hidden_size=SIZE)
    info = onnx.helper.make_tensor_value_info("x", 1, (TIME, None, FEATURES))
    end = onnx.helper.make_tensor_value_info("y", 1, (TIME, 1, None, SIZE))
    parts = [onnx.numpy_helper.from_array(value, name) for name, value in weights.items()]
    graph = onnx.helper.make_graph([node], "g", [info], [end], parts)
    prepared = backend.prepare(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 22)]))
    texts = set()
    for batch in (1, 3):
        x = numbers(TIME, batch, FEATURES, seed=3)
        want = ask("LSTM", [x, *weights.values()], 22, outputs=3, hidden_size=SIZE)[0]
        np.testing.assert_allclose(prepared.run([x])[0], want, rtol=1e-5, atol=1e-6)
        texts.add(prepared.program.last[0].stages[0].text)
    assert len(texts) == 1


@pytest.mark.parametrize(
    "attributes", [{"direction": "sideways"}, {"activations": ["Cosine", "Tanh"]}, {"activations": ["Tanh"]}], ids=str
)
def test_what_is_none_is_refused(attributes: dict[str, Any]) -> None:
    """Unknown directions and activations, or too few, are errors that say so."""
    inputs = network("GRU", "forward")
    model = node_model("GRU", inputs, {"hidden_size": SIZE, **attributes}, opset=None, domain="", outputs=1)
    with pytest.raises(InvalidModel, match="direction|activations"):
        backend.prepare(model).run([value for value in inputs if value is not None])


@pytest.mark.parametrize("op", GATES)
def test_states_of_other_rows_are_refused(op: str) -> None:
    """A state has a row for each row of the sequence."""
    inputs = network(op, "forward")
    inputs[5] = numbers(1, BATCH + 1, SIZE)
    assert "does not fit" in check_refused(op, inputs, {"hidden_size": SIZE})


@pytest.mark.parametrize("direction", ["reverse", "bidirectional"])
@pytest.mark.parametrize(("op", "gates"), [("RNN", 1), ("GRU", 3), ("LSTM", 4)])
def test_lengths_beyond_the_sequence_count_as_all_of_it(op: str, gates: int, direction: str) -> None:
    """Nothing outside of the input is read for them, or for negative ones."""
    ways = 1 + (direction == "bidirectional")
    shapes = (3, 2, 4), (ways, gates * 5, 4), (ways, gates * 5, 5)
    x, *weights = (np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32) for shape in shapes)
    attributes = {"hidden_size": 5, "direction": direction}
    answers = []
    for lengths in ([3, 0], [100_000, -3]):
        inputs = [x, *weights, None, np.array(lengths, np.int32)]
        model = node_model(op, inputs, attributes, opset=14, domain="", outputs=1)
        answers.append(backend.prepare(model).run([each for each in inputs if each is not None])[0])
    np.testing.assert_array_equal(*answers)
