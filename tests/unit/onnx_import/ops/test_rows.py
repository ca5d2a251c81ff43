"""The promise that operators on the other axes become the same MXNet nodes for any number of rows, so that one artifact serves them."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest

from onnx_import.program import Program
from onnx_import.reader import read
from tests.unit.onnx_import.checking import node_model

NEAREST = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
ITEM = {
    "slice": ("Slice", (8, 9), [[1], [5], [1]], {}),
    "pad images": ("Pad", (3, 8, 9), [[0, 0, 1, 1, 0, 0, 1, 1]], {}),
    "pad": ("Pad", (8, 9), [[0, 0, 1, 0, 0, 1]], {}),
    "reflect": ("Pad", (8, 9), [[0, 0, 2, 0, 0, 2]], {"mode": "reflect"}),
    "edge": ("Pad", (8, 9, 9), [[0, 0, 2, 2, 0, 0, 2, 2]], {"mode": "edge"}),
    "gather few": ("Gather", (8, 9), [[3, 1, 0, 4, 4, 1, 6]], {"axis": 1}),
    "gather rows": ("Gather", (80, 90), [[7, 1, 4, 5, 2, 5] * 12], {"axis": 1}),
    "gather columns": ("Gather", (80, 90), [[7, 1, 4, 5, 2, 5] * 12], {"axis": 2}),
    "resize by 2": ("Resize", (4, 8, 9), [None, np.float32([1, 1, 2, 2])], NEAREST),
    "resize": ("Resize", (4, 18, 19), [None, np.float32([1, 1, 1.3, 1.6])], {"mode": "linear"}),
    "transpose": ("Transpose", (8, 9), [], {"perm": [0, 2, 1]}),
    "transpose rows": ("Transpose", (1, 9), [], {"perm": [1, 0, 2]}),
    "flatten": ("Flatten", (8, 9), [], {}),
    "reshape": ("Reshape", (8, 9), [[-1, 6, 12]], {}),
    "merge rows": ("Reshape", (8, 9), [[-1, 9]], {}),
    "squeeze": ("Squeeze", (1, 9), [[1]], {}),
    "new first axis": ("Unsqueeze", (9,), [[0]], {}),
    "tile": ("Tile", (9,), [[1, 3]], {}),
    "expand": ("Expand", (1, 8), [[1, 5, 8]], {}),
    "depth to space": ("DepthToSpace", (8, 3, 3), [], {"blocksize": 2}),
    "transform": ("DFT", (8, 1), [], {}),
}


def _text(op: str, shape: tuple[int, ...], others: list[Any], attributes: dict[str, Any], more: tuple[Any, ...] = ()) -> Any:
    known = [None if value is None else value if isinstance(value, np.ndarray) else np.array(value) for value in others]
    inputs = [np.ones(shape, np.float32), *more, *known]
    model = node_model(op, inputs, attributes, opset=None, domain="", outputs=1)
    for index in range(1 + len(more), len(inputs)):
        if inputs[index] is not None:
            model.graph.initializer.append(onnx.numpy_helper.from_array(inputs[index], f"x{index}"))
    program = Program(read(model))
    program.run({f"x{index}": value for index, value in enumerate(inputs[: 1 + len(more)])})
    (stage,) = program.last[0].stages
    return stage.text, {name: array.shape for name, array in stage.constants.items()}


@pytest.mark.parametrize("case", ITEM.values(), ids=ITEM)
def test_one_symbol_serves_any_number_of_rows(case: Any) -> None:
    """Neither attributes nor constants hold the number."""
    op, item, others, attributes = case
    assert _text(op, (2, *item), others, attributes) == _text(op, (5, *item), others, attributes)


def test_rows_may_be_chosen_by_pending_indices() -> None:
    """Of each row its own."""
    for rows in (3, 6):
        texts = [_text("GatherElements", (n, 8), [], {"axis": 1}, (np.zeros((n, 3), np.int64),)) for n in (2, rows)]
        grids = [_text("GridSample", (n, 2, 3, 3), [], {}, (np.zeros((n, 4, 4, 2), np.float32),)) for n in (2, rows)]
        assert texts[0] == texts[1]
        assert grids[0] == grids[1]
