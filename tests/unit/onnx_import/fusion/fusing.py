"""Small models in ONNX's text syntax, run by us and by the evaluator, and the MXNet operators that they became."""

from __future__ import annotations

import collections
import json
from typing import Any

import numpy as np
import onnx
from onnx import parser

from onnx_import import backend, oracle


def fused(
    signature: str, nodes: str, weights: dict[str, Any], feeds: dict[str, Any], tolerance: float = 1e-4
) -> collections.Counter[str]:
    """How often each MXNet operator occurs in a model's one symbol, once its outputs are the evaluator's, twice.

    `signature` is `(float[N, 4] x) => (float[N, 4] y)`.
    """
    model = parser.parse_model(f'<ir_version: 8, opset_import: ["": 17]> g {signature} {{ {nodes} }}')
    model.graph.initializer.extend(onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items())
    want = oracle.reference(model).run(feeds)
    prepared = backend.prepare(model)
    for _ in range(2):
        for mine, theirs in zip(prepared.run(feeds), want, strict=True):
            assert mine.shape == theirs.shape
            assert mine.dtype == theirs.dtype
            np.testing.assert_allclose(mine, theirs, rtol=tolerance, atol=tolerance)
    (stage,) = prepared.program.last[0].stages
    return collections.Counter(node["op"] for node in json.loads(stage.text)["nodes"] if node["op"] != "null")


def numbers(*shape: int, seed: int = 0) -> Any:
    """Some float32 of the given shape."""
    return np.random.RandomState(seed).standard_normal(shape).astype(np.float32)
