"""Signatures for tests, and the model of AWS's tests: half of x plus three."""

from __future__ import annotations

from typing import Any

import numpy as np

from serving.backends.tensorflow import SignatureDef, TensorInfo
from serving.invocation import Inputs, Outputs

PREDICT = "tensorflow/serving/predict"


def info(name: str, dtype: Any = "float32") -> TensorInfo:
    """A tensor of any shape."""
    return TensorInfo(name, f"{name}:0", np.dtype(dtype), 0, None)


def signature(*dtypes: Any, name: str = "serving_default", **named: Any) -> SignatureDef:
    """A signature whose inputs are `x` of the one dtype that is given, or those that are named."""
    inputs = {"x": dtypes[0]} if dtypes else named
    infos = tuple(info(key, dtype) for key, dtype in sorted(inputs.items()))
    return SignatureDef(name, PREDICT, infos, (info("y"),))


def half_plus_three(inputs: Inputs) -> Outputs:
    """What AWS's model computes."""
    return {"y": inputs["x"] * np.float32(0.5) + np.float32(3)}
