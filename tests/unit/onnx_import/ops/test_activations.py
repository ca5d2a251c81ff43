"""Activation functions against ONNX's evaluator, in every float type."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from onnx_import.backend import prepare
from tests.unit.onnx_import.checking import check, node_model

pytestmark = pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")

CASES: list[tuple[str, dict[str, Any]]] = [
    ("Relu", {}),
    ("LeakyRelu", {}),
    ("LeakyRelu", {"alpha": 0.3}),
    ("Elu", {}),
    ("Elu", {"alpha": 2.0}),
    ("Selu", {}),
    ("Selu", {"alpha": 2.0, "gamma": 3.0}),
    ("Celu", {}),
    ("Celu", {"alpha": 0.5}),
    ("Gelu", {}),
    ("Gelu", {"approximate": "tanh"}),
    ("HardSigmoid", {}),
    ("HardSigmoid", {"alpha": 0.5, "beta": 0.6}),
    ("HardSwish", {}),
    ("Sigmoid", {}),
    ("Tanh", {}),
    ("Softplus", {}),
    ("Softsign", {}),
    ("Mish", {}),
    ("Swish", {}),
    ("Swish", {"alpha": 1.7}),
    ("ThresholdedRelu", {}),
    ("ThresholdedRelu", {"alpha": 0.5}),
    ("Shrink", {}),
    ("Shrink", {"lambd": 1.5, "bias": 1.5}),
]
EXTREMES = [0.0, -0.0, 20.0, -20.0, 88.0, -88.0, 1e4, -1e4]
TOLERANCES = {"float32": 1e-5, "float64": 1e-6, "float16": 4e-3, "bfloat16": 3e-2}


def numbers(dtype: str, *shape: int) -> Any:
    """Seeded numbers around 0."""
    return np.asarray(np.random.default_rng(2).normal(0, 3, shape)).astype(getattr(ml_dtypes, dtype, dtype))


UNEVALUATED = ("Softsign", "Gelu", "HardSwish", "Mish", "ThresholdedRelu", "Shrink")
"""The evaluator computes these of 16-bit floats in another type, or not at all."""


@pytest.mark.parametrize(
    ("op", "attributes", "dtype"),
    [(*case, dtype) for case in CASES for dtype in TOLERANCES if case[0] not in UNEVALUATED or dtype[-2:] != "16"],
    ids=str,
)
def test_activation(op: str, attributes: dict[str, Any], dtype: str) -> None:
    """Every function in every float type, far from 0 too."""
    x = np.concatenate([numbers(dtype, 50), np.array(EXTREMES).astype(numbers(dtype, 1).dtype)])
    check(op, [x], attributes, rtol=TOLERANCES[dtype], atol=1e-6 if dtype in ("float32", "float64") else 1e-3)


@pytest.mark.parametrize(("op", "attributes"), [case for case in CASES if case[0] != "Softsign"], ids=str)
@pytest.mark.parametrize("shape", [(), (2, 0), (1, 2, 3, 2, 1, 2)], ids=str)
def test_shapes(op: str, attributes: dict[str, Any], shape: tuple[int, ...]) -> None:
    """Scalars, empty tensors and many axes."""
    check(op, [numbers("float32", *shape)], attributes, rtol=1e-4)


@pytest.mark.parametrize("op", ["Softsign", "HardSwish", "Mish", "Gelu", "ThresholdedRelu"])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_few_bits_are_rounded_once(op: str, dtype: str) -> None:
    """16-bit floats get what float32 gives, rounded."""
    x = numbers(dtype, 60)
    wide = x.astype(np.float32)
    want = prepare(node_model(op, [wide], {}, opset=None, domain="", outputs=1)).run([wide])[0]
    check(op, [x], want=[want.astype(x.dtype)], rtol=TOLERANCES[dtype], atol=1e-3)


@pytest.mark.parametrize("dtype", ["int8", "int32", "int64", "uint8"])
def test_relu_and_shrink_of_whole_numbers(dtype: str) -> None:
    """Whole numbers stay whole."""
    x = np.arange(10).astype(dtype) if dtype[0] == "u" else np.arange(-5, 5).astype(dtype)
    check("Shrink", [x], {"lambd": 1.5, "bias": 1.0})
    if dtype[0] != "u":
        check("Relu", [x])


@pytest.mark.parametrize(
    ("shape", "slope"),
    [((2, 3, 4, 5), (3, 1, 1)), ((2, 3, 4, 5), (1,)), ((2, 3), (3,)), ((2, 3, 4), (2, 3, 4)), ((), ())],
    ids=str,
)
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32"])
def test_p_relu(shape: tuple[int, ...], slope: tuple[int, ...], dtype: str) -> None:
    """A slope of any shape that broadcasts."""
    check("PRelu", [(numbers("float32", *shape) * 4).astype(dtype), (numbers("float32", *slope) * 2).astype(dtype)])


def test_p_relu_by_channel() -> None:
    """Before opset 7 a slope has one number a channel."""
    x, slope = numbers("float32", 2, 3, 4), np.array([0.1, 0.2, 0.3], np.float32)
    want = np.where(x < 0, x * slope[:, None], x)
    check("PRelu", [x, slope], opset=6, want=[want])


@pytest.mark.parametrize("alpha", [1.0, 1.5])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_swi_glu(alpha: float, dtype: str) -> None:
    """A gate and what it lets through."""
    x, y = numbers(dtype, 2, 3, 4), numbers(dtype, 2, 3, 4)[::-1].copy()
    check("SwiGLU", [x, y], {"alpha": alpha}, rtol=TOLERANCES[dtype], atol=1e-3 if dtype == "float16" else 1e-6)


@pytest.mark.parametrize(("op", "attributes"), CASES, ids=str)
def test_known_operands(op: str, attributes: dict[str, Any]) -> None:
    """What is known when the graph is converted is computed then, to the same."""
    check(op, [numbers("float32", 3, 4)], attributes, known=[0])


@pytest.mark.parametrize(
    "op", ["Relu", "LeakyRelu", "Elu", "Sigmoid", "Tanh", "HardSigmoid", "Softplus", "PRelu", "Clip", "Celu"]
)
def test_not_a_number(op: str) -> None:
    """NaN goes through, and infinities are numbers."""
    x = np.array([np.nan, np.inf, -np.inf, 1.0, -1.0], np.float32)
    check(op, [x, np.array(0.5, np.float32)] if op in ("PRelu", "Clip") else [x])
