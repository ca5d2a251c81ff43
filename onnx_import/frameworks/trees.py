"""A check of exported tree ensembles: the exporter covers the common objectives, and is silently wrong on some of the others.

Rows are drawn around the trees' own thresholds, so that both sides of each split are taken; the ONNX model must answer on them
as the framework does.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from onnx_import.frameworks.errors import WrongExport
from onnx_import.oracle import prepare

if TYPE_CHECKING:
    import onnx

ROWS = 64
SEED = 7
RTOL, ATOL = 1e-3, 1e-4
"""Frameworks sum trees in another order, and XGBoost in float32."""
MAY_DIFFER = 0.05
"""Share of rows that may take another branch, where float32 rounds a threshold across a value."""

Array: TypeAlias = "np.ndarray[Any, Any]"


def check(model: onnx.ModelProto, answer: Callable[[Array], Array], features: int) -> None:
    """WrongExport where the model's outputs are not the framework's `answer` to the same rows."""
    rows = probe(model, features)
    (name,) = (info.name for info in model.graph.input)
    outputs = [np.asarray(output) for output in prepare(model).run({name: rows})]
    expected = np.asarray(answer(rows))
    if not any(_agree(found, expected) for found in _readings(outputs)):
        raise WrongExport(
            "the exporter's model answers differently from this one, so it is not used.\n"
            "Exporters cover the common objectives: train with one of those, or export another kind of model"
        )


def probe(model: onnx.ModelProto, features: int) -> Array:
    """Rows (ROWS, features) around the thresholds of the model's trees."""
    draw = np.random.default_rng(SEED)
    thresholds: dict[int, list[float]] = defaultdict(lambda: [0.0])
    for node in model.graph.node:
        attributes = {attribute.name: attribute for attribute in node.attribute}
        if "nodes_values" in attributes:
            ids, values, modes = (attributes[name] for name in ("nodes_featureids", "nodes_values", "nodes_modes"))
            for feature, value, mode in zip(ids.ints, values.floats, modes.strings, strict=True):
                if mode != b"LEAF":
                    # A category is met only by the value itself; any other split from both sides.
                    step = 0.0 if mode == b"BRANCH_EQ" else max(abs(value), 1e-2) * 1e-2
                    thresholds[feature] += [value - step, value + step]
    columns = [draw.choice(np.array(thresholds[feature], np.float32), ROWS) for feature in range(features)]
    return np.stack(columns, axis=1)


def _readings(outputs: list[Array]) -> list[Array]:
    """What a framework may mean by its answer: the last output, its column for the second class, or the label."""
    *labels, last = outputs
    if last.ndim == 2 and last.shape[1] == 1:
        return [last[:, 0]]
    return [last, *([last[:, 1]] if last.ndim == 2 and last.shape[1] == 2 else []), *labels]


def _agree(found: Array, expected: Array) -> bool:
    if found.shape != expected.shape or found.dtype.kind not in "fiu":
        return False
    close = np.isclose(found, expected, rtol=RTOL, atol=ATOL, equal_nan=True).reshape(len(found), -1).all(axis=1)
    return bool((~close).mean() <= MAY_DIFFER)
