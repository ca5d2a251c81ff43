"""One step of each optimiser, of one tensor and of several, first and later ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.unit.onnx_import.checking import check

DOMAIN = "ai.onnx.preview.training"
ATTRIBUTES: dict[str, dict[str, Any]] = {
    "Adagrad": {"norm_coefficient": 0.01, "epsilon": 1e-5, "decay_factor": 0.1},
    "Adam": {"norm_coefficient": 0.01, "alpha": 0.95, "beta": 0.1, "epsilon": 1e-7, "norm_coefficient_post": 0.02},
    "Momentum": {"norm_coefficient": 0.01, "alpha": 0.95, "beta": 0.1, "mode": "standard"},
}


@pytest.mark.parametrize("mode", ["standard", "nesterov"])
@pytest.mark.parametrize("step", [0, 3])
@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("op", ATTRIBUTES)
def test_step(op: str, count: int, step: int, mode: str) -> None:
    """New tensors and new states, listed kind by kind."""
    random = np.random.default_rng(1)
    kinds = 4 if op == "Adam" else 3
    tensors = [random.uniform(0.1, 1, (2, 3 + place % count)).astype(np.float32) for place in range(kinds * count)]
    attributes = ATTRIBUTES[op] | ({"mode": mode} if op == "Momentum" else {})
    inputs = [np.array(0.1, np.float32), np.array(step), *tensors]
    check(op, inputs, attributes, domain=DOMAIN, outputs=(kinds - 1) * count)
